"""What a run may be asked, and how its answer looks; who answers is handed in from above.

The explorer knows neither models nor encoders. Whoever opens it gives it callables of the kinds
described here; a question without one is not offered on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from kinlens.typing import Float32Array, FloatArray

__all__ = [
    "Answerers",
    "AskAttention",
    "AskPicture",
    "AskSequence",
    "Name",
    "PictureAnswer",
    "Relative",
    "SequenceHit",
    "TreePlace",
]


@dataclass(frozen=True)
class Name:
    """A name at one rank.

    Parameters
    ----------
    rank, name : str
        Such as ``genus`` and ``Papilio``.
    probability : float
        Calibrated.
    """

    rank: str
    name: str
    probability: float


@dataclass(frozen=True)
class Relative:
    """A species of the tree, and how far away a new picture is expected to be.

    Parameters
    ----------
    species : str
        A tip.
    distance, low, high : float
        Expected distance along the tree, and the ends of its interval.
    """

    species: str
    distance: float
    low: float
    high: float


@dataclass(frozen=True)
class TreePlace:
    """Where in the tree a new picture belongs.

    Parameters
    ----------
    tips : tuple of str
        The tips below the branch that it hangs on.
    above : float
        How far above the lower end of that branch.
    twig : float
        Length of its own branch.
    p_value : float
        How often a species of this tree would look at least as strange.
    is_in_tree : bool
        Whether that is often enough to believe that it belongs here.
    relatives : tuple of Relative
        Nearest first.
    confidence : float
        Share of intervals that hold the true distance.
    """

    tips: tuple[str, ...]
    above: float
    twig: float
    p_value: float
    is_in_tree: bool
    relatives: tuple[Relative, ...]
    confidence: float


@dataclass(frozen=True, eq=False)
class PictureAnswer:
    """What a run says of a new picture.

    Parameters
    ----------
    names : tuple of Name
        From the lowest rank up.
    safe : Name, optional
        The deepest name that is safe at `error_rate`; None when none is, or none was asked for.
    candidates : tuple of str
        Species that the truth is among at `error_rate`.
    error_rate : float, optional
        Share of wrong safe names, and of candidates that miss.
    vector : array of shape (d,), optional
        The picture, embedded as those on the chart.
    place : TreePlace, optional
        None without a tree.
    place_note : str
        Why there is no place, when there could be one.
    facts : mapping of str to str
        Whatever else the run says.
    """

    names: tuple[Name, ...] = ()
    safe: Name | None = None
    candidates: tuple[str, ...] = ()
    error_rate: float | None = None
    vector: Float32Array | None = None
    place: TreePlace | None = None
    place_note: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SequenceHit:
    """A known sequence near one that was asked for.

    Parameters
    ----------
    query, reference, species : str
        Which was asked for, which was found, and whose it is ("" when not known).
    edit_distance : int
        Letters to change, insert or delete.
    """

    query: str
    reference: str
    species: str
    edit_distance: int


AskPicture: TypeAlias = Callable[[Path], PictureAnswer]
"""Takes a picture file that is known to be sound, and says what it shows."""

AskSequence: TypeAlias = Callable[[Path], Sequence[SequenceHit]]
"""Takes a FASTA file, and finds the nearest known sequences."""


AskAttention: TypeAlias = Callable[[str, str], FloatArray]
"""Takes the name of a picture of the dataset and a label, and says by how much the label loses for
each square of the picture that is blanked, as an array of shape (cells, cells)."""


@dataclass(frozen=True)
class Answerers:
    """Who answers for what.

    Parameters
    ----------
    picture : callable, optional
        Answers for pictures.
    sequence : callable, optional
        Answers for sequences.
    attention : callable, optional
        Says what the network of a run of `location` looks at.
    """

    picture: AskPicture | None = None
    sequence: AskSequence | None = None
    attention: AskAttention | None = None

    def offered(self) -> dict[str, bool]:
        """Return which questions can be asked."""
        return {
            "picture": self.picture is not None,
            "sequence": self.sequence is not None,
            "attention": self.attention is not None,
        }
