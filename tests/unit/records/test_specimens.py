from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.records.specimens import SpecimenTable


def table() -> SpecimenTable:
    return SpecimenTable(
        pd.DataFrame(
            {
                "image": ["a", "b", "c", "d"],
                "specimen": ["s1", None, "s1", "s2"],
                "species": ["x", "", None, "y"],
                "genus": ["", "", "", ""],
                "labels": ["A; B;;A", "", None, "B"],
                "size": [1.0, np.nan, 2.0, 3.0],
            },
            index=[9, 8, 7, 6],
        )
    )


def test_missing_cells_are_empty_strings() -> None:
    specimens = table()
    assert specimens.species.tolist() == ["x", "", "", "y"]
    assert specimens.has_species.tolist() == [True, False, False, True]
    assert specimens.frame["size"].isna().sum() == 1


def test_a_picture_without_a_specimen_is_its_own() -> None:
    assert table().specimen.tolist() == ["s1", "b", "s1", "s2"]
    assert table().specimen_codes.tolist() == [0, 1, 0, 2]


def test_labels_are_split_without_blanks_and_repeats() -> None:
    assert table().labels == [("A", "B"), (), (), ("B",)]


def test_ranks_and_filled_columns() -> None:
    assert table().ranks == ("species", "genus")
    columns = ("species", "genus", "size", "absent")
    assert [table().has(column) for column in columns] == [True, False, True, False]


@pytest.mark.parametrize("rows", [np.array([3, 0]), np.array([True, False, False, True])])
def test_select_numbers_anew(rows: np.ndarray) -> None:
    chosen = table().select(rows)
    assert sorted(chosen.image) == ["a", "d"]
    assert chosen.frame.index.tolist() == [0, 1]


def test_columns_that_are_missing_are_blank() -> None:
    bare = SpecimenTable(pd.DataFrame({"image": ["a"]}))
    assert (bare.species.tolist(), bare.labels, bare.ranks) == ([""], [()], ())


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"file": ["a"]}, "no column 'image'"),
        ({"image": ["a", "", None]}, "rows without an image: row 2, row 3"),
        ({"image": ["a", "b", "a"]}, "more than once: a"),
    ],
)
def test_tables_that_cannot_be(frame: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SpecimenTable(pd.DataFrame(frame))
