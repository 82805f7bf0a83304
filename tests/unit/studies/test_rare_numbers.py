"""Retrieval, rivals and qualities of the study `rare`, on answers that were written by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kinlens.records.result import metrics_frame
from kinlens.records.tree import Tree
from kinlens.rng import RandomStreams
from kinlens.studies.rare_models import PROTOTYPES, Naming
from kinlens.studies.rare_qualities import quality_rows
from kinlens.studies.rare_retrieval import (
    retrieval_cells,
    retrieval_rows,
    retrieval_table,
    shares_within,
)
from kinlens.studies.rare_rivals import genus_guess_cells, rival_rows
from kinlens.studies.rare_scores import cells_of, metric_rows

# Two genera of three species; A_c and B_c have no picture to learn from. B_x has no genes.
SPECIES = ("A_a", "A_b", "A_c", "B_a", "B_b", "B_c", "B_x")
UNSEEN = ("A_c", "B_c")


def task_of(names: tuple[str, ...] = SPECIES, *, each: int = 4) -> Any:
    """Four pictures of each species: two train, two are tested (all of an unseen species)."""
    species = np.repeat(np.array(names, dtype=object), each)
    n = len(species)
    task = SimpleNamespace(
        species=species,
        specimens=np.arange(n),
        names=tuple(sorted(names)),
        kinship=Tree.from_parents([-1] + [0] * 7, None, ["", *SPECIES[:6], "C_without_pictures"]),
    )
    task.genus_of = lambda: {name: name[0] for name in names}
    task.specimens_of = lambda rows: {name: int((species[rows] == name).sum()) for name in names}
    return task


def repeat_of(task: Any, scores: dict[str, np.ndarray], **fitted: Any) -> Any:
    is_tested = (np.arange(len(task.species)) % 4 >= 2) | np.isin(task.species, UNSEEN)
    split = SimpleNamespace(
        train=np.flatnonzero(~is_tested), test=np.flatnonzero(is_tested), unseen=UNSEEN
    )
    classes = np.array(task.names, dtype=object)
    namings = {name: Naming(name, classes, given) for name, given in scores.items()}
    return SimpleNamespace(number=0, split=split, fitted=SimpleNamespace(namings=namings, **fitted))


def truth_of(task: Any) -> np.ndarray:
    tested = (np.arange(len(task.species)) % 4 >= 2) | np.isin(task.species, UNSEEN)
    return np.searchsorted(task.names, task.species[tested].astype(str))


def perfect(task: Any) -> np.ndarray:
    truth = truth_of(task)
    scores = np.full((len(truth), len(task.names)), -9.0)
    scores[np.arange(len(truth)), truth] = 0.0
    return scores


def value(rows: list[dict[str, Any]], target: str, model: str, metric: str) -> dict[str, Any]:
    (found,) = [
        row
        for row in rows
        if (row["target"], row["model"], row["metric"]) == (target, model, metric)
    ]
    return found


def test_perfect_answers_find_genes_and_pictures_and_equal_ones_are_chance() -> None:
    task = task_of()
    blind = np.zeros_like(perfect(task))
    repeats = [repeat_of(task, {"prototypes": perfect(task), "prototypes_permuted": blind})]
    cells = retrieval_cells(task, repeats)
    # Neither the species without genes nor the genes without pictures are asked for.
    assert set(cells["species"]) == set(SPECIES[:6])
    assert set(cells["n_genes"]) == {6}
    assert set(cells["n_pictures"]) == {4 * 2 + 2 * 4}
    rows = retrieval_rows(cells, replicates=100, streams=RandomStreams(0))
    for metric, best, chance in (
        ("picture_to_genes_top_1", 1.0, 1 / 6),
        ("picture_to_genes_top_5", 1.0, 5 / 6),
        ("picture_to_genes_median_rank", 1.0, 3.5),
        ("genes_to_pictures_map", 1.0, 4 / 16),
    ):
        true = value(rows, "shots_0", "prototypes", metric)
        assert true["value"] == true["low"] == true["high"] == best
        assert true["null_mean"] == pytest.approx(chance)
        control = value(rows, "shots_0", "prototypes_permuted", metric)
        assert control["value"] == pytest.approx(chance)
        gain = value(rows, "shots_0", "prototypes", f"{metric}_over_permuted")
        assert gain["value"] == pytest.approx(best - chance)
        assert gain["n"] == 2
    table = retrieval_table(metrics_frame(rows), cells).set_index(["target", "measure"])
    assert table.loc[("shots_0", "picture_to_genes_top_1"), "chance"] == pytest.approx(1 / 6)
    curve = shares_within(task, repeats, "prototypes_permuted", target="shots_0")
    assert curve == pytest.approx(np.arange(1, 7) / 6)
    assert len(shares_within(task, repeats, "prototypes", target="shots_over_20")) == 0


def test_a_genus_that_is_not_known_is_neither_right_nor_wrong() -> None:
    task = task_of()
    genera = {name: "A" if name.startswith("A") else "" for name in SPECIES}
    task.genus_of = lambda: genera
    scores = dict.fromkeys(PROTOTYPES, perfect(task))
    cells = cells_of(task, [repeat_of(task, scores)])
    known = cells.set_index("species").groupby("species")["genus_accuracy"].first()
    assert known.dropna().to_dict() == {"A_a": 1.0, "A_b": 1.0, "A_c": 1.0}
    rows = metric_rows(cells, replicates=100, streams=RandomStreams(0))
    assert value(rows, "all", "prototypes", "genus_accuracy")["value"] == 1.0
    assert value(rows, "all", "prototypes", "genus_accuracy")["n"] == 3
    task.genus_of = lambda: dict.fromkeys(SPECIES, "")
    rows = metric_rows(
        cells_of(task, [repeat_of(task, scores)]), replicates=100, streams=RandomStreams(0)
    )
    assert not [row for row in rows if row["metric"] == "genus_accuracy"]


def test_the_curve_goes_through_the_shares_of_the_table(rng: np.random.Generator) -> None:
    task = task_of()
    # Small whole numbers, so that many are equal.
    scores = rng.integers(0, 3, perfect(task).shape).astype(float)
    repeats = [repeat_of(task, {"prototypes": scores})]
    cells = retrieval_cells(task, repeats)
    for target in ("shots_0", "shots_2_5", "all"):
        curve = shares_within(task, repeats, "prototypes", target=target)
        inside = cells if target == "all" else cells[cells["bin"] == target]
        assert curve[0] == pytest.approx(inside["picture_to_genes_top_1"].mean())
        assert curve[4] == pytest.approx(inside["picture_to_genes_top_5"].mean())
        assert curve[-1] == pytest.approx(1.0)
        assert (np.diff(curve) >= -1e-12).all()


def test_average_precision_is_that_of_the_list() -> None:
    task = task_of()
    scores = np.zeros_like(perfect(task))
    truth = truth_of(task)
    column = SPECIES.index("A_c")
    # The list that A_c's genes make: two of its own, two others, two of its own, the others.
    own, others = np.flatnonzero(truth == column), np.flatnonzero(truth != column)
    order = [*own[:2], *others[:2], *own[2:], *others[2:]]
    scores[order, column] = -np.arange(len(order), dtype=float)
    cells = retrieval_cells(task, [repeat_of(task, {"prototypes": scores})])
    found = cells.set_index("species").loc["A_c", "genes_to_pictures_map"]
    assert found == pytest.approx((1 + 1 + 3 / 5 + 4 / 6) / 4)


def test_guessing_within_the_genus_is_exact_and_paired() -> None:
    task = task_of()
    scores = perfect(task)
    truth = truth_of(task)
    # Pictures of A_c look next like A_a; those of B_c, by half, like A_b: of the wrong genus.
    scores[truth == 2, 0] = -1.0
    scores[np.flatnonzero(truth == 5)[:2], 1] = -1.0
    scores[np.flatnonzero(truth == 5)[2:], 3] = -1.0
    repeats = [repeat_of(task, {"prototypes": scores, "prototypes_permuted": scores})]
    guesses = genus_guess_cells(task, repeats).set_index("species")
    assert guesses["per_class_accuracy"].to_dict() == {"A_c": 1.0, "B_c": 0.5}
    assert guesses["untold"].to_dict() == {"A_c": 1 / 3, "B_c": 0.5 / 4}
    rows = rival_rows(
        task, cells_of(task, repeats), guesses.reset_index(), replicates=100,
        streams=RandomStreams(0),
    )  # fmt: skip
    assert value(rows, "shots_0", "genus_guess", "per_class_accuracy")["value"] == 0.75
    gain = value(rows, "shots_0", "prototypes", "gain_over_genus_guess")
    assert (gain["value"], gain["low"], gain["high"]) == (0.25, 0.0, 0.5)
    untold = value(rows, "shots_0", "genus_guess_untold", "per_class_accuracy")["value"]
    assert untold == pytest.approx((1 / 3 + 0.5 / 4) / 2)
    gain = value(rows, "shots_0", "prototypes", "gain_over_untold_guess")
    assert gain["value"] == pytest.approx(1 - untold)
    assert value(rows, "shots_0", "chance", "per_class_accuracy")["value"] == 1 / 7
    assert value(rows, "shots_0", "chance", "genus_accuracy")["value"] == pytest.approx(
        (3 / 7 + 4 / 7) / 2
    )


def test_where_no_withheld_species_was_tested_there_is_no_guess_to_beat() -> None:
    task = task_of()
    repeats = [repeat_of(task, {"prototypes": perfect(task)})]
    cells = cells_of(task, repeats)
    seen = cells[cells["bin"] != "shots_0"]
    guesses = genus_guess_cells(task, repeats)
    assert len(guesses)
    assert rival_rows(task, seen, guesses, replicates=100, streams=RandomStreams(0)) == []


def test_two_withheld_species_of_a_genus_share_the_guess() -> None:
    task = task_of()
    repeat = repeat_of(task, {"prototypes": perfect(task)})
    repeat.split.unseen = ("A_b", "A_c")
    guesses = genus_guess_cells(task, [repeat]).set_index("species")
    # All scores of pictured species are equal: the first of them, A_a, is as good as any.
    assert guesses.loc["A_c", "per_class_accuracy"] == 0.5
    assert guesses.loc["A_c", "top_5_accuracy"] == 1.0
    assert guesses.loc["A_c", "genus_accuracy"] == 1.0


def test_certainty_has_intervals_over_species() -> None:
    task = task_of()
    truth = truth_of(task)
    scores = perfect(task)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    is_new = np.isin(truth, [2, 5])
    # One learned species is never in its set; one withheld species is not strange.
    inside = np.eye(len(task.names), dtype=bool)[truth]
    inside[truth == 0] = False
    odds = np.where(truth == 5, 1.0, 0.0)
    branch = [("A_a", "A_b") if t == 2 else ("B_a",) for t in truth]
    prototypes = SimpleNamespace(
        classes_=np.array(task.names, dtype=object),
        n_specimens_=np.array([0 if name in UNSEEN else 2 for name in task.names]),
    )
    repeat = repeat_of(
        task, {"prototypes": scores}, prototypes=prototypes, probabilities=probabilities,
        candidates=inside, newcomer_odds=odds, branch=branch,
    )  # fmt: skip
    rows = quality_rows(task, [repeat], error_rate=0.1, replicates=200, streams=RandomStreams(0))
    covered = value(rows, "seen", "prototypes", "coverage")
    assert covered["value"] == 0.8
    assert covered["low"] < 0.8 < covered["high"]
    assert covered["n"] == 5
    area = value(rows, "shots_0", "prototypes", "newcomer_auc")
    assert area["value"] == 0.75
    assert (area["low"], area["high"]) == (0.5, 1.0)
    assert area["n"] == 7
    held = value(rows, "shots_0", "prototypes", "branch_holds_genus")
    assert held["value"] == 1.0
    share = (~is_new).sum() + (truth == 5).sum()
    assert held["null_mean"] == pytest.approx((4 / len(truth) + share / len(truth)) / 2)
    error = value(rows, "seen", "prototypes", "calibration_error")
    # Every answer is right, and said with the same confidence.
    assert error["value"] == pytest.approx(1 - 1 / (1 + 4 * np.exp(-9)), abs=1e-9)
    assert error["low"] <= error["value"] <= error["high"]
    assert is_new.sum() == 8
