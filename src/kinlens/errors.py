"""The one small tree of errors, and how a list of offenders is worded.

Every error that a user can cause is here; the command turns each into one message and an exit
code. Nothing here knows about files, studies or the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

__all__ = [
    "InputError",
    "KinlensError",
    "MissingDependencyError",
    "TooManySkippedError",
    "UsageError",
    "WorkLostError",
    "did_you_mean",
    "listing",
    "nearest_names",
]


class KinlensError(Exception):
    """Base of every error that kinlens raises on purpose; `exit_code` goes to the shell."""

    exit_code = 1


class UsageError(KinlensError, ValueError):
    """An argument, option or configuration value that cannot be used (exit code 2)."""

    exit_code = 2


class MissingDependencyError(UsageError, ImportError):
    """An optional library that is not installed; the message names the install command."""


class WorkLostError(KinlensError):
    """Workers or a scheduler that died with work unfinished; a run can be resumed (code 130)."""

    exit_code = 130


class InputError(KinlensError, ValueError):
    """Data that cannot be used (exit code 3).

    Parameters
    ----------
    problem : str
        What was wanted and what came, as a sentence without a final full stop.
    where : str or pathlib.Path, optional
        The file, with row or identifier when there is one.
    remedy : str, optional
        What to do next, as a sentence.
    offenders : iterable, optional
        The values at fault; up to five are shown, with the count.
    """

    exit_code = 3

    def __init__(
        self,
        problem: str,
        *,
        where: str | Path | None = None,
        remedy: str | None = None,
        offenders: Iterable[object] = (),
    ) -> None:
        self.problem = problem
        self.where = where
        self.remedy = remedy
        self.offenders = tuple(offenders)
        parts = [f"{where}: " if where is not None else "", problem]
        if self.offenders:
            parts.append(f": {listing(self.offenders)}")
        parts.append(".")
        if remedy:
            parts.append(f" {remedy}")
        super().__init__("".join(parts))

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors come home from worker processes; by default only the finished message would, and
        # would be finished a second time.
        again = partial(
            type(self),
            self.problem,
            where=self.where,
            remedy=self.remedy,
            offenders=tuple(map(str, self.offenders)),
        )
        notes = getattr(self, "__notes__", None)
        return again, (), {"__notes__": notes} if notes else None


class TooManySkippedError(InputError):
    """More records had to be skipped than the user allows with `--max-bad` (exit code 4)."""

    exit_code = 4


def listing(items: Iterable[object], *, most: int = 5) -> str:
    """Word a list of `items`, offenders mostly: up to `most` of them, then how many more.

    Examples
    --------
    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    >>> listing(["a"])
    'a'
    """
    values = [str(item) for item in items]
    if len(values) <= most:
        return ", ".join(values)
    return f"{', '.join(values[:most])} and {len(values) - most:,} more"


def nearest_names(name: str, candidates: Sequence[str], *, most: int = 3) -> list[str]:
    """Return the candidates that look most like `name`, best first; empty when none is near.

    Capitals do not count, and a species is also looked for without what follows its two words:
    authors, a year, a subspecies.

    Parameters
    ----------
    name : str
        The name that did not match.
    candidates : sequence of str
        The names that exist.
    most : int
        How many to return at the most.

    Examples
    --------
    >>> nearest_names("Papilio_machon", ["Papilio_machaon", "Parnassius_apollo"])
    ['Papilio_machaon']
    >>> nearest_names("PAPILIO_MACHAON_Linnaeus,_1758", ["Papilio_machaon", "Parnassius_apollo"])
    ['Papilio_machaon']
    """
    from rapidfuzz import fuzz, process

    scores: dict[str, float] = {}
    words = name.replace(" ", "_").split("_")
    for wanted in dict.fromkeys([name, "_".join(words[:2])]):
        found = process.extract(
            wanted, candidates, scorer=fuzz.ratio, processor=str.casefold, limit=most,
            score_cutoff=70,
        )  # fmt: skip
        for candidate, score, _index in found:
            scores[candidate] = max(score, scores.get(candidate, 0.0))
    return sorted(scores, key=lambda candidate: -scores[candidate])[:most]


def did_you_mean(name: str, candidates: Sequence[str]) -> str:
    """Word what `name` may have meant as a question, or list `candidates` when none is near.

    Examples
    --------
    >>> did_you_mean("sead", ["seed", "device"])
    "Did you mean 'seed'?"
    >>> did_you_mean("x", ["seed", "device"])
    'Known names: seed, device.'
    """
    near = nearest_names(name, candidates, most=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known names: {listing(candidates, most=12)}."
