"""A fitted `KinshipEmbedder` as plain words and arrays, and back; nothing that can run code.

Only the closed-form engine is kept: it is small, and needs no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinlens.errors import InputError, UsageError
from kinlens.models.kinship import KinshipEmbedder, RidgePlaces
from kinlens.models.kinship_outsiders import OutsiderScore
from kinlens.models.kinship_placement import DistanceCalibration
from kinlens.models.kinship_profiles import PictureScaling, Profiles
from kinlens.models.kinship_ridge import Candidate, SpeciesKernel
from kinlens.records.tree import Tree
from kinlens.typing import AnyArray

__all__ = ["embedder_from_state", "embedder_state"]

_FORMAT = 1
_CALIBRATION = ("raw", "patristic", "edges", "spread")


def embedder_state(model: KinshipEmbedder) -> dict[str, Any]:
    """Return what `embedder_from_state` reads, as ``StudyResult.model`` holds it.

    Raises
    ------
    UsageError
        When the engine is not `RidgeEngine`.
    """
    places = model.places_
    if not isinstance(places, RidgePlaces):
        raise UsageError("only a KinshipEmbedder with RidgeEngine can be written down.")
    arrays: dict[str, AnyArray] = {
        "dual": places.dual,
        "positions": places.positions,
        "distances": model.distances_,
        "outsider_scores": model.outsider_scores_,
        "outsider_groups": model.outsider_groups_,
    }
    words: dict[str, Any] = {
        "format": _FORMAT,
        "species": list(model.species_),
        "parameters": {
            "n_folds": model.n_folds,
            "error_rate": model.error_rate,
            "outsider_level": model.outsider_level,
            "random_state": model.random_state,
        },
        "tree": None if model.tree_ is None else model.tree_.to_dict(),
        "kernel": {"name": places.kernel.name, "scale": places.kernel.scale},
        "chosen": dict(vars(places.chosen)),
    }
    for part, scaling, profiles in (
        ("places", places.scaling, places.profiles),
        ("outsiders", model.outsiders_.scaling, model.outsiders_.profiles),
    ):
        words[part], own = scaling.state()
        arrays |= {f"{part}.{name}": array for name, array in own.items()}
        arrays |= {f"{part}.profiles": profiles.values, f"{part}.has_view": profiles.has_view}
        words[part]["edges"] = list(profiles.edges)
    calibration = model.calibration_
    words["calibration"] = None
    if calibration is not None:
        arrays |= {f"calibration.{name}": getattr(calibration, name) for name in _CALIBRATION}
        # JSON has no infinity; None says that an interval has no end.
        margin = calibration.margin if np.isfinite(calibration.margin) else None
        words["calibration"] = {"margin": margin, "n_species": calibration.n_species}
    return {"config": words, "arrays": arrays}


def embedder_from_state(
    words: Mapping[str, Any], arrays: Mapping[str, AnyArray]
) -> KinshipEmbedder:
    """Make a fitted embedder again.

    Parameters
    ----------
    words, arrays : mapping
        The ``config`` and ``arrays`` that `embedder_state` returned.

    Raises
    ------
    InputError
        When they are of another format.
    """
    if words.get("format") != _FORMAT:
        raise InputError(
            f"a kinship model of format {words.get('format')}, where {_FORMAT} is read",
            remedy="Install the version of kinlens that made it, or run the study again.",
        )
    model = KinshipEmbedder(**words["parameters"])
    model.species_ = tuple(words["species"])
    model.tree_ = None if words["tree"] is None else Tree.from_dict(words["tree"])
    model.distances_ = arrays["distances"]
    scaling, profiles = _scaled("places", words, arrays)
    model.places_ = RidgePlaces(
        scaling=scaling,
        kernel=SpeciesKernel(**words["kernel"]),
        profiles=profiles,
        dual=arrays["dual"],
        positions=arrays["positions"],
        chosen=Candidate(**words["chosen"]),
    )
    model.positions_ = model.places_.positions
    model.outsiders_ = OutsiderScore(*_scaled("outsiders", words, arrays))
    model.outsider_scores_ = arrays["outsider_scores"]
    model.outsider_groups_ = arrays["outsider_groups"]
    model.calibration_ = None
    told = words["calibration"]
    if told is not None:
        model.calibration_ = DistanceCalibration(
            **{name: arrays[f"calibration.{name}"] for name in _CALIBRATION},
            margin=np.inf if told["margin"] is None else told["margin"],
            error_rate=model.error_rate,
            n_species=told["n_species"],
        )
    return model


def _scaled(
    part: str, words: Mapping[str, Any], arrays: Mapping[str, AnyArray]
) -> tuple[PictureScaling, Profiles]:
    begin = f"{part}."
    own = {
        name.removeprefix(begin): array for name, array in arrays.items() if name.startswith(begin)
    }
    profiles = Profiles(own["profiles"], own["has_view"], tuple(words[part]["edges"]))
    return PictureScaling.from_state(dict(words[part]), own), profiles
