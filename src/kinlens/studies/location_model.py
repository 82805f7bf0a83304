"""The network that answers for new pictures: kept in the run, asked by `kinlens predict`.

It is the network that validation chose, of the first repeat, with thresholds and calibration from
the validation part, for single pictures and for fields or antibodies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinlens.errors import InputError, UsageError
from kinlens.io.results import read_model
from kinlens.models.fine_tuned import Trunk
from kinlens.models.location_net import LabelNetwork
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.label_tree import LabelTree
from kinlens.studies.location_answers import Scored
from kinlens.studies.location_networks import NetworkConfig, kind_of, network_of, trunk_of
from kinlens.studies.location_pictures import read_pictures
from kinlens.studies.location_reading import Reading, unit_means, unit_truth
from kinlens.studies.location_task import Task
from kinlens.studies.location_training import Trained
from kinlens.typing import AnyArray, ByteArray, FloatArray, IntArray

__all__ = ["LocationModel", "fit_location_model", "load_location_model", "predict"]

_FORMAT = 2
# A routed model is several networks, and a pair two: these are one.
_KEPT = ("joint", "flat", "longer", "larger")
_PLAIN_CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True, eq=False)
class LocationModel:
    """A network with what turns its probabilities into answers.

    Parameters
    ----------
    name : str
        Which model it is, such as ``joint``.
    network : str
        ``timm:NAME``.
    width : float
        Share of the network's channels.
    tree : LabelTree
        Labels and groups.
    channels, every_channel : tuple of str
        Those that it looks at, and those of the dataset; the latter empty for ordinary pictures.
    channel_pattern : str
        How a channel's file is named.
    size : int
        Side of its pictures in pixels.
    mean, spread : array of shape (channels,)
        Normalisation.
    of_pictures, of_units : Reading
        From what the network says to answers, for single pictures, and for what it says on the
        average of the pictures of a field or antibody.
    weights : mapping of str to array
        The network's parameters.
    """

    name: str
    network: str
    width: float
    tree: LabelTree
    channels: tuple[str, ...]
    every_channel: tuple[str, ...]
    channel_pattern: str
    size: int
    mean: FloatArray
    spread: FloatArray
    of_pictures: Reading
    of_units: Reading
    weights: Mapping[str, AnyArray]

    def estimator(self, *, device: str = "auto") -> LabelNetwork:
        """Build the network, ready to answer on `device`."""
        config = NetworkConfig(width=self.width)
        words = self.network.partition("?")[0] + "?random"
        module = network_of(words, len(self.channels), self.size, config, seed=0)
        n_features = int(self.weights["flat.weight"].shape[1])
        trunk = Trunk(module, n_features, mean=self.mean, spread=self.spread)
        return LabelNetwork(trunk, kind_of(self.name, self.tree), device=device).load(self.weights)

    def state(self) -> dict[str, Any]:
        """Return what `load_location_model` reads back, for ``StudyResult.model``."""
        config = {
            "format": _FORMAT,
            "study": "location",
            "groups": {name: list(labels) for name, labels in self.tree.groups},
            **{
                name: getattr(self, name)
                for name in ("name", "network", "width", "channel_pattern", "size")
            },
            "channels": list(self.channels),
            "every_channel": list(self.every_channel),
        }
        arrays: dict[str, AnyArray] = {f"network.{name}": a for name, a in self.weights.items()}
        arrays |= {
            "mean": np.asarray(self.mean),
            "spread": np.asarray(self.spread),
            **self.of_pictures.arrays("pictures"),
            **self.of_units.arrays("units"),
        }
        return {"config": config, "arrays": arrays}


def fit_location_model(
    collection: Collection,
    task: Task,
    config: NetworkConfig,
    scored: Sequence[Scored],
    trained: Mapping[str, Trained],
) -> LocationModel | None:
    """Keep the network with the best score on the validation part, and calibrate it there.

    Parameters
    ----------
    collection : Collection
        Knows how channels are named.
    task : Task
        Labels and split.
    config : NetworkConfig
        How the networks were built.
    scored : sequence of Scored
        With the scores by which to choose.
    trained : mapping of str to Trained
        Networks of the first repeat.

    Returns
    -------
    LocationModel or None
        None when only baselines were asked for.
    """
    inner = {each.model: each.inner_score for each in scored}
    candidates = [name for name in _KEPT if name in inner and name in trained]
    if not candidates:
        return None
    name = max(candidates, key=lambda each: inner[each])
    network = config.larger if name == "larger" else config.network
    part = task.split.validation
    said = trained[name].probabilities[part]
    trunk = trunk_of(task.pictures[task.split.train], f"{network.partition('?')[0]}?random", config,
                     seed=0)  # fmt: skip
    return LocationModel(
        name=name,
        network=network,
        width=config.width,
        tree=task.tree,
        channels=task.channels,
        every_channel=collection.channels,
        channel_pattern=collection.channel_pattern,
        size=config.size,
        mean=trunk.mean,
        spread=trunk.spread,
        of_pictures=Reading.learned(said, task.truth[part]),
        of_units=Reading.learned(
            unit_means(said, task.units[part]), unit_truth(task.truth[part], task.units[part])
        ),
        weights=trained[name].weights,
    )


def load_location_model(run: str | Path) -> LocationModel:
    """Read the network back from a run folder.

    Raises
    ------
    InputError
        When the run has none, or one of a later format.
    """
    config, arrays = read_model(run)
    if config.get("format") != _FORMAT or config.get("study") != "location":
        raise InputError(
            "the model is not one that this version of kinlens can read", where=Path(run) / "model"
        )
    names = {field.name for field in fields(LocationModel)}
    plain = {key: value for key, value in config.items() if key in names}
    plain |= {
        "channels": tuple(config["channels"]),
        "every_channel": tuple(config["every_channel"]),
    }
    return LocationModel(
        **plain,
        tree=LabelTree.of(config["groups"]),
        mean=arrays["mean"],
        spread=arrays["spread"],
        of_pictures=Reading.of_arrays(arrays, "pictures"),
        of_units=Reading.of_arrays(arrays, "units"),
        weights={
            name.removeprefix("network."): array
            for name, array in arrays.items()
            if name.startswith("network.")
        },
    )


def predict(
    run: str | Path,
    images: Sequence[str | Path],
    *,
    field: str | None = None,
    weights: str | Path | None = None,
    resources: Resources | None = None,
) -> pd.DataFrame:
    """Tell where the protein of new pictures is, by a finished run of `location`.

    Parameters
    ----------
    run : path
        The run folder.
    images : sequence of path
        Pictures. Where channels are separate files, name one of them, or the picture without
        channel and ending; the others are found beside it. Several files of one picture count once.
    field : str, optional
        A regular expression for what in a picture's name says its field (or antibody): its first
        group, or all that it matches. Pictures of one field are answered for together.
    weights : path, optional
        Not used: a run keeps its network whole.
    resources : Resources, optional
        Where to work.

    Returns
    -------
    pandas.DataFrame
        One row a picture, in the order given: ``image``, the columns of `Reading.table`, and
        ``problem`` (why a picture could not be read). With `field` one row a field: ``field`` and
        ``pictures`` (how many were read) instead of ``image``.

    Raises
    ------
    InputError
        When the run has no model, or not one picture can be read.
    UsageError
        When `field` is not a regular expression, or does not match a picture's name.
    """
    del weights
    resources = resources or Resources()
    model = load_location_model(run)
    stems = list(dict.fromkeys(_stem(str(image), model) for image in images))
    found_fields = None if field is None else [_field(stem, field) for stem in stems]
    files = [_files(stem, model) for stem in stems]
    every = model.every_channel or _PLAIN_CHANNELS
    pictures, readable, skipped = read_pictures(
        files,
        stems,
        bands=tuple(every.index(channel) for channel in model.channels),
        size=model.size,
        resources=resources,
    )
    said = _probabilities(model, pictures, resources)
    problems = {each.file: each.reason for each in skipped}
    if found_fields is not None:
        return _field_table(model, said, readable, stems, found_fields, problems)
    table = _in_rows(model.of_pictures.table(said, model.tree), readable, len(stems))
    table.insert(0, "image", stems)
    table["problem"] = [problems.get(stem, "") for stem in stems]
    return table


def _field(stem: str, pattern: str) -> str:
    """Return the field that a picture's name says."""
    try:
        found = re.search(pattern, Path(stem).name)
    except re.error as error:
        raise UsageError(f"field: {pattern!r} is not a regular expression: {error}.") from error
    if found is None:
        raise UsageError(f"field: {pattern!r} finds nothing in {Path(stem).name!r}.")
    return str(found[1] if found.re.groups else found[0])


def _field_table(
    model: LocationModel,
    said: FloatArray,
    readable: IntArray,
    stems: Sequence[str],
    fields_: Sequence[str],
    problems: Mapping[str, str],
) -> pd.DataFrame:
    """Answer for each field by all its pictures that could be read."""
    names, first, of = np.unique(fields_, return_index=True, return_inverse=True)
    answers = model.of_units.table(unit_means(said, of[readable]), model.tree)
    table = _in_rows(answers, np.unique(of[readable]), len(names))
    table.insert(0, "field", names)
    table.insert(1, "pictures", np.bincount(of[readable], minlength=len(names)))
    reasons: list[list[str]] = [[] for _ in names]
    for stem, number in zip(stems, of, strict=True):
        if stem in problems:
            reasons[number].append(f"{Path(stem).name}: {problems[stem]}")
    table["problem"] = ["; ".join(each) for each in reasons]
    return table.iloc[np.argsort(first)].reset_index(drop=True)


def _in_rows(table: pd.DataFrame, rows: IntArray, n: int) -> pd.DataFrame:
    """Put answers into their rows among `n`; the others hold no answer."""
    table = table.set_axis(pd.Index(rows), axis="index").reindex(range(n))
    table[["answer", "groups"]] = table[["answer", "groups"]].fillna("")
    return table


def _probabilities(model: LocationModel, pictures: ByteArray, resources: Resources) -> FloatArray:
    with resources.progress.task("Looking", 1) as bar:
        said = model.estimator(device=resources.device).predict_proba(pictures)
        bar.advance()
    return said


def _stem(image: str, model: LocationModel) -> str:
    """Return the picture that a channel's file belongs to; other names are pictures already."""
    for channel in model.every_channel:
        before, after = model.channel_pattern.replace("{channel}", channel).split("{image}")
        name = image.removeprefix(before)
        if after and name.endswith(after):
            return name.removesuffix(after)
    return image


def _files(stem: str, model: LocationModel) -> tuple[Path, ...]:
    if not model.every_channel:
        return (Path(stem),)
    return tuple(
        Path(model.channel_pattern.format(image=stem, channel=channel))
        for channel in model.every_channel
    )
