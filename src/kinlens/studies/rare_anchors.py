"""What the study `rare` can use as anchors, each looked over before anything is trained."""

from __future__ import annotations

from kinlens.embed.sgt import SequenceGraphTransform
from kinlens.geometry.patristic import patristic_distances
from kinlens.models.anchors import AnchorReport, Anchors, inspect_anchors
from kinlens.records.collection import Collection
from kinlens.records.sequences import SequenceSet
from kinlens.studies.rare_task import RareTask

__all__ = ["anchor_reports", "sequence_anchors"]


def sequence_anchors(sequences: SequenceSet) -> Anchors | None:
    """Return the published anchors: mean sequence graph transforms of dinucleotides, by species.

    None where sequences have no species or are no nucleotides.

    Parameters
    ----------
    sequences : SequenceSet
        With species.
    """
    if sequences.species is None or sequences.alphabet not in ("dna", "rna"):
        return None
    letters = "ATCG" if sequences.alphabet == "dna" else "AUCG"
    named = [bool(name) for name in sequences.species]
    if sum(named) < 2:
        return None
    vectors = SequenceGraphTransform(letters, word_length=2).fit_transform(
        list(sequences.sequences)
    )
    usable = [has and bool(row.any()) for has, row in zip(named, vectors, strict=True)]
    species = [
        str(name) if use else "" for name, use in zip(sequences.species, usable, strict=True)
    ]
    if len(set(species) - {""}) < 2:
        return None
    return Anchors.of_rows(species, vectors, source="SGT")


def anchor_reports(
    collection: Collection, task: RareTask, *, margin: float
) -> dict[str, AnchorReport]:
    """Look over every kind of anchor that the dataset allows.

    Parameters
    ----------
    collection : Collection
        Perhaps with sequences.
    task : RareTask
        With the tree.
    margin : float
        Of the alignment.

    Returns
    -------
    dict of str to AnchorReport
        By what the anchors are made of.
    """
    found = {}
    raw = None if collection.sequences is None else sequence_anchors(collection.sequences)
    if raw is not None:
        found["SGT as published"] = inspect_anchors(raw, margin=margin)
        centred = raw.centred()
        if (abs(centred.vectors).sum(axis=1) > 0).all():
            found["SGT, centred"] = inspect_anchors(centred, margin=margin)
    coordinates = Anchors.of_distances(patristic_distances(task.tree), source="tree")
    found["principal coordinates of the tree"] = inspect_anchors(coordinates, margin=margin)
    return found
