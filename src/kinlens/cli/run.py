"""`kinlens run STUDY DATASET -o RUN`: one study on one dataset, into a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinlens.cli import options
from kinlens.cli.display import Display
from kinlens.errors import UsageError
from kinlens.studies.catalogue import STUDIES

if TYPE_CHECKING:
    from kinlens.config import Config
    from kinlens.records.result import StudyResult
    from kinlens.studies.catalogue import Study

__all__ = ["register", "run"]

_STUDIES = "\n".join(f"{name:<10}{question}" for name, question in STUDIES.items())
_COLOURS = {"good": "green", "bad": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("run", rich_help_panel="Work", help=f"{run.__doc__}\n\n\b{_STUDIES}")(run)


def run(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="One of the studies above.", show_default=False)
    ],
    dataset: Annotated[
        Path | None, typer.Argument(metavar="DATASET", help="Dataset folder.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="RUN", help="Run folder to make.", show_default=False),
    ] = None,
    config: options.Config = None,
    settings: options.Set = None,
    show_config: Annotated[
        bool,
        typer.Option(
            "--show-config",
            help="Print the settings, each explained, as a TOML file to start from; run nothing.",
            rich_help_panel="Settings",
        ),
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = 2,
    scheduler: options.Scheduler = None,
    max_bad: options.MaxBad = 0.5,
    resume: options.Resume = False,
    force: options.Force = False,
    log_json: options.LogJson = False,
) -> None:
    """Run one study and write its numbers, figures, report and methods paragraph."""
    from kinlens.parallel import Resources
    from kinlens.studies.catalogue import load_study
    from kinlens.studies.runner import run_into_folder

    if not show_config and (dataset is None or out is None):
        raise UsageError(f"write: kinlens run {study} DATASET -o RUN")
    chosen = load_study(study)
    resolved = _resolved(chosen, config, settings)
    if show_config:
        typer.echo(_as_toml(study, resolved), nl=False)
        return
    assert dataset is not None
    assert out is not None
    with Display(as_json=log_json, how_to_go_on=options.GO_ON) as display:
        resources = Resources(workers=workers, scheduler=scheduler, device=device, progress=display)
        result = run_into_folder(
            chosen,
            dataset,
            out,
            resolved,
            seed=seed,
            resources=resources,
            max_bad=max_bad,
            resume=resume,
            force=force,
        )
    _say_result(display, result, out)


def _resolved(study: Study, file: Path | None, settings: list[str] | None) -> Config:
    """Fill the study's settings from a file and from words; words win."""
    from kinlens.config import build_config, read_toml

    table = read_toml(file) if file else {}
    # One file may configure several studies, each in a table of its name.
    if STUDIES.keys() & table.keys():
        table = table.get(study.name, {})
    words = options.parse_settings(settings)
    return build_config(study.config, table, words, where=str(file or "--set"))


def _as_toml(study: str, config: Config) -> str:
    """Write the settings as TOML, each under the line that explains it."""
    import json

    lines = [f"[{study}]"]
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if field.description:
            lines += ["", *(f"# {line}" for line in field.description.splitlines())]
        if value is None:
            lines.append(f"# {name} =")
        else:
            plain = list(value) if isinstance(value, tuple) else value
            lines.append(f"{name} = {json.dumps(plain, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _say_result(display: Display, result: StudyResult, out: Path) -> None:
    from rich.text import Text

    for headline in result.headlines:
        line = Text.assemble(("• ", _COLOURS.get(headline.verdict, "")), headline.sentence)
        display.show(
            "headline", {"sentence": headline.sentence, "verdict": headline.verdict}, drawn=line
        )
    typer.echo(out / "report.html")
