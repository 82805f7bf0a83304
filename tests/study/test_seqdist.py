"""The study `seqdist` finds what was planted, is silent where nothing is, and repeats itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.geometry.edit import edit_distances
from kinlens.io.fasta import write_fasta
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.result import METRIC_COLUMNS
from kinlens.records.sequences import SequenceSet
from kinlens.rng import RandomStreams
from kinlens.simulate.reads import simulate_reads
from kinlens.studies.catalogue import load_study
from kinlens.studies.runner import run_into_folder
from kinlens.studies.seqdist import SeqdistConfig, run
from kinlens.studies.seqdist_model import search
from kinlens.studies.seqdist_predictors import mean_predictor
from kinlens.studies.seqdist_task import prepare

LENGTH = 80
TINY = SeqdistConfig(
    encoders=("linear",),
    geometries=("hyperbolic",),
    dimensions=32,
    epochs=12,
    batch_size=32,
    kmers=(4,),
    test_share=0.25,
    validation_share=0.15,
    cluster_depths=(0, 3),
    cluster_repeats=1,
    cluster_most=30,
    cluster_epochs=3,
    shortlist=40,
    replicates=100,
    permutations=99,
)


def collection_of(sequences, *, folder=Path()):
    return Collection("test", folder, sequences=sequences)


@pytest.fixture(scope="module")
def reads():
    """Three hundred related reads; each species is one clade's worth of names."""
    found = simulate_reads(300, LENGTH, np.random.default_rng(3))
    return found.with_species({name: f"Genus_s{i % 4}" for i, name in enumerate(found.ids)})


@pytest.fixture(scope="module")
def planted(reads):
    config = TINY.model_copy(update={"epochs": 40})
    return run(collection_of(reads), config, RandomStreams(0), Resources())


@pytest.fixture(scope="module")
def silent():
    rng = np.random.default_rng(5)
    letters = np.frombuffer(b"ACGT", np.uint8)
    texts = [letters[rng.integers(4, size=LENGTH)].tobytes() for _ in range(120)]
    noise = SequenceSet(tuple(f"r{i}" for i in range(120)), tuple(texts))
    return run(collection_of(noise), TINY, RandomStreams(0), Resources())


def test_vectors_predict_distance(planted):
    error = {
        model: planted.value(model=model, metric="percent_rmse", split="random")
        for model in ("linear-hyperbolic", "4mer-cosine", "mean")
    }
    assert error["linear-hyperbolic"] < 0.7 * error["mean"]
    row = planted.metrics.query("metric == 'skill' and selected == 1 and split == 'random'").iloc[0]
    assert row["low"] > 0.2
    null = planted.metrics.query("metric == 'percent_rmse' and selected == 1").iloc[0]
    assert null["p_value"] == pytest.approx(0.01)
    assert null["null_mean"] > 1.3 * null["value"]


def test_retrieval_finds_what_is_nearest(planted):
    alone = planted.value(model="linear-hyperbolic", metric="top_1")
    chance = planted.metrics.query("model == 'linear-hyperbolic' and metric == 'top_1'")
    assert alone > 10 * chance["null_mean"].iloc[0]
    assert planted.value(model="reranked", metric="top_1") >= 0.97
    found = planted.predictions
    nearest = found["least_edit_distance"]
    assert (found["edit_distance_reranked"] == nearest).mean() == pytest.approx(
        planted.value(model="reranked", metric="top_1")
    )


def test_numbers_are_those_of_a_plain_computation(planted, reads):
    task = prepare(collection_of(reads), TINY, RandomStreams(0), Resources())
    test, others = task.split.test, task.references
    texts = task.sequences.sequences
    exact = edit_distances([texts[i] for i in test], [texts[i] for i in others])
    assert planted.predictions["least_edit_distance"].tolist() == exact.min(axis=1).tolist()
    mean_train = edit_distances([texts[i] for i in task.split.train]).astype(float)
    n = len(mean_train)
    mean = mean_train.sum() / (n * (n - 1))
    within = edit_distances([texts[i] for i in test]).astype(float)[np.triu_indices(len(test), 1)]
    expected = 100 * np.sqrt(((within - mean) ** 2).mean()) / LENGTH
    assert planted.value(model="mean", metric="percent_rmse", split="random") == pytest.approx(
        expected, rel=1e-5
    )


def test_clustering_is_nearly_as_good_as_by_exact_distances(planted):
    ratio = planted.metrics.query("metric == 'dasgupta_ratio'").set_index("model")
    assert ratio.loc["linear-hyperbolic", "value"] < 1.1
    assert ratio.loc["linear-hyperbolic", "value"] < ratio.loc["linear-hyperbolic", "null_mean"]
    assert ratio.loc["relaxed-8d", "value"] < ratio.loc["relaxed-8d", "null_mean"]
    assert len(planted.distances) == 30


def test_strings_in_the_middle_cost_no_more_than_the_best_member(planted):
    ratio = planted.metrics.query("target == 'consensus'").set_index("model")
    assert ratio.loc["consensus", "value"] <= 1.0
    assert ratio.loc["decoded", "value"] <= ratio.loc["linear-hyperbolic", "value"]
    assert ratio.loc["linear-hyperbolic", "value"] < ratio.loc["linear-hyperbolic", "null_mean"]


def test_the_result_is_whole(planted):
    assert tuple(planted.metrics.columns) == METRIC_COLUMNS
    targets = {"edit_distance", "retrieval", "clustering", "consensus"}
    assert set(planted.metrics["target"]) == targets
    assert {"random", "cluster_0", "cluster_3"} == set(planted.metrics["split"])
    names = [figure.name for figure in planted.figures]
    assert names == ["predicted", "errors", "relatives", "retrieval", "disk", "map"]
    assert all(figure.png.startswith(b"\x89PNG") for figure in planted.figures)
    assert planted.embedding.shape == (300, 32)
    assert "linear-hyperbolic" in planted.methods
    assert any(headline.verdict == "good" for headline in planted.headlines)


def test_a_world_without_kinship_is_silent(silent):
    skill = silent.metrics.query("metric == 'skill' and selected == 1 and split == 'random'")
    assert skill["low"].iloc[0] <= 0
    assert "do not predict" in silent.headlines[0].sentence
    assert not [headline for headline in silent.headlines if headline.verdict == "good"]


def test_the_same_seed_gives_the_same_result(reads, tmp_path):
    small = collection_of(reads.take(range(100)))
    config = TINY.model_copy(update={"epochs": 2, "cluster_depths": (2,), "cluster_epochs": 1})
    cached = Resources(cache=tmp_path)
    results = [
        run(small, config, RandomStreams(7), resources)
        for resources in (Resources(), cached, cached)
    ]
    for again in results[1:]:
        assert again.metrics.equals(results[0].metrics)
        assert again.methods == results[0].methods
        assert again.tables["training"].equals(results[0].tables["training"])
    assert np.array_equal(results[0].embedding.X, results[2].embedding.X)
    # A run that goes on takes finished networks as they are, times included.
    times = [r.tables["times"].set_index("metric")["value"] for r in results]
    assert times[1]["train_cpu_s"] == times[2]["train_cpu_s"] > 0
    assert set(times[0].index) == {
        "train_cpu_s", "search_s", "exhaustive_search_s", "search_time_ratio",
    }  # fmt: skip


def test_relatives_stay_out_of_training(reads):
    task = prepare(collection_of(reads), TINY, RandomStreams(1), Resources())
    by_depth = {split.depth: split for split in task.relatives}
    assert np.array_equal(by_depth[0].test, by_depth[3].test)
    assert len(by_depth[0].train) == len(by_depth[3].train)
    for depth, split in by_depth.items():
        learned = np.concatenate([split.train, split.validation])
        assert not np.intersect1d(learned, split.test).size
        for row in split.test:
            others = np.delete(np.arange(len(task.distances)), row)
            reach = np.sort(task.distances[row, others])[2**depth - 1]
            nearer = others[task.distances[row, others] < reach]
            assert not np.intersect1d(learned, nearer).size


def test_search_answers_from_a_run_folder(reads, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_fasta(reads.take(range(80)), folder / "sequences.fasta")
    config = TINY.model_copy(update={"epochs": 2, "cluster_repeats": 0, "cluster_epochs": 1})
    run_into_folder(load_study("seqdist"), folder, tmp_path / "run", config)
    text = bytearray(reads.sequences[5])
    text[10:12] = b""
    asked = SequenceSet(("new", "known"), (bytes(text), reads.sequences[7]))
    write_fasta(asked, tmp_path / "query.fasta")
    found = search(tmp_path / "run", tmp_path / "query.fasta", count=3, shortlist=80)
    assert found.columns.tolist() == ["query", "rank", "reference", "edit_distance", "species"]
    assert found["rank"].tolist() == [1, 2, 3, 1, 2, 3]
    first = found[found["rank"] == 1].set_index("query")
    exact = edit_distances([bytes(text)], reads.sequences[:80])[0]
    assert first.loc["new", "edit_distance"] == exact.min()
    assert first.loc["known", "reference"] == reads.ids[7]
    as_rna = tuple(sequence.replace(b"T", b"U") for sequence in asked.sequences)
    write_fasta(SequenceSet(asked.ids, as_rna), tmp_path / "rna.fasta")
    again = search(tmp_path / "run", tmp_path / "rna.fasta", count=3, shortlist=80)
    pd.testing.assert_frame_equal(again, found)
    write_fasta(SequenceSet(("q",), (b"MKVLAAGIVWYFQERKL",)), tmp_path / "protein.fasta")
    with pytest.raises(InputError, match="run is of dna sequences, these are protein"):
        search(tmp_path / "run", tmp_path / "protein.fasta")
    with pytest.raises(UsageError, match="count"):
        search(tmp_path / "run", tmp_path / "query.fasta", count=0)


def test_settings_are_searched_and_the_search_goes_on(reads, tmp_path):
    config = TINY.model_copy(
        update={"epochs": 4, "search_trials": 2, "cluster_repeats": 0, "cluster_epochs": 1}
    )
    small = collection_of(reads.take(range(100)))
    resources = Resources(cache=tmp_path)
    result = run(small, config, RandomStreams(0), resources)
    assert "searched-linear-hyperbolic" in set(result.metrics["model"])
    trials = result.tables["search"]
    more = config.model_copy(update={"search_trials": 3})
    later = run(small, more, RandomStreams(0), resources).tables["search"]
    assert later.iloc[:2].equals(trials)
    at_once = run(small, more, RandomStreams(0), Resources()).tables["search"]
    pd.testing.assert_frame_equal(later, at_once)
    drawn = later.drop(columns=["trial", "state", "validation_percent_rmse"])
    assert not drawn.duplicated().any()


def test_what_rivals_learn_does_not_depend_on_the_order_of_the_file(rng):
    # Two clades far apart, as sorted files have them, and more rows than rivals learn from.
    clade = np.repeat([0, 1], 1500)
    means = []
    for order in (np.arange(3000), rng.permutation(3000)):
        own = clade[order]

        def exact(rows, columns, own=own):
            return 5.0 + 50.0 * (own[rows][:, None] != own[columns])

        predictor = mean_predictor(SimpleNamespace(exact=exact), np.arange(3000))
        means.append(float(predictor(np.arange(1), np.arange(1, 2))[0, 0]))
    np.testing.assert_allclose(means, 30.0, rtol=0.02)


FEW = tuple(f"s{i}" for i in range(30))


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ((), "0 sequences"),
        ((b"ACGT",), "1 sequence,"),
        ((b"ACGTACGT",) * 30, "all of them are identical"),
        (tuple(b"N" * (i + 30) for i in range(30)), "unknown letters"),
        (
            tuple(
                (b"ACGTTGCA" * 5 + b"ACGT" * (i + 1))
                if i % 3
                else (b"MKTAYIAKQRWLEVFDHGPS" + b"MWYF" * (i + 1))
                for i in range(30)
            ),
            "mixed",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(sequences, message):
    records = SequenceSet(FEW[: len(sequences)], sequences)
    with pytest.raises(InputError, match=message):
        prepare(collection_of(records), TINY, RandomStreams(0), Resources())


def test_gaps_and_repeats_are_joined(reads):
    gapped = SequenceSet(
        (*reads.ids, "again"),
        (*reads.sequences, reads.sequences[0][:5] + b"--" + reads.sequences[0][5:]),
    )
    task = prepare(collection_of(gapped), TINY, RandomStreams(0), Resources())
    assert (task.n_records, task.n_distinct) == (301, 300)
    few = TINY.model_copy(update={"most_sequences": 50})
    small = prepare(collection_of(gapped), few, RandomStreams(0), Resources())
    assert (len(small.sequences), small.n_distinct) == (50, 300)


def test_proteins_of_any_length(rng):
    letters = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8)
    ancestor = letters[rng.integers(20, size=60)]
    texts = []
    for _ in range(60):
        own = ancestor.copy()
        changed = rng.integers(60, size=rng.integers(5, 25))
        own[changed] = letters[rng.integers(20, size=len(changed))]
        texts.append(own[: rng.integers(45, 61)].tobytes())
    proteins = SequenceSet(tuple(f"p{i}" for i in range(60)), tuple(texts))
    config = TINY.model_copy(update={"epochs": 2, "kmers": (2,), "cluster_epochs": 1})
    result = run(
        replace(collection_of(proteins), name="proteins"), config, RandomStreams(0), Resources()
    )
    assert np.isfinite(result.value(model="2mer-cosine", metric="percent_rmse", split="random"))
