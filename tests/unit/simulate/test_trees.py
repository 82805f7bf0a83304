"""Simulated trees: the right shape, the right distribution, names that a taxonomy can use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from kinlens.errors import UsageError
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.simulate.nomenclature import with_linnaean_names
from kinlens.simulate.tree_noise import with_regrafts
from kinlens.simulate.trees import (
    balanced_tree,
    birth_death_tree,
    ladder_tree,
    taxonomy_of,
    yule_tree,
)


def split_ages(tree: Tree) -> np.ndarray:
    """Ages of the splits, oldest first."""
    return np.sort(tree.height - tree.depths()[~tree.is_tip])[::-1]


def n_cherries(tree: Tree) -> int:
    return int(np.sum(tree.tip_stop - tree.tip_start == 2))


@pytest.mark.parametrize("n", [2, 3, 50])
@pytest.mark.parametrize("death", [0.0, 0.3, 1.0])
def test_trees_are_binary_ultrametric_and_as_tall_as_asked(
    n: int, death: float, rng: np.random.Generator
) -> None:
    tree = birth_death_tree(n, rng, death=death, height=7.0)
    assert tree.n_tips == n
    assert tree.is_binary
    assert tree.is_ultrametric(tolerance=1e-12)
    assert tree.height == pytest.approx(7)


def test_the_same_seed_gives_the_same_tree() -> None:
    one, two, other = (birth_death_tree(30, np.random.default_rng(s)) for s in (5, 5, 6))
    assert one.to_dict() == two.to_dict()
    assert one.to_dict() != other.to_dict()


def test_waiting_times_of_pure_birth_are_exponential(rng: np.random.Generator) -> None:
    # With k lineages the wait is exponential of rate k: times k, all waits look alike.
    waits = []
    for _ in range(400):
        ages = split_ages(yule_tree(12, rng))
        waits.append(np.arange(2, 12) * -np.diff(ages))
    shares = np.array(waits) / np.sum(waits, axis=1, keepdims=True)
    # Shares of 10 like exponentials follow Beta(1, 9).
    assert stats.kstest(shares[:, ::3].ravel(), stats.beta(1, 9).cdf).pvalue > 1e-3
    np.testing.assert_allclose(shares.mean(axis=0), 0.1, atol=0.02)


def test_one_split_in_three_is_a_cherry(rng: np.random.Generator) -> None:
    # Every birth-death tree has n / 3 cherries on average, with variance 2 n / 45.
    n, repeats = 60, 300
    for death in (0.0, 0.9):
        found = [n_cherries(birth_death_tree(n, rng, death=death)) for _ in range(repeats)]
        assert np.mean(found) == pytest.approx(n / 3, abs=4 * np.sqrt(2 * n / 45 / repeats))


def test_death_pulls_splits_to_the_present(rng: np.random.Generator) -> None:
    def mean_age(death: float) -> float:
        ages = [split_ages(birth_death_tree(40, rng, death=death))[1:] for _ in range(200)]
        return float(np.mean(ages))

    assert mean_age(0.9) < 0.75 * mean_age(0.0)


@pytest.mark.slow
def test_split_ages_are_those_of_a_forward_simulation(rng: np.random.Generator) -> None:
    """Three survivors of a process run forwards from a uniform origin, kept when three live."""
    birth, death = 1.0, 0.5
    forward = []
    while len(forward) < 1500:
        ages = _forward_split_ages(rng.uniform(0, 12), birth, death, rng)
        if ages is not None:
            forward.append(ages[1] / ages[0])
    ours = []
    for _ in range(3000):
        ages = split_ages(birth_death_tree(3, rng, birth=birth, death=death))
        ours.append(ages[1] / ages[0])
    assert stats.ks_2samp(forward, ours).pvalue > 1e-3


def _forward_split_ages(
    origin: float, birth: float, death: float, rng: np.random.Generator
) -> list[float] | None:
    """Run one process; return the two split ages of the survivors if there are three."""
    living = [0]
    parent = {0: (-1, 0.0)}
    now = 0.0
    while living:
        now += rng.exponential(1 / ((birth + death) * len(living)))
        if now > origin or len(living) > 60:  # 60 hardly ever come down to 3 again.
            break
        lineage = living.pop(rng.integers(len(living)))
        if rng.random() < birth / (birth + death):
            for _ in range(2):
                parent[len(parent)] = (lineage, now)
                living.append(len(parent) - 1)
    if len(living) != 3 or now <= origin:
        return None

    def ancestors(lineage: int) -> list[int]:
        found = [lineage]
        while parent[found[-1]][0] >= 0:
            found.append(parent[found[-1]][0])
        return found

    paths = [ancestors(lineage) for lineage in living]
    ages = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        k = len(set(paths[i]) & set(paths[j]))
        # The children of the common ancestor were born when it split.
        ages.append(origin - parent[paths[i][-k - 1]][1])
    return sorted(set(ages), reverse=True)


def test_ladder_and_balanced_trees() -> None:
    ladder = ladder_tree(6)
    assert n_cherries(ladder) == 1
    np.testing.assert_allclose(split_ages(ladder), [1, 0.8, 0.6, 0.4, 0.2])
    balanced = balanced_tree(16)
    assert n_cherries(balanced) == 8
    assert sorted(np.unique(balanced.depths().round(12))) == [0, 0.25, 0.5, 0.75, 1]
    uneven = balanced_tree(11)
    sizes = (uneven.tip_stop - uneven.tip_start)[uneven.child_index[:2]]
    assert sorted(sizes.tolist()) == [5, 6]
    assert uneven.is_ultrametric()
    assert uneven.is_binary
    assert ladder_tree(5_000).n_tips == 5_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: birth_death_tree(1, rng), "2 or more species, not 1"),
        (lambda rng: birth_death_tree(5, rng, birth=0), "birth must be above 0"),
        (lambda rng: birth_death_tree(5, rng, death=1.5), "death from 0 to birth"),
        (lambda rng: birth_death_tree(5, rng, height=0), "height must be above 0"),
        (lambda rng: ladder_tree(1), "2 or more"),
        (lambda rng: balanced_tree(1), "2 or more"),
        (lambda rng: with_linnaean_names(ladder_tree(3), rng, species_per_genus=0.5), "1 or more"),
        (lambda rng: taxonomy_of(ladder_tree(3), genera_per_family=0), "must be 1 or more"),
    ],
)
def test_what_cannot_be_is_refused(
    call: Callable[[np.random.Generator], object], message: str, rng: np.random.Generator
) -> None:
    with pytest.raises(UsageError, match=message):
        call(rng)


def test_names_are_binomials_and_genera_are_clades(rng: np.random.Generator) -> None:
    tree = birth_death_tree(300, rng)
    for name in tree.tip_names:
        genus, _, epithet = name.partition("_")
        assert genus.istitle()
        assert genus.isascii()
        assert genus.isalpha()
        assert epithet.islower()
        assert epithet.isalpha()
    frame = taxonomy_of(tree)
    assert frame["genus"].nunique() >= 75
    for rank in ("genus", "family", "order"):
        for _, members in frame.groupby(rank):
            names = members["species"].tolist()
            assert set(tree.tips_below(tree.mrca(names))) == set(names)


def test_a_genus_of_very_many_species_still_has_different_names(rng: np.random.Generator) -> None:
    tree = with_linnaean_names(ladder_tree(400), rng, species_per_genus=400)
    assert len({name.partition("_")[0] for name in tree.tip_names}) == 1


def test_a_taxonomy_can_be_made_without_a_complaint(rng: np.random.Generator) -> None:
    frame = taxonomy_of(birth_death_tree(120, rng))
    taxonomy = Taxonomy.from_images(frame)
    assert taxonomy.ranks == ("species", "genus", "family", "order")
    assert taxonomy.homonyms == ()
    assert taxonomy.notes == ()


def test_ranks_nest_also_where_genera_are_no_clades(rng: np.random.Generator) -> None:
    frame = taxonomy_of(with_regrafts(birth_death_tree(120, rng), rng, n_moves=60))
    assert (frame.groupby("genus")["family"].nunique() == 1).all()
    assert (frame.groupby("family")["order"].nunique() == 1).all()
