"""Tables become columns that colour points, and points fit the square."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import UsageError
from kinlens.explorer.charts import Chart, column_of, columns_of, unit_square


def test_points_keep_their_proportions(rng: np.random.Generator) -> None:
    points = rng.standard_normal((50, 2)) * [10, 1] + [100, -3]
    scaled = unit_square(points)
    assert scaled.min() >= 0.029
    assert scaled.max() <= 0.971
    ratio = np.ptp(points, axis=0) / np.ptp(scaled, axis=0)
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-4)


@pytest.mark.parametrize("points", [np.zeros((3, 2)), np.array([[5.0, -2.0]])])
def test_points_in_one_place_lie_in_the_middle(points: np.ndarray) -> None:
    assert unit_square(points).tolist() == [[0.5, 0.5]] * len(points)


def test_missing_values_are_not_a_category() -> None:
    column = column_of("genus", pd.Series(["Ino", None, "", "Eos", np.nan]))
    assert column.categories == ("Eos", "Ino")
    assert [column.words(row) for row in range(5)] == ["Ino", None, None, "Eos", None]


def test_a_category_may_be_called_as_numbers_and_nothing_are() -> None:
    column = column_of("plot", pd.Series(["10", "9", "NA", "nan"], dtype="category"))
    assert column.kind == "category"
    assert [column.words(row) for row in range(4)] == ["10", "9", "NA", "nan"]


def test_truth_values_are_categories() -> None:
    assert column_of("is_type", pd.Series([True, False])).categories == ("False", "True")


def test_what_tells_nothing_is_no_column() -> None:
    frame = pd.DataFrame(
        {
            "same": ["a"] * 10,
            "each_its_own": [f"x{n}" for n in range(10)],
            "empty": [np.nan] * 10,
            "species": ["Ino_ino"] * 10,
            "width": np.arange(10.0),
        }
    )
    assert [column.name for column in columns_of(frame)] == ["species", "width"]


def test_parts_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="lengths"):
        Chart("taxa", "image", "UMAP", ("a",), np.zeros((2, 2), np.float32), (), np.zeros((1, 3)))
