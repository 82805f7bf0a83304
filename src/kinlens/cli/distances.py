"""`kinlens distances tree|edit|embedding SOURCE -o FILE`: a square matrix with names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display

__all__ = ["edit", "embedding", "register", "tree"]

app = typer.Typer(no_args_is_help=True)

Matrix = Annotated[
    Path,
    typer.Option("-o", "--out", help=".csv, .tsv (either with .gz) or .npy.", show_default=False),
]


def register(top: typer.Typer) -> None:
    """Add the verb to the command."""
    top.add_typer(
        app,
        name="distances",
        help="Write the distances in a tree, of sequences or of vectors.",
        rich_help_panel="Work",
    )


@app.command("tree")
def tree(
    source: Annotated[
        Path, typer.Argument(help="Newick file or dataset folder.", show_default=False)
    ],
    out: Matrix,
) -> None:
    """Distances along the branches between every two tips."""
    from kinlens.studies.matrices import write_tree_matrix

    write_tree_matrix(source, out)
    typer.echo(out)


@app.command("edit")
def edit(
    source: Annotated[
        Path, typer.Argument(help="FASTA file or dataset folder.", show_default=False)
    ],
    out: Matrix,
    workers: options.Workers = 2,
    scheduler: options.Scheduler = None,
) -> None:
    """Exact edit distances between every two sequences; .npy is written block by block."""
    from kinlens.parallel import Resources
    from kinlens.studies.matrices import write_edit_matrix

    with Display() as display:
        resources = Resources(workers=workers, scheduler=scheduler, progress=display)
        write_edit_matrix(source, out, resources=resources)
    typer.echo(out)


@app.command("embedding")
def embedding(
    source: Annotated[Path, typer.Argument(help=".h5ad file, or run folder.", show_default=False)],
    out: Matrix,
    metric: Annotated[str, typer.Option(help="euclidean, cosine or manhattan.")] = "euclidean",
) -> None:
    """Distances between every two vectors."""
    from kinlens.studies.matrices import write_vector_matrix

    write_vector_matrix(source, out, metric=metric)  # type: ignore[arg-type]
    typer.echo(out)
