"""The sequence graph transform."""

from __future__ import annotations

import warnings
from math import exp

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.utils.estimator_checks import estimator_checks_generator

from kinlens.embed.sgt import SequenceGraphTransform
from kinlens.errors import InputError, UsageError


def checks() -> list[object]:
    """scikit-learn's own checks, as far as they apply to what takes text; it says which not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        return [
            pytest.param(*pair, id=pair[1].func.__name__)
            for pair in estimator_checks_generator(SequenceGraphTransform())
        ]


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learn_contract(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


def by_definition(
    sequence: str, words: list[str], kappa: float, length_sensitive: bool
) -> list[float]:
    """Every pair of places, one after the other."""
    size = len(words[0])
    places = [
        (place, sequence[place : place + size])
        for place in range(len(sequence) - size + 1)
        if sequence[place : place + size] in words
    ]
    psi = []
    for u in words:
        for v in words:
            gaps = [
                later - place
                for place, x in places
                for later, y in places
                if place < later and (x, y) == (u, v)
            ]
            count = len(gaps) / len(places) if length_sensitive and gaps else len(gaps)
            total = sum(exp(-kappa * gap) for gap in gaps)
            psi.append((total / count) ** (1 / kappa) if gaps else 0.0)
    return psi


@pytest.mark.parametrize("kappa", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("length_sensitive", [False, True])
@pytest.mark.parametrize("word_length", [1, 2])
def test_one_pass_gives_what_the_definition_gives(
    kappa: float, length_sensitive: bool, word_length: int, rng: np.random.Generator
) -> None:
    sequences = ["".join(rng.choice(list("ABCX"), n)) for n in (0, 1, 2, 3, 20, 90)]
    transform = SequenceGraphTransform(
        "BAC", word_length=word_length, kappa=kappa, length_sensitive=length_sensitive
    ).fit(sequences)
    words = [name.split(">")[1] for name in transform.get_feature_names_out()[: 3**word_length]]
    expected = [by_definition(s, words, kappa, length_sensitive) for s in sequences]
    np.testing.assert_allclose(transform.transform(sequences), expected, rtol=1e-11, atol=1e-15)


def test_columns_are_named_by_the_words_that_they_compare() -> None:
    transform = SequenceGraphTransform().fit(["ATCG"])
    names = transform.get_feature_names_out()
    assert names.shape == (256,)
    assert names[:3].tolist() == ["AA>AA", "AA>AT", "AA>AC"]
    found = transform.transform(["ATC"])[0]
    assert dict(zip(names[found > 0], found[found > 0], strict=True)) == {
        "AT>TC": pytest.approx(exp(-1))
    }


def test_repeats_weigh_more_when_length_counts() -> None:
    short, long = "AB" * 20, "AB" * 200
    free = SequenceGraphTransform("AB", word_length=1).fit([short])
    bound = SequenceGraphTransform("AB", word_length=1, length_sensitive=True).fit([short])
    assert np.ptp(bound.transform([short, long])[:, 1]) > np.ptp(
        free.transform([short, long])[:, 1]
    )


def test_unknown_letters_keep_their_places() -> None:
    transform = SequenceGraphTransform("AB", word_length=1).fit(["AB"])
    found = transform.transform(["ANNB", "A--B", "AB"])[:, 1]
    np.testing.assert_allclose(found, [exp(-3), exp(-3), exp(-1)])


def test_sequences_without_pairs_give_zeros() -> None:
    transform = SequenceGraphTransform().fit(["ACGT"])
    assert not transform.transform(["", "A", "AC", "NNNNNN"]).any()
    assert SequenceGraphTransform().fit([]).transform([]).shape == (0, 256)


def test_bytes_and_text_are_the_same() -> None:
    transform = SequenceGraphTransform().fit(["ACGT"])
    assert np.array_equal(transform.transform(["ACGTTGCA"]), transform.transform([b"ACGTTGCA"]))


def test_before_it_is_fitted() -> None:
    with pytest.raises(NotFittedError):
        SequenceGraphTransform().transform(["ACGT"])


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (SequenceGraphTransform("AA"), "letters must be different ASCII letters"),
        (SequenceGraphTransform(word_length=0), "word_length must be 1 or more"),
        (SequenceGraphTransform(word_length=6), "at most 1,024 words"),
        (SequenceGraphTransform(kappa=0), "kappa must be above 0, not 0"),
        (SequenceGraphTransform(kappa=float("nan")), "kappa must be above 0, not nan"),
    ],
)
def test_parameters_out_of_range(transform: SequenceGraphTransform, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        transform.fit(["ACGT"])


def test_the_wrong_case_is_not_taken_for_no_pairs() -> None:
    with pytest.raises(InputError, match="none of 1 sequences has one of the letters ATCG"):
        SequenceGraphTransform().fit(["acgt"])
