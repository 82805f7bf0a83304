"""Answers for labels that belong to groups: whether the levels agree, and how right both are."""

from __future__ import annotations

import numpy as np

from kinlens.evaluate.metrics import ratio
from kinlens.records.label_tree import LabelTree
from kinlens.typing import BoolArray, FloatArray

__all__ = ["hierarchical_f1", "violation_share"]


def violation_share(groups: BoolArray, labels: BoolArray, tree: LabelTree) -> float:
    """Return the share of pictures whose answered groups are not those of the answered labels.

    Parameters
    ----------
    groups : array of bool, shape (n, n_groups)
        Groups that were answered on their own.
    labels : array of bool, shape (n, n_labels)
        Labels that were answered.
    tree : LabelTree
        Which label is in which group.

    Returns
    -------
    float
        From 0 to 1. A group without a label counts, and so does a label without its group.

    Examples
    --------
    >>> tree = LabelTree.of({"a": ["x"], "b": ["y"]})
    >>> violation_share(np.array([[True, False]]), np.array([[True, True]]), tree)
    1.0
    """
    return float((tree.to_groups(labels) != groups).any(axis=1).mean())


def hierarchical_f1(
    truth: BoolArray, answer: BoolArray, tree: LabelTree, *, weights: FloatArray | None = None
) -> float:
    """Return the F1 over labels together with their groups (Silla & Freitas 2011, section 5).

    An answer in the right group with the wrong label is half right.

    Parameters
    ----------
    truth, answer : array of bool, shape (n, n_labels)
        Which labels hold, and which were answered.
    tree : LabelTree
        Which label is in which group.
    weights : array of float, shape (n,), optional
        Of the pictures; alike when left out.

    References
    ----------
    C. N. Silla and A. A. Freitas, A survey of hierarchical classification across different
    application domains, Data Mining and Knowledge Discovery 22 (2011), 31-72.

    Examples
    --------
    >>> tree = LabelTree.of({"a": ["x", "y"]})
    >>> hierarchical_f1(np.array([[True, False]]), np.array([[False, True]]), tree)
    0.5
    """
    weight = np.ones(len(truth)) if weights is None else weights
    held = np.hstack([truth, tree.to_groups(truth)])
    said = np.hstack([answer, tree.to_groups(answer)])
    hits = float(weight @ (held & said).sum(axis=1))
    both = float(weight @ (held.sum(axis=1) + said.sum(axis=1)))
    return float(ratio(np.array([2 * hits]), np.array([both]))[0])
