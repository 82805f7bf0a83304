"""Networks on pictures for single genes: trained small, scored by species."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.evaluate.splits import Split
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.specimens import SpecimenTable
from kinlens.rng import RandomStreams
from kinlens.simulate.trees import yule_tree
from kinlens.studies.genes_networks import train_networks
from kinlens.studies.genes_task import GeneTaskConfig, prepare


@pytest.mark.slow
def test_gene2bird_learns_a_gene_that_can_be_seen(tmp_path: Path) -> None:

    rng = np.random.default_rng(1)
    tree = yule_tree(16, rng)
    present = rng.permutation(np.repeat([0.0, 1.0], 8))
    rows = []
    for species, state in zip(tree.tip_names, present, strict=True):
        for number in range(3):
            pixels = rng.integers(0, 60, (48, 48, 3)) + (150 if state else 0)
            name = f"{species}_{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
            rows.append({"image": name, "species": species, "specimen": name})
    collection = Collection(
        name="made",
        folder=tmp_path,
        specimens=SpecimenTable(pd.DataFrame(rows)),
        tree=tree,
        genes=pd.DataFrame({"white": present}, index=list(tree.tip_names)),
    )
    config = GeneTaskConfig(splits=3, least_species=3)
    task = prepare(collection, config, RandomStreams(1), Resources())[0]
    order = np.concatenate(
        [np.flatnonzero(task.presence[:, 0] == 0), np.flatnonzero(task.presence[:, 0] == 1)]
    )
    split = Split(
        "random",
        train=order[[0, 1, 2, 3, 8, 9, 10, 11]],
        validation=order[[4, 5, 12, 13]],
        test=order[[6, 7, 14, 15]],
        n_rows=16,
    )
    found = train_networks(
        collection, task, [0], ["gene2bird"], [split], RandomStreams(1), Resources(), epochs=12
    )
    assert found[0]["model"] == "gene2bird"
    assert found[0]["mcc"] == 1.0
