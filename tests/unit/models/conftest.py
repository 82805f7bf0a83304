"""Planted truth: species around genera around families, specimens around species."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from kinlens.records.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class World:
    """Vectors of pictures with their names; `fresh` draws new specimens of the same species."""

    X: np.ndarray
    species: np.ndarray
    specimens: np.ndarray
    taxonomy: Taxonomy
    means: np.ndarray
    noise: float

    def fresh(self, rng: np.random.Generator, n_each: int) -> tuple[np.ndarray, np.ndarray]:
        names = np.array(self.taxonomy.species, dtype=object)
        y = np.repeat(names, n_each)
        means = np.repeat(self.means, n_each, axis=0)
        return means + self.noise * rng.standard_normal(means.shape), y

    def ranked(self, rank: str, species: np.ndarray) -> np.ndarray:
        return np.array(self.taxonomy.labels(rank, species), dtype=object)


@pytest.fixture
def make_world(rng: np.random.Generator) -> Callable[..., World]:
    def make(
        *,
        n_families: int = 3,
        n_genera: int = 4,
        n_species: int = 3,
        specimens: int = 4,
        pictures: int = 2,
        n_features: int = 30,
        signal: float = 1.0,
        noise: float = 1.0,
    ) -> World:
        def normal(n: int) -> np.ndarray:
            return signal * rng.standard_normal((n, n_features))

        rows, means = [], []
        for f, family in enumerate(normal(n_families)):
            for g, genus in enumerate(family + normal(n_genera)):
                for s, species in enumerate(genus + normal(n_species)):
                    rows.append((f"F{f}G{g}_s{s}", f"F{f}G{g}", f"F{f}"))
                    means.append(species)
        frame = pd.DataFrame(rows, columns=["species", "genus", "family"])
        each = specimens * pictures
        y = np.repeat(frame["species"].to_numpy(dtype=object), each)
        bodies = np.repeat(np.array(means), each, axis=0)
        individual = np.repeat(np.arange(len(rows) * specimens), pictures)
        # Half of the noise is the specimen's, shared by its pictures; half each picture's own.
        own = rng.standard_normal((len(rows) * specimens, n_features))[individual]
        X = bodies + noise * np.sqrt(0.5) * (own + rng.standard_normal(bodies.shape))
        order = np.argsort(frame["species"].to_numpy())
        taxonomy = Taxonomy.from_images(frame)
        return World(X, y, individual, taxonomy, np.array(means)[order], noise)

    return make
