"""A simulated world of cells to a dataset folder, with its `truth/` beside what studies read.

What is in it is decided in `simulate.cell_world`; the layout of a dataset is `io.folder`'s.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image

from kinlens import __version__
from kinlens.atomic import atomic_path, write_frame, write_json, write_text
from kinlens.io.label_sets import read_label_sets
from kinlens.io.toml import toml_text
from kinlens.parallel import Resources, map_blocks
from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorld, CellWorldConfig, simulate_cells
from kinlens.simulate.micrograph import CHANNELS
from kinlens.studies.simulation import check_place
from kinlens.typing import ByteArray

__all__ = ["cell_world", "write_cells"]

_RECORD = Path("truth", "cell_world.json")
_PATTERN = "{image}_{channel}.png"
_PICTURES_PER_BLOCK = 40


def cell_world(config: CellWorldConfig, streams: RandomStreams) -> CellWorld:
    """Draw a world of cells whose label sets come from the table that its settings name, if any.

    Parameters
    ----------
    config : CellWorldConfig
        What it is like.
    streams : RandomStreams
        Source of randomness.
    """
    table = config.label_table
    label_sets = None if table is None else read_label_sets(table)
    return simulate_cells(config, streams, label_sets=label_sets)


def write_cells(
    world: CellWorld,
    folder: str | Path,
    *,
    resources: Resources | None = None,
    force: bool = False,
) -> None:
    """Write a world of cells as a dataset folder, whole or not at all.

    Each picture is four grey PNG files, one a channel.

    Parameters
    ----------
    world : CellWorld
        What to write.
    folder : path
        The dataset folder to make. It may exist when it is empty.
    resources : Resources, optional
        Where pictures are drawn, and who watches.
    force : bool
        Replace a simulated dataset of cells that is there; any other folder is left alone.

    Raises
    ------
    UsageError
        When something else is in the way, or the place cannot be written.
    """
    folder = Path(folder)
    check_place(folder, record=_RECORD, force=force)
    n = len(world.images)
    blocks = [
        range(start, min(start + _PICTURES_PER_BLOCK, n))
        for start in range(0, n, _PICTURES_PER_BLOCK)
    ]
    with atomic_path(folder) as part:
        (part / "images").mkdir(parents=True)
        drawn = map_blocks(
            partial(_draw_block, world),
            blocks,
            resources=resources,
            label="Drawing cells",
            unit="picture",
            size_of=len,
        )
        names = world.images["image"].tolist()
        for block, encoded in zip(blocks, drawn, strict=True):
            for picture, channels in zip(block, encoded, strict=True):
                for channel, content in zip(CHANNELS, channels, strict=True):
                    name = _PATTERN.format(image=names[picture], channel=channel)
                    # The folder as a whole appears at the end; single files need no care.
                    (part / name).write_bytes(content)
        write_frame(part / "metadata.csv", world.images)
        settings = {
            "name": world.config.name,
            "channels": CHANNELS,
            "channel_pattern": _PATTERN,
            "labels": dict(world.tree.groups),
        }
        write_text(part / "dataset.toml", toml_text(settings))
        _write_truth(world, part)


def _draw_block(world: CellWorld, block: range) -> list[list[bytes]]:
    """Draw some pictures and return the files of their channels."""
    return [[_png(band) for band in world.render(picture).transpose(2, 0, 1)] for picture in block]


def _png(band: ByteArray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(band).save(content, "PNG", compress_level=3)
    return content.getvalue()


def _write_truth(world: CellWorld, folder: Path) -> None:
    (folder / _RECORD.parent).mkdir()
    write_json(
        folder / _RECORD, {"kinlens": __version__, "seed": world.seed, "config": world.config}
    )
    write_frame(folder / "truth" / "antibodies.csv", world.antibodies)
    cells = [
        (image, number, ";".join(labels))
        for image, shown in zip(world.images["image"], world.shown, strict=True)
        for number, labels in enumerate(shown)
    ]
    write_frame(
        folder / "truth" / "cells.csv", pd.DataFrame(cells, columns=["image", "cell", "shows"])
    )
