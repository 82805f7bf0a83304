"""Square matrices of distances from a tree, from sequences or from vectors, written to a file.

This is what `kinlens distances` calls.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist

from kinlens.atomic import write_text
from kinlens.errors import InputError, UsageError
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.edit_disk import edit_distances_to_disk
from kinlens.geometry.patristic import patristic_distances
from kinlens.io.distances import names_path, write_distances
from kinlens.io.fasta import read_fasta
from kinlens.io.layout import PARTS, find_part
from kinlens.io.newick import read_newick
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.records.distances import DistanceMatrix
from kinlens.records.sequences import GAPS

__all__ = ["VectorMetric", "write_edit_matrix", "write_tree_matrix", "write_vector_matrix"]

VectorMetric = Literal["euclidean", "cosine", "manhattan"]

_SCIPY_NAMES = {"euclidean": "euclidean", "cosine": "cosine", "manhattan": "cityblock"}
_VECTORS_FROM = "`kinlens embed` and `kinlens run` write files of vectors, .h5ad."


def write_tree_matrix(source: str | Path, out: str | Path) -> None:
    """Write the distances along the branches between every two tips.

    Parameters
    ----------
    source : path
        Newick file, or a dataset folder with ``tree.nwk``.
    out : path
        ``.csv``, ``.tsv`` (either with ``.gz``) or ``.npy`` with its names beside it.
    """
    write_distances(patristic_distances(read_newick(_file(source, "tree"))), out)


def write_edit_matrix(
    source: str | Path, out: str | Path, *, resources: Resources | None = None
) -> None:
    """Write the exact edit distances between every two sequences; gaps are removed first.

    Parameters
    ----------
    source : path
        FASTA file, or a dataset folder with ``sequences.fasta`` or ``sequences.fasta.gz``.
    out : path
        As in `write_tree_matrix`. A ``.npy`` is written block by block as uint16 and never held in
        memory.
    resources : Resources, optional
        Where to work.
    """
    resources = resources or Resources()
    records = read_fasta(_file(source, "sequences"))
    bare = [sequence.translate(None, GAPS) for sequence in records.sequences]
    if Path(out).suffix == ".npy":
        write_text(names_path(out), "".join(f"{name}\n" for name in records.ids))
        edit_distances_to_disk(bare, out, resources=resources)
        return
    found = edit_distances(bare, threads=resources.workers)
    write_distances(DistanceMatrix.unchecked(records.ids, found.astype(np.float64)), out)


def write_vector_matrix(
    source: str | Path, out: str | Path, *, metric: VectorMetric = "euclidean"
) -> None:
    """Write the distances between every two vectors.

    Parameters
    ----------
    source : path
        ``.h5ad`` file, as `kinlens embed` writes it, or a run folder that holds one.
    out : path
        As in `write_tree_matrix`.
    metric : {"euclidean", "cosine", "manhattan"}
        How vectors are compared.

    Raises
    ------
    InputError
        When the file cannot be read.
    UsageError
        For an unknown metric.
    """
    if metric not in _SCIPY_NAMES:
        raise UsageError(f"metric must be one of {', '.join(_SCIPY_NAMES)}, not {metric!r}.")
    path = Path(source)
    if path.is_dir():
        path /= "embedding.h5ad"
    if not path.is_file():
        raise InputError("no such file", where=path, remedy=_VECTORS_FROM)
    anndata = need("anndata")
    try:
        container = anndata.read_h5ad(path)
        vectors = np.asarray(container.X, dtype=np.float64)
        found = cdist(vectors, vectors, _SCIPY_NAMES[metric])
    # The last for a file of HDF5 that holds other things.
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("no file of vectors", where=path, remedy=_VECTORS_FROM) from error
    even = np.maximum((found + found.T) / 2, 0.0)
    np.fill_diagonal(even, 0.0)
    write_distances(DistanceMatrix(tuple(map(str, container.obs_names)), even), out)


def _file(source: str | Path, part: str) -> Path:
    """Return `source`, or the file of a part of the dataset when it is a folder."""
    source = Path(source)
    if not source.is_dir():
        return source
    found = find_part(source, part)
    if found is None:
        raise InputError(f"the folder has no {' and no '.join(PARTS[part])}", where=source)
    return found
