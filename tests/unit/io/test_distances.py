from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinlens.errors import InputError, UsageError
from kinlens.io.distances import names_path, read_distances, write_distances
from kinlens.records.distances import DistanceMatrix


def table(tmp_path: Path, text: str | bytes, name: str = "d.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.csv", ",a_a,b\na_a,0,1.5\nb,1.5,0\n"),
        ("d.csv", "taxon,a a,b\r\na a,0,1.5\r\nb,1.5,0\r\n\r\n"),
        ("d.csv", '"","a a","b"\n"a a",0,1.5\n"b",1.5,0'),
        ("d.csv", "\ufeff;a a;b\na a;0;1.5\nb;1.5;0\n"),
        ("d.tsv", "x\t a_a \tb\n a_a\t0.0\t15e-1\nb\t 1.5\t0\n"),
        ("d.csv.gz", gzip.compress(b",a_a,b\na_a,0,1.5\nb,1.5,0\n")),
        ("d.csv", ",a_a,b\na_a,0,1.5\nb,1.5,0\n".encode("utf-16")),
    ],
)
def test_spellings_of_one_matrix(tmp_path: Path, name: str, text: str | bytes) -> None:
    matrix = read_distances(table(tmp_path, text, name))
    assert matrix.ids == ("a_a", "b")
    assert matrix.values.tolist() == [[0, 1.5], [1.5, 0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        (",,\n,,\n", "the file is empty"),
        ("a\nb\n", "one column is no square matrix"),
        ("Wings\n,a,b\na,0,1\nb,1,0\n", "one column is no square matrix.*delete titles"),
        ("0,1,2\n1,0,3\n2,3,0\n", "row 1 holds distances.*hold the names"),
        (",a,b\na,0,1\n", "1 rows but 2 columns"),
        (",a,b\na,0,1\nb,1,0\nc,1,1\n", "3 rows but 2 columns"),
        (",a,b\na,0,1\nb,1\n", r"row 'b' \(line 3\) has 1 distances, not 2"),
        (",a,\na,0,1\nb,1,0\n", "columns without a name: column 3"),
        (",a,b\na,0,1\n,1,0\n", "line 3 has no name"),
        (",a,b\na,0,1\nc,1,0\n", r"rows that are no columns: c\."),
        (",a,b\na,0,1\na,1,0\n", r"columns that are no rows: b\."),
        (",a,b\nb,0,1\na,1,0\n", "different order: row 1 is 'b', column 1 is 'a'.*Sort"),
        (",a,a\na,0,1\na,1,0\n", "names that occur more than once: a"),
        (",a,b\na,0,x\nb,1,0\n", "row 'a', column 'b' holds 'x'"),
        (",a,b\na,0,\nb,1,0\n", "row 'a', column 'b' holds nothing"),
        (";a;b\na;0;0,5\nb;0,5;0\n", "row 'a', column 'b' holds '0,5'.*point for decimals"),
        (",a,b\na,0,nan\nb,1,0\n", "not a number: row 'a', column 'b' holds nan"),
        (",a,b\na,0,inf\nb,inf,0\n", "not a number: row 'a', column 'b' holds inf"),
        (",a,b\na,0,-1\nb,-1,0\n", "negative distance: row 'a', column 'b' holds -1"),
        (",a,b\na,0,1\nb,1,0.5\n", "the distance of 'b' to itself is 0.5, not 0"),
        (
            ",a,b,c\na,0,1,2\nb,1,0,3\nc,2.5,3,0\n",
            r"asymmetric pair: row 'a', column 'c' holds 2, but row 'c', column 'a' holds 2\.5",
        ),
    ],
)
def test_faults_name_the_cell(tmp_path: Path, text: str, words: str) -> None:
    file = table(tmp_path, text)
    with pytest.raises(InputError, match=words) as raised:
        read_distances(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_other_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_distances(tmp_path / "none.csv")
    with pytest.raises(InputError, match="not a file"):
        read_distances(tmp_path)
    with pytest.raises(InputError, match="not a text file"):
        read_distances(table(tmp_path, b"\x89PNG\0\0"))
    with pytest.raises(InputError, match="cannot be read"):
        read_distances(table(tmp_path, gzip.compress(b",a\na,0\n" * 99)[:-9], "d.csv.gz"))


matrices = st.integers(1, 7).flatmap(
    lambda n: st.lists(
        st.floats(0, 1e300, allow_subnormal=False),
        min_size=n * (n - 1) // 2,
        max_size=n * (n - 1) // 2,
    ).map(
        lambda pairs: DistanceMatrix.from_condensed([f"s,{i}" for i in range(n)], np.array(pairs))
    )
)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)
@given(matrices, st.sampled_from(["d.csv", "d.tsv", "d.csv.gz", "d.tsv.gz", "d.npy"]))
def test_round_trip_is_exact(tmp_path: Path, matrix: DistanceMatrix, name: str) -> None:
    write_distances(matrix, tmp_path / name)
    again = read_distances(tmp_path / name)
    assert again.ids == matrix.ids
    assert again.values.tobytes() == matrix.values.tobytes()
    content = (tmp_path / name).read_bytes()
    write_distances(matrix, tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


def test_arrays_stay_on_disk_and_need_their_names(tmp_path: Path) -> None:
    matrix = DistanceMatrix(("a", "b"), np.array([[0, 2.0], [2, 0]]))
    file = tmp_path / "d.npy"
    write_distances(matrix, file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.names.txt", "d.npy"]
    values = read_distances(file).values
    assert isinstance(values.base, np.memmap)
    names_path(file).unlink()
    with pytest.raises(InputError, match=r"d\.names\.txt: no such file.*one a line"):
        read_distances(file)
    names_path(file).write_text("a\n")
    with pytest.raises(InputError, match="1 names for 2 rows"):
        read_distances(file)
    names_path(file).write_text("a\nb\n")
    np.save(file, np.array([["0", "1"], ["1", "0"]]))
    with pytest.raises(InputError, match="not numbers"):
        read_distances(file)
    file.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a NumPy array"):
        read_distances(file)


def test_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv, \.tsv"):
        write_distances(DistanceMatrix(("a",), np.zeros((1, 1))), tmp_path / "d.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared
def test_real_bivalve_distances(shared_data: Path) -> None:
    matrix = read_distances(shared_data / "bivalve_distances" / "distances.csv")
    assert len(matrix) == 79
    assert matrix.select(["Solemyidae", "Nucinellidae"]).values[0, 1] == 0.4582
