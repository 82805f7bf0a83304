"""A world of cells on disk: readable as a dataset, the same bytes wherever it was drawn."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from kinlens.errors import UsageError
from kinlens.io.folder import read_collection
from kinlens.io.images import read_channels
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorldConfig
from kinlens.studies.cell_simulation import cell_world, write_cells

CONFIG = CellWorldConfig(images=10, image_size=32)


def test_a_world_of_cells_reads_back_as_a_dataset(tmp_path):
    world = cell_world(CONFIG, RandomStreams(2))
    write_cells(world, tmp_path / "cells")
    collection = read_collection(tmp_path / "cells")
    assert not collection.problems
    assert collection.channels == ("red", "green", "blue", "yellow")
    assert collection.specimens.labels == [tuple(s.split(";")) for s in world.images["labels"]]
    assert list(collection.label_groups) == ["nucleus", "cytoplasm", "secretory"]
    pixels = read_channels(collection.image_paths()[3]).pixels
    np.testing.assert_array_equal(pixels, world.render(3))
    record = json.loads((tmp_path / "cells" / "truth" / "cell_world.json").read_text())
    assert record["seed"] == 2
    cells = pd.read_csv(tmp_path / "cells" / "truth" / "cells.csv")
    assert cells["image"].nunique() == 10


def test_the_same_bytes_from_processes(tmp_path):
    world = cell_world(CONFIG, RandomStreams(2))
    write_cells(world, tmp_path / "one")
    write_cells(world, tmp_path / "two", resources=Resources(workers=2))
    for path in sorted((tmp_path / "one").rglob("*")):
        if path.is_file():
            other = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert path.read_bytes() == other.read_bytes()


def test_labels_come_from_a_table(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("labels\nnucleoli\ncytosol;mitochondria\n", encoding="utf-8")
    world = cell_world(CONFIG.model_copy(update={"label_table": table}), RandomStreams(2))
    assert set(world.images["labels"]) == {"nucleoli", "cytosol;mitochondria"}


def test_nothing_but_a_world_of_cells_is_replaced(tmp_path):
    world = cell_world(CONFIG, RandomStreams(2))
    write_cells(world, tmp_path / "cells")
    with pytest.raises(UsageError, match="Use --force"):
        write_cells(world, tmp_path / "cells")
    write_cells(world, tmp_path / "cells", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "metadata.csv").write_text("image\n", encoding="utf-8")
    with pytest.raises(UsageError, match="something else is there"):
        write_cells(world, tmp_path / "mine", force=True)
