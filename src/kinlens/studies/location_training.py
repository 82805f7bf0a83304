"""Networks of the study `location`: which are trained, on which pictures, from which weights.

Each is trained once for each seed, in an order in which later ones start from earlier ones.
Finished ones are kept in the cache, so that an interrupted run trains the rest only. What is made
of their probabilities is in `location_answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kinlens import __version__
from kinlens.atomic import hash_bytes
from kinlens.learn.label_kinds import Combined, Gated, Independent, LabelKind
from kinlens.learn.multilabel_losses import asymmetric, label_balance, soft_margin
from kinlens.learn.plan import FitPlan
from kinlens.ledger import FolderLedger
from kinlens.models.location_net import LabelNetwork, published_plan
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.studies.location_networks import NetworkConfig, trunk_of
from kinlens.studies.location_task import Task
from kinlens.typing import AnyArray, BoolArray, FloatArray, IntArray

__all__ = ["Job", "Trained", "jobs_for", "train_networks"]


@dataclass(frozen=True, eq=False)
class Job:
    """One network to train.

    Parameters
    ----------
    name : str
        Such as ``flat`` or ``stage2_nucleus``.
    kind : LabelKind
        What it answers.
    truth : array of bool, shape (n, k)
        Which of its labels hold for every picture of the task.
    train, validation : array of int
        Rows.
    network : str
        As the encoder is named.
    start : str
        The network whose weights it starts from; "" for none.
    start_head : bool
        Whether the head is taken over, too.
    draw : int
        Tells networks apart that differ in nothing but the seed.
    """

    name: str
    kind: LabelKind
    truth: BoolArray
    train: IntArray
    validation: IntArray
    network: str
    start: str = ""
    start_head: bool = False
    draw: int = 0


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network's answers and weights.

    Parameters
    ----------
    probabilities : array of float, shape (n, k)
        Of its labels, for every picture of validation and test part; NaN for others.
    groups : array of float, shape (n, n_groups), optional
        The same for groups, where the network names them on its own.
    weights : dict of str to array
        Its parameters.
    epochs : int
        How many it was trained for.
    images : int
        How many pictures it was trained on.
    """

    probabilities: FloatArray
    groups: FloatArray | None
    weights: dict[str, AnyArray]
    epochs: int
    images: int


def train_networks(
    task: Task,
    config: NetworkConfig,
    wanted: tuple[str, ...],
    streams: RandomStreams,
    resources: Resources,
) -> dict[str, Trained]:
    """Train the networks that the wanted models need, or fetch those that are kept.

    Parameters
    ----------
    task : Task
        Pictures, labels and split.
    config : NetworkConfig
        Which networks, and for how long.
    wanted : tuple of str
        Models, as in `location_answers`.
    streams : RandomStreams
        Of one repeat: draws weights, order and augmentation.
    resources : Resources
        Device and cache, and who watches.

    Returns
    -------
    dict of str to Trained
        By name.
    """
    ledger = _ledger(task, config, streams, resources)
    found: dict[str, Trained] = {}
    for job in jobs_for(task, config, wanted, streams):
        key = f"{job.name}-{'.'.join(streams.path) or 'run'}"
        kept = None
        if ledger is not None and ledger.has(key):
            try:
                kept = ledger.load(key)
            except KeyError:
                kept = None
        if kept is None:
            kept = _train(task, job, config, found, streams, resources)
            if ledger is not None:
                ledger.store(key, kept)
        found[job.name] = kept
    return found


def jobs_for(
    task: Task, config: NetworkConfig, wanted: tuple[str, ...], streams: RandomStreams
) -> list[Job]:
    """Return what has to be trained for the wanted models, those first from which others start.

    Parameters
    ----------
    task : Task
        Pictures, labels and split.
    config : NetworkConfig
        Which networks.
    wanted : tuple of str
        Models.
    streams : RandomStreams
        Draws the foreign pictures of the networks with "other".
    """
    tree, split = task.tree, task.split
    n_labels = len(tree.labels)
    rows = {"train": split.train, "validation": split.validation, "network": config.network}
    flat = Job("flat", Independent(n_labels), task.truth, **rows)  # type: ignore[arg-type]
    jobs = [flat]
    if {"stage1_single"} & set(wanted):
        combined = Combined.seen(task.groups[split.train])
        jobs.append(replace(flat, name="stage1_single", kind=combined, truth=task.groups))
    if {"stage1_multi", "hard_routed", "hard_routed_other"} & set(wanted):
        groups = Independent(len(tree.groups))
        jobs.append(replace(flat, name="stage1_multi", kind=groups, truth=task.groups))
    for model, with_other in (("hard_routed", False), ("hard_routed_other", True)):
        if model in wanted:
            jobs += [
                _stage_2(task, flat, group, with_other, streams)
                for group in range(len(tree.groups))
            ]
    if "joint" in wanted:
        gated = Gated(tree.group_of, _joint_loss(task, config))
        jobs.append(replace(flat, name="joint", kind=gated, start="flat", start_head=True))
    if "longer" in wanted:
        jobs.append(replace(flat, name="longer", start="flat", start_head=True))
    if "pair" in wanted:
        jobs.append(replace(flat, name="second", draw=1))
    if "larger" in wanted:
        jobs.append(replace(flat, name="larger", network=config.larger))
    return jobs


def _stage_2(task: Task, flat: Job, group: int, with_other: bool, streams: RandomStreams) -> Job:
    """Return the network of one group: its own pictures, with or without foreign ones."""
    members = task.tree.members(group)
    truth = task.truth[:, members]
    own: BoolArray = np.asarray(truth.any(axis=1))
    name = f"stage2{'_other' if with_other else ''}_{task.tree.group_names[group]}"
    parts = {}
    for part in ("train", "validation"):
        rows = getattr(flat, part)
        inside = rows[own[rows]]
        if with_other:
            # As many as a label of the group has on the average, as published.
            n = max(1, round(float(truth[inside].sum(axis=0).mean()))) if len(inside) else 1
            foreign = rows[~own[rows]]
            rng = streams.generator("other", part, group)
            drawn = rng.choice(foreign, size=min(n, len(foreign)), replace=False)
            inside = np.sort(np.concatenate([inside, drawn]))
        # A part without pictures of the group would leave nothing to train on, or to stop by.
        parts[part] = inside if len(inside) >= 2 else rows
    if with_other:
        truth = np.column_stack([truth, ~own])
    return replace(
        flat,
        name=name,
        kind=Independent(truth.shape[1]),
        truth=truth,
        start="stage1_multi",
        train=parts["train"],
        validation=parts["validation"],
    )


def _joint_loss(task: Task, config: NetworkConfig) -> Callable[..., Any]:
    if config.joint_loss == "soft_margin":
        return soft_margin
    if config.joint_loss == "asymmetric":
        return asymmetric
    train = task.split.train
    balance = label_balance(task.truth[train].sum(axis=0), len(train), strength=0.5)
    weights = need("torch").as_tensor(balance)

    def balanced(logits: Any, truth: Any, *, mask: Any = None) -> Any:
        return soft_margin(logits, truth, weights=weights.to(logits), mask=mask)

    return balanced


def _train(
    task: Task,
    job: Job,
    config: NetworkConfig,
    found: Mapping[str, Trained],
    streams: RandomStreams,
    resources: Resources,
) -> Trained:
    seed = streams.integer("network", job.network, job.draw)
    trunk = trunk_of(task.pictures[job.train], job.network, config, seed=seed)
    model = LabelNetwork(
        trunk,
        job.kind,
        plan=_plan(config, is_fine=bool(job.start)),
        batch_size=config.batch_size,
        device=resources.device,
        random_state=seed,
    )
    start = None
    if job.start:
        start = found[job.start].weights
        if not job.start_head:
            start = {name: array for name, array in start.items() if name.startswith("trunk.")}
    cache = resources.cache
    model.fit(
        task.pictures[job.train],
        job.truth[job.train],
        validation=(task.pictures[job.validation], job.truth[job.validation]),
        start=start,
        progress=resources.progress,
        checkpoint=None if cache is None else cache / f"{job.name}-{'.'.join(streams.path)}.ckpt",
        label=f"Training {job.name}",
    )
    probabilities = np.full(job.truth.shape, np.nan)
    groups = np.full(task.groups.shape, np.nan) if isinstance(job.kind, Gated) else None
    for part in (task.split.validation, task.split.test):
        pictures = task.pictures[part]
        if groups is None:
            probabilities[part] = model.predict_proba(pictures)
        else:
            probabilities[part], groups[part] = model.predict_both(pictures)
    return Trained(probabilities, groups, model.weights(), len(model.history_), len(job.train))


def _plan(config: NetworkConfig, *, is_fine: bool) -> FitPlan:
    epochs = config.fine_epochs if is_fine else config.epochs
    rate = config.fine_learning_rate if is_fine else config.learning_rate
    if config.schedule == "published":
        plan = published_plan(epochs=epochs, learning_rate=rate)
    else:
        plan = FitPlan(epochs=epochs, patience=None, learning_rate=rate, schedule="cosine")
    changed = {
        "precision": config.precision, "weight_decay": 0.01, "devices": config.devices,
    }  # fmt: skip
    return plan.model_copy(update=changed)


def _ledger(
    task: Task, config: NetworkConfig, streams: RandomStreams, resources: Resources
) -> FolderLedger | None:
    """Open the record of what is trained, known by everything that decides about it."""
    if resources.cache is None:
        return None
    settings = {name: getattr(config, name) for name in NetworkConfig.model_fields}
    what = (
        __version__,
        str(settings),
        streams.seed,
        task.tree.groups,
        task.table.image.tolist(),
        task.truth.tobytes(),
        task.split.part.tolist(),
    )
    return FolderLedger(
        resources.cache / "networks", hash_bytes(repr(what).encode())[:16], kinds=(Trained,)
    )
