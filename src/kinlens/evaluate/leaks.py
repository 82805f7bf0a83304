"""What sits on two sides of a split and must not.

Finds leaks and names them; mends nothing, since the splits made in `splits` and `folds` have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kinlens.errors import listing
from kinlens.evaluate.groups import group_codes
from kinlens.evaluate.splits import PARTS, UNUSED, Split

__all__ = ["Leak", "LeakReport", "audit"]


@dataclass(frozen=True)
class Leak:
    """One thing that sits on two sides of a split.

    Parameters
    ----------
    kind : str
        ``"specimen"`` or ``"duplicate"``.
    value : str
        The specimen, or the name of the group of copies.
    parts : tuple of str
        The parts it touches.
    rows : tuple of int
        Its rows.
    """

    kind: str
    value: str
    parts: tuple[str, ...]
    rows: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.value} in {' and '.join(self.parts)}"


@dataclass(frozen=True)
class LeakReport:
    """What `audit` found.

    Parameters
    ----------
    split : str
        Name of the split.
    leaks : tuple of Leak
        Everything found on two sides.
    checked : tuple of str
        The kinds that were looked for.
    """

    split: str
    leaks: tuple[Leak, ...]
    checked: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing that was checked sits on two sides."""
        return not self.leaks

    def frame(self) -> pd.DataFrame:
        """Return one row a leak: ``split``, ``kind``, ``value``, ``parts``, ``n_rows``."""
        return pd.DataFrame(
            [
                (self.split, leak.kind, leak.value, ";".join(leak.parts), len(leak.rows))
                for leak in self.leaks
            ],
            columns=["split", "kind", "value", "parts", "n_rows"],
        )

    def __str__(self) -> str:
        checked = " and ".join(self.checked) or "nothing"
        if self.is_clean:
            return f"split {self.split!r}: no leak ({checked} checked)"
        return f"split {self.split!r}: {len(self.leaks):,} leaks: {listing(self.leaks)}"


def audit(
    split: Split,
    *,
    specimens: Iterable[Any] | None = None,
    duplicates: Iterable[Any] | None = None,
) -> LeakReport:
    """Look for specimens and copies that sit on two sides of a split.

    Parameters
    ----------
    split : Split
        What to check.
    specimens : iterable, optional
        Specimen of each row; "", None and NaN name none.
    duplicates : iterable, optional
        Group of copies of each row; the same blanks, and negative integers, name none.

    Examples
    --------
    >>> split = Split("random", np.array([0]), np.array([]), np.array([1]), n_rows=2)
    >>> print(audit(split, specimens=["a", "a"]))
    split 'random': 1 leaks: specimen a in train and test
    """
    part = split.part
    leaks: list[Leak] = []
    checked = []
    for kind, values in (("specimen", specimens), ("duplicate", duplicates)):
        if values is None:
            continue
        checked.append(kind)
        groups = group_codes(values, n_rows=split.n_rows)
        rows = pd.DataFrame({"code": groups.codes, "part": part, "row": np.arange(split.n_rows)})
        rows = rows[(rows["code"] >= 0) & (rows["part"] != UNUSED)]
        touched = rows.groupby("code")["part"].nunique()
        for code in touched.index[touched > 1]:
            group = rows[rows["code"] == code]
            parts = tuple(name for name in PARTS if (group["part"] == name).any())
            leaks.append(Leak(kind, str(groups.names[code]), parts, tuple(group["row"].tolist())))
    return LeakReport(split.name, tuple(leaks), tuple(checked))
