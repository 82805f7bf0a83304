"""Labels that several may hold for one picture, and the groups that they belong to.

The 28 places of the Human Protein Atlas with their three regions are here as data; a dataset may
bring others in ``dataset.toml``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kinlens.errors import InputError, UsageError, did_you_mean
from kinlens.typing import BoolArray, IntArray

__all__ = ["HPA_GROUPS", "HPA_LABELS", "LabelTree"]

HPA_LABELS = (
    "nucleoplasm",
    "nuclear membrane",
    "nucleoli",
    "nucleoli fibrillar center",
    "nuclear speckles",
    "nuclear bodies",
    "endoplasmic reticulum",
    "golgi apparatus",
    "peroxisomes",
    "endosomes",
    "lysosomes",
    "intermediate filaments",
    "actin filaments",
    "focal adhesion sites",
    "microtubules",
    "microtubule ends",
    "cytokinetic bridge",
    "mitotic spindle",
    "microtubule organizing center",
    "centrosome",
    "lipid droplets",
    "plasma membrane",
    "cell junctions",
    "mitochondria",
    "aggresome",
    "cytosol",
    "cytoplasmic bodies",
    "rods & rings",
)
"""The 28 places, in the order of the numbers of the Kaggle competition of 2018."""

HPA_GROUPS: Mapping[str, tuple[str, ...]] = {
    "nucleus": HPA_LABELS[0:6],
    "cytoplasm": (*HPA_LABELS[11:20], *HPA_LABELS[23:28]),
    "secretory": (*HPA_LABELS[6:11], *HPA_LABELS[20:23]),
}
"""The three regions of the Cell Atlas to which the places belong (Thul et al. 2017)."""


@dataclass(frozen=True)
class LabelTree:
    """Labels in order, each in one group.

    Parameters
    ----------
    groups : tuple of (str, tuple of str)
        Name and labels of each group; the labels' order is that of the groups, one after another.

    Raises
    ------
    InputError
        When a group is empty or a label stands in two of them.

    Examples
    --------
    >>> tree = LabelTree.of({"nucleus": ["nucleoli"], "cytoplasm": ["cytosol", "mitochondria"]})
    >>> tree.labels, tree.group_of.tolist()
    (('nucleoli', 'cytosol', 'mitochondria'), [0, 1, 1])
    >>> tree.indicator([("cytosol",), ("nucleoli", "mitochondria")]).astype(int).tolist()
    [[0, 1, 0], [1, 0, 1]]
    """

    groups: tuple[tuple[str, tuple[str, ...]], ...]

    def __post_init__(self) -> None:
        empty = [name for name, labels in self.groups if not labels]
        if empty or not self.groups:
            raise InputError("groups without labels", where="labels", offenders=empty)
        every = [label for _name, labels in self.groups for label in labels]
        repeated = sorted({label for label in every if every.count(label) > 1})
        if repeated:
            raise InputError("labels in more than one place", where="labels", offenders=repeated)

    @classmethod
    def of(cls, groups: Mapping[str, Iterable[str]]) -> LabelTree:
        """Build the tree of ``{group: [label, ...]}``, as ``dataset.toml`` has it."""
        return cls(tuple((str(name), tuple(map(str, labels))) for name, labels in groups.items()))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, group after group."""
        return tuple(label for _name, labels in self.groups for label in labels)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(name for name, _labels in self.groups)

    @property
    def group_of(self) -> IntArray:
        """Number of each label's group, shape (n_labels,)."""
        sizes = [len(labels) for _name, labels in self.groups]
        return np.repeat(np.arange(len(sizes)), sizes)

    def members(self, group: int) -> IntArray:
        """Return the numbers of the labels of group number `group`."""
        return np.flatnonzero(self.group_of == group)

    def only(self, labels: Iterable[str]) -> LabelTree:
        """Return the tree of the given labels; groups that lose all theirs are left out."""
        kept = set(labels)
        parts = ((name, tuple(x for x in members if x in kept)) for name, members in self.groups)
        return LabelTree(tuple((name, members) for name, members in parts if members))

    def indicator(self, label_sets: Sequence[Iterable[str]]) -> BoolArray:
        """Tell which labels each set holds; labels that are not in the tree are passed over.

        Returns
        -------
        array of bool, shape (n_sets, n_labels)
            True where the set holds the label.
        """
        place = {label: number for number, label in enumerate(self.labels)}
        held = np.zeros((len(label_sets), len(place)), dtype=bool)
        for row, labels in enumerate(label_sets):
            held[row, [place[label] for label in labels if label in place]] = True
        return held

    def to_groups(self, held: BoolArray) -> BoolArray:
        """Lift labels to groups: a group is held when one of its labels is.

        Parameters
        ----------
        held : array of bool, shape (n, n_labels)
            Which labels hold.

        Returns
        -------
        array of bool, shape (n, n_groups)
            Which groups hold.
        """
        if held.ndim != 2 or held.shape[1] != len(self.labels):
            raise UsageError(f"{len(self.labels)} labels are wanted, not shape {held.shape}.")
        return np.stack(
            [held[:, self.members(group)].any(axis=1) for group in range(len(self.groups))], axis=1
        )

    def refuse_unknown(self, label_sets: Sequence[Iterable[str]], *, where: str) -> None:
        """Refuse label sets that hold a label which is not in the tree.

        Parameters
        ----------
        label_sets : sequence of iterable of str
            Labels of each picture.
        where : str
            File that they come from, for the message.

        Raises
        ------
        InputError
            Naming the unknown labels, how often each occurs, and the nearest known one.
        """
        known = set(self.labels)
        counts: dict[str, int] = {}
        for labels in label_sets:
            for label in labels:
                if label not in known:
                    counts[label] = counts.get(label, 0) + 1
        if counts:
            first = min(counts, key=lambda label: (-counts[label], label))
            raise InputError(
                "labels that are in no group",
                where=where,
                offenders=[f"{label!r} ({n} pictures)" for label, n in sorted(counts.items())],
                remedy=f"{did_you_mean(first, self.labels)} Or list every label under [labels] in "
                "dataset.toml.",
            )
