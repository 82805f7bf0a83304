"""Phylogenetic contrasts, and the test of association between two things that evolved on a tree.

Species are not exchangeable, their contrasts are: under Brownian motion they are independent and
each is as likely as its mirror image. `contrast_test` rests on that alone. What is compared with
statistics of one's own choice is in `brownian`; tests that permute species are in `matrices`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kinlens.errors import InputError
from kinlens.evaluate._contrast_plans import contrast_plan, drawn_signs, fitted_plan
from kinlens.evaluate._matrix_checks import (
    checked_distances,
    checked_permutations,
    checked_values,
    same_rows,
)
from kinlens.evaluate._tails import Alternative, tail_share
from kinlens.evaluate.nulls import PermutationTest
from kinlens.records.tree import Tree
from kinlens.typing import FloatArray

__all__ = [
    "ContrastTest",
    "contrast_test",
    "distance_lambda",
    "phylogenetic_contrasts",
]


def phylogenetic_contrasts(
    values: ArrayLike,
    tree: Tree,
    *,
    names: Sequence[str] | None = None,
    signal: float = 1.0,
) -> FloatArray:
    """Return independent contrasts, each divided by its standard deviation.

    Parameters
    ----------
    values : array of float, shape (n, p) or (n,)
        Traits of the species.
    tree : Tree
        With branch lengths; polytomies are resolved with branches of length 0.
    names : sequence of str, optional
        The species of each row; the tip order of the tree when left out.
    signal : float
        Pagel's lambda, 0 to 1, by which the tree is transformed first.

    Returns
    -------
    array of float, shape (n - 1, p)
        Under Brownian motion with rate matrix R, independent rows of covariance R. The sign of a
        contrast is arbitrary.

    References
    ----------
    Felsenstein, J. (1985). Phylogenies and the comparative method. American Naturalist 125, 1-15.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> phylogenetic_contrasts([1.0, 3.0, 5.0], tree, names=["a", "b", "c"])
    array([[1.        ],
           [1.34164079]])
    """
    table = checked_values(values)
    return contrast_plan(tree, len(table), names=names, signal=signal).take(table)


def distance_lambda(
    distances: ArrayLike, tree: Tree, *, names: Sequence[str] | None = None
) -> float:
    r"""Estimate Pagel's lambda of whatever lies at these distances.

    Parameters
    ----------
    distances : array of float, shape (n, n)
        Symmetric distances; Euclidean ones for the likelihood to be one.
    tree, names
        As in `phylogenetic_contrasts`.

    Returns
    -------
    float
        From 0 (no signal) to 1 (Brownian motion on this tree).

    Notes
    -----
    Restricted maximum likelihood with one lambda and one rate for all axes, which makes it a
    function of the distances alone: the minimum over lambda of
    :math:`(n-1) \log \sum_i |u_i|^2 + \sum_i \log v_i`, with u the contrasts and v their
    variances. `signal.pagel_lambda` fits a full rate matrix to traits and tests it. With species
    at distance 0 on the tree the estimate is at most 0.999.

    References
    ----------
    Freckleton, R. P., Harvey, P. H. & Pagel, M. (2002). Phylogenetic analysis and comparative
    data: a test and review of evidence. American Naturalist 160, 712-726.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> patristic = np.array([[0, 4, 6], [4, 0, 6], [6, 6, 0.0]])
    >>> round(distance_lambda(np.sqrt(patristic), tree, names=["a", "b", "c"]), 3)
    1.0
    """
    return fitted_plan(checked_distances(distances, "distance"), tree, names, None)[0]


@dataclass(frozen=True)
class ContrastTest(PermutationTest):
    """A `PermutationTest` with the phylogenetic signal of both sides.

    Parameters
    ----------
    name, statistic, p_value, n, null_description, alternative, null
        As in `PermutationTest`.
    first_signal, second_signal : float
        Pagel's lambda by which the tree was transformed for each side; NaN where it was not.
    """

    first_signal: float = float("nan")
    second_signal: float = float("nan")


def contrast_test(
    first: ArrayLike,
    second: ArrayLike,
    tree: Tree,
    *,
    rng: np.random.Generator,
    names: Sequence[str] | None = None,
    first_signal: float | None = None,
    second_signal: float | None = None,
    permutations: int = 9_999,
    alternative: Alternative = "greater",
) -> ContrastTest:
    r"""Test whether two things that evolved on one tree evolved together.

    This is the test to believe when both matrices come from species that share a history, such
    as looks and diet, or looks and one gene. For looks against the tree itself use
    `matrices.mantel`.

    Parameters
    ----------
    first, second : array of float, shape (n, n)
        Symmetric distances among the species, such as Euclidean distances of traits. Of cosine
        distances or patristic distances take the square root first: what counts as a distance
        here is what is squared to a difference of variances.
    tree : Tree
        With branch lengths in proportion to time or to expected change.
    rng : numpy.random.Generator
    names : sequence of str, optional
        The species of each row; the tip order of the tree when left out. Other tips are pruned.
    first_signal, second_signal : float, optional
        Pagel's lambda of each side, 0 to 1; estimated by `distance_lambda` when left out.
    permutations : int
        Null worlds; 0 gives the statistic alone.
    alternative : {"greater", "less", "two-sided"}

    Returns
    -------
    ContrastTest
        The statistic is near 0 for independent evolution and 1 for identical contrasts.

    Raises
    ------
    InputError
        When a matrix has no contrasts that could covary, as the tree's own distances.

    Notes
    -----
    1. Lambda is estimated for each side, which takes the test from evolved to unrelated traits.
    2. Contrasts on the transformed trees are nearly independent. A and B are their matrices of
       inner products.
    3. The statistic is the modified RV coefficient, the sum of :math:`A_{ij} B_{ij}` over
       :math:`i \ne j`, divided by the root of the product of the same sums of
       :math:`A_{ij}^2` and :math:`B_{ij}^2`.
    4. In a null world each contrast of the first side keeps its size and takes a random sign.

    Sizes of contrasts are never exchanged, so that rates of evolution may differ among clades and
    through time, and be the same for both sides, without any effect on the null. With n species
    there are :math:`2^{n-2}` different null worlds: below nine species no p-value is small.
    Measured levels and power are in the documentation (`docs/type_one_error.md`).

    References
    ----------
    Felsenstein, J. (1985). Phylogenies and the comparative method. American Naturalist 125, 1-15.
    Smilde, A. K. et al. (2009). Matrix correlations for high-dimensional data: the modified
    RV-coefficient. Bioinformatics 25, 401-405.
    Adams, D. C. & Collyer, M. L. (2015). Permutation tests for phylogenetic comparative analyses
    of high-dimensional shape data: what you shuffle matters. Evolution 69, 823-829.
    Winkler, A. M. et al. (2014). Permutation inference for the general linear model. NeuroImage
    92, 381-397 (sign flipping under symmetric errors).

    Examples
    --------
    >>> from scipy.spatial.distance import pdist, squareform
    >>> tips = [f"t{i}" for i in range(12)]
    >>> tree = Tree.from_parents([-1] + [0] * 12, [0.0] + [1.0] * 12, ["", *tips])
    >>> rng = np.random.default_rng(1)
    >>> looks = rng.standard_normal((12, 3))
    >>> diet = looks + rng.standard_normal((12, 3))
    >>> first, second = squareform(pdist(looks)), squareform(pdist(diet))
    >>> test = contrast_test(first, second, tree, names=tips, rng=rng, permutations=999)
    >>> test.p_value < 0.05
    True
    """
    one, two = checked_distances(first, "first"), checked_distances(second, "second")
    same_rows(one, two)
    checked_permutations(permutations)
    first_lambda, first_plan = fitted_plan(one, tree, names, first_signal)
    second_lambda, second_plan = fitted_plan(two, tree, names, second_signal)
    products = _unit_off_diagonal(first_plan.products(one), "first")
    products *= _unit_off_diagonal(second_plan.products(two), "second")
    statistic = float(products.sum())
    null = np.empty(permutations)
    for place, signs in drawn_signs(permutations, len(products), rng):
        null[place] = np.einsum("mi,mi->m", signs @ products, signs)
    return ContrastTest(
        name="modified RV coefficient of contrasts",
        statistic=statistic,
        p_value=tail_share(statistic, null, alternative),
        n=len(one),
        null_description="contrasts of the first side with random signs",
        alternative=alternative,
        null=null,
        first_signal=first_lambda,
        second_signal=second_lambda,
    )


def _unit_off_diagonal(products: FloatArray, name: str) -> FloatArray:
    """Set the diagonal to 0 and scale the rest to length 1."""
    apart = products.copy()
    np.fill_diagonal(apart, 0.0)
    length = np.linalg.norm(apart)
    if length <= 1e-7 * np.linalg.norm(products):
        raise InputError(
            f"the contrasts of the {name} matrix do not covary, as those of the tree itself",
            remedy="To compare something with the tree, use kinlens.evaluate.matrices.mantel.",
        )
    return np.asarray(apart / length)
