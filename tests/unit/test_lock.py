"""One writer a folder, and no lock outlives its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinlens.errors import UsageError
from kinlens.lock import FolderLock

_HOLDER = """
import sys
from kinlens.lock import FolderLock
lock = FolderLock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
lock.release()
print("released", flush=True)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_held_by_another_process_is_refused(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(UsageError, match="another run is writing here now"):
        FolderLock(tmp_path)
    holder.communicate()
    FolderLock(tmp_path).release()


def test_a_lock_dies_with_its_holder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    FolderLock(tmp_path).release()
    assert not (tmp_path / ".lock").exists()


def test_a_folder_held_by_this_process_is_refused(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(UsageError, match="another run"):
        FolderLock(tmp_path / ".." / tmp_path.name)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_releasing_twice_does_not_take_the_folder_from_the_next(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.release()
    second = FolderLock(tmp_path)
    first.release()
    with pytest.raises(UsageError):
        FolderLock(tmp_path)
    second.release()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written to: Permission denied"):
        FolderLock(tmp_path)
