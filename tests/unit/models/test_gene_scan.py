"""The scan gives what scikit-learn gives gene by gene, in blocks as in one piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from kinlens.errors import InputError, UsageError
from kinlens.evaluate.repeated import TEST, TRAIN, repeat_random
from kinlens.ledger import FolderLedger
from kinlens.models import gene_scan
from kinlens.models.gene_classifiers import (
    MidpointRidgeClassifier,
    ParallelSupportVectorClassifier,
)
from kinlens.models.gene_scan import (
    MISSING,
    call_genes,
    gene_codes,
    scan_genes,
    score_each_split,
)
from kinlens.models.gene_scorers import RidgeScorer, SupportVectorScorer, gram_matrix
from kinlens.parallel import Resources
from kinlens.typing import ByteArray, FloatArray


def world(seed: int, n: int = 60, n_genes: int = 40) -> tuple[FloatArray, ByteArray]:
    """Features, and genes of which the first half depend on them."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 12))
    looks = features @ rng.standard_normal((12, n_genes))
    looks[:, n_genes // 2 :] = rng.standard_normal((n, n_genes - n_genes // 2))
    cut = np.quantile(looks, rng.uniform(0.15, 0.85, n_genes), axis=0).diagonal()
    return features, (looks + 0.5 * rng.standard_normal(looks.shape) > cut).astype(np.uint8)


def ridge_by_hand(
    features: FloatArray, y: FloatArray, train: FloatArray, test: FloatArray, penalty: float
) -> tuple[FloatArray, float]:
    """Scores and threshold of one gene by scikit-learn's ridge, leaving out row after row."""
    z = (features - features.mean(axis=0)) / features.std(axis=0) / np.sqrt(features.shape[1])
    z = z - z[train].mean(axis=0)
    scores = Ridge(alpha=penalty).fit(z[train], y[train]).predict(z[test])
    left_out = []
    for row in train:
        rest = train[train != row]
        # The intercept of the scan is the training mean, and its centre stays where it was.
        augmented = np.column_stack([z[rest], np.full(len(rest), 1.0)])
        ridge = np.diag([penalty] * z.shape[1] + [0.0])
        weights = np.linalg.solve(augmented.T @ augmented + ridge, augmented.T @ y[rest])
        left_out.append(float(np.append(z[row], 1.0) @ weights))
    found = np.array(left_out)
    is_one = y[train] == 1
    return scores, (found[is_one].mean() + found[~is_one].mean()) / 2


def test_scores_thresholds_mcc_and_auc_are_those_of_scikit_learn() -> None:
    features, genes = world(1)
    parts = repeat_random(60, 3, rng=np.random.default_rng(0))
    gram = gram_matrix(features)
    found = scan_genes(
        gram, genes, parts, scorer=RidgeScorer(0.7), measures=("mcc", "auc"), dtype=np.float64
    )
    for gene in (0, 5, 25):
        mcc, auc = [], []
        for part in parts:
            train, test = np.flatnonzero(part == TRAIN), np.flatnonzero(part == TEST)
            y = genes[:, gene].astype(float)
            scores, threshold = ridge_by_hand(features, y, train, test, 0.7)
            mcc.append(matthews_corrcoef(y[test], scores > threshold))
            if 0 < y[test].sum() < len(test):
                auc.append(roc_auc_score(y[test], scores))
        assert found.mcc[gene] == pytest.approx(np.mean(mcc))
        assert found.mcc_spread[gene] == pytest.approx(np.std(mcc))
        assert found.auc[gene] == pytest.approx(np.mean(auc))


def test_genes_that_follow_from_looks_are_told_from_those_that_do_not() -> None:
    features, genes = world(2)
    found = scan_genes(
        gram_matrix(features), genes, repeat_random(60, 40, rng=np.random.default_rng(0))
    )
    assert found.mcc[:20].min() > 0.25
    assert abs(found.mcc[20:].mean()) < 0.1


@pytest.mark.parametrize("balanced", [True, False])
def test_support_vectors_are_those_of_libsvm(balanced: bool) -> None:
    features, genes = world(3, n_genes=48)
    gram = gram_matrix(features)
    parts = repeat_random(60, 1, rng=np.random.default_rng(1))
    train, test = np.flatnonzero(parts[0] == TRAIN), np.flatnonzero(parts[0] == TEST)
    scorer = SupportVectorScorer(cost=2.0, is_balanced=balanced, tolerance=1e-5, most_sweeps=5000)
    found = call_genes(gram, genes, parts, scorer=scorer, dtype=np.float64)
    weight = "balanced" if balanced else None
    for gene in range(48):
        machine = SVC(C=2.0, kernel="precomputed", class_weight=weight, tol=1e-6)
        machine.fit(gram[np.ix_(train, train)], genes[train, gene])
        expected = machine.decision_function(gram[np.ix_(test, train)])
        np.testing.assert_allclose(found.scores[0][:, gene], expected, atol=2e-3)


def test_the_default_tolerance_calls_what_libsvm_calls() -> None:
    features, genes = world(4, n=120, n_genes=200)
    gram = gram_matrix(features)
    parts = repeat_random(120, 2, rng=np.random.default_rng(1))
    found = call_genes(gram, genes, parts, scorer=SupportVectorScorer())
    same = []
    for split, part in enumerate(parts):
        train, test = np.flatnonzero(part == TRAIN), np.flatnonzero(part == TEST)
        for gene in range(200):
            machine = SVC(kernel="precomputed", class_weight="balanced")
            machine.fit(gram[np.ix_(train, train)], genes[train, gene])
            calls = machine.predict(gram[np.ix_(test, train)])
            same.append(np.mean(calls == found.calls[split][:, gene]))
    assert np.mean(same) > 0.995


@pytest.mark.parametrize("scorer", [RidgeScorer(), SupportVectorScorer()])
def test_missing_cells_are_neither_learned_from_nor_scored(
    scorer: RidgeScorer | SupportVectorScorer, rng: np.random.Generator
) -> None:
    features, genes = world(5)
    gram = gram_matrix(features)
    parts = repeat_random(60, 5, rng=rng)
    holes = rng.random(genes.shape) < 0.1
    holed = np.where(holes, MISSING, genes).astype(np.uint8)
    # What stands in a hole cannot matter.
    found = scan_genes(gram, holed, parts, scorer=scorer, measures=("mcc", "auc"))
    whole = scan_genes(gram, genes, parts, scorer=scorer, measures=("mcc", "auc"))
    assert np.abs(found.mcc - whole.mcc).mean() < 0.12
    assert found.mcc[:20].mean() > 0.3
    # A gene without holes is scored alike beside genes with holes.
    holed[:, 0] = genes[:, 0]
    beside = scan_genes(gram, holed, parts, scorer=scorer, measures=("mcc", "auc"))
    assert beside.mcc[0] == pytest.approx(whole.mcc[0], abs=1e-6)
    assert beside.auc[0] == pytest.approx(whole.auc[0], abs=1e-6)


def test_constant_and_unknown_genes_score_nothing() -> None:
    features, genes = world(6)
    genes[:, 0], genes[:, 1], genes[:, 2] = 0, 1, MISSING
    parts = repeat_random(60, 4, rng=np.random.default_rng(0))
    for scorer in (RidgeScorer(), SupportVectorScorer()):
        found = scan_genes(
            gram_matrix(features), genes, parts, scorer=scorer, measures=("mcc", "auc")
        )
        assert found.mcc[:3].tolist() == [0.0, 0.0, 0.0]
        assert np.isnan(found.auc[:3]).all()


def test_single_precision_agrees_with_double() -> None:
    features, genes = world(7)
    gram, parts = gram_matrix(features), repeat_random(60, 20, rng=np.random.default_rng(0))
    single = scan_genes(gram, genes, parts).mcc
    double = scan_genes(gram, genes, parts, dtype=np.float64).mcc
    np.testing.assert_allclose(single, double, atol=0.01)


def test_a_gene_and_its_complement_are_equally_predictable() -> None:
    features, genes = world(8)
    gram, parts = gram_matrix(features), repeat_random(60, 5, rng=np.random.default_rng(0))
    one = scan_genes(gram, genes, parts, dtype=np.float64).mcc
    other = scan_genes(gram, 1 - genes, parts, dtype=np.float64).mcc
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_blocks_workers_and_a_ledger_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    features, genes = world(9)
    gram, parts = gram_matrix(features), repeat_random(60, 7, rng=np.random.default_rng(0))
    whole = scan_genes(gram, genes, parts, measures=("mcc", "auc"))
    monkeypatch.setattr(gene_scan, "_GENES_PER_BLOCK", 16)
    monkeypatch.setattr(gene_scan, "_SPLITS_PER_BLOCK", 3)
    ledger = FolderLedger(tmp_path, "one")
    cut = scan_genes(gram, genes, parts, measures=("mcc", "auc"), ledger=ledger)
    assert len(ledger) == 9
    again = scan_genes(gram, genes, parts, measures=("mcc", "auc"), ledger=ledger)
    np.testing.assert_allclose(cut.mcc, whole.mcc, atol=1e-12)
    np.testing.assert_array_equal(cut.mcc, again.mcc)
    np.testing.assert_allclose(cut.auc, whole.auc, atol=1e-12)
    spread = scan_genes(gram, genes, parts, resources=Resources(workers=2))
    np.testing.assert_array_equal(spread.mcc, cut.mcc)


def test_the_distribution_over_splits_has_the_mean_and_spread_of_the_scan() -> None:
    features, genes = world(10)
    gram, parts = gram_matrix(features), repeat_random(60, 9, rng=np.random.default_rng(0))
    each = score_each_split(gram, genes, parts)
    found = scan_genes(gram, genes, parts)
    np.testing.assert_allclose(each.mean(axis=0), found.mcc, atol=1e-12)
    np.testing.assert_allclose(each.std(axis=0), found.mcc_spread, atol=1e-9)


def test_what_cannot_be_scanned_is_said() -> None:
    features, genes = world(11)
    gram, parts = gram_matrix(features), repeat_random(60, 2, rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="do not fit together"):
        scan_genes(gram, genes[:-1], parts)
    with pytest.raises(UsageError, match="one byte"):
        scan_genes(gram, genes.astype(float), parts)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no splits"):
        scan_genes(gram, genes, parts[:0])
    with pytest.raises(UsageError, match="two rows"):
        scan_genes(gram, genes, np.ones_like(parts))
    with pytest.raises(InputError, match="other values"):
        gene_codes(np.array([[0.0, 2.0]]))
    with pytest.raises(InputError, match="no feature differs"):
        gram_matrix(np.ones((5, 2)))
    with pytest.raises(UsageError, match="penalty"):
        RidgeScorer(0.0)


@parametrize_with_checks([MidpointRidgeClassifier(), ParallelSupportVectorClassifier()])
def test_the_estimators_keep_scikit_learns_contract(estimator: object, check: object) -> None:
    check(estimator)  # type: ignore[operator]


def test_an_estimator_takes_many_genes_and_gives_what_the_scan_gives() -> None:
    features, genes = world(12)
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    parts = repeat_random(60, 1, rng=np.random.default_rng(0))
    train, test = np.flatnonzero(parts[0] == TRAIN), np.flatnonzero(parts[0] == TEST)
    for estimator, scorer in (
        (MidpointRidgeClassifier(), RidgeScorer()),
        (ParallelSupportVectorClassifier(), SupportVectorScorer(tolerance=1e-3)),
    ):
        calls = estimator.fit(z[train], genes[train]).predict(z[test])
        scanned = call_genes(gram_matrix(features), genes, parts, scorer=scorer, dtype=np.float64)
        np.testing.assert_array_equal(calls, scanned.calls[0])
