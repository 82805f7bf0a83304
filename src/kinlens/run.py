"""A run is a folder: begun, locked, resumed and closed here.

This file knows which runs may share a folder (none) and where finished blocks lie. What a study
writes into its folder is the study's affair.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kinlens.atomic import is_leftover, plain, remove_leftovers, write_frame, write_json
from kinlens.errors import InputError, UsageError, WorkLostError, listing
from kinlens.events import EventLog, now
from kinlens.ledger import FolderLedger
from kinlens.lock import FolderLock
from kinlens.provenance import PROGRAM, differences, fingerprint, first_record, peak_memory_mb
from kinlens.skipped import SkipList

__all__ = ["RunFolder", "find_runs", "read_finished_run", "read_run", "unfinished_runs"]

_RECORD = "run.json"
_LOG = "log.jsonl"
_SKIPPED = "skipped.tsv"
_LOCK = ".lock"
# What only an unfinished run needs.
_LEDGER = ".ledger"
_CACHE = ".cache"


class RunFolder:
    """A folder that one run writes into; leave it as a context manager, or with `finish`.

    Made by `RunFolder.begin`, which takes the lock and writes the first record.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    record : dict
        What `run.json` holds.
    log : EventLog
        Writes ``log.jsonl``.
    skipped : SkipList
        Written to ``skipped.tsv`` when the run ends, in whichever way.
    fingerprint : str
        Stands for study, configuration, seed, inputs and version.
    is_finished : bool
        The folder already held this very run, finished; there is nothing to do.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from kinlens.atomic import write_text
    >>> with TemporaryDirectory() as folder:
    ...     with RunFolder.begin(folder, study="taxa", config={"trees": 100}, seed=1) as run:
    ...         write_text(run.path / "note.txt", "done")
    ...     print(read_run(folder)["status"], sorted(file.name for file in run.path.iterdir()))
    finished ['log.jsonl', 'note.txt', 'run.json', 'skipped.tsv']
    """

    def __init__(
        self, path: Path, record: dict[str, Any], *, lock: FolderLock, skipped: SkipList
    ) -> None:
        self.path = path
        self.record = record
        self.skipped = skipped
        self.is_finished = record["status"] == "finished"
        self.fingerprint = fingerprint(record)
        self.log = EventLog(path / _LOG)
        self._lock = lock
        self._earlier_seconds = float(record["seconds"] or 0)
        self._began = time.monotonic()

    @classmethod
    def begin(
        cls,
        path: str | Path,
        *,
        study: str,
        config: Mapping[str, Any] | object,
        seed: int,
        inputs: Mapping[str, str] | None = None,
        source: str | Path | None = None,
        resume: bool = False,
        force: bool = False,
        max_bad: float | None = None,
    ) -> Self:
        """Begin a run in an empty or new folder, go on with one, or replace one.

        Parameters
        ----------
        path : str or pathlib.Path
            The run folder.
        study : str
            What runs: the name of a study or a verb.
        config : Config or mapping
            As resolved; nothing in it may depend on the machine (workers, device).
        seed : int
            The one seed.
        inputs : mapping, optional
            Name of each input file to its hash, from `hash_file`.
        source : str or pathlib.Path, optional
            The dataset; the run may not replace it. Only its name is recorded.
        resume : bool
            Go on with the run in the folder when there is one.
        force : bool
            Replace the run in the folder. Refused where the folder holds anything but a run.
        max_bad : float, optional
            Limit for `skipped`.

        Raises
        ------
        UsageError
            When the folder is not empty and may not be used, is being written to by another run,
            or holds a run with other settings or inputs than the one to resume.
        """
        path = Path(path)
        record = first_record(
            study=study, config=config, seed=seed, inputs=inputs or {}, source=source
        )
        if resume and force:
            raise UsageError("--resume goes on with a run and --force replaces it: give only one.")
        _check_place(path, source=source, resume=resume, force=force)
        is_new = not path.exists()
        _make_folder(path)
        lock = FolderLock(path, name=_LOCK)
        try:
            _check_place(path, source=source, resume=resume, force=force)
            if force:
                _empty(path)
            elif not resume:
                # A run that came to nothing may lie there.
                _empty(path, kept=(_CACHE,))
            elif _content(path):
                record = _resumed_record(path, record)
            remove_leftovers(path)
            run = cls(path, record, lock=lock, skipped=SkipList(max_bad=max_bad))
            if not run.is_finished:
                write_json(path / _RECORD, record)
                run.log.write("begin", {"study": study, "session": record["sessions"]})
        except BaseException:
            lock.release()
            if is_new:
                with suppress(OSError):
                    path.rmdir()
            raise
        return run

    def ledger(self, name: str, *, kinds: tuple[type[Any], ...] = ()) -> FolderLedger:
        """Return the finished blocks of the step `name`; they are removed when the run finishes.

        Parameters
        ----------
        name : str
            Names one step of this run, and stays the same when the run is resumed.
        kinds : tuple of type
            Dataclasses that results are made of, see `FolderLedger`.
        """
        return FolderLedger(self.path / _LEDGER / name, self.fingerprint, kinds=kinds)

    @property
    def cache(self) -> Path:
        """A folder for what steps keep in their own way; removed when the run finishes."""
        return self.path / _CACHE

    def finish(self, facts: Mapping[str, Any] | None = None) -> None:
        """Close the run as finished; `facts` are added to `run.json`.

        Parameters
        ----------
        facts : mapping, optional
            Few and small, such as the headline.
        """
        self.record |= plain(facts or {})
        self._close("finished")
        self.is_finished = True
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            if not self.is_finished:
                self.finish()
        else:
            can_go_on = isinstance(error, KeyboardInterrupt | WorkLostError)
            # What went wrong first matters more than a second failure to write it down.
            with suppress(UsageError, OSError):
                self._close(
                    "interrupted" if can_go_on else "failed",
                    error=f"{type(error).__name__}: {error}",
                )
        self._leave()

    def _close(self, status: str, *, error: str | None = None) -> None:
        write_frame(self.path / _SKIPPED, self.skipped.frame())
        self.log.write(
            status, {"error": error} if error else {}, level="error" if error else "info"
        )
        self.record |= {
            "status": status,
            "error": error,
            "ended": now(),
            "seconds": round(self._earlier_seconds + time.monotonic() - self._began, 3),
            "peak_memory_mb": peak_memory_mb(),
            "skipped": len(self.skipped),
        }
        # Last, because a folder whose record says finished has to be whole; only then are the
        # finished blocks of no more use.
        write_json(self.path / _RECORD, self.record)
        if status == "finished":
            for name in (_LEDGER, _CACHE):
                shutil.rmtree(self.path / name, ignore_errors=True)

    def _leave(self) -> None:
        self.log.close()
        self._lock.release()


def read_run(path: str | Path) -> dict[str, Any]:
    """Read the `run.json` of a run folder.

    Raises
    ------
    InputError
        When the folder holds no run of kinlens.
    """
    try:
        record = json.loads((Path(path) / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        inside = sorted(file.parent.name for file in Path(path).glob(f"*/{_RECORD}"))
        raise InputError(
            f"no {_RECORD} that can be read",
            where=path,
            remedy=f"Give one of the runs in it: {listing(inside)}."
            if inside
            else "Give a folder that `kinlens run STUDY DATASET -o FOLDER` made.",
        ) from error
    if not isinstance(record, dict) or record.get("program") != PROGRAM:
        raise InputError(f"its {_RECORD} was not written by {PROGRAM}", where=path)
    return record


def read_finished_run(path: str | Path) -> dict[str, Any]:
    """Read the `run.json` of a run that came to its end.

    Raises
    ------
    InputError
        When the folder holds no run of kinlens, or one that was cut off.
    """
    record = read_run(path)
    if record["status"] != "finished":
        raise InputError(
            f"the run is not finished ({record['status']})",
            where=path,
            remedy="Go on with it: the command that began it, with --resume.",
        )
    return record


def find_runs(places: Iterable[str | Path]) -> list[Path]:
    """List the finished runs among `places`, and those inside them, such as a whole tour.

    Parameters
    ----------
    places : iterable of path
        Run folders, or folders that hold some; of the latter, runs come in the order of their
        beginning.

    Raises
    ------
    InputError
        When a place neither is nor holds a finished run.
    """
    found: list[Path] = []
    for place in map(Path, places):
        records = _records_in(place)
        finished = [folder for folder in records if records[folder]["status"] == "finished"]
        if not finished:
            # Its own words for a folder that is no run, or not a finished one.
            read_finished_run(next(iter(records), place))
        found += sorted(finished, key=lambda folder: str(records[folder].get("started")))
    return list(dict.fromkeys(found))


def unfinished_runs(places: Iterable[str | Path]) -> list[Path]:
    """List the runs inside `places` that `find_runs` leaves out, since they did not finish.

    Parameters
    ----------
    places : iterable of path
        As for `find_runs`.
    """
    found = (
        folder
        for place in map(Path, places)
        for folder, record in _records_in(place).items()
        if record["status"] != "finished"
    )
    return sorted(dict.fromkeys(found))


def _records_in(place: Path) -> dict[Path, dict[str, Any]]:
    """Return the record of the run that a folder is, or those of the runs that it holds."""
    is_run = (place / _RECORD).is_file()
    folders = [place] if is_run else [file.parent for file in place.glob(f"*/{_RECORD}")]
    return {folder: read_run(folder) for folder in folders}


# The folder --------------------------------------------------------------------------------------


def _resumed_record(path: Path, new: dict[str, Any]) -> dict[str, Any]:
    """Return the record in the folder, to be gone on with, when it is of the same run as `new`."""
    old = read_run(path)
    changes = differences(old, new)
    if changes:
        raise UsageError(
            f"{path}: cannot be resumed, because the run in it was begun otherwise: "
            f"{listing(changes)}. Begin it anew with --force, or choose another folder."
        )
    if old["status"] == "finished":
        return old
    kept = {name: old[name] for name in ("started", "seconds")}
    return new | kept | {"sessions": int(old["sessions"]) + 1}


def _content(path: Path) -> list[str]:
    """Return the names in the folder that somebody put there."""
    if not path.is_dir():
        return []
    return sorted(
        entry.name
        for entry in path.iterdir()
        if entry.name != _LOCK and not is_leftover(entry.name)
    )


def _check_place(path: Path, *, source: str | Path | None, resume: bool, force: bool) -> None:
    """Refuse a folder in which this run may not write."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; a run needs a folder of its own.")
    if source is not None:
        there, dataset = path.resolve(), Path(source).resolve()
        if there == dataset or there in dataset.parents:
            raise UsageError(f"{path}: holds the dataset; choose another folder for the run.")
    content = _content(path)
    if not content:
        return
    try:
        read_run(path)
    except InputError as error:
        raise UsageError(
            f"{path}: is not empty and holds no run of {PROGRAM} ({listing(content, most=3)}). "
            "Choose another folder."
        ) from error
    if not (resume or force or _came_to_nothing(path)):
        raise UsageError(
            f"{path}: already holds a run. Go on with it with --resume, replace it with --force, "
            "or choose another folder."
        )


def _came_to_nothing(path: Path) -> bool:
    """Tell whether the run in the folder failed, and left nothing but its record and cache."""
    nothing = {_RECORD, _LOG, _SKIPPED, _CACHE}
    return read_run(path)["status"] == "failed" and set(_content(path)) <= nothing


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be made: {error.strerror}. Choose another folder."
        ) from error


def _empty(path: Path, *, kept: tuple[str, ...] = ()) -> None:
    """Remove what a run left in its folder; links are removed, not followed."""
    # The record goes last: killed on the way, the folder can still be replaced.
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name == _RECORD):
        if entry.name == _LOCK or entry.name in kept:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
