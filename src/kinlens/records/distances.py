"""A square matrix of distances with the names of its rows.

Here are the rules that every distance matrix keeps (square, named, finite, non-negative, zero on
the diagonal, symmetric) and how to pick from it. Reading and writing files is in `io.distances`.

Everywhere, `ids` are the names of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from kinlens.errors import InputError, did_you_mean
from kinlens.typing import BoolArray, FloatArray

__all__ = ["DistanceMatrix"]

# Differences below this share of the largest distance are rounding, not asymmetry.
_ROUNDING = 1e-9
# Rows compared at a time, so that checking a matrix that is mapped from disk needs little memory.
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """Distances between named things, complete and checked.

    Parameters
    ----------
    ids : tuple of str
        One unique name per row; columns have the same names in the same order.
    values : numpy.ndarray
        Shape (n, n), float64: finite, not negative, zero diagonal, symmetric. Asymmetry and
        diagonal entries below 1e-9 of the largest distance count as rounding and are evened out
        (in a copy; the array given is never changed).

    Raises
    ------
    InputError
        When a rule is broken; the message names the cell by row, column and value.

    Examples
    --------
    >>> import numpy as np
    >>> d = DistanceMatrix(("a", "b", "c"), np.array([[0, 1, 4], [1, 0, 2], [4, 2, 0.0]]))
    >>> d.condensed()
    array([1., 4., 2.])
    >>> d.select(["c", "a"]).values
    array([[0., 4.],
           [4., 0.]])
    """

    ids: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self.ids))
        # A memory-mapped float64 matrix stays on disk.
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        _check_shape(self.ids, self.values)
        object.__setattr__(self, "values", _checked_values(self.ids, self.values))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"DistanceMatrix({len(self):,} ids)"

    def select(self, ids: Sequence[str]) -> DistanceMatrix:
        """Return the distances among `ids`, in that order.

        Raises
        ------
        InputError
            When a name is not in the matrix; the message holds the nearest one that is.
        """
        position = {name: index for index, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in position]
        if missing:
            raise InputError(
                "names that are not in the distance matrix",
                offenders=missing,
                remedy=did_you_mean(missing[0], self.ids),
            )
        rows = np.array([position[name] for name in ids], dtype=np.int64)
        return DistanceMatrix(tuple(ids), self.values[np.ix_(rows, rows)])

    def condensed(self) -> FloatArray:
        """Return the upper triangle row by row, shape (n (n - 1) / 2,), as SciPy orders it."""
        n = len(self)
        pairs = np.empty(n * (n - 1) // 2)
        start = 0
        for row in range(n - 1):
            stop = start + n - 1 - row
            pairs[start:stop] = self.values[row, row + 1 :]
            start = stop
        return pairs

    @classmethod
    def unchecked(cls, ids: Sequence[str], values: FloatArray) -> DistanceMatrix:
        """Wrap values that keep every rule by the way they were computed; nothing is looked at.

        Checking a large matrix takes longer than some ways of computing it.
        """
        matrix = cls.__new__(cls)
        object.__setattr__(matrix, "ids", tuple(ids))
        object.__setattr__(matrix, "values", values)
        return matrix

    @classmethod
    def from_condensed(cls, ids: Sequence[str], pairs: FloatArray) -> DistanceMatrix:
        """Build the square matrix from an upper triangle; the opposite of `condensed`.

        Raises
        ------
        InputError
            When the number of pairs does not belong to the number of ids.
        """
        n = len(ids)
        if len(pairs) != n * (n - 1) // 2:
            raise InputError(f"{n:,} ids have {n * (n - 1) // 2:,} pairs, not {len(pairs):,}")
        values = np.zeros((n, n))
        start = 0
        for row in range(n - 1):
            stop = start + n - 1 - row
            values[row, row + 1 :] = values[row + 1 :, row] = pairs[start:stop]
            start = stop
        return cls(tuple(ids), values)


def _check_shape(ids: tuple[str, ...], values: FloatArray) -> None:
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        shape = " x ".join(f"{extent:,}" for extent in values.shape)
        raise InputError(f"a distance matrix is square, this one is {shape or 'a single number'}")
    if len(ids) != len(values):
        raise InputError(f"{len(ids):,} names for {len(values):,} rows of distances")
    if len(set(ids)) != len(ids):
        counts = Counter(ids)
        repeated = [name for name, count in counts.items() if count > 1]
        raise InputError("names that occur more than once", offenders=repeated)


def _checked_values(ids: tuple[str, ...], values: FloatArray) -> FloatArray:
    n = len(ids)
    if n == 0:
        return values
    step = max(1, _BLOCK_CELLS // n)
    blocks = [slice(start, start + step) for start in range(0, n, step)]
    largest = 0.0
    for block in blocks:
        rows = values[block]
        low, high = float(rows.min()), float(rows.max())  # NaN spreads to both
        if not (np.isfinite(low) and np.isfinite(high)):
            _refuse(ids, values, block, ~np.isfinite(rows), "a distance that is not a number")
        if low < 0:
            _refuse(ids, values, block, rows < 0, "a negative distance")
        largest = max(largest, high)

    tolerance = _ROUNDING * largest
    diagonal = np.flatnonzero(np.diagonal(values) > tolerance)
    if diagonal.size:
        at = int(diagonal[0])
        raise InputError(
            f"the distance of {ids[at]!r} to itself is {values[at, at]:g}, not 0",
            remedy="If these are similarities, turn them into distances first.",
        )
    is_exact = not np.diagonal(values).any()
    for block in blocks:
        difference = values[block] - values[:, block].T
        if difference.any():
            is_exact = False
            if (wrong := np.abs(difference) > tolerance).any():
                _refuse(ids, values, block, wrong, "an asymmetric pair")
    if is_exact:
        return values
    even = (values + values.T) / 2
    np.fill_diagonal(even, 0.0)
    return even


def _refuse(
    ids: tuple[str, ...], values: FloatArray, block: slice, wrong: BoolArray, problem: str
) -> NoReturn:
    """Raise with the first wrong cell of `block`, and how many there are in it."""
    rows, columns = np.nonzero(wrong)
    row, column = int(rows[0]) + block.start, int(columns[0])
    cell = f"row {ids[row]!r}, column {ids[column]!r} holds {values[row, column]:g}"
    if problem == "an asymmetric pair":
        cell += f", but row {ids[column]!r}, column {ids[row]!r} holds {values[column, row]:g}"
    more = len(rows) - 1
    raise InputError(f"{problem}: {cell}" + (f" ({more:,} more such cells)" if more else ""))
