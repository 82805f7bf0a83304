"""One seed to independent, named random generators.

A named stream depends on the seed and its name only: adding a step to a study never changes the
numbers that another step draws.
"""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass

import numpy as np

from kinlens.errors import UsageError

__all__ = ["RandomStreams"]


@dataclass(frozen=True)
class RandomStreams:
    """Named random streams that all grow from one seed.

    Parameters
    ----------
    seed : int
        Any integer from 0 to 2**63 - 1.
    path : tuple of str
        The names on the way to this node; leave empty at the top.

    Examples
    --------
    >>> streams = RandomStreams(1)
    >>> a = streams.generator("split").integers(1000)
    >>> streams.generator("null").random() == streams.generator("split").random()
    False
    >>> int(a) == int(RandomStreams(1).generator("split").integers(1000))
    True
    """

    seed: int
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            is_valid = 0 <= operator.index(self.seed) < 2**63
        except TypeError:
            is_valid = False
        if not is_valid:
            raise UsageError(f"seed must be an integer from 0 to 2**63 - 1, not {self.seed!r}.")

    def child(self, *names: str | int) -> RandomStreams:
        """Return the streams below `names`, to hand to a step that draws several of its own."""
        return RandomStreams(self.seed, (*self.path, *map(str, names)))

    def generator(self, *names: str | int) -> np.random.Generator:
        """Return a fresh generator for `names`; the same names give the same numbers again."""
        return np.random.default_rng(self._sequence(*names))

    def integer(self, *names: str | int) -> int:
        """Return one number from 0 to 2**31 - 1, for libraries that take `random_state` as int."""
        return int(self.generator(*names).integers(2**31 - 1))

    def _sequence(self, *names: str | int) -> np.random.SeedSequence:
        # Length-prefixed, so that ("ab", "c") and ("a", "bc") are different streams.
        words = "".join(f"{len(str(name))}:{name}" for name in (*self.path, *names))
        digest = hashlib.blake2b(words.encode(), digest_size=16).digest()
        key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        return np.random.SeedSequence(entropy=self.seed, spawn_key=key)
