"""Trees of species: grown by birth and death, or of a shape that tests ask for.

The ranks above the species are read off a tree here too. Spoiling a tree on purpose is in
`simulate.tree_noise`.

Everywhere, `n_species` is the number of tips and `height` the distance from root to tip.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from kinlens.errors import UsageError
from kinlens.records.tree import Tree
from kinlens.simulate.nomenclature import family_stem, with_linnaean_names
from kinlens.typing import FloatArray, IntArray

__all__ = ["balanced_tree", "birth_death_tree", "ladder_tree", "taxonomy_of", "yule_tree"]


def birth_death_tree(
    n_species: int,
    rng: np.random.Generator,
    *,
    birth: float = 1.0,
    death: float = 0.3,
    height: float = 1.0,
) -> Tree:
    """Draw the tree of the species alive today under constant rates of birth and death.

    The time of origin has a uniform prior and is drawn given the number of species; the
    speciation times are then independent, with the distribution function::

        F(s) = G(s) / G(origin),   G(s) = (1 - e^(-rs)) / (birth - death e^(-rs)),

    where r = birth - death, and G(s) = s / (1 + birth s) for r = 0. They stand between
    neighbouring tips in random order, which is the whole tree. Last it is stretched to `height`,
    so of the rates only their ratio matters.

    Parameters
    ----------
    n_species : int
        Number of tips, 2 or more.
    rng : numpy.random.Generator
        Source of randomness.
    birth : float
        Speciation rate, above 0.
    death : float
        Extinction rate, from 0 (a Yule tree) to `birth`.
    height : float
        Age of the root in the result, above 0.

    Returns
    -------
    Tree
        Binary and ultrametric; tips named as by `with_linnaean_names`.

    References
    ----------
    Gernhard T (2008) The conditioned reconstructed process. Journal of Theoretical Biology 253:
    769-778, theorems 2.5 and 3.2. Lambert A, Stadler T (2013) Birth-death models and coalescent
    point processes. Theoretical Population Biology 90: 113-128.

    Examples
    --------
    >>> tree = birth_death_tree(5, np.random.default_rng(1))
    >>> tree
    Tree(5 tips, 9 nodes, height 1)
    >>> tree.is_ultrametric() and tree.is_binary
    True
    """
    _check_size(n_species, height)
    if not (0 < birth < math.inf and 0 <= death <= birth):
        raise UsageError(
            f"birth must be above 0 and death from 0 to birth, not {birth} and {death}."
        )
    # G(origin) by inversion: P(origin < t | n) = (birth G(t))^n.
    bound = rng.random() ** (1 / n_species) / birth
    ages = _inverse_g(bound * rng.random(n_species - 1), birth, death)
    tree = _tree_of_gaps(ages * (height / ages.max()))
    return with_linnaean_names(tree, rng)


def yule_tree(n_species: int, rng: np.random.Generator, *, height: float = 1.0) -> Tree:
    """Draw a tree of pure birth: `birth_death_tree` without death."""
    return birth_death_tree(n_species, rng, death=0.0, height=height)


def ladder_tree(n_species: int, *, height: float = 1.0) -> Tree:
    """Return the least balanced ultrametric tree: each split parts one tip from all others.

    Examples
    --------
    >>> ladder_tree(3).length
    array([0. , 1. , 0.5, 0.5, 0.5])
    """
    _check_size(n_species, height)
    ages = height * np.arange(n_species - 1, 0, -1) / (n_species - 1)
    return _tree_of_gaps(ages)


def balanced_tree(n_species: int, *, height: float = 1.0) -> Tree:
    """Return the most balanced ultrametric tree: each split halves the tips, up to one.

    Examples
    --------
    >>> balanced_tree(4).length
    array([0. , 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    """
    _check_size(n_species, height)
    n_levels = math.ceil(math.log2(n_species))
    ages = np.zeros(n_species - 1)
    waiting = [(0, n_species, 0)]
    while waiting:
        start, stop, level = waiting.pop()
        if stop - start > 1:
            middle = (start + stop + 1) // 2
            ages[middle - 1] = height * (1 - level / n_levels)
            waiting += [(start, middle, level + 1), (middle, stop, level + 1)]
    return _tree_of_gaps(ages)


def taxonomy_of(
    tree: Tree, *, genera_per_family: float = 3.0, families_per_order: float = 2.5
) -> pd.DataFrame:
    """Read the ranks above the species off a tree.

    The genus is the first word of a tip's name. Families and orders are clades that one cut
    through the tree gives; each is named after its first genus.

    Parameters
    ----------
    tree : Tree
        Tips named ``Genus_epithet``.
    genera_per_family, families_per_order : float
        Mean sizes, 1 or more; sizes differ as the clades do.

    Returns
    -------
    pandas.DataFrame
        One row per tip, in tip order; columns ``species genus family order``. Each genus has one
        family and each family one order, also where the genera are no clades of this tree:
        then the place of the first species decides.

    Examples
    --------
    >>> frame = taxonomy_of(birth_death_tree(40, np.random.default_rng(1)))
    >>> frame.nunique().tolist()
    [40, 10, 4, 2]
    """
    if not (genera_per_family >= 1 and families_per_order >= 1):
        raise UsageError(
            "genera_per_family and families_per_order must be 1 or more, not "
            f"{genera_per_family} and {families_per_order}."
        )
    genera = [name.partition("_")[0] for name in tree.tip_names]
    genus_code = pd.factorize(np.array(genera, dtype=object))[0].astype(np.int64)
    family_code = _clades_above(tree, genus_code, genera_per_family)
    order_code = _clades_above(tree, family_code, families_per_order)
    return pd.DataFrame(
        {
            "species": tree.tip_names,
            "genus": genera,
            "family": _named_after(family_code, genera, "idae"),
            "order": _named_after(order_code, genera, "iformes"),
        }
    )


def _check_size(n_species: int, height: float) -> None:
    if n_species < 2:
        raise UsageError(f"a tree needs 2 or more species, not {n_species}.")
    if not 0 < height < math.inf:
        raise UsageError(f"height must be above 0 and finite, not {height}.")


def _inverse_g(value: FloatArray, birth: float, death: float) -> FloatArray:
    """Return the s at which G(s), as `birth_death_tree` defines it, has the given value."""
    rate = birth - death
    odds = value / (1 - birth * value)
    # e^(rs) - 1 = r odds; log1p loses no digits for young splits.
    return np.log1p(rate * odds) / rate if rate > 0 else odds


def _tree_of_gaps(ages: FloatArray) -> Tree:
    """Build the ultrametric tree whose tips i and i + 1 part at ``ages[i]``, all above 0.

    Split i joins what lies left and right of its gap up to the next older gap on either side.
    """
    n_tips = len(ages) + 1
    # Tip i is node 2i and split i is node 2i + 1: a left sister always has the lower number.
    age = ages.tolist()
    left = [2 * i for i in range(n_tips - 1)]
    right = [2 * i + 2 for i in range(n_tips - 1)]
    open_splits: list[int] = []
    for split in range(n_tips - 1):
        while open_splits and age[open_splits[-1]] < age[split]:
            left[split] = 2 * open_splits.pop() + 1
        if open_splits:
            right[open_splits[-1]] = 2 * split + 1
        open_splits.append(split)
    parent = np.full(2 * n_tips - 1, -1, dtype=np.int64)
    parent[left] = parent[right] = np.arange(1, 2 * n_tips - 1, 2)
    node_age = np.zeros(2 * n_tips - 1)
    node_age[1::2] = ages
    length = np.where(parent < 0, 0.0, node_age[parent] - node_age)
    names = [""] * (2 * n_tips - 1)
    width = len(str(n_tips))
    names[::2] = [f"species_{i + 1:0{width}}" for i in range(n_tips)]
    return Tree.from_parents(parent, length, names)


def _clades_above(tree: Tree, group: IntArray, groups_per_clade: float) -> IntArray:
    """Cut the tree into clades of so many groups; a group goes where its first tip falls."""
    n_groups = int(group.max()) + 1
    clade = tree.cut_into(min(tree.n_tips, math.ceil(n_groups / groups_per_clade)))
    first_tip = np.unique(group, return_index=True)[1]
    clade_of_group = clade[first_tip]
    return pd.factorize(clade_of_group[group])[0].astype(np.int64)


def _named_after(code: IntArray, genera: list[str], ending: str) -> list[str]:
    """Name each taxon after its first genus: by its stem, or by the whole name if stems repeat."""
    first_genera = [genera[i] for i in np.unique(code, return_index=True)[1].tolist()]
    stems = [family_stem(genus) for genus in first_genera]
    if len(set(stems)) < len(stems):
        stems = first_genera
    return [stems[i] + ending for i in code.tolist()]
