"""Label sets from a table, with or without pictures: what a cell world is drawn from."""

from __future__ import annotations

from pathlib import Path

from kinlens.errors import InputError
from kinlens.io.metadata import read_table
from kinlens.records.label_tree import HPA_LABELS

__all__ = ["label_names", "read_label_sets"]


def label_names(target: str, *, where: str) -> list[str]:
    """Return the names of the labels that a cell of the column ``Target`` lists.

    Parameters
    ----------
    target : str
        Numbers from 0 to 27, split by blanks.
    where : str
        File and row, for the message.

    Raises
    ------
    InputError
        When the cell is anything else.

    Examples
    --------
    >>> label_names("16 0", where="train.csv row 2")
    ['nucleoplasm', 'cytokinetic bridge']
    """
    codes = target.split()
    wrong = [code for code in codes if not (code.isdecimal() and int(code) < len(HPA_LABELS))]
    if wrong or not codes:
        raise InputError(f"Target {target!r} is not a list of numbers from 0 to 27", where=where)
    return [HPA_LABELS[code] for code in sorted({int(code) for code in codes})]


def read_label_sets(path: str | Path) -> list[tuple[str, ...]]:
    """Read the label sets of a table, one a row.

    Parameters
    ----------
    path : path
        A table with a column ``labels`` (names split by ``;``) or ``Target`` (numbers, as in the
        Kaggle competition). Rows without labels are passed over.

    Returns
    -------
    list of tuple of str
        In the order of the rows.

    Raises
    ------
    InputError
        When the table has neither column, or holds no label.
    """
    frame, _notes = read_table(Path(path))
    if "labels" in frame.columns:
        cells = frame["labels"].astype(str)
        sets = [tuple(part.strip() for part in cell.split(";") if part.strip()) for cell in cells]
    elif "Target" in frame.columns:
        sets = [
            tuple(label_names(str(cell), where=f"{path} row {number}"))
            for number, cell in enumerate(frame["Target"], start=2)
        ]
    else:
        raise InputError(
            "neither a column 'labels' nor a column 'Target'", where=path, offenders=[*frame]
        )
    sets = [labels for labels in sets if labels]
    if not sets:
        raise InputError("not one row has a label", where=path)
    return sets
