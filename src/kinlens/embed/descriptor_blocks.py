"""What the columns of the built-in descriptors are: named blocks with axes, units and scales.

How a picture is measured is in `descriptors`; this file knows no pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from kinlens.errors import UsageError

__all__ = ["DescriptorBlock", "descriptor_blocks", "gradient_shape"]

# Lengths in pixels.
BLURS = (0.0, 1.0, 2.0)
GRADIENT_BLURS = {"gradients_fine": 0.0, "gradients_coarse": 2.0}
PATTERN_RADII = {0.0: 1, 1.0: 2, 2.0: 4}  # by blur
COLOUR_SHAPE = (4, 8)  # cells a side and directions of the gradients of opponent colours
GRID = 8
LIGHTNESS_LEVELS, OPPONENT_LEVELS, INTENSITY_LEVELS = 8, 5, 16
STEEPNESS_LEVELS = 8
RINGS = 8
SECTORS, HARMONICS = 36, 12


@dataclass(frozen=True)
class DescriptorBlock:
    """Neighbouring columns of the vector that measure one thing.

    Parameters
    ----------
    name : str
        Short stable name.
    start : int
        First column.
    axes : tuple of (str, int)
        Name and length of each axis of the block, the last one fastest.
    meaning : str
        What is measured.
    units : str
        Unit of the measurement r.
    power, scale : float
        A column holds scale * sign(r) |r|^power.
    """

    name: str
    start: int
    axes: tuple[tuple[str, int], ...]
    meaning: str
    units: str
    power: float
    scale: float

    @property
    def length(self) -> int:
        """Number of columns."""
        return math.prod(length for _name, length in self.axes)

    @property
    def columns(self) -> slice:
        """Where the block stands in the vector."""
        return slice(self.start, self.start + self.length)

    def column_names(self) -> list[str]:
        """Name each column after its place on the axes.

        Examples
        --------
        >>> DescriptorBlock("size", 7, (("row", 1), ("column", 2)), "", "", 1, 1).column_names()
        ['size[0,0]', 'size[0,1]']
        """
        places = np.ndindex(*(length for _name, length in self.axes))
        return [f"{self.name}[{','.join(map(str, place))}]" for place in places]


def descriptor_blocks(
    n_channels: int = 3, *, is_colour: bool | None = None
) -> tuple[DescriptorBlock, ...]:
    """List the blocks of the vector in order; together they cover every column once.

    Parameters
    ----------
    n_channels : int
        Bands of the picture.
    is_colour : bool, optional
        Whether three channels are red, green and blue, as they are when left out, or three stains.

    Returns
    -------
    tuple of DescriptorBlock
        For colour pictures 1,918 columns.

    Examples
    --------
    >>> blocks = descriptor_blocks()
    >>> blocks[0].name, blocks[0].columns, blocks[-1].columns.stop
    ('gradients_fine', slice(0, 432, None), 1918)
    """
    if n_channels < 1:
        raise UsageError(f"a picture has 1 channel or more, not {n_channels}.")
    if is_colour is None:
        is_colour = n_channels == 3
    if is_colour and n_channels != 3:
        raise UsageError(f"a colour picture has 3 channels, not {n_channels}.")
    blocks: list[DescriptorBlock] = []
    start = 0
    for name, axes, meaning, units, power, scale in _layout(n_channels, is_colour):
        blocks.append(DescriptorBlock(name, start, axes, meaning, units, power, scale))
        start += blocks[-1].length
    return tuple(blocks)


_Axes: TypeAlias = tuple[tuple[str, int], ...]
_Row: TypeAlias = tuple[str, _Axes, str, str, float, float]


def _layout(n_planes: int, is_colour: bool) -> Iterator[_Row]:
    """Yield name, axes, meaning, units, power and scale of each block.

    With these scales the blocks of photographs vary alike, with a standard deviation of 0.5 to 1.5
    over all columns of a block, and 0.1 to 0.4 for what turns with the specimen or says little.
    """
    unit = "Lab units" if is_colour else "% of full intensity"
    what = "lightness" if is_colour else "each channel"
    n_detail = 1 if is_colour else n_planes
    cells, orientations = gradient_shape(n_planes, is_colour)
    planes, detail = ("plane", n_planes), ("plane", n_detail)
    on_gradients = (("row", cells), ("column", cells), ("direction", orientations))
    on_grid = (("row", GRID), ("column", GRID))
    # Several planes share the variance that one has.
    share = 1 / math.sqrt(n_planes / 3)
    share_detail = 1 / math.sqrt(n_detail)

    axes: _Axes
    for name, scale in (("gradients_fine", 0.11), ("gradients_coarse", 0.14)):
        meaning = f"steepness of {what} in each direction, blur {GRADIENT_BLURS[name]:g} px"
        axes = (detail, *on_gradients)
        yield name, axes, meaning, f"{unit} / 2 px", 0.5, scale * share_detail
    if is_colour:
        cells, orientations = COLOUR_SHAPE
        axes = (("plane", 2), ("row", cells), ("column", cells), ("direction", orientations))
        meaning = "steepness of a* and b* in each direction, blur 1 px"
        yield "gradients_colour", axes, meaning, f"{unit} / 2 px", 0.5, 0.4
    yield "grid_mean", (*on_grid, planes), "mean over the specimen", unit, 1, 0.0033 * share
    yield "grid_spread", (*on_grid, planes), "spread over the specimen", unit, 1, 0.022 * share
    yield "grid_coverage", on_grid, "share that is specimen", "1", 1, 0.3
    levels: _Axes
    if is_colour:
        levels = (("L*", LIGHTNESS_LEVELS), ("a*", OPPONENT_LEVELS), ("b*", OPPONENT_LEVELS))
        yield "histogram", levels, "share of the specimen near a colour", "1", 0.25, 1.6
    else:
        levels = (planes, ("level", INTENSITY_LEVELS))
        meaning = "share of the specimen near an intensity"
        yield "histogram", levels, meaning, "1", 0.25, 1.6 * share
    rings = (planes, ("ring", RINGS))
    yield "rings", rings, "mean from the centroid outwards", unit, 1, 0.0046 * share
    yield "overall", (("moment", 2), planes), "mean, then spread", unit, 1, 0.013 * share
    if n_planes > 1:
        pairs = (("pair", n_planes * (n_planes - 1) // 2),)
        yield "correlations", pairs, "correlation of two planes over the specimen", "1", 1, 0.38
    patterns = (detail, ("scale", len(PATTERN_RADII)), ("pattern", 10))
    yield "patterns", patterns, "share of local binary patterns", "1", 0.5, 2.4 * share_detail
    steepness = (detail, ("scale", len(BLURS)), ("level", STEEPNESS_LEVELS))
    yield "steepness", steepness, "share of gradient lengths", "1", 0.5, 1.4 * share_detail
    yield "outline", (("sector", SECTORS),), "reach from the centroid", "radii", 1, 0.12
    harmonics = (("harmonic", HARMONICS),)
    yield "harmonics", harmonics, "amplitude of waves of the outline", "radii", 1, 2.3
    yield "moments", (("moment", 15),), "area, central moments, Hu's invariants", "1", 1, 2.5


def gradient_shape(n_planes: int, is_colour: bool) -> tuple[int, int]:
    """Return cells a side and directions of the gradients of planes with detail.

    Parameters
    ----------
    n_planes : int
        Bands of the picture; several stains have coarser gradients each, to bound the length.
    is_colour : bool
        Whether they are red, green and blue, of which lightness alone has detail.
    """
    return (6, 12) if is_colour or n_planes == 1 else (4, 8)
