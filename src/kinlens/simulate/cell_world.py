"""A world of cells with known truth: antibodies, the places of their proteins, plates, pictures.

Pictures are drawn one by one when asked for. Writing them to a dataset folder is
`studies.cell_simulation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from kinlens.config import Config
from kinlens.errors import UsageError
from kinlens.records.label_tree import HPA_GROUPS, HPA_LABELS, LabelTree
from kinlens.rng import RandomStreams
from kinlens.simulate.micrograph import CHANNELS, Optics, draw_field, photograph_field
from kinlens.typing import ByteArray

__all__ = ["CellWorld", "CellWorldConfig", "common_label_sets", "simulate_cells"]

# How many of the 31,072 pictures of the competition of 2018 hold each label, in the order of
# HPA_LABELS (figure 2 of the competition's analysis, Ouyang et al. 2019), and how many labels they
# hold.
_PICTURES_WITH = (
    12885, 1254, 3621, 1561, 1858, 2513, 1008, 2822, 53, 45, 28, 1093, 688, 537,
    1066, 21, 530, 210, 902, 1482, 172, 3777, 802, 2965, 322, 8228, 328, 11,
)  # fmt: skip
_SHARE_OF_SIZES = (0.487, 0.402, 0.102, 0.009)


class CellWorldConfig(Config):
    """What a world of cells is like; the defaults look like the Human Protein Atlas, but small.

    Parameters
    ----------
    name : str
        What reports call the dataset.
    images : int
        Number of pictures.
    image_size : int
        Width and height of a picture in pixels.
    world : str
        ``planted``: cells show what the labels say. ``shuffled``: the labels are dealt out among
        the antibodies at random, so that nothing links pictures to them.
    images_per_antibody : int
        Pictures that show one protein; they must not sit on two sides of a split.
    fewest_cells, most_cells : int
        Cells in a picture.
    penetrance : float
        Chance that a cell shows a label that its picture holds, above 0 to 1; one cell always
        does.
    label_table : path, optional
        Table with a column ``labels`` (split by ``;``) or ``Target`` (numbers) from which label
        sets are drawn; built-in frequencies otherwise.
    plates : int
        Antibodies are dealt out among so many plates, each with its own staining and light.
    plate_effect : float
        Standard deviation of the logarithm of brightness among plates.
    haze : float
        Mean unspecific staining in the protein channel, 0 to below 1.
    photons : float
        Light; the less, the more noise.
    """

    name: str = "simulated cells"
    images: int = Field(default=2000, ge=8)
    image_size: int = Field(default=128, ge=24, le=2048)
    world: Literal["planted", "shuffled"] = "planted"
    images_per_antibody: int = Field(default=2, ge=1)
    fewest_cells: int = Field(default=2, ge=1)
    most_cells: int = Field(default=4, ge=1, le=60)
    penetrance: float = Field(default=0.8, gt=0, le=1)
    label_table: Path | None = None
    plates: int = Field(default=8, ge=1)
    plate_effect: float = Field(default=0.25, ge=0)
    haze: float = Field(default=0.06, ge=0, lt=1)
    photons: float = Field(default=400.0, gt=0)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.fewest_cells > self.most_cells:
            raise ValueError(
                f"fewest_cells ({self.fewest_cells}) must not exceed most_cells ({self.most_cells})"
            )
        return self


@dataclass(frozen=True, eq=False)
class CellWorld:
    """A dataset of cells in memory, with its truth.

    Parameters
    ----------
    config : CellWorldConfig
        What was asked for.
    seed : int
        The one seed.
    tree : LabelTree
        Labels and groups.
    images : pandas.DataFrame
        What a study sees, one row a picture: image, specimen (the antibody), plate, labels.
    shown : tuple of tuple of tuple of str
        What each cell of each picture shows, which a study does not get to see.
    antibodies : pandas.DataFrame
        Hidden, one row an antibody: antibody, plate, shows (labels split by ``;``), haze, and the
        strength of each label in the same order.
    optics : tuple of Optics
        Of each plate.
    """

    config: CellWorldConfig
    seed: int
    tree: LabelTree
    images: pd.DataFrame
    shown: tuple[tuple[tuple[str, ...], ...], ...]
    antibodies: pd.DataFrame
    optics: tuple[Optics, ...]

    def render(self, picture: int) -> ByteArray:
        """Draw picture number `picture`: uint8, shape (size, size, 4), in order of `CHANNELS`."""
        antibody = self.antibodies.iloc[picture // self.config.images_per_antibody]
        rng = RandomStreams(self.seed).generator("cell_picture", picture)
        shown, size = self.shown[picture], self.config.image_size
        strength = dict(
            zip(
                antibody["shows"].split(";"), map(float, antibody["strength"].split(";")),
                strict=True,
            )
        )  # fmt: skip
        return photograph_field(
            draw_field(shown, size=size, rng=rng),
            shown,
            strength,
            self.optics[int(antibody["plate"])],
            haze=float(antibody["haze"]),
            size=size,
            rng=rng,
        )


def simulate_cells(
    config: CellWorldConfig,
    streams: RandomStreams,
    *,
    label_sets: Sequence[Sequence[str]] | None = None,
) -> CellWorld:
    """Draw a world of cells.

    Parameters
    ----------
    config : CellWorldConfig
        What it is like.
    streams : RandomStreams
        Source of randomness; the seed is kept.
    label_sets : sequence of sequence of str, optional
        From which those of the antibodies are drawn; `common_label_sets` when left out.

    Raises
    ------
    UsageError
        When a label is none that can be painted.

    Examples
    --------
    >>> world = simulate_cells(CellWorldConfig(images=8, image_size=32), RandomStreams(1))
    >>> world.render(0).shape, list(world.images)
    ((32, 32, 4), ['image', 'specimen', 'plate', 'labels'])
    """
    tree = LabelTree.of(HPA_GROUPS)
    n = -(-config.images // config.images_per_antibody)
    rng = streams.generator("antibodies")
    if label_sets is None:
        label_sets = common_label_sets(n, rng)
        drawn = list(label_sets)
    else:
        unknown = sorted({x for labels in label_sets for x in labels} - set(HPA_LABELS))
        if unknown or not len(label_sets) or not all(label_sets):
            raise UsageError(
                f"label sets must be of the {len(HPA_LABELS)} labels of the Human Protein Atlas "
                f"and not empty; unknown: {', '.join(unknown) or 'none'}."
            )
        # Drawn without repeats where there are enough, so that rare sets are as rare as they are.
        order = rng.permutation(len(label_sets))
        drawn = [tuple(label_sets[order[i % len(order)]]) for i in range(n)]
    told = drawn
    if config.world == "shuffled":
        told = [drawn[place] for place in rng.permutation(n)]
    names = [f"antibody{number + 1:05d}" for number in range(n)]
    plates = rng.integers(config.plates, size=n)
    antibodies = pd.DataFrame(
        {
            "antibody": names,
            "plate": plates,
            "shows": [";".join(labels) for labels in drawn],
            "haze": config.haze * rng.gamma(2.0, 0.5, n),
            "strength": [
                ";".join(f"{x:.3f}" for x in rng.uniform(0.35, 1.0, len(labels)))
                for labels in drawn
            ],
        }
    )
    of = np.repeat(np.arange(n), config.images_per_antibody)[: config.images]
    images = pd.DataFrame(
        {
            "image": [f"images/cells{number + 1:05d}" for number in range(config.images)],
            "specimen": [names[a] for a in of],
            "plate": plates[of],
            "labels": [";".join(told[a]) for a in of],
        }
    )
    shown = tuple(
        _shown(drawn[a], config, streams.generator("shown", number)) for number, a in enumerate(of)
    )
    optics = tuple(_optics(config, streams.generator("plate", p)) for p in range(config.plates))
    return CellWorld(config, streams.seed, tree, images, shown, antibodies, optics)


def common_label_sets(n: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Draw `n` label sets as frequent and as large as those of the Human Protein Atlas.

    Labels are drawn one after another without replacement, so what goes with what is by chance; a
    real table knows better.
    """
    weight = np.asarray(_PICTURES_WITH, float)
    sizes = rng.choice(4, size=n, p=_SHARE_OF_SIZES) + 1
    # The exponential race: the first k to finish are k draws without replacement.
    race = rng.exponential(size=(n, len(weight))) / weight
    order = np.argsort(race, axis=1)
    return [
        tuple(HPA_LABELS[label] for label in sorted(row[:k]))
        for row, k in zip(order, sizes, strict=True)
    ]


def _shown(
    labels: Sequence[str], config: CellWorldConfig, rng: np.random.Generator
) -> tuple[tuple[str, ...], ...]:
    """Decide which cells show which of the labels that their picture holds."""
    n = int(rng.integers(config.fewest_cells, config.most_cells + 1))
    holds = rng.random((n, len(labels))) < config.penetrance
    holds[rng.integers(n, size=len(labels)), np.arange(len(labels))] = True
    return tuple(
        tuple(label for label, held in zip(labels, row, strict=True) if held) for row in holds
    )


def _optics(config: CellWorldConfig, rng: np.random.Generator) -> Optics:
    gain = np.exp(rng.normal(0, config.plate_effect, len(CHANNELS)))
    background = rng.uniform(0.0, 0.03, len(CHANNELS))
    return Optics(tuple(map(float, gain)), tuple(map(float, background)), config.photons)
