"""Label sets from tables: names, numbers, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinlens.errors import InputError
from kinlens.io.label_sets import read_label_sets


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_and_numbers_say_the_same(tmp_path):
    names = read_label_sets(write(tmp_path, "image,labels\na,nucleoplasm;cytosol\nb,\nc,nucleoli"))
    numbers = read_label_sets(write(tmp_path, "Id,Target\na,25 0\nc,2\n"))
    assert names == numbers == [("nucleoplasm", "cytosol"), ("nucleoli",)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "neither a column 'labels' nor a column 'Target'"),
        ("Id,Target\na,28\n", r"row 2: Target '28' is not a list"),
        ("image,labels\na,\n", "not one row has a label"),
    ],
)
def test_what_is_no_label_set_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_label_sets(write(tmp_path, text))


@pytest.mark.shared
def test_the_real_table_is_read_whole(shared_data):
    sets = read_label_sets(shared_data / "hpa_labels" / "train.csv")
    assert len(sets) == 31_072
    assert sum("nucleoplasm" in labels for labels in sets) == 12_885
