"""The transformer of word counts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from kinlens.embed.kmer import KmerCounts
from kinlens.errors import InputError, UsageError


def checks() -> list[object]:
    """scikit-learn's own checks, as far as they apply to what takes text; it says which not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        return [
            pytest.param(*pair, id=pair[1].func.__name__)
            for pair in estimator_checks_generator(KmerCounts())
        ]


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learn_contract(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


@pytest.fixture
def sequences(rng: np.random.Generator) -> list[str]:
    return [
        "".join(rng.choice(list("ACGTN"), n, p=[0.3, 0.2, 0.2, 0.25, 0.05]))
        for n in (3, 50, 151, 152, 400)
    ]


@pytest.mark.parametrize("k", range(1, 9))
def test_counts_are_those_of_a_text_vectorizer(sequences: list[str], k: int) -> None:
    ours = KmerCounts(k, norm=None).fit(sequences)
    theirs = CountVectorizer(
        analyzer="char",
        ngram_range=(k, k),
        lowercase=False,
        vocabulary=ours.get_feature_names_out(),
    )
    found = ours.transform(sequences)
    assert found.shape == (5, 4**k)
    assert np.array_equal(found, theirs.fit_transform(sequences).toarray())


def test_rows_of_length_one_make_products_cosines(sequences: list[str]) -> None:
    counts = KmerCounts(3, norm=None).fit_transform(sequences)
    unit = KmerCounts(3).fit_transform(sequences)
    lengths = np.linalg.norm(counts, axis=1)
    expected = counts @ counts.T / lengths[:, None] / lengths
    np.testing.assert_allclose(unit @ unit.T, expected, atol=1e-12)
    frequencies = KmerCounts(3, norm="l1").fit_transform(sequences)
    np.testing.assert_allclose(frequencies.sum(axis=1), 1)


def test_sparse_rows_hold_the_same(sequences: list[str]) -> None:
    dense = KmerCounts(4).fit_transform(sequences)
    rows = KmerCounts(4, sparse_output=True).fit_transform(sequences)
    assert sparse.issparse(rows)
    assert np.array_equal(rows.toarray(), dense)


def test_each_row_depends_on_its_sequence_only(sequences: list[str]) -> None:
    whole = KmerCounts(4).fit(sequences)
    alone = clone(whole).fit(sequences[:1])
    for sequence, row in zip(sequences, whole.transform(sequences), strict=True):
        assert np.array_equal(alone.transform([sequence])[0], row)


def test_protein_and_bytes() -> None:
    transform = KmerCounts(2, letters="ACDEFGHIKLMNPQRSTVWY", norm=None)
    found = transform.fit_transform([b"MKMK", "MKX"])
    names = transform.get_feature_names_out()
    assert dict(zip(names[found[0] > 0], found[0][found[0] > 0], strict=True)) == {"KM": 1, "MK": 2}
    assert found[1].sum() == 1


def test_without_any_word_the_row_is_zero() -> None:
    found = KmerCounts(3).fit_transform(["ACGT", "AC", "", "NNNNNN"])
    assert found.any(axis=1).tolist() == [True, False, False, False]


def test_nothing_to_transform() -> None:
    assert KmerCounts(2).fit([]).transform([]).shape == (0, 16)


def test_in_a_pipeline() -> None:
    sequences = ["ACACACAC", "CACACA", "GTGTGT", "TGTGTGTG"]
    model = make_pipeline(KmerCounts(2), LinearSVC()).fit(sequences, [0, 0, 1, 1])
    assert model.predict(["ACAC", "GTGTT"]).tolist() == [0, 1]


def test_before_it_is_fitted() -> None:
    with pytest.raises(NotFittedError):
        KmerCounts().transform(["ACGT"])


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (KmerCounts(0), "k must be from 1 to 8, not 0"),
        (KmerCounts(9), "k must be from 1 to 8, not 9"),
        (KmerCounts(letters="ACCA"), "letters must be different ASCII letters"),
        (KmerCounts(norm="max"), "norm must be l1, l2 or None, not 'max'"),
        (KmerCounts(5, letters="ACDEFGHIKLMNPQRSTVWY"), "3,200,000 columns. Take a smaller k"),
    ],
)
def test_parameters_out_of_range(transform: KmerCounts, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        transform.fit(["ACGT"])


def test_the_wrong_case_is_not_taken_for_no_words() -> None:
    with pytest.raises(InputError, match=r"none of 2 sequences has one of the letters ACGT.*acgt"):
        KmerCounts(2).fit(["acgt", "nn"])


def test_one_text_is_no_list() -> None:
    with pytest.raises(UsageError, match="a list of texts, not one text"):
        KmerCounts(2).fit("ACGT")
