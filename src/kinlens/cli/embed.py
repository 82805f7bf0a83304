"""`kinlens embed images|sequences DATASET -o FILE.h5ad`: vectors for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display

__all__ = ["images", "register", "sequences"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    verb = typer.Typer(no_args_is_help=True, help="Turn pictures or sequences into vectors.")
    verb.command("images")(images)
    verb.command("sequences")(sequences)
    app.add_typer(verb, name="embed", rich_help_panel="Work")


def images(
    dataset: options.Dataset,
    out: options.Out,
    embedder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="descriptors (built in), timm:NAME or open_clip:NAME.",
        ),
    ] = "descriptors",
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="safetensors file or folder with the network's weights, instead of the hub.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = "auto",
    workers: options.Workers = 2,
    max_bad: options.MaxBad = 0.5,
    log_json: options.LogJson = False,
) -> None:
    """Turn every picture into a vector.

    Writes FILE.h5ad, which scanpy opens, and the same as a table beside it (FILE.parquet).
    Pictures that cannot be read are left out and listed in FILE.skipped.tsv.
    """
    from kinlens.parallel import Resources
    from kinlens.studies.picture_vectors import embed_pictures_to_file

    again = "The same command goes on where it stopped."
    with Display(as_json=log_json, how_to_go_on=again) as display:
        resources = Resources(workers=workers, device=device, progress=display)
        written = embed_pictures_to_file(
            dataset, out, embedder=embedder, weights=weights, resources=resources, max_bad=max_bad
        )
    for path in written:
        typer.echo(path)


def sequences(
    dataset: options.Dataset,
    out: options.Out,
    embedder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="kmer:K (counts of words of K letters) or sgt (sequence graph transform).",
        ),
    ] = "kmer:5",
    log_json: options.LogJson = False,
) -> None:
    """Turn every sequence into a vector.

    Writes FILE.h5ad, which scanpy opens, and the same as a table beside it (FILE.parquet).
    """
    from kinlens.studies.sequence_vectors import embed_sequences_to_file

    with Display(as_json=log_json) as display:
        written = embed_sequences_to_file(dataset, out, embedder=embedder, progress=display)
    for path in written:
        typer.echo(path)
