"""What all benchmarks share: timing, the description of the machine, and the table on disk."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from kinlens.atomic import write_text

RESULTS = Path(__file__).parent / "results"


def seconds(function: Callable[[], object], *, repeats: int = 5) -> float:
    """Call `function` several times and return the median wall time in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine() -> str:
    """Describe the machine by its CPU model and the cores that this process may use."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores"


def versions(*libraries: str) -> str:
    """List the installed versions of the rivals."""
    return ", ".join(f"{library} {metadata.version(library)}" for library in libraries)


def report(
    name: str, *, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: str
) -> None:
    """Print a table and write it to ``benchmarks/results/NAME.md``."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(row) for row in rows]
    table = "\n".join(f"| {line} |" for line in lines)
    text = f"# {title}\n\n{table}\n\n{notes} Machine: {machine()}.\n"
    print(text)
    write_text(RESULTS / f"{name}.md", text)
