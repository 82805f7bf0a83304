"""Importing the package and asking for help are light."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# None of these may load before work begins; each costs from tenths of a second to several.
HEAVY = {
    "anndata",
    "dask",
    "distributed",
    "faiss",
    "joblib",
    "lightning",
    "matplotlib",
    "numba",
    "open_clip",
    "optuna",
    "scipy",
    "skbio",
    "skimage",
    "sklearn",
    "statsmodels",
    "timm",
    "torch",
    "torchvision",
    "umap",
}
_IMPORT = "import kinlens"
_HELP = """
import sys
from kinlens.cli.main import main
sys.argv = ["kinlens", *{words!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
_REPORT = "\nimport sys; print('LOADED', *sys.modules, file=sys.stderr)"
VERBS = (
    [],
    ["check"],
    ["convert"],
    ["demo"],
    ["doctor"],
    ["embed"],
    ["explore"],
    ["predict"],
    ["report"],
    ["run"],
    ["simulate"],
)


@pytest.mark.parametrize(
    "program",
    [_IMPORT, *(_HELP.format(words=[*verb, "--help"]) for verb in VERBS)],
    ids=["import", *(" ".join([*verb, "--help"]) for verb in VERBS)],
)
def test_nothing_heavy_is_loaded(program: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", program + _REPORT], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded = run.stderr.partition("LOADED")[2].split()
    assert "kinlens" in loaded
    assert HEAVY & set(loaded) == set()


def test_help_is_there_before_the_reader_notices() -> None:
    command = [sys.executable, "-m", "kinlens", "--help"]
    seconds = []
    for _ in range(10):
        # Processor time, which a busy machine does not stretch as it does the time on the wall.
        before = _seconds_of_children()
        subprocess.run(command, check=True, capture_output=True, env=os.environ)
        seconds.append(_seconds_of_children() - before)
        if seconds[-1] < 0.5:
            return
    pytest.fail(f"`kinlens --help` took {min(seconds):.2f} s at its best.")


def _seconds_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system
