"""The built-in picture descriptors: colour, shape and texture, with no weights to download.

Here pictures are measured. What the columns mean and how they are scaled is in `descriptor_blocks`,
the loops over pixels are in `kernels`, reading and resizing pictures is in `images`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numba
import numpy as np

from kinlens.embed.descriptor_blocks import (
    BLURS,
    COLOUR_SHAPE,
    GRADIENT_BLURS,
    GRID,
    HARMONICS,
    INTENSITY_LEVELS,
    LIGHTNESS_LEVELS,
    OPPONENT_LEVELS,
    PATTERN_RADII,
    RINGS,
    SECTORS,
    STEEPNESS_LEVELS,
    descriptor_blocks,
    gradient_shape,
)
from kinlens.embed.kernels import colour, foreground, shape, texture
from kinlens.embed.kernels.pixels import blurred, lab_planes
from kinlens.errors import UsageError
from kinlens.typing import AnyArray, Float32Array

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SIZE", "DescriptorEncoder"]

SIZE = 128
"""Side in pixels of the square pictures that are described."""

# Raised whenever a picture's vector changes, so that cached vectors are not used again.
_VERSION = 1
# Which part of the specimen may stick out of the window on each side, and the room around the rest.
_TAIL, _MARGIN = 0.05, 1.15

_Detail: TypeAlias = dict[float, list[Float32Array]]
_Windows: TypeAlias = Callable[[int], tuple[Float32Array, Float32Array]]


class DescriptorEncoder:
    """Describes pictures by colour, shape and texture; learns nothing and needs no weights.

    The specimen is told from the ground behind it by the commonest colour of the border, whatever
    that is; grids are laid over the specimen, not over the frame, and keep its proportions. Each
    vector depends on its own picture only.

    Parameters
    ----------
    n_channels : int
        Bands of the pictures.
    is_colour : bool, optional
        Whether three channels are red, green and blue, as they are when left out, or three stains.
    threads : int, optional
        Pictures described at the same time; all processors when left out.

    Attributes
    ----------
    blocks : tuple of DescriptorBlock
        What the columns mean.
    n_features : int
        Length of a vector.
    input_size : int
        Side of the square pictures.
    depth : str
        Kind of pixels wanted: ``"uint8"`` for colour, ``"float32"`` for stains.
    fingerprint : str
        Changes whenever vectors do.

    References
    ----------
    Dalal and Triggs 2005 (oriented gradients); Ojala et al. 2002 (local binary patterns); Hu 1962
    (invariant moments).

    Examples
    --------
    >>> encoder = DescriptorEncoder()
    >>> encoder.encode(np.full((2, 128, 128, 3), 255, dtype=np.uint8)).shape
    (2, 1918)
    """

    def __init__(
        self,
        n_channels: int = 3,
        *,
        is_colour: bool | None = None,
        threads: int | None = None,
    ) -> None:
        self.blocks = descriptor_blocks(n_channels, is_colour=is_colour)
        self.n_channels = n_channels
        self.is_colour = n_channels == 3 if is_colour is None else is_colour
        self.threads = threads
        self.name = "descriptors"
        self._n_detail = 1 if self.is_colour else n_channels
        self.n_features = self.blocks[-1].columns.stop
        self.input_size = SIZE
        self.batch_size = 64
        self.depth: Literal["uint8", "float32"] = "uint8" if self.is_colour else "float32"
        kind = "colour" if self.is_colour else f"{n_channels}-channels"
        self.fingerprint = f"descriptors-{_VERSION}-{kind}"

    def features(self) -> pd.DataFrame:
        """Return one row a column, named such as ``grid_mean[3,4,0]``: block, meaning and units."""
        import pandas as pd

        rows = [
            (name, block.name, block.meaning, block.units)
            for block in self.blocks
            for name in block.column_names()
        ]
        columns = ["feature", "block", "meaning", "units"]
        return pd.DataFrame(rows, columns=columns).set_index("feature")

    def table(self) -> pd.DataFrame:
        """Return one row a block: name, start, stop, axes, meaning, units, power and scale."""
        import pandas as pd

        return pd.DataFrame(
            {
                "block": block.name,
                "start": block.start,
                "stop": block.columns.stop,
                "axes": " x ".join(f"{length} {name}" for name, length in block.axes),
                "meaning": block.meaning,
                "units": block.units,
                "power": float(block.power),
                "scale": float(block.scale),
            }
            for block in self.blocks
        )

    def encode(self, batch: AnyArray) -> Float32Array:
        """Describe pictures.

        Parameters
        ----------
        batch : numpy.ndarray
            Shape (n, 128, 128, n_channels): uint8 from 0 to 255 or floats from 0 to 1.

        Returns
        -------
        numpy.ndarray
            Shape (n, n_features), float32, finite.
        """
        wanted = (SIZE, SIZE, self.n_channels)
        if batch.ndim != 4 or batch.shape[1:] != wanted:
            raise UsageError(f"descriptors want pictures of shape {wanted}, not {batch.shape[1:]}.")
        vectors = np.empty((len(batch), self.n_features), dtype=np.float32)

        def describe(place: int) -> None:
            measured = self._measure(batch[place])
            for block in self.blocks:
                vectors[place, block.columns] = measured[block.name].ravel()

        threads = min(self.threads or _processors(), len(batch))
        if threads <= 1:
            for place in range(len(batch)):
                describe(place)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(describe, range(len(batch))))
        for block in self.blocks:
            part = vectors[:, block.columns]
            if block.power != 1:
                np.power(part, block.power, out=part)
            part *= np.float32(block.scale)
        return vectors

    def _measure(self, pixels: AnyArray) -> dict[str, Float32Array]:
        """Return the unscaled measurements of one picture (H, W, C) by block."""
        planes = _colour_planes(pixels) if self.is_colour else _intensity_planes(pixels)
        mask = foreground.foreground_mask(planes, *foreground.ground(planes))
        y, x, side = foreground.foreground_window(mask, _TAIL, _MARGIN)
        # Each plane whose fine structure counts, by blur.
        detail = {
            blur: [blurred(p, blur) if blur else p for p in planes[: self._n_detail]]
            for blur in BLURS
        }

        def windows(cells: int) -> tuple[Float32Array, Float32Array]:
            return (
                foreground.window_weights(SIZE, y, side, cells),
                foreground.window_weights(SIZE, x, side, cells),
            )

        return (
            self._gradients(planes, detail, mask, windows)
            | self._intensities(planes, mask, windows)
            | _textures(detail, mask)
            | _silhouette(mask)
        )

    def _gradients(
        self, planes: Float32Array, detail: _Detail, mask: Float32Array, windows: _Windows
    ) -> dict[str, Float32Array]:
        # Wide enough to take in the edge of the specimen, where half of the gradient lies outside.
        weight = np.minimum(2 * blurred(mask, 1.5), np.float32(1))
        cells, directions = gradient_shape(self.n_channels, self.is_colour)
        found = {
            name: np.stack(
                [
                    shape.oriented_gradients(plane, weight, directions, *windows(cells))
                    for plane in detail[blur]
                ]
            )
            for name, blur in GRADIENT_BLURS.items()
        }
        if self.is_colour:
            # JPEG keeps the opponent colours at half of the resolution.
            smooth = [blurred(plane, 1.0) for plane in planes[1:]]
            cells, directions = COLOUR_SHAPE
            found["gradients_colour"] = np.stack(
                [
                    shape.oriented_gradients(plane, weight, directions, *windows(cells))
                    for plane in smooth
                ]
            )
        return found

    def _intensities(
        self, planes: Float32Array, mask: Float32Array, windows: _Windows
    ) -> dict[str, Float32Array]:
        mean, spread, coverage = colour.masked_grid(planes, mask, *windows(GRID))
        if self.is_colour:
            histogram = colour.colour_histogram(planes, mask, LIGHTNESS_LEVELS, OPPONENT_LEVELS)
        else:
            histogram = colour.intensity_histograms(planes, mask, INTENSITY_LEVELS)
        return {
            "grid_mean": mean,
            "grid_spread": spread,
            "grid_coverage": coverage,
            "histogram": histogram,
            "rings": colour.ring_means(planes, mask, RINGS),
            "overall": np.stack(colour.mean_and_spread(planes, mask)),
            "correlations": colour.plane_correlations(planes, mask),
        }


def _textures(detail: _Detail, mask: Float32Array) -> dict[str, Float32Array]:
    n_detail = len(detail[0.0])
    return {
        "patterns": np.stack(
            [
                texture.local_patterns(detail[blur][plane], mask, radius)
                for plane in range(n_detail)
                for blur, radius in PATTERN_RADII.items()
            ]
        ),
        "steepness": np.stack(
            [
                texture.gradient_magnitudes(detail[blur][plane], mask, STEEPNESS_LEVELS)
                for plane in range(n_detail)
                for blur in BLURS
            ]
        ),
    }


def _silhouette(mask: Float32Array) -> dict[str, Float32Array]:
    reach = shape.outline(mask, SECTORS)
    waves = np.fft.rfft(reach)[1 : HARMONICS + 1]
    return {
        "outline": reach,
        "harmonics": (np.abs(waves) * (2 / SECTORS)).astype(np.float32),
        "moments": shape.normalised_moments(mask),
    }


def _colour_planes(pixels: AnyArray) -> Float32Array:
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    planes: Float32Array = lab_planes(np.ascontiguousarray(pixels))
    return planes


def _intensity_planes(pixels: AnyArray) -> Float32Array:
    full = np.float32(100 / 255 if pixels.dtype == np.uint8 else 100)
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0)).astype(np.float32) * full


def _processors() -> int:
    """Count the processors that numerical libraries may use in this process."""
    settings: Any = numba.config
    return int(settings.NUMBA_NUM_THREADS)
