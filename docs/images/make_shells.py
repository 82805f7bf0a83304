"""Draw `shells.png`: one species after the other of a simulated clade, in the order of its tree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from kinlens.rng import RandomStreams
from kinlens.simulate.photograph import Scene, photograph
from kinlens.simulate.shells import TRAITS, shell_of
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig

config = WorldConfig(species=40, images=40, disparity=1.3, causal_genes=0)
world = simulate_world(config, RandomStreams(3))
traits = world.truth.species_traits.loc[list(world.tree.tip_names), list(TRAITS)].to_numpy()
scene = Scene(background="paper", bar_corner=-1, noise=0.0, blur=0.03)
shells = [photograph(shell_of(row, seed=place), scene, 96) for place, row in enumerate(traits)]
rows = [np.concatenate(shells[start : start + 10], axis=1) for start in range(0, len(shells), 10)]
sheet = Image.fromarray(np.concatenate(rows)).quantize(160, dither=Image.Dither.NONE)
sheet.save(Path(__file__).with_name("shells.png"), optimize=True)
