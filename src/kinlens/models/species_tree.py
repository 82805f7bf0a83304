"""One tree for all species of a classifier, also those that no tree or no sequence speaks of.

A species without a place sits at its genus, or the next taxon above that the tree knows, or at
the root: as far from its relatives there as they are from each other, which is the honest width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinlens.errors import InputError
from kinlens.geometry.neighbour_joining import neighbour_joining
from kinlens.models.lineage import Lineages
from kinlens.records.distances import DistanceMatrix
from kinlens.records.taxonomy import Taxonomy
from kinlens.records.tree import Tree
from kinlens.records.tree_shape import grafted, rooted_at_midpoint

__all__ = ["species_tree", "taxonomic_tree", "tree_of_distances"]


def species_tree(
    species: Sequence[str],
    kinship: Tree | DistanceMatrix | None = None,
    taxonomy: Taxonomy | None = None,
) -> Tree:
    """Build the tree whose tips are exactly the species given.

    Parameters
    ----------
    species : sequence of str
        All different.
    kinship : Tree or DistanceMatrix, optional
        What is known; its other tips are left out. Distances are joined to a tree. When left out,
        the taxonomy alone decides, and without one all species are equally related.
    taxonomy : Taxonomy, optional
        Gives species that `kinship` lacks their place.

    Raises
    ------
    InputError
        When `kinship` and the species have no name in common.

    Examples
    --------
    >>> import pandas as pd
    >>> tree = Tree.from_parents(
    ...     [-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "C_c", "A_a", "A_b"]
    ... )
    >>> names = ["A_a", "A_b", "A_x", "C_c"]
    >>> rows = pd.DataFrame({"species": names, "genus": [n[0] for n in names]})
    >>> found = species_tree(names, tree, Taxonomy.from_images(rows))
    >>> found.names[found.mrca(["A_a", "A_x"])] == found.names[found.mrca(["A_a", "A_b"])]
    True
    >>> found.tip_names
    ('A_a', 'A_b', 'A_x', 'C_c')
    """
    if kinship is None:
        return taxonomic_tree(species, taxonomy)
    known_names = set(kinship.tip_names if isinstance(kinship, Tree) else kinship.ids)
    placed = [name for name in species if name in known_names]
    if not placed:
        raise InputError(
            f"none of the {len(species):,} species is in the tree or among the distances",
            offenders=species,
            remedy="Names must match after spaces are turned to underscores.",
        )
    if isinstance(kinship, DistanceMatrix):
        tree = tree_of_distances(kinship.select(placed))
    else:
        tree = kinship.prune(placed, keep_root=True)
    unplaced = [name for name in species if name not in known_names]
    if not unplaced:
        return tree
    if tree.n_nodes == 1:
        tree = _below_a_root(tree)
    return grafted(tree, _homes(unplaced, placed, tree, taxonomy))


def taxonomic_tree(species: Sequence[str], taxonomy: Taxonomy | None = None) -> Tree:
    """Build the tree that the taxonomy draws, with one step of equal length a rank.

    Parameters
    ----------
    species : sequence of str
        The tips.
    taxonomy : Taxonomy, optional
        All species hang from the root when left out, or where it does not know them.

    Examples
    --------
    >>> taxonomic_tree(["a", "b", "c"])
    Tree(3 tips, 4 nodes, height 1)
    """
    names = [str(name) for name in species]
    known = set() if taxonomy is None else set(taxonomy.species)
    inside = [name for name in names if name in known]
    if not inside:
        return Tree.from_parents([-1] + [0] * len(names), [0.0] + [1.0] * len(names), ["", *names])
    lineages = Lineages.of(inside, taxonomy)
    n_levels = len(lineages.ranks)
    parent, labels, length = [-1], [""], [0.0]
    # From the highest rank down, each taxon below its parent.
    above = np.zeros(1, dtype=np.int64)
    for level in range(n_levels - 1, -1, -1):
        first = len(parent)
        parent += above[lineages.parents(level)].tolist()
        labels += [str(name or "") for name in lineages.taxa[level]]
        length += [1.0 / n_levels] * len(lineages.taxa[level])
        above = np.arange(first, len(parent))
    outside = [name for name in names if name not in known]
    parent += [0] * len(outside)
    labels += outside
    length += [1.0] * len(outside)
    return Tree.from_parents(parent, length, labels)


def tree_of_distances(distances: DistanceMatrix) -> Tree:
    """Join distances to a tree, rooted at the midpoint where there is one.

    Parameters
    ----------
    distances : DistanceMatrix
        Between species, such as edit distances of their sequences.

    Examples
    --------
    >>> matrix = DistanceMatrix(("a", "b", "c"), np.array([[0.0, 1, 4], [1, 0, 4], [4, 4, 0]]))
    >>> tree_of_distances(matrix).n_tips
    3
    """
    if len(distances) == 1:
        return _below_a_root(Tree.from_parents([-1], None, list(distances.ids)))
    if not distances.values.any():
        # Sequences that are all the same say nothing of who is nearer to whom.
        return taxonomic_tree(distances.ids)
    return rooted_at_midpoint(neighbour_joining(distances))


def _below_a_root(tip: Tree) -> Tree:
    return Tree.from_parents([-1, 0], [0.0, 1.0], ["", tip.names[0]])


def _homes(
    unplaced: Sequence[str], placed: Sequence[str], tree: Tree, taxonomy: Taxonomy | None
) -> dict[str, int]:
    """Find the node of each species without a place: the top of its lowest known taxon."""
    if taxonomy is None:
        return dict.fromkeys(unplaced, 0)
    known = set(taxonomy.species)
    members: dict[tuple[str, str], list[str]] = {}
    for name in placed:
        if name in known:
            for rank, taxon in taxonomy.lineage(name).items():
                if taxon is not None and rank != "species":
                    members.setdefault((rank, taxon), []).append(name)
    homes = {}
    for name in unplaced:
        homes[name] = 0
        lineage = taxonomy.lineage(name) if name in known else {}
        for rank in taxonomy.ranks:
            relatives = members.get((rank, lineage.get(rank) or ""))
            if relatives:
                node = tree.mrca(relatives)
                # A lone relative's own end would leave the two no room to differ.
                homes[name] = int(tree.parent[node]) if tree.is_tip[node] else node
                break
    return homes
