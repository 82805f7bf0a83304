"""Vectors of a dataset's pictures as files for other programs.

This is what `kinlens embed images` calls; how a vector is made is in `kinlens.embed`.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from kinlens.atomic import write_frame
from kinlens.embed.container import checked_file_name, to_anndata, write_vectors
from kinlens.embed.images import embed_collection
from kinlens.io.folder import read_collection
from kinlens.parallel import Resources
from kinlens.records.slots import IMAGE
from kinlens.skipped import SkipList, Skipped

__all__ = ["embed_pictures_to_file"]


def embed_pictures_to_file(
    dataset: str | Path,
    out: str | Path,
    *,
    embedder: str = "descriptors",
    weights: str | Path | None = None,
    resources: Resources | None = None,
    max_bad: float | None = None,
) -> list[Path]:
    """Write the vectors of all pictures of a dataset.

    Finished vectors are kept beside `out` until all are there, so that the same call goes on
    where an interrupted one stopped.

    Parameters
    ----------
    dataset : path
        The dataset folder.
    out : path
        Ends in ``.h5ad``; replaced when it is there.
    embedder : str
        ``descriptors``, ``timm:NAME`` or ``open_clip:NAME``.
    weights : path, optional
        A ``.safetensors`` file, or a folder that holds one, instead of weights from the hub.
    resources : Resources, optional
        Where to compute, and who watches.
    max_bad : float, optional
        Share (below 1) or number of pictures that may be left out; no limit when left out.

    Returns
    -------
    list of path
        The ``.h5ad`` file, the ``.parquet`` table beside it and, when pictures were left out,
        ``.skipped.tsv`` with the reasons.

    Raises
    ------
    InputError
        When the dataset has no pictures.
    TooManySkippedError
        When more than `max_bad` had to be left out.
    UsageError
        When `out` does not end in ``.h5ad``.
    """
    out = checked_file_name(out)
    collection = read_collection(dataset)
    collection.require("specimens", study="embed images")
    assert collection.specimens is not None
    skipped = SkipList(max_bad=max_bad)
    skipped.extend(
        Skipped(problem.file, problem.row, problem.reason)
        for problem in collection.problems
        if problem.level == "skip"
    )
    n_records = collection.specimens.n_images + len(skipped)
    skipped.check(total=n_records)
    resources = resources or Resources()
    kept = out.with_name(f".{out.stem}.vectors")
    vectors = embed_collection(
        collection,
        embedder,
        weights=weights,
        resources=resources if resources.cache else replace(resources, cache=kept),
    )
    skipped.extend(vectors.skipped)
    skipped.check(total=n_records)
    container = to_anndata(
        vectors.values,
        vectors.ids,
        obs=collection.specimens.frame.iloc[vectors.rows],
        features=vectors.features,
        provenance=vectors.provenance,
        kind=IMAGE.name,
    )
    written = [*write_vectors(container, out)]
    if len(skipped):
        resources.progress.note(skipped.summary())
        written.append(out.with_suffix(".skipped.tsv"))
        write_frame(written[-1], skipped.frame())
    shutil.rmtree(kept, ignore_errors=True)
    return written
