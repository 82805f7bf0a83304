"""Small finished runs to explore: real pictures, real vectors, a real naming model, no figures."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from kinlens.embed.container import to_anndata
from kinlens.io.folder import read_collection
from kinlens.io.results import write_result
from kinlens.parallel import Resources
from kinlens.records.distances import DistanceMatrix
from kinlens.records.result import Headline, StudyResult, metric_row, metrics_frame
from kinlens.rng import RandomStreams
from kinlens.run import RunFolder
from kinlens.studies.taxa import TaxaConfig
from kinlens.studies.taxa_model import fit_hierarchical, fit_naming_model
from kinlens.studies.taxa_task import prepare

GENERA = ("Ino", "Eos", "Nyx")
N_SPECIES, N_EACH = 9, 6
NEWICK = (
    "(((Ino_a:1,Ino_b:1):1,Ino_c:2):2,((Eos_a:1,Eos_b:1):1,Eos_c:2):2,"
    "((Nyx_a:1,Nyx_b:1):1,Nyx_c:2):2);"
)


@dataclass(frozen=True)
class Tour:
    """A dataset and runs on it, side by side."""

    folder: Path
    dataset: Path
    taxa: Path


def make_tour(folder: Path) -> Tour:
    dataset = folder / "moths"
    make_dataset(dataset)
    make_taxa_run(dataset, folder / "taxa")
    make_kinship_run(dataset, folder / "kinship")
    make_genes_run(dataset, folder / "genes")
    make_rare_run(dataset, folder / "rare")
    (folder / "truths.json").write_text('{"taxa": "True: nine moths. Found: nine."}')
    return Tour(folder, dataset, folder / "taxa")


def species_names() -> list[str]:
    return [f"{genus}_{letter}" for genus in GENERA for letter in "abc"]


def draw(number: int, rng: np.random.Generator, size: int = 64) -> Image.Image:
    """Draw a moth: a hue for the genus, a shape for the species."""
    genus, kind = divmod(number, 3)
    picture = Image.new("RGB", (size, size), (250, 250, 245))
    hue = [(180, 60, 40), (40, 130, 70), (60, 70, 170)][genus]
    colour = tuple(int(np.clip(c + rng.integers(-18, 18), 0, 255)) for c in hue)
    pen = ImageDraw.Draw(picture)
    jitter = rng.integers(-3, 4)
    for side in (-1, 1):
        middle = size // 2 + side * (10 + 2 * kind)
        span = 7 + 3 * kind
        pen.ellipse(
            (middle - span, size // 2 - 9 + jitter, middle + span, size // 2 + 14), fill=colour
        )
    pen.rectangle((size // 2 - 2, size // 2 - 12, size // 2 + 2, size // 2 + 16), fill=(40, 30, 25))
    return picture


def make_dataset(folder: Path) -> None:
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, species in enumerate(species_names()):
        for each in range(N_EACH):
            name = f"images/{species}_{each}.jpg"
            # Where it was taken is nobody's business.
            exif = Image.Exif()
            exif[0x010E] = "secret meadow"
            exif.get_ifd(0x8825)[1] = "N"
            draw(number, rng).save(folder / name, quality=92, exif=exif)
            rows.append((name, f"{species}_{each}", species, species.split("_")[0], 3.0 * number))
    frame = pd.DataFrame(rows, columns=["image", "specimen", "species", "genus", "span_mm"])
    frame.to_csv(folder / "metadata.csv", index=False)
    (folder / "tree.nwk").write_text(NEWICK + "\n")
    genes = pd.DataFrame(
        rng.integers(0, 2, (N_SPECIES, 40)),
        index=pd.Index(species_names(), name="species"),
        columns=[f"gene_{n:02d}" for n in range(40)],
    )
    genes["gene_00"] = [1] * 3 + [0] * 6
    genes.to_csv(folder / "genes.csv")


def begin(folder: Path, study: str, dataset: Path) -> RunFolder:
    collection = read_collection(dataset)
    return RunFolder.begin(
        folder, study=study, config={}, seed=1, inputs=collection.hashes, source=dataset
    )


def make_taxa_run(dataset: Path, folder: Path) -> None:
    collection = read_collection(dataset)
    streams, resources = RandomStreams(1), Resources()
    config = TaxaConfig()
    task = prepare(collection, config, streams, resources)
    classifier = fit_hierarchical(task, task.split.development, 1)
    naming = fit_naming_model(task, classifier, config)
    test = task.split.test
    truth = task.names.iloc[test].add_prefix("true_").reset_index(drop=True)
    answers = naming.table(task.vectors[test]).reset_index(drop=True)
    images = pd.DataFrame({"image": task.table.image[test]})
    container = to_anndata(
        task.vectors,
        [str(image) for image in task.table.image],
        obs=task.table.frame.assign(split=task.split.part),
        provenance={"encoder": task.embedder, "fingerprint": task.fingerprint},
    )
    centred = task.vectors - task.vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    container.obsm["X_umap"] = (left[:, :2] * size[:2]).astype(np.float32)
    result = StudyResult(
        study="taxa",
        title="Names from pictures",
        headlines=(Headline("Moths are told apart by <b>colour</b> & shape.", "good"),),
        metrics=metrics("taxa"),
        methods="Moths were drawn.",
        predictions=pd.concat([images, truth, answers], axis=1),
        embedding=container,
        model=naming.state(),
        thumbnails={str(task.table.image[0]): jpeg_of(dataset / str(task.table.image[0]))},
    )
    write(result, folder, dataset)


def make_kinship_run(dataset: Path, folder: Path) -> None:
    names = species_names()
    rng = np.random.default_rng(2)
    places = np.repeat(rng.standard_normal((3, 4)), 3, axis=0) + rng.standard_normal((9, 4)) / 3
    apart = np.sqrt(((places[:, None] - places) ** 2).sum(axis=2))
    container = to_anndata(
        places.astype(np.float32),
        names,
        obs=pd.DataFrame({"clade": [name.split("_")[0] for name in names]}),
        kind="species",
    )
    result = StudyResult(
        study="kinship",
        title="Looks and kinship",
        headlines=(Headline("Looks follow kinship."),),
        metrics=metrics("kinship"),
        methods="Distances were compared.",
        embedding=container,
        distances=DistanceMatrix(tuple(names), apart),
    )
    write(result, folder, dataset)


def make_genes_run(dataset: Path, folder: Path) -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "gene": [f"gene_{n:02d}" for n in range(40)],
            "mcc": np.r_[0.9, rng.normal(0, 0.15, 39)],
            "q_value": np.r_[0.001, rng.uniform(0.2, 1, 39)],
        }
    )
    result = StudyResult(
        study="genes",
        title="Genes that looks tell",
        headlines=(Headline("One gene of 40 can be told from looks."),),
        metrics=metrics("genes"),
        methods="Genes were scanned.",
        tables={"genes": table},
        table_captions={"genes": "One row a gene."},
    )
    write(result, folder, dataset)


def make_rare_run(dataset: Path, folder: Path) -> None:
    names = species_names()
    table = pd.DataFrame(
        {"species": names, "training_specimens": range(len(names)), "accuracy": 0.5}
    )
    result = StudyResult(
        study="rare",
        title="Rare species",
        headlines=(Headline("Rare moths are named by their relatives."),),
        metrics=metrics("rare"),
        methods="Means were shrunk.",
        tables={"species": table},
    )
    write(result, folder, dataset)


def make_cells(folder: Path) -> Path:
    """Make cells in four stains, and a run that says where their protein is."""
    rng = np.random.default_rng(7)
    dataset = folder / "cells"
    (dataset / "images").mkdir(parents=True)
    (dataset / "dataset.toml").write_text(
        'channels = ["red", "green", "blue", "yellow"]\nchannel_pattern = "{image}_{channel}.png"\n'
    )
    names = [f"images/cell_{number:02d}" for number in range(12)]
    for name in names:
        for number, channel in enumerate(("red", "green", "blue", "yellow")):
            picture = Image.new("L", (48, 48))
            at = 8 + 6 * number
            ImageDraw.Draw(picture).ellipse((at, at, at + 14, at + 14), fill=255)
            picture.save(dataset / f"{name}_{channel}.png")
    frame = pd.DataFrame({"image": names, "labels": ["Nucleoplasm", "Cytosol;Nucleoplasm"] * 6})
    frame.to_csv(dataset / "metadata.csv", index=False)
    nucleus = np.r_[[0.9, 0.6] * 6] + rng.uniform(-0.05, 0.05, 12)
    predictions = pd.DataFrame(
        {
            "image": names,
            "truth": frame["labels"],
            "answer": ["Nucleoplasm"] * 12,
            "Nucleoplasm": nucleus,
            "Cytosol": 1 - nucleus,
            "Actin filaments": rng.uniform(0, 0.2, 12),
        }
    )
    result = StudyResult(
        study="location",
        title="Where a protein sits",
        headlines=(Headline("The nucleus is found."),),
        metrics=metrics("location"),
        methods="Cells were looked at.",
        predictions=predictions,
    )
    write(result, folder / "location", dataset)
    return folder / "location"


def write(result: StudyResult, folder: Path, dataset: Path) -> None:
    with begin(folder, result.study, dataset) as run:
        write_result(result, run.path)


def metrics(study: str) -> pd.DataFrame:
    return metrics_frame(
        [metric_row(study, target="species", model="m", metric="accuracy", value=0.5, split="s")]
    )


def jpeg_of(path: Path) -> bytes:
    content = io.BytesIO()
    with Image.open(path) as picture:
        picture.save(content, format="JPEG")
    return content.getvalue()
