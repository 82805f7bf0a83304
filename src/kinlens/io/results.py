"""A study result to the files of its run folder, and back.

`model/` holds arrays (safetensors) and a JSON configuration; nothing that is read back can run
code.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinlens.atomic import atomic_path, write_bytes, write_frame, write_json, write_text
from kinlens.errors import InputError
from kinlens.io.distances import read_distances, write_distances
from kinlens.records.result import FigureRecord, Headline, StudyResult, metrics_frame
from kinlens.skipped import Skipped
from kinlens.typing import AnyArray

__all__ = ["read_model", "read_result", "write_result"]


def write_result(result: StudyResult, folder: str | Path) -> None:
    """Write a result into a run folder; every file appears whole or not at all.

    Parameters
    ----------
    result : StudyResult
        What a study returned.
    folder : path
        The run folder, which exists.
    """
    folder = Path(folder)
    write_frame(folder / "metrics.csv", result.metrics)
    for name, frame in {"predictions": result.predictions, "splits": result.splits}.items():
        if frame is not None:
            write_frame(folder / f"{name}.csv", frame)
    for name, frame in result.tables.items():
        write_frame(folder / f"{name}.csv", frame)
    for figure in result.figures:
        write_bytes(folder / "figures" / f"{figure.name}.png", figure.png)
        if figure.svg:
            write_text(folder / "figures" / f"{figure.name}.svg", figure.svg)
    for image, jpeg in result.thumbnails.items():
        write_bytes(_thumbnail_path(folder, image), jpeg)
    if result.embedding is not None:
        with atomic_path(folder / "embedding.h5ad") as path:
            result.embedding.write_h5ad(path)
    if result.distances is not None:
        write_distances(result.distances, folder / "distances.csv")
    if result.model is not None:
        _write_model(result.model, folder / "model")
    write_text(folder / "METHODS.md", _wrapped(result.methods))
    # Last, because its presence says that the result is complete.
    write_json(folder / "result.json", _contents(result))


def read_result(folder: str | Path) -> StudyResult:
    """Read back what `write_result` wrote; the embedding and the model stay on disk.

    Raises
    ------
    InputError
        When the folder is not a finished run.
    """
    folder = Path(folder)
    if not (folder / "result.json").is_file():
        raise InputError(
            "not a finished run (there is no result.json)",
            where=folder,
            remedy="Run the study again, with --resume if it was interrupted.",
        )
    try:
        return _read_whole_result(folder)
    except FileNotFoundError as error:
        raise InputError(
            f"{Path(error.filename).name} of the run is missing", where=folder,
            remedy="Run the study again, with --force.",
        ) from error  # fmt: skip


def _read_whole_result(folder: Path) -> StudyResult:
    contents = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    numbers = ("value", "low", "high", "null_mean", "p_value", "n", "seed")
    metrics = pd.read_csv(
        folder / "metrics.csv", keep_default_na=False, na_values={name: [""] for name in numbers}
    )
    distances = folder / "distances.csv"
    return StudyResult(
        study=contents["study"],
        title=contents["title"],
        headlines=tuple(Headline(**entry) for entry in contents["headlines"]),
        metrics=metrics_frame(
            [
                {str(name): value for name, value in row.items()}
                for row in metrics.to_dict("records")
            ]
        ),
        methods=(folder / "METHODS.md").read_text(encoding="utf-8"),
        tables={name: _read_frame(folder / f"{name}.csv") for name in contents["tables"]},
        table_captions=contents["table_captions"],
        figures=tuple(_read_figure(folder, entry) for entry in contents["figures"]),
        distances=read_distances(distances) if distances.is_file() else None,
        thumbnails={
            image: _thumbnail_path(folder, image).read_bytes() for image in contents["thumbnails"]
        },
        predictions=_read_frame_if_there(folder / "predictions.csv"),
        splits=_read_frame_if_there(folder / "splits.csv"),
        skipped=tuple(Skipped(**entry) for entry in contents["skipped"]),
    )


def read_model(folder: str | Path) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Read a run's model: its configuration and its arrays by name.

    Raises
    ------
    InputError
        When the run has no model, or its files are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder) / "model"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return config, load_file(folder / "model.safetensors")
    except FileNotFoundError as error:
        raise InputError("the run has no model", where=folder) from error
    except (json.JSONDecodeError, SafetensorError) as error:
        raise InputError(f"the model is damaged ({error})", where=folder) from error


def _read_frame(path: Path) -> pd.DataFrame:
    # Only what is empty is missing: a taxon may be called NA or None.
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def _read_frame_if_there(path: Path) -> pd.DataFrame | None:
    return _read_frame(path) if path.is_file() else None


def _write_model(model: Mapping[str, Any], folder: Path) -> None:
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in model["arrays"].items()}
    write_bytes(folder / "model.safetensors", save(arrays))
    write_json(folder / "config.json", model["config"])


def _contents(result: StudyResult) -> dict[str, Any]:
    return {
        "study": result.study,
        "title": result.title,
        "headlines": [
            {"sentence": headline.sentence, "verdict": headline.verdict}
            for headline in result.headlines
        ],
        "tables": list(result.tables),
        "table_captions": dict(result.table_captions),
        "figures": [
            {"name": figure.name, "title": figure.title, "caption": figure.caption}
            for figure in result.figures
        ],
        "thumbnails": list(result.thumbnails),
        "skipped": [asdict(entry) for entry in result.skipped],
    }


def _read_figure(folder: Path, entry: Mapping[str, str]) -> FigureRecord:
    png = folder / "figures" / f"{entry['name']}.png"
    svg = png.with_suffix(".svg")
    return FigureRecord(
        **entry,
        png=png.read_bytes(),
        svg=svg.read_text(encoding="utf-8") if svg.is_file() else "",
    )


def _thumbnail_path(folder: Path, image: str) -> Path:
    # One flat folder: a path inside the dataset must not become a path inside the run.
    name = image.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C")
    return folder / "thumbnails" / f"{name}.jpg"


def _wrapped(methods: str) -> str:
    """Break the lines of each paragraph at an even width."""
    paragraphs = re.split(r"\n\s*\n", methods.strip())
    filled = [
        textwrap.fill(paragraph, width=100, break_long_words=False, break_on_hyphens=False)
        for paragraph in paragraphs
    ]
    return "\n\n".join(filled) + "\n"
