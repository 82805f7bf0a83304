"""One sequence in the middle of many: the string with the least sum of edit distances to all.

Finding the best such string (the Steiner or median string) is NP-hard; here the best member is
improved by edits that the others vote for, which never makes it worse. Vectors are not needed,
but may say where to start: the member nearest to all others by them stands for the point in the
middle, which spares comparing all with all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from kinlens.errors import InputError
from kinlens.geometry.edit import edit_distances
from kinlens.geometry.packing import as_bytes

__all__ = ["Consensus", "consensus_string"]

# An edit: what is done, where in the current string, and the letter put in (0 for none).
_Edit = tuple[str, int, int]
# Of edits without a majority, this many of the most wanted are tried one by one in each round.
_TRIED_ALONE = 12


@dataclass(frozen=True)
class Consensus:
    """A string in the middle.

    Parameters
    ----------
    sequence : bytes
        The string.
    cost : int
        Sum of its edit distances to all members.
    member : int
        The member from which the search started: the one with the least sum, or the one given.
    member_cost : int
        That sum; never below `cost`.
    """

    sequence: bytes
    cost: int
    member: int
    member_cost: int


def consensus_string(
    sequences: Iterable[str | bytes],
    *,
    start: int | None = None,
    most_rounds: int = 50,
    threads: int = 1,
) -> Consensus:
    """Find a string with a small sum of edit distances to `sequences`.

    In each round every member says by which edits the current string becomes the member; edits
    that more than half want are made together, then the most wanted ones alone, as long as the sum
    falls.

    Parameters
    ----------
    sequences : sequences
        One or more, of any lengths and letters, without gaps.
    start : int, optional
        The member to begin with; when left out, all are compared to find the best.
    most_rounds : int
        After which the search ends even when it still improves.
    threads : int
        How many compare members at once.

    Raises
    ------
    InputError
        When there is no sequence, or no member `start`.

    References
    ----------
    Kohonen T (1985) Median strings. Pattern Recognition Letters 3: 309-313 (from the best member
    by systematic edits). de la Higuera C, Casacuberta F (2000) Topology of strings: median string
    is NP-complete. Theoretical Computer Science 230: 39-48.

    Examples
    --------
    >>> found = consensus_string(["ACGTAC", "ACTTACG", "GACGTTC"])
    >>> found.sequence, found.cost, found.member_cost
    (b'ACGTAC', 4, 4)
    """
    texts = as_bytes(sequences)
    if not texts:
        raise InputError("a consensus needs one sequence or more; there is none")
    if start is None:
        sums = edit_distances(texts, threads=threads).sum(axis=1, dtype=int)
        member = int(sums.argmin())
    elif 0 <= start < len(texts):
        member = start
    else:
        raise InputError(f"there is no member {start} to start from, but 0 to {len(texts) - 1}")
    member_cost = int(edit_distances(texts[member : member + 1], texts).sum(dtype=int))
    current, cost = texts[member], member_cost
    for _ in range(most_rounds):
        better, lower = _improved(current, cost, texts)
        if lower >= cost:
            break
        current, cost = better, lower
    return Consensus(current, cost, member, member_cost)


def _improved(current: bytes, cost: int, texts: Sequence[bytes]) -> tuple[bytes, int]:
    """Return the first string that is better, or the current one when none is found."""
    votes: Counter[_Edit] = Counter()
    for text in texts:
        votes.update(set(_edits(current, text)))
    wanted = sorted(votes, key=lambda edit: (-votes[edit], edit))
    majority = [edit for edit in wanted if 2 * votes[edit] > len(texts)]
    proposals = [majority] if majority else []
    proposals += [[edit] for edit in wanted[:_TRIED_ALONE]]
    for edits in proposals:
        proposed = _applied(current, edits)
        found = sum(Levenshtein.distance(proposed, text) for text in texts)
        if found < cost:
            return proposed, found
    return current, cost


def _edits(current: bytes, text: bytes) -> list[_Edit]:
    return [
        (op.tag, op.src_pos, 0 if op.tag == "delete" else text[op.dest_pos])
        for op in Levenshtein.editops(current, text)
    ]


def _applied(current: bytes, edits: Iterable[_Edit]) -> bytes:
    """Make edits from the end to the start, so that positions stay right."""
    letters = bytearray(current)
    # At one place the letter there is dealt with before anything is put in front of it.
    order = {"replace": 0, "delete": 0, "insert": 1}
    for tag, place, letter in sorted(edits, key=lambda e: (-e[1], order[e[0]], e[2])):
        if tag == "insert":
            letters.insert(place, letter)
        elif tag == "delete":
            del letters[place]
        else:
            letters[place] = letter
    return bytes(letters)
