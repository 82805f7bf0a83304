"""From what a network says to answers: for single pictures, and for whole fields or antibodies.

A unit is what pictures of one field, or of one antibody, are together. Averaged over its pictures,
probabilities come nearer to each other than those of single pictures, so a unit has thresholds and
a calibration of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kinlens.evaluate.label_thresholds import tuned_thresholds
from kinlens.models.label_calibration import LabelCalibration
from kinlens.records.label_tree import LabelTree
from kinlens.typing import AnyArray, BoolArray, FloatArray, IntArray

__all__ = ["Reading", "unit_means", "unit_truth"]


@dataclass(frozen=True, eq=False)
class Reading:
    """Thresholds and calibration, learned together.

    Parameters
    ----------
    thresholds : array of shape (n_labels,)
        From which probability on, uncalibrated, a label is answered.
    calibration : LabelCalibration
        From what the network says to probabilities that come true as often as they say.
    """

    thresholds: FloatArray
    calibration: LabelCalibration

    @classmethod
    def learned(cls, said: FloatArray, truth: BoolArray) -> Reading:
        """Tune and calibrate on the validation part.

        Parameters
        ----------
        said : array of float, shape (n, n_labels)
            What the network says of validation pictures, or of units of them.
        truth : array of bool, shape (n, n_labels)
            Which labels hold.
        """
        return cls(tuned_thresholds(said, truth), LabelCalibration().fit(said, truth))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, AnyArray], name: str) -> Reading:
        """Return the reading that `arrays` gave under `name`."""
        calibration = LabelCalibration()
        calibration.slope_ = arrays[f"{name}.slope"]
        calibration.offset_ = arrays[f"{name}.offset"]
        return cls(arrays[f"{name}.thresholds"], calibration)

    def arrays(self, name: str) -> dict[str, AnyArray]:
        """Return what `of_arrays` reads back."""
        return {
            f"{name}.thresholds": self.thresholds,
            f"{name}.slope": self.calibration.slope_,
            f"{name}.offset": self.calibration.offset_,
        }

    def table(self, said: FloatArray, tree: LabelTree) -> pd.DataFrame:
        """Turn what the network says into answers.

        Parameters
        ----------
        said : array of float, shape (n, n_labels)
            As the network gives it; NaN where it says nothing.
        tree : LabelTree
            Labels and groups.

        Returns
        -------
        pandas.DataFrame
            One row a picture or unit: ``answer`` (labels split by ``;``, most probable first),
            ``groups`` (of the answered labels), and the calibrated probability of every label.
        """
        calibrated = self.calibration.transform(said)
        answered = said >= self.thresholds
        names = np.array(tree.labels, dtype=object)
        groups = np.array(tree.group_names, dtype=object)
        order = np.argsort(-calibrated, axis=1, kind="stable")
        front = pd.DataFrame(
            {
                "answer": [
                    ";".join(names[[label for label in row if held[label]]])
                    for row, held in zip(order, answered, strict=True)
                ],
                "groups": [";".join(groups[held]) for held in tree.to_groups(answered)],
            }
        )
        return pd.concat([front, pd.DataFrame(calibrated, columns=list(names))], axis=1)


def unit_means(said: FloatArray, units: IntArray) -> FloatArray:
    """Average what is said of the pictures of each unit.

    Parameters
    ----------
    said : array of float, shape (n, n_labels)
        Of pictures.
    units : array of int, shape (n,)
        Which belong together.

    Returns
    -------
    array of float, shape (n_units, n_labels)
        In the order of the units' numbers.
    """
    numbers, unit = np.unique(units, return_inverse=True)
    total = np.zeros((len(numbers), said.shape[1]))
    np.add.at(total, unit, said)
    return total / np.bincount(unit)[:, None]


def unit_truth(truth: BoolArray, units: IntArray) -> BoolArray:
    """Tell which labels hold for each unit: those that hold for one of its pictures.

    Parameters
    ----------
    truth : array of bool, shape (n, n_labels)
        Of pictures.
    units : array of int, shape (n,)
        Which belong together.

    Returns
    -------
    array of bool, shape (n_units, n_labels)
        In the order of the units' numbers.
    """
    return np.asarray(unit_means(truth.astype(float), units) > 0)
