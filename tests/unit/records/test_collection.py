from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from kinlens.errors import InputError
from kinlens.records.collection import (
    Collection,
    Problem,
    find_mismatches,
    normalised_name,
)
from kinlens.records.sequences import SequenceSet
from kinlens.records.specimens import SpecimenTable
from kinlens.records.tree import Tree


def test_names_that_miss_come_most_frequent_first() -> None:
    found = find_mismatches(
        ["b", "Ino_statces", "Ino_ino", "Ino_statces", "", "b", "zz"],
        ["Ino_ino", "Ino_statices", "Ino_globulariae"],
        present_in="metadata.csv",
        missing_from="tree.nwk",
    )
    assert [(m.name, m.rows) for m in found] == [("Ino_statces", 2), ("b", 2), ("zz", 1)]
    assert found[0].nearest[0] == "Ino_statices"
    assert found[2].nearest == ()
    assert (found[0].present_in, found[0].missing_from) == ("metadata.csv", "tree.nwk")


def test_nothing_but_spaces_is_changed_in_a_name() -> None:
    assert normalised_name("  Ino  Ino. ") == "Ino__Ino."


def example(**parts: object) -> Collection:
    frame = pd.DataFrame({"image": ["a", "b", "c"], "species": ["x", "x", "y"]})
    given: dict[str, object] = {"specimens": SpecimenTable(frame)} | parts
    return Collection(name="example", folder=Path("set"), **given)  # type: ignore[arg-type]


def test_parts_are_counted_and_compared() -> None:
    sequences = SequenceSet(("1", "2", "3"), (b"ACGT",) * 3, ("x", "z", None))
    tree = Tree.from_parents([-1, 0, 0], [0.0, 1.0, 1.0], ["", "x", "w"])
    parts = example(sequences=sequences, tree=tree).parts_frame().set_index("part")
    assert parts.loc["pictures", "holds"] == "3 pictures of 3 specimens, 2 species"
    assert parts.loc["sequences", "holds"] == "3 sequences (dna), 2 species"
    assert parts.loc["sequences", "with_pictures"] == "1 of 2"
    assert parts.loc["tree", "holds"] == "2 tips, dated"
    assert parts["in_tree"].to_dict() == {
        "pictures": "1 of 2",
        "tree": "2 of 2",
        "sequences": "1 of 2",
    }


def test_tables_of_problems_put_errors_first() -> None:
    problems = (
        Problem("note", "tiny", "b.png", "", "small"),
        Problem("skip", "empty", "a.png", "", "nothing"),
        Problem("error", "unusable", "tree.nwk", "", "HTML"),
    )
    frame = example(problems=problems).problems_frame()
    assert frame["level"].tolist() == ["error", "skip", "note"]
    assert example().problems_frame().columns.tolist() == frame.columns.tolist()


def test_require_names_the_fault_of_the_file() -> None:
    fault = Problem("error", "unusable", "metadata.tsv", "", "it is empty")
    with pytest.raises(InputError, match=r"'taxa' needs metadata\.csv, which cannot .*empty"):
        example(specimens=None, problems=(fault,)).require("specimens", study="taxa")
    with pytest.raises(InputError, match=r"needs tree\.nwk, which is not there"):
        example(problems=(fault,)).require("specimens", "tree", study="kinship")
    example().require("specimens", study="taxa")


def test_one_of_several_parts_is_enough() -> None:
    wanted = ("tree", "distances")
    with pytest.raises(InputError, match=r"needs one of tree\.nwk, distances\.csv, and none"):
        example(tree=None, distances=None).require_one(*wanted, study="kinship")
    fault = Problem("error", "unusable", "tree.nwk", "", "an HTML page")
    with pytest.raises(InputError, match=r"needs tree\.nwk, which cannot be used: an HTML page"):
        example(tree=None, distances=None, problems=(fault,)).require_one(*wanted, study="kinship")
    example().require_one("specimens", "tree", study="taxa")


def test_channel_files_follow_the_pattern() -> None:
    plain, stained = (
        example(),
        example(channels=("r", "g"), channel_pattern="{image}_{channel}.tif"),
    )
    assert plain.image_paths()[0] == (Path("set/a"),)
    assert stained.image_files("a") == (Path("set/a_r.tif"), Path("set/a_g.tif"))
    assert example(specimens=None).image_paths() == []
