"""Reading pictures, genes, sequences and distances beside the bare libraries.

    python benchmarks/reading.py

Every rival runs in this same process, on the same file, after its answer was compared with ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import dnaio
import numpy as np
import pandas as pd
from PIL import Image

from kinlens.io.distances import read_distances, write_distances
from kinlens.io.duplicates import near_pairs
from kinlens.io.fasta import iterate_fasta, write_fasta
from kinlens.io.genes import read_genes, write_genes
from kinlens.io.images import read_image, resize_to_square
from kinlens.records.distances import DistanceMatrix
from kinlens.records.sequences import SequenceSet
from reporting import report, seconds, versions

Row = tuple[str, str, str, str]


def main() -> None:
    """Run everything and write the table."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            *(decoding(folder, rng, size) for size in ((200, 150), (1024, 768), (4000, 3000))),
            decoding_to_thumbnail(folder, rng),
            genes(folder, rng),
            reads(folder, rng),
            distances(folder, rng),
            hashes(rng),
        ]
    report(
        "reading",
        title="Reading",
        columns=("task", "kinlens", "rival", "ratio (rival / kinlens)"),
        rows=rows,
        notes="Medians of five. Pictures are decoded in full and their faults noted. "
        f"{versions('pillow', 'pandas', 'dnaio', 'numpy')}.",
    )


def decoding(folder: Path, rng: np.random.Generator, size: tuple[int, int]) -> Row:
    """Decode a JPEG photograph to an array."""
    file = photograph(folder, rng, size)
    np.testing.assert_array_equal(read_image(file).pixels, bare(file))
    repeats = 50 if size[0] < 1000 else 5
    return compared(
        f"JPEG of {size[0]} x {size[1]}",
        lambda: [read_image(file) for _ in range(repeats)],
        "Pillow",
        lambda: [bare(file) for _ in range(repeats)],
        per=repeats,
    )


def decoding_to_thumbnail(folder: Path, rng: np.random.Generator) -> Row:
    """Decode a large JPEG for a network of 224 x 224 pixels."""
    file = photograph(folder, rng, (4000, 3000))

    def rival() -> np.ndarray:
        with Image.open(file) as picture:
            resized = picture.convert("RGB").resize((224, 168), Image.Resampling.BICUBIC)
        return np.asarray(resized)

    def ours() -> np.ndarray:
        return resize_to_square(read_image(file, at_least=224).pixels, 224)

    difference = ours()[28:196].astype(int) - rival()
    assert np.abs(difference).mean() < 2
    return compared("JPEG of 4000 x 3000 to 224 x 224", ours, "Pillow, full decode", rival)


def genes(folder: Path, rng: np.random.Generator) -> Row:
    """Read a table of 300 species and 17,060 genes."""
    frame = pd.DataFrame(
        rng.integers(0, 2, (300, 17_060)).astype(np.float32),
        index=pd.Index([f"species_{i}" for i in range(300)], name="species"),
        columns=[f"gene_{i}" for i in range(17_060)],
    )
    file = folder / "genes.csv"
    write_genes(frame, file)
    np.testing.assert_array_equal(read_genes(file), pd.read_csv(file, index_col=0))
    return compared(
        "genes.csv, 300 x 17,060",
        lambda: read_genes(file),
        "pandas",
        lambda: pd.read_csv(file, index_col=0),
    )


def reads(folder: Path, rng: np.random.Generator) -> Row:
    """Read 200,000 reads of 152 letters, one by one, upper case and checked."""
    letters = np.frombuffer(b"acgt", dtype=np.uint8)[rng.integers(0, 4, (200_000, 152))]
    made = tuple(row.tobytes().upper() for row in letters)
    file = folder / "reads.fasta"
    write_fasta(SequenceSet(tuple(f"r{i}" for i in range(len(made))), made), file)

    def rival() -> list[bytes]:
        with dnaio.open(file, open_threads=0) as records:
            return [record.sequence.encode() for record in records]

    assert [sequence for _name, sequence in iterate_fasta(file)] == rival()
    return compared(
        "FASTA, 200,000 reads of 152",
        lambda: list(iterate_fasta(file)),
        "dnaio, unchecked",
        rival,
    )


def distances(folder: Path, rng: np.random.Generator) -> Row:
    """Read a square matrix of 1,000 names."""
    half = rng.random((1000, 1000))
    values = half + half.T
    np.fill_diagonal(values, 0)
    file = folder / "distances.csv"
    write_distances(DistanceMatrix(tuple(f"s{i}" for i in range(1000)), values), file)
    np.testing.assert_array_equal(read_distances(file).values, values)
    return compared(
        "distances.csv, 1,000 x 1,000",
        lambda: read_distances(file),
        "pandas, unchecked",
        lambda: pd.read_csv(file, index_col=0, float_precision="round_trip"),
    )


def hashes(rng: np.random.Generator) -> Row:
    """Find near pairs among 100,000 perceptual hashes; brute force is timed on 10,000."""
    values = rng.integers(0, 2**64, 100_000, dtype=np.uint64)

    def brute_force() -> int:
        few = values[:10_000]
        return sum(
            int((np.bitwise_count(few[row] ^ few[row + 1 :]) <= 6).sum()) for row in range(len(few))
        )

    ours = seconds(lambda: list(near_pairs(values, most_bits=6)))
    rival = seconds(brute_force, repeats=1) * 100
    return (
        "near pairs of 100,000 hashes",
        f"{ours:.2f} s",
        f"{rival:.1f} s (NumPy brute force, from 10,000)",
        f"{rival / ours:.1f}",
    )


def compared(
    task: str,
    ours: Callable[[], object],
    name: str,
    rival: Callable[[], object],
    *,
    per: int = 1,
) -> Row:
    """Time both, one after the other."""
    ours()
    rival()
    mine, other = seconds(ours) / per, seconds(rival) / per
    return task, f"{mine * 1e3:.2f} ms", f"{other * 1e3:.2f} ms ({name})", f"{other / mine:.2f}"


def bare(file: Path) -> np.ndarray:
    """Decode as the shortest Pillow program does."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def photograph(folder: Path, rng: np.random.Generator, size: tuple[int, int]) -> Path:
    """Write a JPEG with smooth colours and noise, so that it costs what photographs cost."""
    width, height = size
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    noisy = np.clip(smooth + rng.integers(-8, 8, smooth.shape), 0, 255).astype(np.uint8)
    file = folder / f"{width}.jpg"
    Image.fromarray(noisy).save(file, quality=90)
    return file


if __name__ == "__main__":
    main()
