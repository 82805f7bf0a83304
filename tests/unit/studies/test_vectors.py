from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.errors import InputError, TooManySkippedError, UsageError
from kinlens.studies.picture_vectors import embed_pictures_to_file
from kinlens.studies.sequence_vectors import embed_sequences_to_file


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(
            folder / f"{name}.png"
        )
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "metadata.csv").write_text(
        "image,species,sex\na.png,Ino ino,f\ntorn.png,Ino ino,f\nb.png,Ino statices,\n"
    )
    (folder / "sequences.fasta").write_text(">s1\nACGTACGT\n>s2\nAAAA\n>s3\nNN\n")
    (folder / "sequences.csv").write_text("id,species\ns1,Ino ino\ns2,\ns3,\n")
    return folder


def test_pictures(dataset: Path, tmp_path: Path) -> None:
    written = embed_pictures_to_file(dataset, tmp_path / "out" / "v.h5ad")
    assert [path.name for path in written] == ["v.h5ad", "v.parquet", "v.skipped.tsv"]
    vectors = anndata.read_h5ad(written[0])
    assert vectors.obs_names.tolist() == ["a.png", "b.png"]
    assert vectors.obs["species"].tolist() == ["Ino_ino", "Ino_statices"]
    assert vectors.uns["kinlens"]["encoder"] == "descriptors"
    assert not np.array_equal(vectors.X[0], vectors.X[1])
    table = pd.read_parquet(written[1])
    assert np.array_equal(table[vectors.var_names].to_numpy(), vectors.X)
    assert pd.read_csv(written[2], sep="\t")["file"].tolist() == ["torn.png"]
    # Nothing but the three files stays.
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_too_many_bad_pictures_leave_no_file(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TooManySkippedError, match=r"torn\.png"):
        embed_pictures_to_file(dataset, tmp_path / "v.h5ad", max_bad=0.2)
    assert not (tmp_path / "v.h5ad").exists()


def test_sequences_as_words(dataset: Path, tmp_path: Path) -> None:
    written = embed_sequences_to_file(dataset, tmp_path / "s.h5ad", embedder="kmer:2")
    vectors = anndata.read_h5ad(written[0])
    assert vectors.shape == (3, 16)
    assert vectors.var_names[:2].tolist() == ["AA", "AC"]
    assert vectors.obs["length"].tolist() == [8, 4, 2]
    found = pd.DataFrame(vectors.X, vectors.obs_names, vectors.var_names)
    # ACGTACGT has AC, CG and GT twice and TA once: divided by the root of 13.
    expected = {"AC": 2, "CG": 2, "GT": 2, "TA": 1}
    assert found.loc["s1"][found.loc["s1"] > 0].to_dict() == pytest.approx(
        {word: n / 13**0.5 for word, n in expected.items()}
    )
    assert found.loc["s2", "AA"] == 1.0
    assert not found.loc["s3"].any()


def test_sequences_as_graphs(dataset: Path, tmp_path: Path) -> None:
    written = embed_sequences_to_file(dataset, tmp_path / "s.h5ad", embedder="sgt")
    vectors = anndata.read_h5ad(written[0])
    assert vectors.n_vars == 256
    assert vectors.var_names[0] == "AA>AA"
    # In AAAA the word AA stands at 1, 2 and 3.
    e = np.exp(-1.0)
    assert vectors["s2", "AA>AA"].X.item() == pytest.approx((2 * e + e**2) / 3, rel=1e-5)


@pytest.mark.parametrize(
    ("embedder", "out", "words"),
    [
        ("kmer:5", "s.csv", r"ends in \.h5ad"),
        ("kmer", "s.h5ad", "kmer:K"),
        ("word2vec", "s.h5ad", "unknown embedder 'word2vec'"),
        ("kmer:99", "s.h5ad", "from 1 to"),
    ],
)
def test_wrong_use(dataset: Path, tmp_path: Path, embedder: str, out: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        embed_sequences_to_file(dataset, tmp_path / out, embedder=embedder)
    if out == "s.csv":
        with pytest.raises(UsageError, match=words):
            embed_pictures_to_file(dataset, tmp_path / out)


def test_missing_parts(tmp_path: Path) -> None:
    (tmp_path / "tree.nwk").write_text("(a:1,b:1);")
    with pytest.raises(InputError, match=r"needs metadata\.csv"):
        embed_pictures_to_file(tmp_path, tmp_path / "v.h5ad")
    with pytest.raises(InputError, match=r"needs sequences\.fasta"):
        embed_sequences_to_file(tmp_path, tmp_path / "v.h5ad")
