"""Numbers that R's ape gives; `validation/ape_distances.R` made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.geometry.patristic import patristic_distances, vcv
from kinlens.geometry.topology import robinson_foulds
from kinlens.io.newick import parse_newick
from kinlens.records.distances import DistanceMatrix

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("ape_distances.json").read_text())
TREES = ["by_hand", "clock", "random", "zeros", "polytomies"]


@pytest.mark.parametrize("name", TREES)
def test_cophenetic(name: str) -> None:
    golden = GOLDEN[name]
    found = patristic_distances(parse_newick(golden["newick"])).select(golden["tips"])
    np.testing.assert_allclose(found.values, golden["cophenetic"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TREES)
def test_vcv(name: str) -> None:
    golden = GOLDEN[name]
    tree = parse_newick(golden["newick"])
    order = tree.tip_positions(golden["tips"])
    found = vcv(tree)[np.ix_(order, order)]
    np.testing.assert_allclose(found, golden["vcv"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TREES)
def test_vcv_after_pruning(name: str) -> None:
    golden = GOLDEN[name]
    tree = parse_newick(golden["newick"]).prune(golden["kept"])
    order = tree.tip_positions(golden["kept"])
    found = vcv(tree)[np.ix_(order, order)]
    np.testing.assert_allclose(found, golden["pruned_vcv"], rtol=1e-12, atol=1e-12)


def test_neighbour_joining() -> None:
    golden = GOLDEN["neighbour_joining"]
    matrix = DistanceMatrix(tuple(golden["tips"]), np.array(golden["distances"]))
    found = patristic_distances(neighbour_joining(matrix)).select(golden["tips"])
    np.testing.assert_allclose(found.values, golden["cophenetic"], atol=1e-10)


def test_robinson_foulds() -> None:
    golden = GOLDEN["topology"]
    first, second = parse_newick(golden["first"]), parse_newick(golden["second"])
    assert golden["robinson_foulds"] > 0
    assert robinson_foulds(first, second) == golden["robinson_foulds"]
