"""A simulated world to a dataset folder: what studies read, the pictures, and `truth/` beside them.

What is in a world is decided in `simulate.world`; the layout of a dataset is `io.folder`'s.
"""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image

from kinlens import __version__
from kinlens.atomic import atomic_path, write_frame, write_json, write_text
from kinlens.errors import UsageError
from kinlens.io.fasta import write_fasta
from kinlens.io.folder import write_collection
from kinlens.io.newick import write_newick
from kinlens.parallel import Resources, map_blocks
from kinlens.records.sequences import SequenceSet
from kinlens.simulate.specimens import ShellPictures
from kinlens.simulate.world import Truth, World

__all__ = ["check_place", "write_world"]

_RECORD = Path("truth", "world.json")
# Enough pictures to outweigh handing over a block, few enough that the bar moves.
_PICTURES_PER_BLOCK = 40


def write_world(
    world: World,
    folder: str | Path,
    *,
    resources: Resources | None = None,
    force: bool = False,
) -> None:
    """Write a world as a dataset folder, whole or not at all.

    Parameters
    ----------
    world : World
        What to write.
    folder : path
        The dataset folder to make. It may exist when it is empty.
    resources : Resources, optional
        Where pictures are drawn, and who watches.
    force : bool
        Replace a simulated dataset that is there; any other folder is left alone.

    Raises
    ------
    UsageError
        When something else is in the way, or the place cannot be written.
    """
    folder = Path(folder)
    check_place(folder, record=_RECORD, force=force)
    with atomic_path(folder) as part:
        part.mkdir()
        (part / "images").mkdir()
        blocks = [
            range(start, min(start + _PICTURES_PER_BLOCK, len(world.pictures)))
            for start in range(0, len(world.pictures), _PICTURES_PER_BLOCK)
        ]
        files = world.images["image"].tolist()
        drawn = map_blocks(
            partial(_draw_block, world.pictures),
            blocks,
            resources=resources,
            label="Drawing shells",
            unit="picture",
            size_of=len,
        )
        for block, encoded in zip(blocks, drawn, strict=True):
            for picture, content in zip(block, encoded, strict=True):
                # The folder as a whole appears at the end; single files need no care.
                (part / files[picture]).write_bytes(content)
        write_collection(world.collection(part), part)
        # A JSON string is a TOML string.
        write_text(part / "dataset.toml", f"name = {json.dumps(world.config.name)}\n")
        _write_truth(world, part)


def check_place(folder: Path, *, record: Path, force: bool) -> None:
    """Refuse to write where anything else than a simulated dataset of the same kind is.

    Parameters
    ----------
    folder : pathlib.Path
        Where the dataset will be.
    record : pathlib.Path
        The file, relative to the folder, by which such a dataset is known.
    force : bool
        Whether it may be replaced.

    Raises
    ------
    UsageError
        When something is in the way.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / record).is_file():
        raise UsageError(
            f"{folder}: something else is there, which a simulated dataset may not replace. "
            "Choose another folder."
        )
    if not force:
        raise UsageError(f"{folder}: a simulated dataset is there. Use --force to replace it.")


def _draw_block(pictures: ShellPictures, block: range) -> list[bytes]:
    """Draw some pictures and return them as JPEG files."""
    encoded = []
    for picture in block:
        content = io.BytesIO()
        # Half-size colour would blur the very patterns that tell species apart.
        shell = Image.fromarray(pictures.render(picture))
        shell.save(content, "JPEG", quality=92, subsampling=0)
        encoded.append(content.getvalue())
    return encoded


def _write_truth(world: World, folder: Path) -> None:
    truth, place = world.truth, folder / _RECORD.parent
    place.mkdir()
    record = {"kinlens": __version__, "seed": world.seed, "config": world.config}
    write_json(folder / _RECORD, record)
    write_newick(truth.trait_tree, place / "trait_tree.nwk")
    write_newick(truth.evolved.tree, place / "sequence_tree.nwk")
    write_fasta(_alignment(truth), place / "alignment.fasta")
    tables: dict[str, pd.DataFrame] = {
        "species_traits": truth.species_traits.reset_index(),
        "specimens": truth.specimens,
        "pictures": truth.pictures,
        "genes": truth.genes.reset_index(),
        "gene_rates": truth.gene_rates,
        "gene_effects": truth.gene_effects,
        "convergent": truth.convergent,
    }
    for name, frame in tables.items():
        write_frame(place / f"{name}.csv", frame)


def _alignment(truth: Truth) -> SequenceSet:
    """Return every sequence of the tree, ancestors included, in the true alignment."""
    evolved = truth.evolved
    return SequenceSet(
        evolved.tree.names, tuple(evolved.aligned(node) for node in range(evolved.tree.n_nodes))
    )
