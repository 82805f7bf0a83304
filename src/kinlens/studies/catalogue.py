"""Which studies exist, found by name and loaded only when wanted: listing them costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from kinlens.errors import UsageError, did_you_mean, listing

if TYPE_CHECKING:
    import pandas as pd

    from kinlens.config import Config
    from kinlens.parallel import Resources
    from kinlens.records.collection import Collection
    from kinlens.records.result import StudyResult
    from kinlens.rng import RandomStreams

__all__ = ["FIELDS", "PREDICTING", "STUDIES", "Study", "load_predictor", "load_study"]

STUDIES = {
    "taxa": "Name taxa from pictures, from species up, and say how safe each name is.",
    "kinship": "Test whether looking alike means being related, and teach an embedding to know.",
    "seqdist": "Learn vectors whose distance stands for edit distance; search and cluster by them.",
    "genes": "Tell which genes can be predicted from looks, with a null that kin cannot fool.",
    "location": "Tell which places of a cell a protein is at, from pictures in several channels.",
    "rare": "Name species with few pictures or none by their kin, and tell what of it is genetic.",
}
"""Name of each study and the question that it answers."""

PREDICTING = ("taxa", "kinship", "location", "rare")
"""Studies whose runs answer for new pictures."""

FIELDS = ("location",)
"""Those that also answer for the pictures of a field together."""

Run: TypeAlias = "Callable[[Collection, Config, RandomStreams, Resources], StudyResult]"


@dataclass(frozen=True)
class Study:
    """One study, loaded.

    Parameters
    ----------
    name : str
        As in ``kinlens run NAME``.
    config : type
        Its frozen configuration; the defaults run.
    run : callable
        ``run(collection, config, streams, resources) -> StudyResult``.
    """

    name: str
    config: type[Config]
    run: Run


def load_study(name: str) -> Study:
    """Load a study by name.

    Raises
    ------
    UsageError
        For a name that does not exist, with the nearest one that does.
    """
    if name not in STUDIES:
        raise UsageError(f"no study {name!r}. {did_you_mean(name, list(STUDIES))}")
    module = importlib.import_module(f"kinlens.studies.{name}")
    return Study(name, module.CONFIG, module.run)


def load_predictor(run: str | Path, *, by_field: bool = False) -> Callable[..., pd.DataFrame]:
    """Load what answers for new pictures from a run: ``predict(run, images, *, ...)``.

    Parameters
    ----------
    run : path
        The run folder.
    by_field : bool
        Whether it has to take ``field=``, too.

    Raises
    ------
    InputError
        When the folder is no finished run.
    UsageError
        When runs of its study have nothing to say of new pictures, or nothing of fields.
    """
    from kinlens.run import read_finished_run

    name = str(read_finished_run(run)["study"])
    if name not in PREDICTING:
        raise UsageError(
            f"{run}: a run of {name!r} does not answer for new pictures; one of "
            f"{listing(PREDICTING)} does."
        )
    if by_field and name not in FIELDS:
        raise UsageError(
            f"{run}: a run of {name!r} answers for single pictures only; leave --field out."
        )
    predictor: Callable[..., pd.DataFrame] = importlib.import_module(
        f"kinlens.studies.{name}_model"
    ).predict
    return predictor
