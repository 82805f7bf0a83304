"""What had to be left out of a run, one reason a record, and how much of it is too much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kinlens.errors import TooManySkippedError, UsageError, listing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SkipList", "Skipped"]


@dataclass(frozen=True, order=True)
class Skipped:
    """One record that was left out.

    Parameters
    ----------
    file : str
        The file, relative to the dataset folder.
    record : str
        Row or identifier in it; empty when the whole file is meant.
    reason : str
        Why, as a sentence without a final full stop.
    """

    file: str
    record: str
    reason: str


class SkipList:
    """Collects skipped records; stops the work when they are too many.

    Parameters
    ----------
    max_bad : float, optional
        From 1 on: how many records may be skipped. Below 1: which share of the records may be; 0
        allows none. No limit when left out.

    Examples
    --------
    >>> skipped = SkipList(max_bad=0.5)
    >>> skipped.add("images/a.jpg", "truncated file")
    >>> skipped.check(total=4)
    >>> skipped.summary()
    '1 skipped: truncated file (1)'
    """

    def __init__(self, *, max_bad: float | None = None) -> None:
        if max_bad is not None and not max_bad >= 0:
            raise UsageError(f"max-bad must be 0 or more, not {max_bad}.")
        self.max_bad = max_bad
        # Insertion-ordered and without repeats.
        self._records: dict[Skipped, None] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> tuple[Skipped, ...]:
        """The records in the order in which they were noted."""
        return tuple(self._records)

    def add(self, file: str | Path, reason: str, *, record: str = "") -> None:
        """Note one record; the same one is noted once.

        Parameters
        ----------
        file : str or pathlib.Path
            The file, relative to the dataset folder.
        reason : str
            Why, as a sentence without a final full stop.
        record : str
            Row or identifier in the file; empty when the whole file is meant.

        Raises
        ------
        TooManySkippedError
            When a limit given as a number is passed.
        """
        self.extend([Skipped(Path(file).as_posix(), record, reason)])

    def extend(self, records: Iterable[Skipped]) -> None:
        """Note several records, such as those that a worker sent back."""
        self._records |= dict.fromkeys(records)
        if self.max_bad is not None and (self.max_bad >= 1 or self.max_bad == 0):
            self._refuse_above(self.max_bad, f"{self.max_bad:g}")

    def check(self, *, total: int) -> None:
        """Compare the number skipped with the limit, out of `total` records looked at.

        Raises
        ------
        TooManySkippedError
            When the limit is passed.
        """
        if self.max_bad is not None and 0 < self.max_bad < 1:
            self._refuse_above(self.max_bad * total, f"{self.max_bad:.3g} of {total:,}")

    def frame(self) -> pd.DataFrame:
        """Return the records as a table with the columns file, record and reason, sorted."""
        import pandas as pd

        rows = sorted(astuple(item) for item in self.records)
        return pd.DataFrame(rows, columns=["file", "record", "reason"], dtype="str")

    def summary(self) -> str:
        """Word how many were skipped and for which reasons, the commonest first."""
        counts = Counter(item.reason for item in self.records).most_common()
        if not counts:
            return "nothing skipped"
        return f"{len(self):,} skipped: {listing(f'{why} ({n:,})' for why, n in counts)}"

    def _refuse_above(self, limit: float, worded: str) -> None:
        if len(self) > limit:
            raise TooManySkippedError(
                f"{len(self):,} records had to be skipped and --max-bad allows {worded}",
                offenders=[f"{item.file} ({item.reason})" for item in self.records],
                remedy="`kinlens check` says more. Mend them, or allow more with --max-bad.",
            )
