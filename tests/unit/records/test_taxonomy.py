from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.records.taxonomy import RANKS, Taxonomy, find_conflicts, is_unknown, tidy_names

ROWS = pd.DataFrame(
    {
        "species": ["Papilio machaon", "Papilio_machaon", "Parnassius_apollo", "Pieris_rapae"],
        "genus": ["Papilio", "", "Parnassius", "Pieris"],
        "family": ["Papilionidae", "Papilionidae", "Papilionidae", "Pieridae"],
        "order": ["Lepidoptera"] * 4,
    }
)


def test_ranks_run_from_low_to_high_whatever_the_order_of_the_columns() -> None:
    taxonomy = Taxonomy.from_images(ROWS[["order", "family", "species", "genus"]])
    assert taxonomy.ranks == ("species", "genus", "family", "order")
    assert taxonomy.informative_ranks == ("species", "genus", "family")
    assert list(taxonomy.frame.columns) == [r for r in RANKS if r in taxonomy.frame.columns]


def test_spaces_count_as_underscores_and_a_blank_cell_is_filled_from_another_row() -> None:
    taxonomy = Taxonomy.from_images(ROWS)
    assert taxonomy.species == ("Papilio_machaon", "Parnassius_apollo", "Pieris_rapae")
    assert taxonomy.labels("genus", ["Papilio_machaon"]) == ["Papilio"]
    assert taxonomy.notes == ()


def test_parents_members_lineage_and_codes_tell_the_same_story() -> None:
    taxonomy = Taxonomy.from_images(ROWS)
    assert taxonomy.parents("genus") == {
        "Papilio": "Papilionidae",
        "Parnassius": "Papilionidae",
        "Pieris": "Pieridae",
    }
    assert taxonomy.members("family", "Papilionidae") == ("Papilio_machaon", "Parnassius_apollo")
    assert taxonomy.lineage("Pieris_rapae") == {
        "species": "Pieris_rapae",
        "genus": "Pieris",
        "family": "Pieridae",
        "order": "Lepidoptera",
    }
    codes = taxonomy.codes("family", ["Pieris_rapae", "Papilio_machaon"])
    assert [taxonomy.taxa("family")[code] for code in codes] == ["Pieridae", "Papilionidae"]


def test_one_species_in_two_genera_is_refused_naming_both_and_their_rows() -> None:
    rows = pd.DataFrame({"species": ["a", "b", "a"], "genus": ["A", "B", "C"]})
    with pytest.raises(
        InputError, match=r"metadata\.csv: .*a is in genus A \(row 2\) and C \(row 4\)"
    ):
        Taxonomy.from_images(rows, where="metadata.csv")
    (conflict,) = find_conflicts(rows)
    assert (conflict.species, conflict.places) == ("a", (("A", 2), ("C", 4)))


def test_the_row_numbers_are_those_of_the_file_whatever_the_index() -> None:
    rows = pd.DataFrame({"species": ["a", "a"], "genus": ["A", "B"]}, index=[70, 3])
    assert find_conflicts(rows, first_row=1)[0].places == (("A", 1), ("B", 2))


def test_homonyms_are_told_apart_and_reported() -> None:
    rows = pd.DataFrame(
        {
            "species": ["P_vulgaris", "P_collaris", "P_x"],
            "genus": ["Prunella"] * 3,
            "family": ["Lamiaceae", "Prunellidae", "unknown"],
        }
    )
    taxonomy = Taxonomy.from_images(rows)
    assert taxonomy.labels("genus", ["P_vulgaris", "P_collaris", "P_x"]) == [
        "Prunella_(Lamiaceae)",
        "Prunella_(Prunellidae)",
        "Prunella",
    ]
    assert str(taxonomy.homonyms[0]) == "genus Prunella in family Lamiaceae and Prunellidae"
    # The third one's family stays unknown: either parent would be a guess.
    assert taxonomy.labels("family", ["P_x"]) == [None]
    assert any("Prunella in family" in note for note in taxonomy.notes)


def test_homonyms_at_two_ranks_at_once_end_with_one_parent_each() -> None:
    rows = pd.DataFrame(
        {
            "species": list("abcd"),
            "genus": ["G"] * 4,
            "family": ["F", "F", "E", None],
            "order": ["O", "P", "P", "O"],
        }
    )
    taxonomy = Taxonomy.from_images(rows)
    for rank, above in (("genus", "family"), ("genus", "order"), ("family", "order")):
        pairs = taxonomy.frame[[rank, above]].dropna().drop_duplicates()
        assert not pairs[rank].duplicated().any()
    assert {h.rank for h in taxonomy.homonyms} == {"family", "genus"}


def test_a_blank_parent_is_filled_from_a_sister_and_said() -> None:
    rows = pd.DataFrame(
        {"species": ["a", "b", "c"], "genus": ["G", "G", "H"], "family": ["F", None, None]}
    )
    taxonomy = Taxonomy.from_images(rows)
    assert taxonomy.labels("family", ["a", "b", "c"]) == ["F", "F", None]
    assert "The family of b was blank and is that of the genus." in taxonomy.notes
    assert "1 of 3 species have no known family." in taxonomy.notes


def test_words_for_unknown_are_no_taxa_and_nameless_rows_are_left_out() -> None:
    rows = pd.DataFrame(
        {
            "species": ["a", "unidentified", float("nan"), "b"],
            "genus": ["incertae sedis", "G", "G", "N/A"],
            "family": ["F", "F", "F", "F"],
        }
    )
    taxonomy = Taxonomy.from_images(rows)
    assert taxonomy.species == ("a", "b")
    assert taxonomy.ranks == ("species", "family")
    assert "2 of 4 rows name no species and are left out." in taxonomy.notes
    assert "The column 'genus' is empty and is left out." in taxonomy.notes


def test_names_that_look_wrong_are_noted_and_left_as_they_are() -> None:
    rows = pd.DataFrame(
        {
            "species": ["Papilio_a", "papilio_a", "Graphium_b"],
            "genus": ["Papilio", "Papilio", "Idea"],
        }
    )
    taxonomy = Taxonomy.from_images(rows)
    text = " ".join(taxonomy.notes)
    assert "differ in capitals alone: Papilio_a, papilio_a" in text
    assert "Graphium_b in genus Idea" in text
    assert "Papilio_a in genus" not in text
    assert taxonomy.labels("genus", ["Graphium_b"]) == ["Idea"]


def test_taxonomic_order_keeps_relatives_together_and_puts_the_unplaced_last() -> None:
    rows = pd.DataFrame(
        {
            "species": ["z1", "a1", "m1", "b1"],
            "genus": ["Z", "A", "M", None],
            "family": ["F", "G", "F", None],
        }
    )
    assert Taxonomy.from_images(rows).order() == ("m1", "z1", "a1", "b1")


def test_steps_between_species_count_ranks_to_climb() -> None:
    taxonomy = Taxonomy.from_images(ROWS)
    steps = taxonomy.steps_between(["Papilio_machaon", "Parnassius_apollo", "Pieris_rapae"])
    assert steps.tolist() == [[0, 2, 3], [2, 0, 3], [3, 3, 0]]


def test_an_unknown_taxon_unites_nothing() -> None:
    rows = pd.DataFrame({"species": ["a", "b", "c"], "genus": [None, None, "G"]})
    steps = Taxonomy.from_images(rows).steps_between(["a", "b"])
    assert steps.tolist() == [[0, 2], [2, 0]]


def test_selecting_keeps_ranks_and_refuses_strangers_with_the_nearest_name() -> None:
    taxonomy = Taxonomy.from_images(ROWS)
    part = taxonomy.select(["Pieris_rapae", "Papilio_machaon", "Pieris_rapae"])
    assert part.species == ("Papilio_machaon", "Pieris_rapae")
    with pytest.raises(UsageError, match="Did you mean 'Pieris_rapae'"):
        taxonomy.select(["Pieris_napae"])
    with pytest.raises(UsageError, match="no rank 'tribe'"):
        taxonomy.taxa("tribe")
    with pytest.raises(UsageError, match="highest rank"):
        taxonomy.parents("order")
    with pytest.raises(UsageError, match="Did you mean 'Papilio'"):
        taxonomy.members("genus", "Papillio")


def test_a_table_without_species_is_refused() -> None:
    with pytest.raises(InputError, match="needs the column 'species'"):
        Taxonomy.from_images(pd.DataFrame({"genus": ["A"]}))


def test_cells_of_any_kind_become_names() -> None:
    cells = pd.Series([3, "x y ", None, np.nan, " ? "], dtype=object)
    assert is_unknown(cells).tolist() == [False, False, True, True, True]
    assert tidy_names(cells).tolist() == ["3", "x_y", None, None, None]


def test_ten_thousand_species_take_no_time(rng: np.random.Generator) -> None:
    genus = rng.integers(1000, size=10_000)
    rows = pd.DataFrame(
        {
            "species": [f"G{g}_s{i}" for i, g in enumerate(genus)],
            "genus": [f"G{g}" for g in genus],
            "family": [f"F{g % 50}" for g in genus],
        }
    )
    taxonomy = Taxonomy.from_images(rows)
    assert len(taxonomy) == 10_000
    assert len(taxonomy.order()) == 10_000
    assert len(taxonomy.parents("genus")) == len(np.unique(genus))


@pytest.mark.shared
def test_the_swallowtails(shared_data) -> None:
    rows = pd.read_csv(shared_data / "butterflies" / "metadata.csv")
    taxonomy = Taxonomy.from_images(rows)
    assert len(taxonomy) == 332
    assert taxonomy.informative_ranks == ("species", "genus", "subfamily")
    assert taxonomy.homonyms == ()
    order = taxonomy.order()
    genera = taxonomy.labels("genus", order)
    runs = 1 + sum(a != b for a, b in pairwise(genera))
    assert runs == len(taxonomy.taxa("genus"))
