"""Vectors as AnnData, and the files that it is written to."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from kinlens.embed.container import to_anndata, write_vectors
from kinlens.embed.encoders import open_encoder
from kinlens.errors import InputError, UsageError

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)
IDS = ["images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg"]


@pytest.fixture
def obs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image": IDS,
            "species": ["Papilio_machaon", "Papilio_machaon", None, "Apollo"],
            "year": [1901, 1950, 2001, 2020],
            "length": [3.5, np.nan, 4.0, 1.0],
            "type": [True, False, True, False],
            "mixed": ["x", 3, None, "y"],
        },
        index=[7, 3, 9, 1],
    )


@pytest.fixture
def container(obs: pd.DataFrame) -> anndata.AnnData:
    provenance = {
        "encoder": "descriptors",
        "pictures": 4,
        "nothing": None,
        "where": Path("a/b"),
        "steps": ["read", "encode"],
        "inner": {"deep": 1.5, "none": None},
    }
    return to_anndata(VALUES, IDS, obs=obs, provenance=provenance)


def test_rows_columns_and_slots(container: anndata.AnnData) -> None:
    np.testing.assert_array_equal(container.X, VALUES)
    assert container.X.dtype == np.float32
    assert container.obs_names.tolist() == IDS
    assert container.obs_names.name == "image"
    assert "image" not in container.obs
    assert container.var_names.tolist() == ["feature[0]", "feature[1]", "feature[2]"]
    assert container.obs["species"].cat.categories.tolist() == ["Apollo", "Papilio_machaon"]
    assert container.obs["species"].isna().tolist() == [False, False, True, False]
    assert container.obs["mixed"].tolist()[:2] == ["x", "3"]
    assert container.obs["year"].tolist() == [1901, 1950, 2001, 2020]


def test_files_give_everything_back(container: anndata.AnnData, tmp_path: Path) -> None:
    h5ad, parquet = write_vectors(container, tmp_path / "out" / "vectors.h5ad")
    again = anndata.read_h5ad(h5ad)
    np.testing.assert_array_equal(again.X, VALUES)
    pd.testing.assert_frame_equal(again.obs, container.obs)
    pd.testing.assert_frame_equal(again.var, container.var)
    kept = again.uns["kinlens"]
    assert kept["encoder"] == "descriptors"
    assert kept["pictures"] == 4
    assert list(kept["steps"]) == ["read", "encode"]
    assert kept["inner"] == {"deep": 1.5}
    assert "nothing" not in kept
    table = pd.read_parquet(parquet)
    assert table.columns.tolist()[:2] == ["image", "species"]
    assert table["image"].tolist() == IDS
    np.testing.assert_array_equal(table[["feature[0]", "feature[1]", "feature[2]"]], VALUES)
    assert sorted(file.name for file in h5ad.parent.iterdir()) == [
        "vectors.h5ad",
        "vectors.parquet",
    ]


def test_same_vectors_give_the_same_bytes(container: anndata.AnnData, tmp_path: Path) -> None:
    first = write_vectors(container, tmp_path / "1" / "v.h5ad")
    second = write_vectors(container, tmp_path / "2" / "v.h5ad")
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_features_say_what_they_measure(tmp_path: Path) -> None:
    encoder = open_encoder("descriptors")
    values = np.zeros((2, encoder.n_features), np.float32)
    container = to_anndata(values, ["a", "b"], features=encoder.features())
    h5ad, _ = write_vectors(container, tmp_path / "v.h5ad")
    var = anndata.read_h5ad(h5ad).var
    assert var.loc["moments[0]", "block"] == "moments"
    assert var["block"].nunique() == len(encoder.blocks)


def test_sequences_have_an_index_of_their_own() -> None:
    container = to_anndata(
        VALUES, [*"abcd"], obs=pd.DataFrame({"image": [1, 2, 3, 4]}), kind="sequence"
    )
    assert container.obs_names.name == "sequence"
    assert "image" in container.obs


def test_inputs_are_left_as_they_were(obs: pd.DataFrame) -> None:
    before = obs.copy(deep=True)
    values = VALUES.copy()
    container = to_anndata(values, IDS, obs=obs)
    container.obs["species"] = "changed"
    pd.testing.assert_frame_equal(obs, before)


def test_repeated_names_are_refused() -> None:
    with pytest.raises(InputError, match=r"same image occurs more than once: a"):
        to_anndata(VALUES, ["a", "a", "b", "c"])


@pytest.mark.parametrize("n_rows", [3, 5])
def test_what_does_not_belong_together_is_refused(n_rows: int) -> None:
    with pytest.raises(UsageError, match="do not belong together"):
        to_anndata(VALUES, IDS, obs=pd.DataFrame({"x": range(n_rows)}))


def test_other_suffixes_are_refused(container: anndata.AnnData, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.h5ad"):
        write_vectors(container, tmp_path / "vectors.csv")
