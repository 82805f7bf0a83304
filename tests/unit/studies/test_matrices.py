"""Matrices from a tree, from sequences and from vectors hold what their source says."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from kinlens.cli.main import app
from kinlens.embed.container import to_anndata, write_vectors
from kinlens.errors import InputError, UsageError
from kinlens.geometry.edit import edit_distances
from kinlens.io.distances import read_distances
from kinlens.io.fasta import write_fasta
from kinlens.records.sequences import SequenceSet
from kinlens.studies.matrices import write_edit_matrix, write_tree_matrix, write_vector_matrix

READS = SequenceSet(("a", "b", "c"), (b"ACGTACGTAC", b"AC-GTACGTAA", b"ACGTTT"))


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "npy"])
def test_edit_distances_without_gaps(tmp_path, ending):
    write_fasta(READS, tmp_path / "sequences.fasta")
    write_edit_matrix(tmp_path, tmp_path / f"d.{ending}")
    found = read_distances(tmp_path / f"d.{ending}")
    bare = [sequence.replace(b"-", b"") for sequence in READS.sequences]
    assert found.ids == READS.ids
    assert found.values.tolist() == edit_distances(bare).tolist()


def test_distances_in_a_tree_through_the_command(tmp_path):
    (tmp_path / "t.nwk").write_text("((a:1,b:2):1,c:4);")
    out = tmp_path / "d.csv"
    result = CliRunner().invoke(app, ["distances", "tree", str(tmp_path / "t.nwk"), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out)
    assert read_distances(out).select(["a", "b", "c"]).values.tolist() == [
        [0, 3, 6],
        [3, 0, 7],
        [6, 7, 0],
    ]


@pytest.mark.parametrize(("metric", "expected"), [("euclidean", 5.0), ("manhattan", 7.0)])
def test_distances_of_vectors(tmp_path, metric, expected):
    vectors = np.array([[0, 0], [3, 4]], dtype=np.float32)
    write_vectors(to_anndata(vectors, ["x", "y"]), tmp_path / "v.h5ad")
    write_vector_matrix(tmp_path / "v.h5ad", tmp_path / "d.csv", metric=metric)
    assert read_distances(tmp_path / "d.csv").values.tolist() == [[0, expected], [expected, 0]]


# Of a file that AnnData did not write.
@pytest.mark.filterwarnings("ignore:.*without encoding metadata")
def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no tree\.nwk"):
        write_tree_matrix(tmp_path, tmp_path / "d.csv")
    (tmp_path / "v.h5ad").write_text("nothing")
    with pytest.raises(InputError, match="vectors"):
        write_vector_matrix(tmp_path / "v.h5ad", tmp_path / "d.csv")
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["scan"] = [1, 2]
    (tmp_path / "empty.h5ad").write_bytes(b"")
    for name in ("other.h5ad", "empty.h5ad", "missing.h5ad"):
        with pytest.raises(InputError, match=r"no.* file.*kinlens embed"):
            write_vector_matrix(tmp_path / name, tmp_path / "d.csv")
    with pytest.raises(UsageError, match="metric"):
        write_vector_matrix(tmp_path / "v.h5ad", tmp_path / "d.csv", metric="odd")  # type: ignore[arg-type]
