"""Names that read like Linnaean binomials, one genus to a clade; no name means anything.

Families and orders above the genera are named in `simulate.trees.taxonomy_of`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from kinlens.errors import UsageError
from kinlens.records.tree import Tree

__all__ = ["family_stem", "with_linnaean_names"]

_ONSETS = (*"bcdfglmnprstvz", "ph", "th", "tr", "pl", "cr", "br", "gl", "st", "ch", "sp")
_VOWELS = (*"aaeeiioou", "y", "ae")
_CODAS = ("", "", "", "", "n", "r", "l", "s")
# Ending of a genus, and the gender that its epithets take: 0 masculine, 1 feminine, 2 neuter.
_GENUS_ENDINGS = (("us", 0), ("a", 1), ("ia", 1), ("ella", 1), ("is", 1), ("ops", 1), ("um", 2))
_FAMILY_STEM = re.compile(r"(?:ella|ops|ia|us|um|is|a)$")
_ADJECTIVE_ENDINGS = {"us": ("us", "a", "um"), "is": ("is", "is", "e"), "x": ("x", "x", "x")}
_ADJECTIVES = re.findall(
    r"\w+",
    """
albus flavus fuscus luteus roseus aureus argenteus purpureus caeruleus griseus niveus atratus
variegatus maculatus punctatus striatus fasciatus lineatus ornatus pictus reticulatus marginatus
costatus carinatus cornutus coronatus echinatus spinosus nodosus tuberculatus granulatus rugosus
laevigatus politus nitidus opacus pellucidus inflatus compressus depressus elongatus attenuatus
acutus obtusus truncatus rotundatus angulatus contortus involutus planulatus excavatus latus altus
parvus minutus magnus giganteus elegantulus decoratus venustus modestus occultus solitarius
borealis australis orientalis occidentalis meridionalis insularis littoralis abyssalis montanus
viridis grandis brevis gracilis fragilis mirabilis insignis communis vulgaris similis affinis
dubius rarus obscurus simplex duplex triplex
""",
)


def with_linnaean_names(
    tree: Tree, rng: np.random.Generator, *, species_per_genus: float = 4.0
) -> Tree:
    """Name the tips ``Genus_epithet``, so that a genus is a clade.

    Parameters
    ----------
    tree : Tree
        At least one tip; names of internal nodes are removed.
    rng : numpy.random.Generator
        Source of randomness; the names depend on it and on the tree alone.
    species_per_genus : float
        Mean size of a genus, 1 or more. The tree is cut at one depth, so sizes differ.

    Examples
    --------
    >>> tree = Tree.from_parents([-1, 0, 0, 1, 1], [0, 1, 3, 2, 2], ["", "", "c", "a", "b"])
    >>> names = with_linnaean_names(tree, np.random.default_rng(1), species_per_genus=2).tip_names
    >>> [name.split("_")[0] == names[0].split("_")[0] for name in names]
    [True, True, False]
    """
    if not 1 <= species_per_genus < np.inf:
        raise UsageError(f"species_per_genus must be 1 or more, not {species_per_genus}.")
    genus_of_tip = tree.cut_into(int(np.ceil(tree.n_tips / species_per_genus)))
    names = [""] * tree.n_nodes
    genera = _genera(rng)
    for members in np.split(tree.tips, np.flatnonzero(np.diff(genus_of_tip)) + 1):
        genus, gender = next(genera)
        epithets = _epithets(rng, gender)
        for node in members.tolist():
            names[node] = f"{genus}_{next(epithets)}"
    return tree.with_names(names)


def family_stem(genus: str) -> str:
    """Return what the names of higher taxa are formed from.

    Examples
    --------
    >>> family_stem("Marella"), family_stem("Papilio")
    ('Mar', 'Papilio')
    """
    return _FAMILY_STEM.sub("", genus)


def _genera(rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    """Make genus names with their genders; no two share a stem."""
    used: set[str] = set()
    while True:
        ending, gender = _GENUS_ENDINGS[rng.integers(len(_GENUS_ENDINGS))]
        genus = (_stem(rng) + ending).capitalize()
        if family_stem(genus) not in used:
            used.add(family_stem(genus))
            yield genus, gender


def _epithets(rng: np.random.Generator, gender: int) -> Iterator[str]:
    """Make the epithets of one genus: known adjectives first, then places, never one twice."""
    used: set[str] = set()
    for index in rng.permutation(len(_ADJECTIVES)).tolist():
        adjective = _ADJECTIVES[index]
        ending = next(end for end in _ADJECTIVE_ENDINGS if adjective.endswith(end))
        used.add(adjective.removesuffix(ending) + _ADJECTIVE_ENDINGS[ending][gender])
        yield adjective.removesuffix(ending) + _ADJECTIVE_ENDINGS[ending][gender]
    while True:
        place = _stem(rng) + ("ense" if gender == 2 else "ensis")
        if place not in used:
            used.add(place)
            yield place


def _stem(rng: np.random.Generator) -> str:
    """Make two or three syllables that end in a consonant."""
    syllables = [
        _ONSETS[rng.integers(len(_ONSETS))]
        + _VOWELS[rng.integers(len(_VOWELS))]
        + _CODAS[rng.integers(len(_CODAS))]
        for _ in range(rng.integers(1, 3))
    ]
    return "".join([*syllables, _ONSETS[rng.integers(len(_ONSETS))]])
