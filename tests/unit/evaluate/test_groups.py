from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.groups import distance_clusters, group_codes, join_groups


def test_blanks_of_every_kind_name_no_group() -> None:
    values = ["a", "", None, float("nan"), " ", "b", "a"]
    assert group_codes(values).codes.tolist() == [0, -1, -1, -1, -1, 1, 0]
    assert group_codes([3, -1, 3, 0]).codes.tolist() == [0, -1, 0, 1]
    assert group_codes(["-1", "x"]).codes.tolist() == [0, 1]


def test_labels_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(UsageError, match="2 labels for 3 rows"):
        group_codes(["a", "b"], n_rows=3)


def test_links_of_several_kinds_are_followed_to_the_end() -> None:
    specimens = ["s1", "s1", "s2", "s3", "", ""]
    copies = [-1, 5, 5, 9, 9, -1]
    assert join_groups(6, specimens, copies, None).tolist() == [0, 0, 0, 1, 1, 2]


def test_a_long_chain_is_one_group() -> None:
    n = 10_000
    left = np.arange(n) // 2
    right = (np.arange(n) + 1) // 2
    assert join_groups(n, left, right).max() == 0


def test_clusters_find_planted_ones(rng: np.random.Generator) -> None:
    centre = np.repeat([0.0, 10.0, 30.0], [5, 7, 4])
    points = centre + rng.normal(0, 0.1, centre.size)
    labels = distance_clusters(np.abs(points[:, None] - points), 3)
    assert labels.tolist() == [0] * 5 + [1] * 7 + [2] * 4
    assert distance_clusters(np.zeros((1, 1)), 1).tolist() == [0]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.array([[0.0, np.nan], [np.nan, 0.0]]), "finite"),
        (np.array([[0.0, 1.0], [2.0, 0.0]]), "symmetric"),
        (np.ones((2, 2)), "zero diagonal"),
    ],
)
def test_what_is_no_distance_matrix_is_refused(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        distance_clusters(matrix, 2)
    with pytest.raises(UsageError, match="n_clusters"):
        distance_clusters(np.zeros((2, 2)), 3)
