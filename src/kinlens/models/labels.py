"""Class labels as numbers, with the checks that every classifier here shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinlens.errors import UsageError
from kinlens.typing import AnyArray, IntArray

__all__ = ["ClassCodes", "class_codes"]


@dataclass(frozen=True, eq=False)
class ClassCodes:
    """Labels as positions in a sorted list.

    Parameters
    ----------
    classes : array of shape (n_classes,)
        Sorted labels.
    codes : IntArray of shape (n,)
        Position of each label.
    """

    classes: AnyArray
    codes: IntArray


def class_codes(y: AnyArray) -> ClassCodes:
    """Give class labels numbers.

    scikit-learn's own check also warns when most classes have one picture, which here is a
    museum's everyday life.

    Parameters
    ----------
    y : array of shape (n,)
        Labels.

    Raises
    ------
    UsageError
        When the labels are measurements and not classes.

    Examples
    --------
    >>> class_codes(np.array(["b", "a", "b"])).codes.tolist()
    [1, 0, 1]
    """
    y = np.asarray(y)
    if y.dtype.kind == "f" and not np.array_equal(y, np.floor(y)):
        raise UsageError("Unknown label type: continuous values, where class labels are needed.")
    classes, codes = np.unique(y, return_inverse=True)
    return ClassCodes(classes, codes.astype(np.int64))
