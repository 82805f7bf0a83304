"""Labels in groups: order, lifting to groups, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError
from kinlens.records.label_tree import HPA_GROUPS, HPA_LABELS, LabelTree

TREE = LabelTree.of({"a": ["x", "y"], "b": ["z"]})


def test_the_atlas_has_28_places_in_three_regions():
    tree = LabelTree.of(HPA_GROUPS)
    assert sorted(tree.labels) == sorted(HPA_LABELS)
    assert [len(tree.members(group)) for group in range(3)] == [6, 14, 8]


def test_a_group_holds_when_one_of_its_labels_does():
    held = TREE.indicator([("y",), ("z", "x"), ()])
    assert TREE.to_groups(held).tolist() == [[True, False], [True, True], [False, False]]


def test_labels_can_be_dropped_and_groups_go_with_them():
    kept = TREE.only(["y"])
    assert kept.labels == ("y",)
    assert kept.group_names == ("a",)
    assert kept.group_of.tolist() == [0]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"a": ["x"], "b": []}, "groups without labels: b"),
        ({"a": ["x"], "b": ["x"]}, "more than one place: x"),
        ({}, "groups without labels"),
    ],
)
def test_faulty_groups_are_refused(groups, words):
    with pytest.raises(InputError, match=words):
        LabelTree.of(groups)


def test_unknown_labels_are_named_with_the_nearest_known_one():
    tree = LabelTree.of(HPA_GROUPS)
    with pytest.raises(InputError, match=r"'nucleolus' \(2 pictures\).*Did you mean 'nucleoli'"):
        tree.refuse_unknown([("nucleolus",), ("nucleolus", "cytosol")], where="metadata.csv")
    tree.refuse_unknown([("cytosol",)], where="metadata.csv")


def test_unknown_labels_are_passed_over_when_asked_who_holds_what():
    assert not np.any(TREE.indicator([("w",)]))
