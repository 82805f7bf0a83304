"""The vocabulary of slots and columns is one."""

from __future__ import annotations

from kinlens.records import slots
from kinlens.records.slots import COLUMNS, SLOTS, Column, Slot


def test_every_slot_and_column_is_listed_once() -> None:
    named = [value for value in vars(slots).values() if isinstance(value, Slot | Column)]
    assert sorted(map(repr, named)) == sorted(map(repr, (*SLOTS, *COLUMNS)))
    places = [(slot.holder, slot.key) for slot in SLOTS]
    assert len(set(places)) == len(places)
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_slots_are_where_anndata_has_them() -> None:
    holders = {"X", "obs", "var", "obsm", "varm", "obsp", "uns", "layers"}
    assert {slot.holder for slot in SLOTS} <= holders
    assert all(slot.meaning and not slot.meaning.endswith(".") for slot in SLOTS)
