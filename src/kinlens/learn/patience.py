"""When training has waited long enough: stop, or go back to the best weights at a lower rate.

The epochs themselves are `fit`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Patience", "Verdict"]

Verdict: TypeAlias = Literal["go on", "restart", "stop"]


@dataclass
class Patience:
    """Counts the epochs since the last good news.

    Parameters
    ----------
    epochs : int or None
        How many without a better score to wait for; without end when None.
    restarts : int
        How often to go back to the best weights before stopping.
    used : int
        Restarts so far.
    since : int
        Epoch from which is counted when no score was better after it.

    Examples
    --------
    >>> patience = Patience(epochs=2, restarts=1)
    >>> [patience.judge(epoch, best_epoch=1) for epoch in (2, 3, 4, 5)]
    ['go on', 'restart', 'go on', 'stop']
    """

    epochs: int | None
    restarts: int = 0
    used: int = 0
    since: int = 0

    def judge(self, epoch: int, *, best_epoch: int) -> Verdict:
        """Say what to do after `epoch`, the best score being that of `best_epoch`."""
        if self.epochs is None or epoch - max(best_epoch, self.since) < self.epochs:
            return "go on"
        if self.used >= self.restarts:
            return "stop"
        self.used, self.since = self.used + 1, epoch
        return "restart"
