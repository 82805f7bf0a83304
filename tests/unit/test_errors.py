"""Errors word what was wanted, what came, where and what to do; they survive a process border."""

from __future__ import annotations

import pickle

import pytest

from kinlens.errors import (
    InputError,
    KinlensError,
    MissingDependencyError,
    TooManySkippedError,
    UsageError,
    WorkLostError,
    did_you_mean,
    listing,
    nearest_names,
)


def test_input_error_says_where_what_which_and_what_to_do() -> None:
    error = InputError(
        "7 tips are named twice",
        where="tree.nwk",
        remedy="Rename them.",
        offenders=[f"tip{i}" for i in range(7)],
    )
    assert str(error) == (
        "tree.nwk: 7 tips are named twice: tip0, tip1, tip2, tip3, tip4 and 2 more. Rename them."
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (KinlensError, 1),
        (UsageError, 2),
        (MissingDependencyError, 2),
        (InputError, 3),
        (TooManySkippedError, 4),
        (WorkLostError, 130),
    ],
)
def test_exit_codes_are_those_of_the_command(kind: type[KinlensError], code: int) -> None:
    assert kind("something").exit_code == code


@pytest.mark.parametrize("kind", [InputError, TooManySkippedError])
def test_input_errors_come_home_from_a_worker_unchanged(kind: type[InputError]) -> None:
    error = kind("empty", where="a.csv", remedy="Fill it.", offenders=["x", "y"])
    error.add_note("while working on block 1 of 2")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error) == "a.csv: empty: x, y. Fill it."
    assert again.offenders == ("x", "y")
    assert again.where == "a.csv"
    assert again.__notes__ == ["while working on block 1 of 2"]


@pytest.mark.parametrize("kind", [UsageError, MissingDependencyError, WorkLostError])
def test_other_errors_come_home_too(kind: type[KinlensError]) -> None:
    again = pickle.loads(pickle.dumps(kind("no such study.")))
    assert type(again) is kind
    assert str(again) == "no such study."


def test_listing_counts_what_it_does_not_show() -> None:
    assert listing([]) == ""
    assert listing("abcde") == "a, b, c, d, e"
    assert listing(range(1_234_567), most=1) == "0 and 1,234,566 more"


def test_nearest_names_are_near_and_best_first() -> None:
    names = ["Papilio_machaon", "Papilio_maackii", "Graphium_agamemnon"]
    assert nearest_names("Papilio_machon", names)[0] == "Papilio_machaon"
    assert nearest_names("Ornithoptera", names) == []
    assert did_you_mean("Papilio_machon", names) == "Did you mean 'Papilio_machaon'?"
