"""Whatever tree is written is read back, and scikit-bio reads the same tree."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skbio import TreeNode

from kinlens.io.newick import format_newick, parse_newick
from kinlens.records.tree import Tree

# Any printable text but whitespace, which becomes underscores by design.
labels = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=8)
lengths = st.floats(0, 1e300, allow_nan=False)


@st.composite
def trees(draw: st.DrawFn, names: st.SearchStrategy[str] = labels) -> Tree:
    """Any rooted tree: polytomies, nodes of one child, with or without lengths."""
    n_nodes = draw(st.integers(1, 25))
    parent = [-1] + [draw(st.integers(0, i - 1)) for i in range(1, n_nodes)]
    tips = sorted(set(range(n_nodes)) - set(parent))
    tip_names = draw(st.lists(names, min_size=len(tips), max_size=len(tips), unique=True))
    chosen = draw(st.lists(st.just("") | names, min_size=n_nodes, max_size=n_nodes))
    for tip, name in zip(tips, tip_names, strict=True):
        chosen[tip] = name
    measured = n_nodes > 1 and draw(st.booleans())
    length = draw(st.lists(lengths, min_size=n_nodes, max_size=n_nodes)) if measured else None
    return Tree.from_parents(parent, length, chosen)


@settings(deadline=None)
@given(trees())
def test_round_trip(tree: Tree) -> None:
    again = parse_newick(format_newick(tree))
    if tree.n_nodes == 1:  # A lone tip has no branch to tell by.
        assert again.names == tree.names
    else:
        assert again.to_dict() == tree.to_dict()


@settings(deadline=None)
@given(trees(st.text("abcXYZ_019.-", min_size=1, max_size=8)))
def test_scikit_bio_reads_the_same_tree(tree: Tree) -> None:
    text = format_newick(tree)
    theirs = TreeNode.read(io.StringIO(text), format="newick", convert_underscores=False)
    nodes = list(theirs.preorder())
    assert [node.name or "" for node in nodes] == list(tree.names)
    index = {id(node): i for i, node in enumerate(nodes)}
    assert [index[id(n.parent)] if n.parent else -1 for n in nodes] == tree.parent.tolist()
    if tree.has_lengths:
        np.testing.assert_array_equal([n.length for n in nodes[1:]], tree.length[1:])
    else:
        assert all(n.length is None for n in nodes[1:])
