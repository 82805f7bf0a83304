"""The Newick reader on good text, on every kind of bad text, and on trees too deep to recurse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinlens.errors import InputError
from kinlens.io.newick import format_newick, parse_newick, read_newick, write_newick
from kinlens.records.tree import Tree


def test_names_lengths_and_order() -> None:
    tree = parse_newick("((a:1,b:2.5e-1)inner:.5,c:3)root:9;")
    assert tree.names == ("root", "inner", "a", "b", "c")
    assert tree.length.tolist() == [0, 0.5, 1, 0.25, 3]
    assert tree.parent.tolist() == [-1, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("text", "tips"),
    [
        ("(Homo sapiens:1,Pan_troglodytes:1);", ("Homo_sapiens", "Pan_troglodytes")),
        (
            "('Homo sapiens':1,'it''s (odd), really; [no]':1);",
            ("Homo_sapiens", "it's_(odd),_really;_[no]"),
        ),
        ('("a,b":1,O\'Brien:1);', ("a,b", "O'Brien")),
        ("( a : 1 ,\n\tb\n:1 )\n;\n\n", ("a", "b")),
        ("\r\n(a:1,\r\nb:1);\r\n", ("a", "b")),
        ("\ufeff(a:1,b:1);", ("a", "b")),
        ("[&R] (a[x]:1[&rate=2],[deep [er] )]b:[&r={1,2}]1);[end]", ("a", "b")),
        ("(a['quoted' and unbalanced ( ]:1,'b[c]':1);", ("a", "b[c]")),
        ("(été:1,鳥:1);", ("été", "鳥")),
        ("a;", ("a",)),
        ("(a:1);", ("a",)),
        ("(a:0,b:0,c:0,d:0);", ("a", "b", "c", "d")),
    ],
)
def test_what_is_understood(text: str, tips: tuple[str, ...]) -> None:
    assert parse_newick(text).tip_names == tips


def test_support_values_and_names_of_clades_are_kept() -> None:
    assert parse_newick("((a:1,b:1)98:1,(c:1,d:1)'95/0.9':1)r;").names[1::3] == ("98", "95/0.9")


def test_a_tree_without_lengths_is_a_topology() -> None:
    for text in ("((a,b),c);", "((a,b),c):1;"):
        tree = parse_newick(text)
        assert not tree.has_lengths
        assert tree.length.tolist() == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (" \n ", "the file is empty"),
        ("<!DOCTYPE html><html><body>(a,b);</body>", r"this is a web page\. Download the raw file"),
        ("<html>(a,b);", "this is a web page"),
        ("<?xml version='1.0'?><phyloxml>", "this is XML"),
        ("#NEXUS\nbegin trees;", r"this is a NEXUS file\. Export it as Newick"),
        (">a\nACGT", "this is a FASTA file"),
        ('{"tree": "(a,b);"}', "this is JSON"),
        ("\0\1\2(a,b);", "this is a binary file"),
        ("Not Found", "the ';' that ends a tree is missing"),
        ("(a:1,b:2)", r"the ';' that ends a tree is missing \(line 1, column 10\)"),
        ("(a:1,\n b:2));", r"'\)' without its '\(' \(line 2, column 6\)"),
        ("((a:1,b:2);", r"1 '\(' never closed \(line 1, column 11\)\. Was the file cut short"),
        ("(((a:1,b:2", r"3 '\(' never closed"),
        ("(a:1,b:2);(c:1,d:2);\n(e,f);", r"one tree was wanted; after it come 2 more"),
        ("(a:1,b:2); and more", r"one tree was wanted; after it comes 'and more'"),
        ("a,b;", r"',' without its '\('"),
        ("(a:1,b:2)(c:1,d:1);", r"a comma is missing before '\(' \(line 1, column 10\)"),
        ("(a(b,c));", r"a comma is missing before '\('"),
        ("(a:1 b:1);", r"a comma is missing before 'b' \(line 1, column 6\)"),
        ("(a[x]b:1);", "a comma is missing before 'b'"),
        ("('a'b:1,c:1);", "a comma is missing before 'b'"),
        ("('a:1,b:1);", "quoted label that never ends"),
        ("(a:1,b:1[oops);", r"a comment that never ends \(line 1, column 9\)"),
        ("(a:1,b]:1);", r"'\]' without its '\['"),
        ("(a:1:2,b:1);", r"a second length for one branch \(line 1, column 5\)"),
        ("(a:,b:1);", r"a branch length must be a number, not '' \(line 1, column 3\)"),
        ("(a:1,b:1x);", "a branch length must be a number, not '1x'"),
        ("(a:1_0,b:1);", "a branch length must be a number, not '1_0'"),
        ("(a:0.1{0},b:1);", r"not '0.1\{0\}'"),
        ("(a:-0.1,b:1,c:-2);", "not negative: -0.1 above a, -2 above c"),
        ("(a:nan,b:1);", "nan above a"),
        ("(a:1,b:inf);", "inf above b"),
        ("((a:1,b:1):-1,c:1);", "-1 above internal node 1"),
        ("(a:1,b:1,a:1,c:1,c:1,c:1);", r"different names: a \(2 times\), c \(3 times\)"),
        ("(Homo sapiens:1,Homo_sapiens:1);", r"Homo_sapiens \(2 times\)"),
        ("(a,b,);", r"every tip of a tree needs a name: line 1, column 6"),
        ("((,a),(b,\n));", r"line 1, column 3, line 1, column 10"),
        (";", "every tip of a tree needs a name"),
        ("(a:1,b,c:1);", "1 of 3 branches have no length: b"),
        ("((a:1,b:1),c:1);", "the clade at line 1, column 2"),
    ],
)
def test_what_is_refused_names_the_file_and_the_fault(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_newick(text, where="my/tree.nwk")
    assert str(caught.value).startswith("my/tree.nwk: ")


def test_many_faults_are_counted_not_poured_out() -> None:
    text = "(" + ",".join(f"t{i}:-1" for i in range(500)) + ");"
    with pytest.raises(InputError, match="and 495 more") as caught:
        parse_newick(text)
    assert len(str(caught.value)) < 300


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "tree.nwk"
    tree = parse_newick("((a:1,b:2)90:0.125,'c d':3);")
    write_newick(tree, path)
    assert path.read_bytes() == b"((a:1,b:2)90:0.125,c_d:3);\n"
    assert read_newick(path).to_dict() == tree.to_dict()
    path.write_bytes("\ufeff(a:1,b:1);".encode())
    assert read_newick(path).tip_names == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"(caf\xe9:1,b:1);", r"not UTF-8 \(byte 5\)"),
        ("(a:1,b:1);".encode("utf-16"), "UTF-8"),
    ],
)
def test_files_that_are_not_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "tree.nwk"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_newick(path)
    assert caught.value.where == path


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.nwk: cannot be read \(No such file"):
        read_newick(tmp_path / "no.nwk")
    with pytest.raises(InputError, match="cannot be read"):
        read_newick(tmp_path)


def test_labels_that_need_quotes_get_them() -> None:
    names = ["", "it's", "a,b", "(x)", "p:q", "[r]", "semi;colon", '"d"', "plain.-|+"]
    star = Tree.from_parents([-1] + [0] * 8, np.arange(9.0), names)
    text = format_newick(star)
    assert text.startswith("('it''s':1,'a,b':2,")
    assert text.endswith("plain.-|+:8);")
    assert parse_newick(text).to_dict() == star.to_dict()


def test_ten_thousand_deep() -> None:
    n = 10_000
    text = "(" * (n - 1) + "t0:1" + "".join(f",t{i}:1):1" for i in range(1, n)) + ";"
    tree = parse_newick(text)
    assert tree.height == n - 1
    assert parse_newick(format_newick(tree)).to_dict() == tree.to_dict()
    with pytest.raises(InputError, match=r"9,999 '\(' never closed"):
        parse_newick("(" * (n - 1) + "t0:1")


def test_an_endless_comment_or_quote_takes_no_time() -> None:
    for text in ("(a[" + "[" * 100_000, "('" + "a''" * 100_000, "(a" + " " * 100_000 + "b"):
        with pytest.raises(InputError):
            parse_newick(text)


@pytest.mark.shared
def test_published_trees(shared_data: Path) -> None:
    butterflies = read_newick(shared_data / "butterflies" / "tree.nwk")
    assert butterflies.n_tips == 332
    assert butterflies.is_ultrametric()
    assert butterflies.is_binary
    isolates = read_newick(shared_data / "pangenome" / "tree.nwk")
    assert isolates.n_tips == 100
    assert not isolates.has_lengths
    assert "Isolate_1" in isolates.tip_names
