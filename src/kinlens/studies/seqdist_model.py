"""The part of a `seqdist` run that answers later: reference sequences, their points, a network.

Arrays and plain configuration only; what is read back can run no code.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kinlens.errors import InputError, UsageError
from kinlens.geometry.packing import pack_sequences
from kinlens.geometry.retrieval import Metric, VectorIndex, rerank
from kinlens.io.fasta import read_fasta
from kinlens.io.results import read_model
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.records.sequences import GAPS, SequenceSet, guess_alphabet
from kinlens.run import read_finished_run
from kinlens.typing import AnyArray, Float32Array

if TYPE_CHECKING:
    from kinlens.embed.neural import NeuralDistanceEmbedder

__all__ = [
    "METRIC_OF",
    "Shortlister",
    "model_record",
    "packed_network",
    "search",
    "unpacked_network",
    "words_shortlister",
]

METRIC_OF: dict[str, Metric] = {
    "hyperbolic": "euclidean",
    "euclidean": "euclidean",
    "squared": "euclidean",
    "cosine": "cosine",
    "manhattan": "manhattan",
    "poincare": "poincare",
}
"""What orders the points of each geometry as its own distance does."""

_NETWORK = "network."
SHORTLIST = 100
# How words as the makers of shortlists are called, as in ``metrics.csv``.
_WORDS = "mer-cosine"


@dataclass(frozen=True, eq=False)
class Shortlister:
    """Vectors by which a shortlist is made.

    Parameters
    ----------
    name : str
        A network, or words such as ``5mer-cosine``; as in ``metrics.csv``.
    metric : str
        How vectors are compared.
    embed : callable
        Sequences to vectors, float32.
    """

    name: str
    metric: Metric
    embed: Callable[[Sequence[bytes]], Float32Array]


def words_shortlister(k: int, letters: str) -> Shortlister:
    """Return the shortlister that counts words.

    Parameters
    ----------
    k : int
        Letters in a word.
    letters : str
        The alphabet.
    """
    from kinlens.embed.kmer import KmerCounts

    counts = KmerCounts(k, letters=letters).fit([letters])

    def embed(texts: Sequence[bytes]) -> Float32Array:
        return np.asarray(counts.transform(texts), dtype=np.float32)

    return Shortlister(f"{k}{_WORDS}", "cosine", embed)


def packed_network(model: NeuralDistanceEmbedder) -> dict[str, Any]:
    """Return a trained embedder as ``{"config": plain mapping, "arrays": mapping of arrays}``."""
    load_file = need("safetensors.numpy").load_file
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        return {"config": config, "arrays": load_file(Path(folder) / "model.safetensors")}


def unpacked_network(
    config: Mapping[str, Any], arrays: Mapping[str, AnyArray], *, device: str = "auto"
) -> NeuralDistanceEmbedder:
    """Return the embedder that `packed_network` took apart.

    Parameters
    ----------
    config, arrays : mapping
        From `packed_network`.
    device : str
        Where it computes.
    """
    from kinlens.embed.neural import NeuralDistanceEmbedder

    save_file = need("safetensors.numpy").save_file
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, Path(folder) / "model.safetensors")
        return NeuralDistanceEmbedder.load(folder, device=device)


def model_record(
    network: Mapping[str, Any],
    references: SequenceSet,
    points: Float32Array,
    *,
    shortlist_by: str,
    word_letters: str,
) -> dict[str, Any]:
    """Put together what `search` needs, as `StudyResult.model` holds it.

    Parameters
    ----------
    network : mapping
        From `packed_network`.
    references : SequenceSet
        What is searched.
    points : array of shape (n, d)
        Their vectors.
    shortlist_by : str
        Name of the `Shortlister`.
    word_letters : str
        The alphabet of words.
    """
    letters = np.frombuffer(b"".join(references.sequences), dtype=np.uint8)
    return {
        "config": {
            "network": network["config"],
            "shortlist_by": shortlist_by,
            "word_letters": word_letters,
            "ids": list(references.ids),
            "species": list(references.species),
        },
        "arrays": {
            **{_NETWORK + name: array for name, array in network["arrays"].items()},
            "points": points,
            "letters": letters,
            "lengths": references.lengths,
        },
    }


def _in_letters_of(
    references: Sequence[bytes], asked: SequenceSet, *, where: str | Path
) -> list[bytes]:
    """Return the texts asked for without gaps, U for T or T for U as the references have it."""
    texts = [sequence.translate(None, GAPS) for sequence in asked.sequences]
    theirs, ours = guess_alphabet(references), asked.alphabet
    swaps = {("rna", "dna"): (b"U", b"T"), ("dna", "rna"): (b"T", b"U")}
    if ours != theirs and (ours, theirs) not in swaps:
        raise InputError(
            f"the run is of {theirs} sequences, these are {ours}; letters of two kinds have no "
            "edit distance that says anything",
            where=where,
        )
    if ours == theirs:
        return texts
    old, new = swaps[ours, theirs]
    return [text.replace(old, new) for text in texts]


def search(
    run: str | Path,
    queries: str | Path,
    *,
    count: int = 10,
    shortlist: int = SHORTLIST,
    resources: Resources | None = None,
) -> pd.DataFrame:
    """Find the sequences of a finished run that are nearest to new ones.

    A shortlist is made by vectors, of the network or of words, whichever found more in validation;
    its distances are then computed exactly.

    Parameters
    ----------
    run : path
        Folder of a finished run of `seqdist`.
    queries : path
        FASTA file. Gaps are removed.
    count : int
        Answers for each query, 1 or more.
    shortlist : int
        How many are compared exactly; never fewer than `count`.
    resources : Resources, optional
        Where to work.

    Returns
    -------
    pandas.DataFrame
        Columns ``query``, ``rank`` (from 1), ``reference``, ``edit_distance`` and ``species``
        ("" where unknown); one row an answer, queries in the order of the file.

    Raises
    ------
    UsageError
        When the run is of another study or `count` is out of range.
    InputError
        When files cannot be read, or are of another kind of letters than the run.
    """
    resources = resources or Resources()
    if count < 1:
        raise UsageError(f"count must be 1 or more, not {count}.")
    study = read_finished_run(run)["study"]
    if study != "seqdist":
        raise UsageError(f"{run}: sequences are searched in a run of 'seqdist', not of {study!r}.")
    config, arrays = read_model(run)
    asked = read_fasta(queries)
    references = _texts(arrays)
    texts = _in_letters_of(references, asked, where=queries)
    name = config["shortlist_by"]
    if name.endswith(_WORDS):
        by = words_shortlister(int(name.removesuffix(_WORDS)), config["word_letters"])
        points = by.embed(references)
    else:
        model = unpacked_network(
            config["network"],
            {k.removeprefix(_NETWORK): v for k, v in arrays.items() if k.startswith(_NETWORK)},
            device=resources.device,
        )
        by = Shortlister(name, METRIC_OF[model.geometry], model.transform)
        points = arrays["points"]
    listed = VectorIndex(points, by.metric).nearest(by.embed(texts), max(shortlist, count)).rows
    hits = rerank(
        pack_sequences(texts),
        pack_sequences(references),
        listed,
        count=count,
        threads=resources.workers,
    )
    flat = hits.rows.ravel()
    found = hits.rows.shape[1]
    return pd.DataFrame(
        {
            "query": np.repeat(np.array(asked.ids, dtype=object), found),
            "rank": np.tile(np.arange(1, found + 1), len(asked)),
            "reference": [config["ids"][row] for row in flat],
            "edit_distance": hits.distances.ravel(),
            "species": [config["species"][row] or "" for row in flat],
        }
    )


def _texts(arrays: Mapping[str, AnyArray]) -> list[bytes]:
    stops = np.cumsum(arrays["lengths"])
    letters = arrays["letters"].tobytes()
    return [
        letters[stop - length : stop] for stop, length in zip(stops, arrays["lengths"], strict=True)
    ]
