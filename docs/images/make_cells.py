"""Draw `cells.png`: twelve simulated fields of cells, each as its four channels side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from kinlens.rng import RandomStreams
from kinlens.simulate.cell_world import CellWorldConfig, simulate_cells

world = simulate_cells(CellWorldConfig(images=24, images_per_antibody=1), RandomStreams(2))
fields = [np.concatenate(np.moveaxis(world.render(n), 2, 0), axis=1) for n in range(12)]
rows = [np.concatenate(fields[n : n + 2], axis=1) for n in range(0, 12, 2)]
Image.fromarray(np.concatenate(rows)).save(Path(__file__).with_name("cells.png"), optimize=True)
