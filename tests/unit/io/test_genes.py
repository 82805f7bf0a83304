from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinlens.errors import InputError, UsageError
from kinlens.io.genes import read_genes, read_traits, write_genes


def table(tmp_path: Path, text: str | bytes, name: str = "genes.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("genes.csv", "species,g1,g2,g3\nAus bus,1,0,\nb,0,1,1\n"),
        ("genes.csv", "species,g1,g2,g3\r\nAus bus,1,0,-\r\nb,0,1,1\r\n"),
        ("genes.csv", '"species","g1","g2","g3"\n"Aus bus","1","0","NA"\n"b","0","1","1"\n'),
        ("genes.csv", "\ufeffspecies;g1;g2;g3\nAus_bus;1.0;0.0;?\nb; 0;1 ;TRUE\n"),
        ("genes.tsv", "species\tg1\tg2\tg3\nAus bus\t1\tFALSE\tnan\nb\t0\t1\t1\n"),
        ("genes.csv.gz", gzip.compress(b"species,g1,g2,g3\nAus bus,1,0,.\nb,0,1,1\n")),
    ],
)
def test_spellings_of_one_table(tmp_path: Path, name: str, text: str | bytes) -> None:
    genes = read_genes(table(tmp_path, text, name))
    assert genes.index.tolist() == ["Aus_bus", "b"]
    assert genes.index.name == "species"
    assert genes.columns.tolist() == ["g1", "g2", "g3"]
    assert (genes.dtypes == np.float32).all()
    np.testing.assert_array_equal(genes, [[1, 0, np.nan], [0, 1, 1]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("species\na\n", "no column of genes"),
        ("Moths\nspecies,g1\na,1\n", "no column of genes.*delete titles"),
        ("Moths,,\nspecies,g1,g2\na,1,0\n", "genes without a name.*delete titles"),
        ("Moths, 2019\nspecies,g1,g2\na,1,0\n", "2 cells beside its name, not 1.*delete titles"),
        ("species,g1\n", "no row below the header"),
        ("species,g1,g2\na,1,2\n", r"row 'a', column 'g2' holds '2' instead of 0 or 1.*copies"),
        ("species,g1,g2\na,1,12\n", "row 'a', column 'g2' holds '12'"),
        ("species,g1,g2\na,x,1\n", "row 'a', column 'g1' holds 'x'"),
        ("species,g1,g2\na,1,0.5\n", "row 'a', column 'g2' holds '0.5'"),
        ("species,g1,g2\na,1,-1\n", "row 'a', column 'g2' holds '-1'"),
        ("species,g1,g2\na,1,0\nb,1\n", r"row 'b' \(line 3\) has 1 cells beside its name, not 2"),
        ("species,g1,g2\na,1,0\nb,1,0,1\n", "has 3 cells beside its name, not 2"),
        ("species,g1,\na,1,0\n", "genes without a name: column 3"),
        ("species,g1\na,1\n,0\n", "rows without a name: line 3"),
        ("species,g1\nA a,1\nb,0\nA_a,0\n", "names that occur in several rows: A_a"),
    ],
)
def test_faults_name_the_cell(tmp_path: Path, text: str, words: str) -> None:
    file = table(tmp_path, text)
    with pytest.raises(InputError, match=words) as raised:
        read_genes(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_genes_of_one_name_are_kept_apart_and_said(tmp_path: Path) -> None:
    text = "species,g,h,g,g,h,g#2\na,1,0,0,1,0,0\nb,1,0,0,1,0,1\n"
    genes = read_genes(table(tmp_path, text))
    assert genes.columns.tolist() == ["g", "h", "g#3", "g#2"]
    assert genes["g#3"].tolist() == [0, 0]
    assert genes["g#2"].tolist() == [0, 1]
    renamed, dropped = genes.attrs["notes"]
    assert "1 genes" in renamed
    assert "g#3" in renamed
    assert dropped.startswith("2 columns repeat")


def test_missing_cells_of_equal_columns_do_not_hide_that_they_are_equal(tmp_path: Path) -> None:
    genes = read_genes(table(tmp_path, "species,g,g\na,,\nb,1,1\n"))
    assert genes.columns.tolist() == ["g"]


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)
@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["g.csv", "g.csv.gz", "g.parquet"]),
)
def test_round_trip(tmp_path: Path, rows: list[list[float]], name: str) -> None:
    frame = pd.DataFrame(
        np.array(rows, dtype=np.float32),
        index=pd.Index([f's"{i},x' for i in range(len(rows))], name="sample"),
        columns=["a,b", 'c"d', "e"],
    )
    write_genes(frame, tmp_path / name)
    again = read_genes(tmp_path / name)
    pd.testing.assert_frame_equal(again, frame, check_index_type=False, check_column_type=False)
    content = (tmp_path / name).read_bytes()
    write_genes(frame, tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


def test_what_cannot_be_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"g": [0, 2]}, index=["a", "b"])
    with pytest.raises(UsageError, match="0, 1 and missing"):
        write_genes(frame, tmp_path / "g.csv")
    with pytest.raises(UsageError, match=r"\.csv, \.csv\.gz or \.parquet"):
        write_genes(frame // 2, tmp_path / "g.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_parquet_variants(tmp_path: Path) -> None:
    file = tmp_path / "g.parquet"
    frame = pd.DataFrame({"g1": [True, False], "g2": pd.array([1, None], dtype="Int8")})
    frame.insert(0, "sample", ["A b", "c"])
    frame.to_parquet(file)
    np.testing.assert_array_equal(read_genes(file), [[1, 1], [0, np.nan]])
    frame.set_index("sample").to_parquet(file)
    assert read_genes(file).index.tolist() == ["A_b", "c"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"g": [1, 0]}), "no column of names"),
        (pd.DataFrame({"s": ["a", "b"]}), "no column of genes"),
        (pd.DataFrame({"s": ["a", "b"], "g": [0, 3]}), "row 'b', column 'g' holds '3'"),
        (
            pd.DataFrame({"s": ["a", "b"], "g": ["0", "1"]}),
            "column 'g' holds .* instead of 0 and 1",
        ),
        (pd.DataFrame({"s": ["a", "a"], "g": [0, 1]}), "several rows: a"),
    ],
)
def test_parquet_faults(tmp_path: Path, frame: pd.DataFrame, words: str) -> None:
    file = tmp_path / "g.parquet"
    frame.to_parquet(file, index=False)
    with pytest.raises(InputError, match=words):
        read_genes(file)


def test_other_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_genes(tmp_path / "g.parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        read_genes(table(tmp_path, "a,b\n1,2\n", "g.parquet"))
    with pytest.raises(InputError, match="no such file"):
        read_genes(tmp_path / "g.csv")


def test_wide_tables_are_read_as_pandas_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.integers(0, 2, (60, 17_060)).astype(np.float32),
        index=pd.Index([f"species_{i}" for i in range(60)], name="species"),
        columns=[f"gene_{i}" for i in range(17_060)],
    )
    file = tmp_path / "g.csv"
    write_genes(frame, file)
    np.testing.assert_array_equal(read_genes(file), pd.read_csv(file, index_col=0))


# --- traits


def test_traits_are_numbers_or_words(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        "sample,mass,diet,bogus\nA a,1.5,seeds,\nb, -2e1 ,NA,-\nc,?,fruit,.\n",
        "traits.csv",
    )
    traits = read_traits(file)
    assert traits.index.tolist() == ["A_a", "b", "c"]
    assert traits.index.name == "sample"
    np.testing.assert_array_equal(traits["mass"], [1.5, -20, np.nan])
    assert traits["diet"].tolist() == ["seeds", None, "fruit"]
    assert traits["bogus"].dtype == np.float64
    assert traits["bogus"].isna().all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("sample\na\n", "no column of traits"),
        ("a,1,1\nb,2,3\n", "appear twice: 1.*write such a row"),
        ("sample,x\na,1\na,2\n", "several rows: a"),
        ("sample,x\na,1\n,2\n", "rows without a name: line 3"),
        ("sample,x\na,1\nb,2\nc,3 mm\n", r"'x' holds numbers and some words: '3 mm' in row 'c'"),
        ("sample,x\na,1\nb\n", "row 3"),
    ],
)
def test_trait_faults(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_traits(table(tmp_path, text, "traits.csv"))


@pytest.mark.shared
def test_real_pangenome(shared_data: Path) -> None:
    folder = shared_data / "pangenome"
    genes = read_genes(folder / "genes.csv.gz")
    traits = read_traits(folder / "traits.csv")
    assert genes.shape == (100, 9001)
    assert genes.attrs["notes"] == ()
    assert set(traits.index) == set(genes.index)
    assert traits["Tetracycline_resistance"].isna().sum() == 0
    assert traits["Bogus_trait"].isna().sum() == 3
    oracle = pd.read_csv(folder / "genes.csv.gz", index_col=0)
    np.testing.assert_array_equal(genes, oracle)
