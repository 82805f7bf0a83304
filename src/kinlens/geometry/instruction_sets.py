"""Which vector instructions this processor has, and which of them to use."""

from __future__ import annotations

import platform
from typing import Any, Literal

from numba.core import codegen as _codegen
from numba.core import config as _config

from kinlens.errors import UsageError

__all__ = ["InstructionSet", "available_instruction_sets", "vector_width"]

InstructionSet = Literal["auto", "avx512", "avx2", "sse2", "neon", "plain"]

# numba has no types for them.
codegen: Any = _codegen
config: Any = _config
_WORDS = {"avx512": 8, "avx2": 4, "sse2": 2, "neon": 2, "plain": 1}


def available_instruction_sets() -> tuple[InstructionSet, ...]:
    """Return what this processor has, as numba sees it, the widest vectors first.

    Examples
    --------
    >>> available_instruction_sets()[-1]
    'plain'
    """
    # What NUMBA_CPU_FEATURES says wins over what the processor says.
    features = set((config.CPU_FEATURES or codegen.get_host_cpu_features()).split(","))
    present: list[InstructionSet] = []
    # 512-bit logic is in the foundation; the wide sums need bytes and words.
    if {"+avx512f", "+avx512bw"} <= features:
        present.append("avx512")
    if "+avx2" in features:
        present.append("avx2")
    # All 64-bit processors of these makes have them, and some do not say so.
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        present.append("sse2")
    if machine in ("aarch64", "arm64"):
        present.append("neon")
    return (*present, "plain")


def vector_width(instruction_set: InstructionSet = "auto") -> tuple[int, ...]:
    """Return as many zeros as a vector of the instruction set has 64-bit words.

    The tuple's length is part of its type, by which compiled code tells the width.

    Raises
    ------
    UsageError
        When the processor does not have the instruction set.

    Examples
    --------
    >>> vector_width("plain")
    (0,)
    """
    present = available_instruction_sets()
    if instruction_set == "auto":
        instruction_set = present[0]
    if instruction_set not in present:
        raise UsageError(
            f"instruction_set must be auto or what this processor has ({', '.join(present)}), "
            f"not {instruction_set!r}."
        )
    return (0,) * _WORDS[instruction_set]
