"""Numbers that R's ape and phytools give; `validation/signal.R` made them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinlens.evaluate.contrasts import phylogenetic_contrasts
from kinlens.evaluate.signal import blomberg_k, kmult, pagel_lambda
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.io.newick import parse_newick
from kinlens.records.tree import Tree

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("signal.json").read_text())
PERMUTATIONS = GOLDEN["permutations"]
each_tree = pytest.mark.parametrize("world", ["ultrametric", "uneven"])
each_trait = pytest.mark.parametrize("trait", ["brownian", "weak", "noise"])


def same(found: object, golden: object, tolerance: float = 1e-8) -> None:
    np.testing.assert_allclose(found, golden, rtol=tolerance, atol=tolerance)


def tree_of(world: str) -> Tree:
    arrays = GOLDEN[world]["tree"]
    return Tree.from_parents(arrays["parent"], arrays["length"], arrays["names"])


@each_tree
def test_tree_distances_and_shared_paths(world: str) -> None:
    golden = GOLDEN[world]
    tree = tree_of(world)
    order = tree.tip_positions(golden["tips"])
    same(patristic_distances(tree).select(golden["tips"]).values, golden["cophenetic"])
    same(vcv(tree)[np.ix_(order, order)], golden["vcv"])
    assert set(parse_newick(golden["newick"]).tip_names) == set(golden["tips"])


@each_tree
@each_trait
def test_blomberg_k(world: str, trait: str, rng: np.random.Generator) -> None:
    golden = GOLDEN[world][trait]
    values, covariance = np.array(golden["values"]), np.array(GOLDEN[world]["vcv"])
    test = blomberg_k(values, covariance, permutations=PERMUTATIONS, rng=rng)
    same(test.statistic, golden["k"]["statistic"])
    error = math.sqrt(2 * 0.25 / PERMUTATIONS)
    assert abs(test.p_value - golden["k"]["p_value"]) <= 4 * error
    multivariate = kmult(values[:, None], covariance, permutations=0, rng=rng)
    same(multivariate.statistic, golden["k"]["statistic"])


@each_tree
@each_trait
@pytest.mark.parametrize("rates", ["full", "isotropic"])
def test_pagel_lambda(world: str, trait: str, rates: Any) -> None:
    golden = GOLDEN[world][trait]["lambda"]
    fit = pagel_lambda(GOLDEN[world][trait]["values"], GOLDEN[world]["vcv"], rates=rates)
    # The likelihood is flat at its top: half of its digits are all that the estimate has.
    same(fit.value, golden["value"], 1e-6)
    same(fit.log_likelihood, golden["log_likelihood"])
    same(fit.log_likelihood_zero, golden["log_likelihood_zero"])
    same(fit.log_likelihood_one, golden["log_likelihood_at"][-1])
    same(fit.upper_bound, golden["upper_bound"])
    # One-sided, since lambda cannot be below 0; at 0 itself nothing speaks against it.
    expected = golden["p_value"] / 2 if golden["value"] > 1e-6 else 1.0
    same(fit.p_value, expected, 1e-7)


@each_tree
def test_multivariate_lambda(world: str) -> None:
    golden = GOLDEN[world]["joint"]
    values = np.array(golden["values"])
    n, p = values.shape
    fit = pagel_lambda(values, GOLDEN[world]["vcv"])
    same(fit.value, golden["value"], 1e-6)
    # phytools divides the rates by n - 1 instead of n, which moves all likelihoods alike.
    shift = (n * p * math.log(n / (n - 1)) - p) / 2
    same(fit.log_likelihood, golden["log_likelihood"] + shift)


@each_tree
@each_trait
def test_contrasts(world: str, trait: str) -> None:
    golden = GOLDEN[world][trait]
    found = phylogenetic_contrasts(golden["values"], tree_of(world), names=GOLDEN[world]["tips"])
    # Order and sign of contrasts are arbitrary.
    same(np.sort(np.abs(found[:, 0])), np.sort(np.abs(golden["contrasts"])))
