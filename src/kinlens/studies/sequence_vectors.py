"""Vectors of a dataset's sequences as files for other programs.

This is what `kinlens embed sequences` calls; how a vector is made is in `kinlens.embed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from kinlens import __version__
from kinlens.embed.container import checked_file_name, to_anndata, write_vectors
from kinlens.embed.kmer import KmerCounts
from kinlens.embed.sgt import SequenceGraphTransform
from kinlens.errors import InputError, UsageError
from kinlens.io.folder import read_collection
from kinlens.progress import SILENT, Progress
from kinlens.records.sequences import SequenceSet
from kinlens.records.slots import SEQUENCE
from kinlens.typing import Float32Array, FloatArray, ObjectArray

__all__ = ["embed_sequences_to_file"]

_LETTERS = {"dna": "ACGT", "rna": "ACGU", "protein": "ACDEFGHIKLMNPQRSTVWY"}
# Rows made at a time in double precision, of which single precision is kept.
_BLOCK = 4096


def embed_sequences_to_file(
    dataset: str | Path,
    out: str | Path,
    *,
    embedder: str = "kmer:5",
    progress: Progress = SILENT,
) -> list[Path]:
    """Write the vectors of all sequences of a dataset.

    Parameters
    ----------
    dataset : path
        The dataset folder.
    out : path
        Ends in ``.h5ad``; replaced when it is there.
    embedder : str
        ``kmer:K`` for counts of words of K letters, each row of length 1; ``sgt`` for the sequence
        graph transform, of pairs of nucleotides or of single amino acids.
    progress : Progress
        Who watches.

    Returns
    -------
    list of path
        The ``.h5ad`` file and the ``.parquet`` table beside it.

    Raises
    ------
    InputError
        When the dataset has no sequences, or their letters are of no known alphabet.
    UsageError
        When `out` does not end in ``.h5ad`` or the embedder is unknown.
    """
    out = checked_file_name(out)
    words = _parsed(embedder)
    collection = read_collection(dataset)
    collection.require("sequences", study="embed sequences")
    assert collection.sequences is not None
    sequences = collection.sequences
    if sequences.alphabet not in _LETTERS:
        raise InputError(
            "the sequences are neither nucleotides nor proteins, so they have no known words",
            where=collection.folder,
        )
    encoder = _opened(words, sequences)
    values = _encoded(encoder, sequences, progress)
    n_blank = int((~values.any(axis=1)).sum())
    if n_blank:
        progress.note(f"{n_blank:,} sequences are too short or too unclear: all zeros.")
    obs = pd.DataFrame({"species": sequences.species, "length": sequences.lengths})
    container = to_anndata(
        values,
        sequences.ids,
        obs=obs,
        features=pd.DataFrame(index=encoder.get_feature_names_out()),
        provenance={
            "encoder": embedder,
            "alphabet": sequences.alphabet,
            "version": __version__,
            "sequences": len(sequences),
        },
        kind=SEQUENCE.name,
    )
    return [*write_vectors(container, out)]


class _SequenceEncoder(Protocol):
    def fit(self, X: list[bytes]) -> _SequenceEncoder: ...

    def transform(self, X: list[bytes]) -> FloatArray: ...

    def get_feature_names_out(self) -> ObjectArray: ...


def _parsed(embedder: str) -> int | None:
    """Return K of ``kmer:K``, or None for ``sgt``."""
    name, _colon, k = embedder.partition(":")
    if name == "kmer" and k.isdecimal():
        return int(k)
    if embedder == "sgt":
        return None
    raise UsageError(f"unknown embedder {embedder!r}; it is kmer:K, such as kmer:5, or sgt.")


def _opened(k: int | None, sequences: SequenceSet) -> _SequenceEncoder:
    letters = _LETTERS[sequences.alphabet]
    encoder: _SequenceEncoder
    if k is not None:
        encoder = KmerCounts(k=k, letters=letters)
    else:
        is_protein = sequences.alphabet == "protein"
        encoder = SequenceGraphTransform(letters, word_length=1 if is_protein else 2)
    return encoder.fit(list(sequences.sequences))


def _encoded(encoder: _SequenceEncoder, sequences: SequenceSet, progress: Progress) -> Float32Array:
    n_features = len(encoder.get_feature_names_out())
    values = np.empty((len(sequences), n_features), dtype=np.float32)
    with progress.task("Encoding", len(sequences), unit="sequence") as task:
        for start in range(0, len(sequences), _BLOCK):
            block = list(sequences.sequences[start : start + _BLOCK])
            values[start : start + len(block)] = encoder.transform(block)
            task.advance(len(block))
    return values
