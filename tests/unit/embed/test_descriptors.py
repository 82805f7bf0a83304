"""The built-in descriptors as a whole: layout, independence, robustness, and what they are for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import recall_score

from kinlens.embed.descriptor_blocks import descriptor_blocks
from kinlens.embed.descriptors import SIZE, DescriptorEncoder
from kinlens.embed.images import embed_images
from kinlens.errors import UsageError

ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]


@pytest.fixture(scope="module")
def encoder() -> DescriptorEncoder:
    return DescriptorEncoder()


def shell(*, y: int = 64, x: int = 64, ground: int = 255, seed: int = 1) -> np.ndarray:
    """Draw a spotted disc on an even ground."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIZE, SIZE, 3), ground, np.uint8)
    picture[(ROWS - y) ** 2 + (COLUMNS - x) ** 2 <= 35**2] = (150, 90, 60)
    for dy, dx in rng.integers(-20, 20, (6, 2)):
        spot = (ROWS - y - dy) ** 2 + (COLUMNS - x - dx) ** 2 <= 5**2
        picture[spot] = (40, 30, 90)
    return picture


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


class TestLayout:
    @pytest.mark.parametrize(
        ("n_channels", "is_colour", "length"),
        [(3, None, 1918), (3, False, 1522), (1, None, 1199), (4, None, 1989), (7, None, 3396)],
    )
    def test_blocks_cover_every_column_once(self, n_channels, is_colour, length) -> None:
        blocks = descriptor_blocks(n_channels, is_colour=is_colour)
        columns = [np.arange(SIZE * SIZE)[block.columns] for block in blocks]
        np.testing.assert_array_equal(np.concatenate(columns), np.arange(length))
        assert len({block.name for block in blocks}) == len(blocks)

    def test_features_name_every_column(self, encoder: DescriptorEncoder) -> None:
        features = encoder.features()
        assert features.index.is_unique
        assert len(features) == encoder.n_features == 1918
        assert features.loc["grid_mean[7,7,2]", "units"] == "Lab units"
        assert (features != "").all(axis=None)

    def test_table_says_what_each_block_is(self, encoder: DescriptorEncoder) -> None:
        table = encoder.table()
        assert table["start"].tolist()[1:] == table["stop"].tolist()[:-1]
        row = table.set_index("block").loc["gradients_fine"]
        assert row["axes"] == "1 plane x 6 row x 6 column x 12 direction"

    def test_axes_say_where_a_measurement_stands(self, encoder: DescriptorEncoder) -> None:
        picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
        picture[34:94, 34:94] = (200, 60, 60)
        picture[34:94, 64:94] = (60, 60, 200)
        block = next(block for block in encoder.blocks if block.name == "grid_mean")
        values = encoder.encode(picture[None])[0, block.columns] / block.scale
        mean = values.reshape([length for _axis, length in block.axes])
        # Row, column, plane: red (a* > 0) left, blue (b* < 0) right.
        assert mean[4, 1, 1] > 40
        assert mean[4, 6, 2] < -40

    @pytest.mark.parametrize(("n_channels", "is_colour"), [(0, None), (4, True), (1, True)])
    def test_impossible_channels_are_refused(self, n_channels, is_colour) -> None:
        with pytest.raises(UsageError, match="channel"):
            descriptor_blocks(n_channels, is_colour=is_colour)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([shell(seed=seed) for seed in range(6)])


class TestIndependence:
    def test_same_bytes_in_any_batch_order_and_number_of_threads(self, encoder, pictures) -> None:
        expected = encoder.encode(pictures)
        order = [3, 0, 5, 1, 4, 2]
        np.testing.assert_array_equal(encoder.encode(pictures[order]), expected[order])
        np.testing.assert_array_equal(encoder.encode(pictures[2:3]), expected[2:3])
        np.testing.assert_array_equal(DescriptorEncoder(threads=1).encode(pictures), expected)
        np.testing.assert_array_equal(DescriptorEncoder(threads=5).encode(pictures), expected)

    def test_fractions_are_as_good_as_bytes(self, encoder, pictures) -> None:
        fractions = (pictures / 255).astype(np.float32)
        np.testing.assert_array_equal(encoder.encode(fractions), encoder.encode(pictures))

    def test_empty_batch(self, encoder: DescriptorEncoder) -> None:
        assert encoder.encode(np.empty((0, SIZE, SIZE, 3), np.uint8)).shape == (0, 1918)

    def test_other_shapes_are_refused(self, encoder: DescriptorEncoder) -> None:
        with pytest.raises(UsageError, match=r"\(128, 128, 3\), not \(64, 128, 3\)"):
            encoder.encode(np.zeros((1, 64, 128, 3), np.uint8))

    def test_fingerprint_tells_kinds_apart(self) -> None:
        prints = {
            DescriptorEncoder(n, is_colour=colour).fingerprint
            for n, colour in ((3, True), (3, False), (1, None), (4, None))
        }
        assert len(prints) == 4


class TestMeaning:
    def test_where_the_specimen_lies_hardly_matters(self, encoder: DescriptorEncoder) -> None:
        here, moved, other = encoder.encode(np.stack([shell(), shell(y=50, x=80), shell(seed=2)]))
        assert cosine(here, moved) > 0.99
        assert np.linalg.norm(here - moved) < 0.5 * np.linalg.norm(here - other)

    def test_colour_is_read_on_any_ground(self, encoder: DescriptorEncoder) -> None:
        histogram = next(block for block in encoder.blocks if block.name == "histogram").columns
        pictures = np.stack([shell(ground=ground) for ground in (255, 200, 8)])
        white, grey, black = encoder.encode(pictures)[:, histogram]
        assert cosine(white, grey) > 0.99
        assert cosine(white, black) > 0.99

    def test_stains_are_read_one_by_one(self) -> None:
        encoder = DescriptorEncoder(4)
        picture = np.zeros((1, SIZE, SIZE, 4), np.float32)
        picture[0, 40:90, 40:90] = (0.8, 0.2, 0.5, 0.0)
        block = next(block for block in encoder.blocks if block.name == "overall")
        values = encoder.encode(picture)[0, block.columns].reshape(2, 4) / block.scale
        np.testing.assert_allclose(values[0], [80, 20, 50, 0], atol=1)

    def test_blank_pictures_of_any_kind_have_finite_vectors(self) -> None:
        for n_channels in (1, 2, 3, 4):
            encoder = DescriptorEncoder(n_channels)
            for value in (0.0, 0.5, 1.0):
                blank = np.full((1, SIZE, SIZE, n_channels), value, np.float32)
                assert np.isfinite(encoder.encode(blank)).all()


def split_by_specimen(table: pd.DataFrame, seed: int) -> np.ndarray:
    """Put 30% of the specimens of each species with two or more into the test part."""
    rng = np.random.default_rng(seed)
    test: set[str] = set()
    for _species, rows in table.groupby("species"):
        specimens = rows["specimen"].unique()
        if len(specimens) >= 2:
            wanted = min(max(1, round(0.3 * len(specimens))), len(specimens) - 1)
            test |= set(rng.choice(specimens, wanted, replace=False))
    return table["specimen"].isin(test).to_numpy()


@pytest.mark.shared
def test_butterflies_are_told_apart(shared_data) -> None:
    folder = shared_data / "butterflies"
    table = pd.read_csv(folder / "metadata.csv")
    counts = table.groupby("species")["specimen"].nunique()
    table = table[table["species"].isin(counts[counts >= 4].index[:60])].reset_index(drop=True)
    vectors = embed_images([folder / image for image in table["image"]], DescriptorEncoder())

    is_test = split_by_specimen(table, seed=7)
    species = table["species"].to_numpy()
    model = RidgeClassifier(alpha=0.1)
    model.fit(vectors.values[~is_test], species[~is_test])
    answers = model.predict(vectors.values[is_test])
    assert (answers == species[is_test]).mean() > 0.85
    genus = table["genus"].to_numpy()
    of_species = dict(zip(species, genus, strict=True))
    found = [of_species[answer] for answer in answers]
    present = np.unique(genus[is_test])
    assert recall_score(genus[is_test], found, labels=present, average="macro") > 0.9


@pytest.mark.shared
def test_cells_are_described_by_their_four_stains(shared_data) -> None:
    folder = shared_data / "cells"
    table = pd.read_csv(folder / "metadata.csv").query("pure == 1").reset_index(drop=True)
    pictures = [
        tuple(folder / f"{image}_{stain}.jpg" for stain in ("red", "green", "blue", "yellow"))
        for image in table["image"]
    ]
    vectors = embed_images(pictures, DescriptorEncoder(4)).values
    held_out = table.groupby("labels")["field"].unique().map(lambda fields: set(fields[::3]))
    is_test = table["field"].isin(set.union(*held_out)).to_numpy()
    labels = table["labels"].to_numpy()
    model = RidgeClassifier(alpha=1, class_weight="balanced")
    answers = model.fit(vectors[~is_test], labels[~is_test]).predict(vectors[is_test])
    # Five labels: 0.2 by chance.
    assert recall_score(labels[is_test], answers, average="macro") > 0.5
