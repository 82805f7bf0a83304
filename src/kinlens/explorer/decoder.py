"""The process that decodes pictures from strangers: it may use little memory and be killed.

Started by `uploads` as ``python -m kinlens.explorer.decoder``. It says ``{}`` when it is ready.
Then it reads the path of a file from each line of its standard input, writes the picture's bare
pixels beside it, and answers with a line of JSON. Whatever a picture does to a decoder, it does
here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from kinlens.io.images import read_image
from kinlens.io.sniffing import ImageError

__all__ = ["MEMORY", "MOST_PIXELS", "decode_file", "main"]

MOST_PIXELS = 50_000_000
"""Larger pictures are refused before they are decoded."""

MEMORY = 3 * 2**30
"""Bytes of address space that the process may take, libraries included."""

# Encoders look at a few hundred pixels; more than this serves nobody.
_LONGEST_SIDE = 2048


def decode_file(path: Path) -> dict[str, str]:
    """Decode one file and write its pixels beside it as ``picture.ppm``.

    Parameters
    ----------
    path : pathlib.Path
        What was uploaded.

    Returns
    -------
    dict
        ``{"picture": name}``, or ``{"problem": sentence}`` when there is no picture in it.

    Examples
    --------
    >>> file = getfixture("tmp_path") / "upload"
    >>> _ = file.write_bytes(b"<html>")
    >>> "picture" in decode_file(file)
    False
    """
    try:
        pixels = read_image(path, most_pixels=MOST_PIXELS).pixels
    except ImageError as error:
        return {"problem": " ".join(filter(None, (f"{error.problem}.", error.remedy)))}
    except MemoryError:
        return {"problem": "the picture takes more memory than is given to one."}
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.BICUBIC)
    # Pixels and nothing else: no EXIF, no profile, no comment goes any further.
    picture.save(path.with_name("picture.ppm"), format="PPM")
    return {"picture": "picture.ppm"}


def main() -> None:
    """Answer line by line until standard input ends."""
    _limit_memory()
    sys.stdout.write("{}\n")  # everything is loaded
    sys.stdout.flush()
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        try:
            answer = decode_file(path)
        except Exception as error:
            answer = {"problem": f"the picture cannot be decoded ({type(error).__name__})."}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
