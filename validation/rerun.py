"""Run the R scripts again and compare with the golden values in ``tests/golden``.

``python validation/rerun.py`` compares and ends with 1 when a number has moved;
``python validation/rerun.py --write`` replaces the stored values. Needs R and the packages that
README.md lists; the tests need neither.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "tests" / "golden"
SHARED_CODE = "write_json.R"
PACKAGES = ("ape", "ecodist", "energy", "jsonlite", "phytools", "vegan")
# Optimised values are good to about eight digits on either side, everything else to more.
TOLERANCE = 1e-8


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace the stored golden values")
    write = parser.parse_args().write
    if shutil.which("Rscript") is None:
        packages = " ".join(f"r-cran-{name}" for name in PACKAGES)
        print(
            "Rscript was not found. On Debian: "
            f"apt-get install --no-install-recommends r-base-core {packages}",
            file=sys.stderr,
        )
        return 2
    moved = 0
    with tempfile.TemporaryDirectory() as folder:
        for script in sorted(HERE.glob("*.R")):
            if script.name == SHARED_CODE:
                continue
            name = script.with_suffix(".json").name
            fresh = Path(folder) / name
            subprocess.run(["Rscript", str(script), str(fresh)], check=True)
            if write:
                shutil.copyfile(fresh, GOLDEN / name)
                print(f"{name}: written")
                continue
            stored = json.loads((GOLDEN / name).read_text())
            differences = list(_differences(stored, json.loads(fresh.read_text()), name))
            for line in differences:
                print(line)
            print(f"{name}: {_count(stored):,} values, {len(differences):,} differ")
            moved += len(differences)
    return 1 if moved else 0


def _differences(stored: Any, fresh: Any, path: str, draws: int = 0) -> Iterator[str]:
    """Yield a line for each value that moved by more than it may."""
    if isinstance(stored, dict):
        draws = stored.get("permutations", draws)
        for key in sorted(stored.keys() | fresh.keys()):
            if key == "made_by":
                if stored[key] != fresh[key]:
                    print(f"{path}: made with {stored[key]}, now {fresh[key]}")
            elif key not in stored or key not in fresh:
                yield f"{path}.{key}: only in {'the stored' if key in stored else 'the new'} values"
            else:
                yield from _differences(stored[key], fresh[key], f"{path}.{key}", draws)
    elif isinstance(stored, list):
        if len(stored) != len(fresh):
            yield f"{path}: {len(stored)} values, now {len(fresh)}"
            return
        for index, (old, new) in enumerate(zip(stored, fresh, strict=True)):
            yield from _differences(old, new, f"{path}[{index}]", draws)
    elif isinstance(stored, str):
        if stored != fresh:
            yield f"{path}: {stored!r}, now {fresh!r}"
    elif abs(stored - fresh) > _allowed(path, stored, draws):
        yield f"{path}: {stored!r}, now {fresh!r}"


def _allowed(path: str, value: float, draws: int) -> float:
    """Return by how much a value may move: p-values within five Monte Carlo errors."""
    if ".p_value" in path and draws:
        return 5 * math.sqrt(2 * max(value * (1 - value), 1 / draws) / draws)
    return TOLERANCE * max(1.0, abs(value))


def _count(values: Any) -> int:
    if isinstance(values, dict):
        return sum(_count(value) for value in values.values())
    return sum(map(_count, values)) if isinstance(values, list) else 1


if __name__ == "__main__":
    sys.exit(main())
