"""The study `genes`: planted genes are found, a null world stays silent, odd tables are said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import InputError, UsageError
from kinlens.io.folder import read_collection
from kinlens.io.genes import write_genes
from kinlens.io.newick import write_newick
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.rng import RandomStreams
from kinlens.simulate.genes import GeneRates, evolve_genes
from kinlens.simulate.traits import evolve_traits
from kinlens.simulate.trees import birth_death_tree
from kinlens.studies.catalogue import STUDIES, load_study
from kinlens.studies.genes import GenesConfig, compared_patterns, run
from kinlens.studies.genes_models import compare_classifiers
from kinlens.studies.genes_scan import GeneFindings, measure
from kinlens.studies.genes_task import prepare
from kinlens.studies.genes_words import headlines_of
from kinlens.studies.runner import run_into_folder

QUICK = GenesConfig(
    splits=20, most_null_genes=6_000, replicates=40, resplits=100, shown=3, compared=2, repeats=1
)


def trait_world(seed: int, *, n: int = 90, planted: int = 6, n_genes: int = 150) -> Collection:
    """Traits that evolved on a tree; genes that evolved likewise, some of which follow a trait."""
    rng = np.random.default_rng(seed)
    tree = birth_death_tree(n, rng)
    traits = evolve_traits(tree, 2, rng)[tree.tips]
    rates = GeneRates.from_prevalence(
        rng.uniform(0.2, 0.8, n_genes), rng.uniform(1, 20, n_genes) / tree.height
    )
    genes = evolve_genes(tree, rates, rng)[tree.tips].astype(float)
    looks = traits[:, 0] / traits[:, 0].std()
    for gene in range(planted):
        follows = 3 * looks + rng.logistic(size=n)
        genes[:, gene] = follows > np.quantile(follows, rng.uniform(0.3, 0.7))
    names = [f"planted_{i}" if i < planted else f"gene_{i}" for i in range(n_genes)]
    return Collection(
        name="made",
        folder=Path("made"),
        tree=tree,
        genes=pd.DataFrame(genes, index=list(tree.tip_names), columns=names),
        traits=pd.DataFrame({"wing": traits[:, 0], "song": traits[:, 1]}, index=tree.tip_names),
    )


def scanned(
    collection: Collection,
    config: GenesConfig,
    *,
    seed: int = 1,
    resources: Resources | None = None,
) -> list[GeneFindings]:
    """What `run` does before it draws figures, which take longer than all the rest."""
    resources, streams = resources or Resources(), RandomStreams(seed)
    return [
        measure(task, config, streams.child(task.target), resources)
        for task in prepare(collection, config, streams, resources)
    ]


def with_genes(collection: Collection, genes: pd.DataFrame) -> Collection:
    return Collection(**{**collection.__dict__, "genes": genes})


def test_planted_genes_are_found_and_the_other_trait_stays_silent() -> None:
    wing, song = scanned(trait_world(3), QUICK)
    table = wing.table
    found = table[table["q_value"] <= 0.05]["gene"].tolist()
    assert len([gene for gene in found if gene.startswith("planted")]) >= 5
    assert len([gene for gene in found if not gene.startswith("planted")]) <= 1
    assert table["gene"].iloc[0].startswith("planted")
    other = song.table
    assert (other["fwer_p_value"] <= 0.05).sum() == 0
    # The naive test finds what is not there; that is why it is struck through.
    null = other[other["status"] == "tested"]
    assert (null["naive_p_value"] <= 0.05).mean() > 0.2
    assert 0 <= (null["p_value"] <= 0.05).mean() < 0.12


def test_every_number_stands_beside_baselines_null_interval_and_n() -> None:
    collection = trait_world(4, n=60, n_genes=60)
    result = run(collection, QUICK, RandomStreams(1), Resources())
    gene = result.tables["genes"]["gene"].iloc[0]
    rows = result.metrics[result.metrics["target"] == gene]
    assert {"ridge", "completeness", "phylogeny"} <= set(rows["model"])
    assert {"random", "clade"} == set(rows["split"])
    best = rows[(rows["model"] == "ridge") & (rows["split"] == "clade")].set_index("metric")
    assert best.loc["mcc", "low"] <= best.loc["mcc", "value"] <= best.loc["mcc", "high"]
    assert best.loc["mcc", "n"] == 60
    assert 0 < best.loc["mcc", "p_value"] <= 1
    assert abs(best.loc["mcc", "null_mean"]) < 0.3
    assert 0.5 < best.loc["auc", "value"] <= 1
    assert "q_value" in best.index
    assert {figure.name for figure in result.figures} >= {
        "volcano",
        "resampling",
        "gene_on_tree",
        "volcano_song",
    }
    assert "splits" in result.methods
    assert "Fitch 1971" in result.methods


def test_the_same_seed_gives_the_same_table_whoever_computes(tmp_path: Path) -> None:
    collection = trait_world(5, n=40, n_genes=40)
    quick = QUICK.model_copy(update={"traits": ("wing",)})
    tables = [
        scanned(collection, quick, resources=resources)[0].table
        for resources in (
            Resources(),
            Resources(cache=tmp_path),
            Resources(cache=tmp_path),  # from finished blocks
        )
    ]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other)
    again = scanned(collection, quick, seed=2)[0].table
    assert not again["mcc_clade"].equals(tables[0]["mcc_clade"])


def test_odd_genes_are_handled_and_said() -> None:
    collection = trait_world(6, n=60, n_genes=30)
    assert collection.genes is not None
    genes = collection.genes.copy()
    genes["nowhere"], genes["everywhere"], genes["unknown"] = 0.0, 1.0, np.nan
    genes["in_one"] = (np.arange(60) == 7).astype(float)
    genes["twin_of_planted_0"] = genes["planted_0"]
    genes.iloc[:10, genes.columns.get_loc("gene_9")] = np.nan
    stranger = pd.DataFrame(1.0, index=["Not_in_tree"], columns=genes.columns)
    odd = with_genes(collection, pd.concat([genes, stranger]))
    found = scanned(odd, QUICK.model_copy(update={"traits": ("wing",)}))[0]
    table = found.table.set_index("gene")
    assert table.loc[["nowhere", "everywhere", "unknown", "in_one"], "status"].tolist() == [
        "constant",
        "constant",
        "unknown",
        "too rare",
    ]
    assert table.loc["nowhere", ["mcc_clade", "p_value", "q_value"]].isna().all()
    assert table.loc["twin_of_planted_0", "p_value"] == table.loc["planted_0", "p_value"]
    assert table.loc["planted_0", "genes_alike"] == 2
    assert np.isfinite(table.loc["gene_9", "mcc_clade"])
    assert table.loc["gene_9", "prevalence"] == pytest.approx(genes["gene_9"].mean())
    assert [skipped.record for skipped in found.task.skipped] == ["Not_in_tree"]
    for words in ("do not vary", "fewer than 5 species", "cells are missing", "distinct patterns"):
        assert words in " ".join(found.task.notes)


def test_incomplete_annotation_does_not_pass_for_looks() -> None:
    """Looks and the quality of genomes go together; no gene has to do with either."""
    rng = np.random.default_rng(8)
    n, n_genes = 100, 400
    tree = birth_death_tree(n, rng)
    looks = evolve_traits(tree, 1, rng)[tree.tips]
    missed = 0.6 / (1 + np.exp(-3 * looks / looks.std()))
    rates = GeneRates.from_prevalence(np.full(n_genes, 0.8), rng.uniform(1, 6, n_genes))
    genes = evolve_genes(tree, rates, rng)[tree.tips] * (rng.random((n, n_genes)) > missed)
    collection = Collection(
        name="made",
        folder=Path("made"),
        tree=tree,
        genes=pd.DataFrame(genes.astype(float), index=list(tree.tip_names)).rename(columns=str),
        traits=pd.DataFrame({"wing": looks[:, 0]}, index=list(tree.tip_names)),
    )
    shares = {}
    for what in ("covariate", "ignore"):
        config = QUICK.model_copy(update={"completeness": what})
        table = scanned(collection, config)[0].tested
        shares[what] = float((table["p_value"] <= 0.05).mean())
    assert shares["ignore"] > 0.2
    assert shares["covariate"] < 0.1


@pytest.mark.parametrize("n_genes", [1, 2])
def test_a_gene_of_a_small_table_is_not_taken_out_of_its_own_predictor(n_genes: int) -> None:
    world = trait_world(3, n_genes=8)
    assert world.traits is not None
    wing = world.traits["wing"]
    names = ["follows", "other"][:n_genes]
    genes = pd.DataFrame({"follows": (wing > wing.median()).astype(float)})
    genes["other"] = world.genes["gene_7"]
    config = QUICK.model_copy(update={"traits": ("wing",)})
    (found,) = scanned(with_genes(world, genes[names]), config)
    row = found.table.set_index("gene").loc["follows"]
    assert row["mcc_random"] > 0.8
    assert not np.isfinite(row["mcc_completeness"])
    assert any("too few genes" in note for note in found.task.notes)


def test_candidates_are_reported_whatever_their_score(tmp_path: Path) -> None:
    names = tmp_path / "colour.txt"
    names.write_text("gene_77\nplanted_0\nMC1R\n\ngene_77\n")
    collection = trait_world(9, n=60, n_genes=90)
    config = QUICK.model_copy(update={"traits": ("wing",), "candidates": names})
    found = scanned(collection, config)[0]
    table = found.table.set_index("gene")
    assert table.index[table["is_candidate"] == 1].tolist() == ["planted_0", "gene_77"]
    assert "1 of 3 candidate genes are not in the table: MC1R" in " ".join(found.task.notes)
    assert any("Of 2 candidate genes" in line.sentence for line in headlines_of(found))
    assert {"gene_77", "planted_0"} <= {found.genes_of(i)[0] for i in compared_patterns(found, 2)}


def test_a_folder_without_pictures_runs_from_the_command_s_door_and_resumes(tmp_path: Path) -> None:
    made = trait_world(10, n=40, n_genes=40)
    folder = tmp_path / "data"
    folder.mkdir()
    assert made.genes is not None
    assert made.traits is not None
    assert made.tree is not None
    write_genes(made.genes, folder / "genes.csv.gz")
    diet = pd.Series(np.where(made.traits["wing"] > 0, "seeds", "insects"), made.traits.index)
    made.traits.assign(diet=diet).to_csv(folder / "traits.csv", index_label="species")
    write_newick(made.tree, folder / "tree.nwk")
    assert "genes" in STUDIES
    config = QUICK.model_copy(update={"traits": ("diet", "wing")})
    result = run_into_folder(load_study("genes"), folder, tmp_path / "run", config, seed=1)
    written = pd.read_csv(tmp_path / "run" / "genes.csv")
    assert written["gene"].tolist() == result.tables["genes"]["gene"].tolist()
    assert (tmp_path / "run" / "genes_wing.csv").is_file()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<s>" in page
    again = run_into_folder(
        load_study("genes"), folder, tmp_path / "run", config, seed=1, resume=True
    )
    assert again.headlines[0].sentence == result.headlines[0].sentence


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    collection = trait_world(11, n=30, n_genes=20)
    with pytest.raises(UsageError, match="Did you mean 'wing'"):
        run(
            collection, QUICK.model_copy(update={"traits": ("wings",)}), RandomStreams(1),
            Resources(),
        )  # fmt: skip
    with pytest.raises(InputError, match=r"needs tree\.nwk"):
        run(
            Collection(**{**collection.__dict__, "tree": None}), QUICK, RandomStreams(1),
            Resources(),
        )  # fmt: skip
    assert collection.genes is not None
    with pytest.raises(InputError, match="10 at the least"):
        run(with_genes(collection, collection.genes.iloc[:6]), QUICK, RandomStreams(1), Resources())
    constant = pd.DataFrame(1.0, index=collection.genes.index, columns=["a", "b"])
    with pytest.raises(InputError, match="none is present in 5 species"):
        run(with_genes(collection, constant), QUICK, RandomStreams(1), Resources())
    with pytest.raises(InputError, match="candidate genes cannot be read"):
        run(
            collection,
            QUICK.model_copy(update={"candidates": tmp_path / "none.txt"}),
            RandomStreams(1),
            Resources(),
        )
    flat = Collection(
        **{
            **collection.__dict__,
            "traits": pd.DataFrame({"wing": 1.0}, index=collection.genes.index),
        }
    )
    with pytest.raises(InputError, match="is the same in all"):
        run(flat, QUICK, RandomStreams(1), Resources())


def test_the_published_classifiers_meet_the_same_genes() -> None:
    collection = trait_world(12, n=60, n_genes=30)
    config = QUICK.model_copy(update={"traits": ("wing",)})
    task = prepare(collection, config, RandomStreams(1), Resources())[0]
    found = measure(task, config, RandomStreams(1), Resources())
    patterns = compared_patterns(found, 2)
    compared = compare_classifiers(
        collection, task, patterns, config, RandomStreams(1), Resources()
    )
    assert set(compared["model"]) == {"ridge", *config.models}
    assert len(compared) == 2 * 6
    assert compared["mcc"].between(-1, 1).all()
    assert compared.groupby("model")["auc"].mean().max() > 0.8
    wrong = config.model_copy(update={"models": ("forest",)})
    with pytest.raises(UsageError, match="random_forest"):
        compare_classifiers(collection, task, patterns, wrong, RandomStreams(1), Resources())


@pytest.mark.shared
@pytest.mark.slow
def test_the_known_resistance_gene_is_first_and_a_bogus_trait_finds_nothing(
    shared_data: Path,
) -> None:
    collection = read_collection(shared_data / "pangenome")
    config = GenesConfig(splits=20, twins=20, most_null_genes=120_000, replicates=20, resplits=100)
    resistance, bogus = scanned(collection, config)
    assert resistance.table["gene"].iloc[0] == "TetRCG"
    assert resistance.table["fwer_p_value"].iloc[0] <= 0.05
    assert not len(bogus.discovered)
