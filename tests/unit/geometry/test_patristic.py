"""Distances and shared paths on trees: by hand, against walking up the tree, and in blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.geometry.patristic import (
    distances_from_branch_points,
    distances_from_node,
    patristic_distances,
    patristic_rows,
    vcv,
    write_patristic,
)
from kinlens.io.newick import parse_newick, read_newick
from kinlens.records.tree import Tree
from kinlens.simulate.tree_noise import with_branch_noise
from kinlens.simulate.trees import birth_death_tree, ladder_tree


def slow_vcv(tree: Tree) -> np.ndarray:
    """Shared paths by walking from both tips to the root: short and obvious."""
    depth = tree.depths()

    def path(node: int) -> list[int]:
        nodes = [node]
        while nodes[-1] > 0:
            nodes.append(int(tree.parent[nodes[-1]]))
        return nodes

    paths = [path(int(tip)) for tip in tree.tips]
    return np.array([[depth[max(set(a) & set(b))] for b in paths] for a in paths])


def random_tree(n: int, rng: np.random.Generator) -> Tree:
    return with_branch_noise(birth_death_tree(n, rng), rng, spread=1.0)


def test_a_tree_worked_by_hand() -> None:
    # Not ultrametric, with a polytomy and a branch of length 0.
    tree = parse_newick("((a:1,b:2,c:0):3,(d:4,e:5):0,f:6);")
    assert patristic_distances(tree).ids == ("a", "b", "c", "d", "e", "f")
    assert patristic_distances(tree).values.tolist() == [
        [0, 3, 1, 8, 9, 10],
        [3, 0, 2, 9, 10, 11],
        [1, 2, 0, 7, 8, 9],
        [8, 9, 7, 0, 9, 10],
        [9, 10, 8, 9, 0, 11],
        [10, 11, 9, 10, 11, 0],
    ]
    assert vcv(tree).tolist() == [
        [4, 3, 3, 0, 0, 0],
        [3, 5, 3, 0, 0, 0],
        [3, 3, 3, 0, 0, 0],
        [0, 0, 0, 4, 0, 0],
        [0, 0, 0, 0, 5, 0],
        [0, 0, 0, 0, 0, 6],
    ]


def test_a_topology_counts_branches() -> None:
    assert patristic_distances(parse_newick("((a,b),c);")).values.tolist() == [
        [0, 2, 3],
        [2, 0, 3],
        [3, 3, 0],
    ]


@pytest.mark.parametrize("n", [2, 3, 63, 64, 65, 130, 200])
def test_random_trees_against_walking(n: int, rng: np.random.Generator) -> None:
    tree = random_tree(n, rng)
    shared = slow_vcv(tree)
    depth = np.diagonal(shared)
    np.testing.assert_array_equal(vcv(tree), shared)
    np.testing.assert_allclose(
        patristic_distances(tree).values, depth[:, None] + depth - 2 * shared, atol=1e-13
    )


def test_distances_are_symmetric_with_exact_zeros(rng: np.random.Generator) -> None:
    values = patristic_distances(random_tree(150, rng)).values
    assert np.array_equal(values, values.T)
    assert not np.diagonal(values).any()
    assert values[~np.eye(150, dtype=bool)].min() > 0


def test_blocks_of_rows_are_the_rows_of_the_whole(rng: np.random.Generator) -> None:
    tree = random_tree(200, rng)
    whole = patristic_distances(tree).values
    for start, stop in [(0, 1), (0, 200), (7, 70), (63, 65), (64, 192), (199, 200), (5, 5)]:
        assert np.array_equal(patristic_rows(tree, start, stop), whole[start:stop])


def test_pruning_keeps_distances(rng: np.random.Generator) -> None:
    tree = random_tree(80, rng)
    names = sorted(rng.choice(tree.tip_names, 30, replace=False).tolist())
    np.testing.assert_allclose(
        patristic_distances(tree.prune(names)).select(names).values,
        patristic_distances(tree).select(names).values,
        atol=1e-12,
    )


def test_a_lone_tip_and_a_deep_ladder() -> None:
    lone = parse_newick("a;")
    assert vcv(lone).tolist() == [[0.0]]
    assert patristic_distances(lone).values.tolist() == [[0.0]]
    deep = ladder_tree(10_000, height=9_999.0)
    assert patristic_rows(deep, 0, 1)[0, -1] == pytest.approx(2 * 9_999)
    assert patristic_rows(deep, 9_998, 9_999)[0, -1] == pytest.approx(2)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 0.0)])
def test_rows_stream_to_disk(
    dtype: str, tolerance: float, tmp_path: Path, rng: np.random.Generator
) -> None:
    tree = random_tree(150, rng)
    path = tmp_path / "distances.npy"
    write_patristic(tree, path, dtype=dtype)
    on_disk = np.load(path, mmap_mode="r")
    assert on_disk.dtype == dtype
    np.testing.assert_allclose(on_disk, patristic_distances(tree).values, rtol=tolerance)
    assert [file.name for file in tmp_path.iterdir()] == ["distances.npy"]
    with pytest.raises(UsageError, match="'float16'"):
        write_patristic(tree, path, dtype="float16")


def test_streaming_needs_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    tree = ladder_tree(2_000)
    tracemalloc.start()
    write_patristic(tree, tmp_path / "distances.npy", dtype="float64")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # The matrix has 32 MB.


def test_distances_from_any_node(rng: np.random.Generator) -> None:
    tree = random_tree(40, rng)
    depth = tree.depths()
    for node in [0, 1, 17, tree.n_nodes - 1]:
        ancestors = [node]
        while ancestors[-1] > 0:
            ancestors.append(int(tree.parent[ancestors[-1]]))
        expected = [
            depth[node]
            + depth[other]
            - 2 * depth[next(a for a in ancestors if a <= other < tree.stop[a])]
            for other in range(tree.n_nodes)
        ]
        np.testing.assert_allclose(distances_from_node(tree, node), expected, atol=1e-13)
    tips = patristic_distances(tree).values
    np.testing.assert_allclose(
        distances_from_node(tree, int(tree.tips[5]))[tree.tips], tips[5], atol=1e-13
    )


def test_distances_from_points_on_branches_agree_with_a_tip_put_there(
    rng: np.random.Generator,
) -> None:
    tree = random_tree(25, rng)
    nodes = rng.integers(1, tree.n_nodes, 20)
    above = tree.length[nodes] * rng.random(20)
    found = distances_from_branch_points(tree, nodes, above)
    for row, (node, rise) in enumerate(zip(nodes.tolist(), above.tolist(), strict=True)):
        new = tree.n_nodes
        parent = [*tree.parent.tolist(), int(tree.parent[node]), new]
        length = [*tree.length.tolist(), tree.length[node] - rise, 0.0]
        parent[node], length[node] = new, rise
        grafted = Tree.from_parents(parent, length, [*tree.names, "", "newcomer"])
        at = grafted.tip_positions(["newcomer"])[0]
        expected = patristic_rows(grafted, at, at + 1)[0][grafted.tip_positions(tree.tip_names)]
        np.testing.assert_allclose(found[row], expected, atol=1e-13)


def test_points_at_the_ends_of_branches_are_the_nodes(rng: np.random.Generator) -> None:
    tree = random_tree(12, rng)
    nodes = np.arange(tree.n_nodes)
    at_node = distances_from_branch_points(tree, nodes, np.zeros(len(nodes)))
    for node in nodes:
        np.testing.assert_allclose(
            at_node[node], distances_from_node(tree, int(node))[tree.tips], atol=1e-13
        )
    at_parent = distances_from_branch_points(tree, nodes[1:], tree.length[1:])
    np.testing.assert_allclose(at_parent, at_node[tree.parent[1:]], atol=1e-13)


@pytest.mark.parametrize(
    ("nodes", "above", "message"),
    [
        ([1], [9.0], "lies 9 above node 1, whose branch has length 1"),
        ([1], [-0.1], "lies -0.1 above"),
        ([1], [np.nan], "lies nan above"),
        ([7], [0.0], "from 0 to 4"),
        ([1, 2], [0.0], "do not pair"),
    ],
)
def test_points_off_the_tree_are_refused(
    nodes: list[int], above: list[float], message: str
) -> None:
    tree = parse_newick("((a:1,b:1):1,c:2);")
    with pytest.raises(UsageError, match=message):
        distances_from_branch_points(tree, nodes, above)


@pytest.mark.shared
def test_the_butterflies_agree_with_scikit_bio(shared_data: Path) -> None:
    from skbio import TreeNode

    path = shared_data / "butterflies" / "tree.nwk"
    ours = patristic_distances(read_newick(path))
    theirs = TreeNode.read(str(path), format="newick", convert_underscores=False).cophenet()
    np.testing.assert_allclose(ours.values, theirs.filter(ours.ids).data, rtol=1e-12, atol=1e-12)
