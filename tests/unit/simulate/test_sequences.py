"""Evolved sequences against what the models promise: composition, divergence, length, homology."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.simulate.sequences import IndelModel, evolve_sequences, evolve_tips
from kinlens.simulate.substitution import SubstitutionModel
from kinlens.simulate.trees import birth_death_tree

NO_INDELS = IndelModel(0.0, 0.0)


def cherry(length: float) -> Tree:
    return Tree.from_parents([-1, 0, 0], [0, length, length], ["", "a", "b"])


def test_composition_stays_stationary(rng: np.random.Generator) -> None:
    frequencies = (0.45, 0.1, 0.15, 0.3)
    model = SubstitutionModel(frequencies=frequencies)
    one, other = evolve_tips(cherry(2.0), 30_000, rng, substitution=model)
    for sequence in (one, other):
        observed = [sequence.count(base) / len(sequence) for base in (b"A", b"C", b"G", b"T")]
        assert observed == pytest.approx(frequencies, abs=0.015)


@pytest.mark.parametrize("length", [0.02, 0.3, 2.0])
def test_divergence_is_the_expected_one(rng: np.random.Generator, length: float) -> None:
    model = SubstitutionModel(rate_shape=0.7)
    n_sites = 40_000
    one, other = evolve_tips(cherry(length), n_sites, rng, substitution=model, indels=NO_INDELS)
    observed = np.mean(np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8))
    # Reversible: the two tips are as one branch of twice the length apart.
    expected = np.mean(
        [
            1 - np.array(model.frequencies) @ np.diag(model.transition(2 * length, rate=rate))
            for rate in model.rates
        ]
    )
    standard_error = np.sqrt(expected * (1 - expected) / n_sites)
    assert abs(observed - expected) < 4 * standard_error


def test_transitions_outnumber_transversions_as_the_bias_says(rng: np.random.Generator) -> None:
    model = SubstitutionModel(transition_bias=6.0, frequencies=(0.25,) * 4, rate_categories=1)
    one, other = evolve_tips(cherry(0.02), 100_000, rng, substitution=model, indels=NO_INDELS)
    pairs = np.stack([np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8)])
    differing = pairs[:, pairs[0] != pairs[1]]
    is_purine = np.isin(differing, [ord("A"), ord("G")])
    transitions = np.mean(is_purine[0] == is_purine[1])
    # One transition and two transversions lead away from each base: 6 / (6 + 2).
    assert transitions == pytest.approx(6 / 8, abs=0.03)


def test_insertions_lengthen_and_deletions_shorten_at_their_rates(rng: np.random.Generator) -> None:
    star = Tree.from_parents(
        [-1] + [0] * 300, [0] + [0.5] * 300, [""] + [f"t{i}" for i in range(300)]
    )
    for model, growth in (
        (IndelModel(0.1, 0.0, mean_length=2.0), 0.1 * 2.0),
        (IndelModel(0.0, 0.1, mean_length=2.0), -0.1 * 2.0),
    ):
        lengths = np.array([len(s) for s in evolve_tips(star, 400, rng, indels=model)])
        expected = 400 * np.exp(growth * 0.5)
        # Deletions that run over the end are cut short: well under 1% here.
        slack = 4 * lengths.std() / np.sqrt(300) + 0.01 * expected
        assert abs(lengths.mean() - expected) < slack
        assert lengths.std() > 0


def test_the_alignment_joins_sites_of_common_descent(rng: np.random.Generator) -> None:
    tree = birth_death_tree(12, rng, height=0.001)
    evolved = evolve_sequences(tree, 300, rng, indels=IndelModel(30.0, 30.0))
    rows = [evolved.aligned(node) for node in range(tree.n_nodes)]
    assert {len(row) for row in rows} == {evolved.n_columns}
    for row, sequence in zip(rows, evolved.sequences, strict=True):
        assert row.replace(b"-", b"") == sequence
    letters = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    assert (letters == ord("-")).any()
    # Hardly any substitution happened, so whatever stands in one column is one and the same base.
    for column in letters.T:
        present = column[column != ord("-")]
        _values, counts = np.unique(present, return_counts=True)
        assert counts.max() >= 0.7 * len(present)
    varied = [len(set(column[column != ord("-")])) > 1 for column in letters.T]
    assert np.mean(varied) < 0.05


def test_a_site_once_lost_never_comes_back(rng: np.random.Generator) -> None:
    tree = birth_death_tree(30, rng, height=0.2)
    evolved = evolve_sequences(tree, 200, rng, indels=IndelModel(0.2, 0.2))
    present = np.array(
        [np.frombuffer(evolved.aligned(i), np.uint8) != ord("-") for i in range(tree.n_nodes)]
    )
    born = np.zeros(evolved.n_columns, dtype=int)
    born += present[0]
    for node in range(1, tree.n_nodes):
        born += present[node] & ~present[tree.parent[node]]
    # Each column arises once: at the root or on one branch.
    assert born.tolist() == [1] * evolved.n_columns


def test_tips_alone_are_the_same_tips() -> None:
    tree = birth_death_tree(20, np.random.default_rng(3), height=0.3)
    whole = evolve_sequences(tree, 150, np.random.default_rng(5)).tips()
    assert evolve_tips(tree, 150, np.random.default_rng(5)) == whole.sequences
    assert whole.ids == tree.tip_names


def test_nothing_is_ever_deleted_away(rng: np.random.Generator) -> None:
    tips = evolve_tips(cherry(3.0), 3, rng, indels=IndelModel(0.0, 5.0, mean_length=4.0))
    assert min(map(len, tips)) >= 1


def test_a_root_needs_a_base(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="length must be 1"):
        evolve_tips(cherry(1.0), 0, rng)
    with pytest.raises(UsageError, match="mean_length"):
        IndelModel(mean_length=0.5)
