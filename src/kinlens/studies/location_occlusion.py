"""What a network looks at: how its answers change when channels or places are blanked.

Blank is the channel's mean over the training pictures, which tells the network nothing.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from kinlens.models.location_net import LabelNetwork
from kinlens.typing import BoolArray, ByteArray, FloatArray

__all__ = ["channel_effects", "place_effects"]


def channel_effects(
    network: LabelNetwork, pictures: ByteArray, truth: BoolArray, blank: ByteArray
) -> FloatArray:
    """Measure by how much a label loses when one channel is blanked.

    Parameters
    ----------
    network : LabelNetwork
        Trained.
    pictures : array of uint8, shape (n, size, size, channels)
        Test pictures.
    truth : array of bool, shape (n, k)
        Which labels hold.
    blank : array of uint8, shape (channels,)
        What a blanked channel shows.

    Returns
    -------
    array of float, shape (k, channels)
        Mean loss of probability over the pictures that hold the label; NaN where none does.
    """
    whole = network.predict_proba(pictures)
    effects = np.full((truth.shape[1], pictures.shape[3]), np.nan)
    held = np.maximum(truth.sum(axis=0), 1)
    for channel in range(pictures.shape[3]):
        without = np.array(pictures)
        without[..., channel] = blank[channel]
        loss = whole - network.predict_proba(without)
        mean = (loss * truth).sum(axis=0) / held
        effects[:, channel] = np.where(truth.any(axis=0), mean, np.nan)
    return effects


def place_effects(
    network: LabelNetwork, picture: ByteArray, label: int, blank: ByteArray, *, cells: int = 8
) -> FloatArray:
    """Measure by how much one label of one picture loses when a square of it is blanked.

    Parameters
    ----------
    network : LabelNetwork
        Trained.
    picture : array of uint8, shape (size, size, channels)
        What it looks at.
    label : int
        Number of the label.
    blank : array of uint8, shape (channels,)
        What a blanked square shows.
    cells : int
        Squares along a side.

    Returns
    -------
    array of float, shape (cells, cells)
        Loss of probability for each square; negative where the square spoke against the label.
    """
    edges = np.linspace(0, len(picture), cells + 1).round().astype(int)
    shown = [np.array(picture)]
    for row, column in product(range(cells), repeat=2):
        covered = np.array(picture)
        covered[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = blank
        shown.append(covered)
    said = network.predict_proba(np.stack(shown))[:, label]
    return np.asarray((said[0] - said[1:]).reshape(cells, cells))
