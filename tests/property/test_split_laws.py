"""Laws of splits, scores and taxonomic answers, whatever the labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from kinlens.evaluate.folds import clade_folds, specimen_folds
from kinlens.evaluate.groups import join_groups
from kinlens.evaluate.leaks import audit
from kinlens.evaluate.metrics import METRICS, Answers, Scores
from kinlens.evaluate.splits import Shares, specimen_split
from kinlens.models.lineage import Lineages, best_path
from kinlens.models.safe_rank import DeepestSafeRank
from kinlens.records.taxonomy import Taxonomy

seeds = st.integers(0, 2**32 - 1)
labels = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(-1, 4)), min_size=1, max_size=60
)


@settings(deadline=None)
@given(rows=labels)
def test_what_shares_any_label_shares_the_group_and_nothing_else_does(
    rows: list[tuple[int, int, int]],
) -> None:
    _species, specimens, copies = (list(column) for column in zip(*rows, strict=True))
    groups = join_groups(len(rows), specimens, copies)
    for values in (specimens, copies):
        for value in set(values) - {-1}:
            assert len(set(groups[np.array(values) == value])) == 1
    # Merging can be undone by no relabelling: joining the result with itself changes nothing.
    assert np.array_equal(join_groups(len(rows), groups), groups)
    assert np.array_equal(np.unique(groups), np.arange(groups.max() + 1))


@settings(deadline=None)
@given(rows=labels, seed=seeds, test=st.floats(0.05, 0.6), validation=st.floats(0.0, 0.35))
def test_no_split_by_specimen_leaks(
    rows: list[tuple[int, int, int]], seed: int, test: float, validation: float
) -> None:
    species, specimens, copies = (list(column) for column in zip(*rows, strict=True))
    together = join_groups(len(rows), specimens, copies)
    rng = np.random.default_rng(seed)
    split = specimen_split(species, together, rng=rng, shares=Shares(test, validation))
    assert audit(split, specimens=specimens, duplicates=copies).is_clean
    assert len(split.train) > 0
    for fold in specimen_folds(species, together, 3, rng=rng):
        assert audit(fold, specimens=specimens, duplicates=copies).is_clean


@settings(deadline=None)
@given(clades=st.lists(st.integers(0, 8), min_size=3, max_size=80), seed=seeds)
def test_clade_folds_test_everything_once_and_are_as_even_as_clades_allow(
    clades: list[int], seed: int
) -> None:
    n_folds = min(3, len(set(clades)))
    if n_folds < 2:
        return
    folds = clade_folds(clades, n_folds, rng=np.random.default_rng(seed))
    tested = np.sort(np.concatenate([fold.test for fold in folds]))
    assert tested.tolist() == list(range(len(clades)))
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= max(np.bincount(clades))


@settings(deadline=None)
@given(seed=seeds, n=st.integers(2, 40), k=st.integers(2, 6))
def test_scores_know_neither_the_order_of_pictures_nor_the_names_of_classes(
    seed: int, n: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    truth, answer = rng.integers(k, size=(2, n))
    # Scores from a grid have ties, which is where order could slip in.
    p = rng.integers(1, 4, (n, k)).astype(float)
    p /= p.sum(axis=1, keepdims=True)
    names = tuple(f"c{i}" for i in range(k))
    values = Scores(Answers(names, truth, answer, p))(np.ones((1, n)))
    order, rename = rng.permutation(n), rng.permutation(k)
    place = np.argsort(rename)
    moved = Answers(names, place[truth][order], place[answer][order], p[order][:, rename])
    np.testing.assert_allclose(Scores(moved)(np.ones((1, n))), values, atol=1e-12)
    # Twice everything is the same as once, whatever the weights.
    weights = rng.integers(0, 3, (4, n)).astype(float) + (np.arange(n) == 0)
    scores = Scores(Answers(names, truth, answer, p))
    np.testing.assert_allclose(scores(2 * weights), scores(weights), atol=1e-12)
    found = dict(zip(METRICS, values[0], strict=True))
    for name in METRICS:
        if name == "log_loss" or np.isnan(found[name]):
            continue
        low, high = {"mcc": (-1, 1), "brier": (0, 2)}.get(name, (0, 1))
        assert low - 1e-12 <= found[name] <= high + 1e-12


@settings(deadline=None)
@given(seed=seeds, n_species=st.integers(1, 12))
def test_paths_nest_whatever_is_unknown(seed: int, n_species: int) -> None:
    rng = np.random.default_rng(seed)
    family = rng.integers(3, size=4)
    genus = rng.integers(4, size=n_species)
    rows = pd.DataFrame(
        {
            "species": [f"s{i}" for i in range(n_species)],
            "genus": [f"G{g}" if rng.random() < 0.8 else None for g in genus],
            "family": [f"F{family[g]}" if rng.random() < 0.8 else None for g in genus],
        }
    )
    taxonomy = Taxonomy.from_images(rows)
    lineages = Lineages.of(taxonomy.species, taxonomy)
    p = rng.dirichlet(np.full(n_species, 0.5), 20)
    path = best_path(p, lineages)
    for level in range(len(lineages.ranks)):
        assert np.array_equal(path[:, level], lineages.codes[level][path[:, 0]])
    truth = rng.integers(n_species, size=20)
    thresholds = [
        DeepestSafeRank(rate).fit(p, truth, lineages).threshold_ for rate in (0.5, 0.2, 0.06)
    ]
    assert thresholds == sorted(thresholds)
