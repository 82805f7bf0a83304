"""The explorer as plain files: every answer written down, to be opened without a server.

Browsers let a page from the file system load scripts, but not data; so the answers lie in scripts,
which hand them over under the paths that a server would be asked for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from kinlens.atomic import atomic_path
from kinlens.errors import UsageError
from kinlens.explorer.app import static_files
from kinlens.explorer.asking import Answerers
from kinlens.explorer.exhibit import Exhibit
from kinlens.explorer.pictures import PictureShelf
from kinlens.explorer.queries import Payload, Queries
from kinlens.progress import SILENT, Progress

__all__ = ["write_site"]

_POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "img-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
)
# Answers of one family (pictures, things) share a script up to this size.
_FILE_BYTES = 1_500_000
# More pictures than this are kept small, to keep the folder small.
_MOST_PICTURES = 5000


def write_site(
    exhibit: Exhibit,
    folder: str | Path,
    *,
    progress: Progress = SILENT,
    force: bool = False,
) -> None:
    """Write the explorer of an exhibit into a folder.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown. New pictures and sequences cannot be asked about without a server.
    folder : path
        New, or replaced when it holds an export and `force` is given.
    progress : Progress
        Who watches.
    force : bool
        Replace an earlier export.

    Raises
    ------
    UsageError
        When the folder is there already and may not be replaced.
    """
    folder = Path(folder)
    _check_place(folder, force=force)
    shelf = PictureShelf(exhibit)
    queries = Queries(exhibit, shelf, Answerers().offered())
    paths = list(queries.every_path(most_pictures=_MOST_PICTURES))
    with atomic_path(folder) as part:
        (part / "data").mkdir(parents=True)
        for name, content in static_files().items():
            (part / name).write_bytes(_as_file(content) if name == "index.html" else content)
        with progress.task("Writing the explorer", len(paths), unit="answer") as bar:
            writer = _Writer(part / "data")
            for path in paths:
                payload = queries.answer(path)
                if payload is not None:
                    writer.add(path, payload)
                bar.advance()
            writer.finish()


def _check_place(folder: Path, *, force: bool) -> None:
    if not folder.exists():
        return
    is_export = (folder / "data" / "0.js").is_file() and (folder / "app.js").is_file()
    if not is_export and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: holds something else; choose another folder for --export.")
    if is_export and not force:
        raise UsageError(f"{folder}: holds an export already. Replace it with --force.")


def _as_file(page: bytes) -> bytes:
    """Tell the page that its data lies in files, and keep it from loading anything else."""
    marks = (
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="kinlens-source" content="files">\n'
    )
    head, rest = page.decode().split("<title>", 1)
    return f"{head}{marks}<title>{rest}".encode()


class _Writer:
    """Deals answers to scripts, and keeps a directory of which is where.

    Answers of one family, such as ``chart/0/small/17.jpg``, come in order, so that for a family
    it is enough to know how many lie in each script.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._n_files = 1  # script 0 is the directory
        self._exact: dict[str, int] = {}
        self._families: dict[str, dict[str, object]] = {}
        self._family = ""
        self._held: list[tuple[str, str]] = []

    def add(self, path: str, payload: Payload) -> None:
        family = _family_of(path)
        if family != self._family:
            self._flush()
            self._family = family
        if payload.media_type == "application/json":
            text = payload.content.decode()
        else:
            text = json.dumps(base64.b64encode(payload.content).decode("ascii"))
        self._held.append((path, text))

    def finish(self) -> None:
        self._flush()
        self._write(
            0, [("exact", json.dumps(self._exact)), ("families", json.dumps(self._families))]
        )

    def _flush(self) -> None:
        if self._family:
            self._write_family()
        else:
            for part in _parts(self._held):
                self._exact |= {path: self._n_files for path, _text in part}
                self._write(self._n_files, part)
                self._n_files += 1
        self._held = []

    def _write_family(self) -> None:
        numbered = {int(Path(path).stem): (path, text) for path, text in self._held}
        if not numbered:
            return
        size = sum(len(text) for _path, text in numbered.values()) / len(numbered)
        each = max(1, int(_FILE_BYTES / max(size, 1)))
        files = []
        for start in range(0, max(numbered) + 1, each):
            part = [numbered[n] for n in range(start, start + each) if n in numbered]
            self._write(self._n_files, part)
            files.append(self._n_files)
            self._n_files += 1
        self._families[self._family] = {"each": each, "files": files}

    def _write(self, number: int, answers: list[tuple[str, str]]) -> None:
        # A script is no place for the two line ends that JSON allows and old JavaScript did not.
        body = ",".join(f"{json.dumps(path)}:{text}" for path, text in answers)
        (self._folder / f"{number}.js").write_text(
            f"kinlensFile({number},{{{body}}});\n", encoding="utf-8"
        )


def _family_of(path: str) -> str:
    """Return the folder of a path that ends in a number, "" for the others."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/" if folder and name.partition(".")[0].isdigit() else ""


def _parts(answers: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    part: list[tuple[str, str]] = []
    size = 0
    for path, text in answers:
        if part and size + len(text) > _FILE_BYTES:
            yield part
            part, size = [], 0
        part.append((path, text))
        size += len(text)
    if part:
        yield part
