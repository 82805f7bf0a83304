"""One network trained on several devices of this machine: a process for each.

What is to be trained is written down once and read by every process; the first one writes what came
of it. Lightning averages gradients between them.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from kinlens.errors import UsageError, WorkLostError
from kinlens.learn.plan import TrainingDivergedError
from kinlens.learn.training import Outcome, Training
from kinlens.optional import need
from kinlens.processes import live_with

torch = need("torch")

__all__ = ["run_on_several"]

_SECONDS_BETWEEN_LOOKS = 0.2


def run_on_several(training: Training, advance: Callable[[], None]) -> Outcome:
    """Train on as many devices as the plan names.

    Parameters
    ----------
    training : Training
        Everything in it travels to each process: pictures in memory are there once more for each.
    advance : callable
        Told after each epoch.

    Raises
    ------
    TrainingDivergedError
        At the first loss or score that is not finite.
    UsageError
        When the machine has fewer GPUs, or there are fewer batches than devices.

    Notes
    -----
    Processes are started afresh ("spawn"), since a GPU that was used before cannot be handed on. A
    script that calls this needs the usual ``if __name__ == "__main__":``.
    """
    parts = training.plan.devices
    if training.place.type == "cuda" and torch.cuda.device_count() < parts:
        raise UsageError(
            f"devices: {parts} GPUs are wanted and {torch.cuda.device_count()} are here."
        )
    n_batches = len(training.batches)  # type: ignore[arg-type]
    if n_batches < parts:
        raise UsageError(
            f"devices: {parts} of them cannot share {n_batches} batches. Take fewer devices, or a "
            "smaller batch_size."
        )
    with tempfile.TemporaryDirectory(prefix="kinlens-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "training").write_bytes(need("cloudpickle").dumps(training))
        processes = torch.multiprocessing.spawn(
            _run_part, args=(folder, parts, _free_port(), os.getpid()), nprocs=parts, join=False
        )
        told = 0
        try:
            is_over = False
            while not is_over:
                is_over = processes.join(timeout=_SECONDS_BETWEEN_LOOKS)
                epochs = (folder / "epochs").stat().st_size if (folder / "epochs").exists() else 0
                for _ in range(epochs - told):
                    advance()
                told = epochs
        except torch.multiprocessing.ProcessRaisedException:
            if (folder / "diverged").exists():
                words = (folder / "diverged").read_text(encoding="utf-8")
                raise TrainingDivergedError(words) from None
            raise
        except torch.multiprocessing.ProcessExitedException as error:
            raise WorkLostError(
                f"{training.label}: one of {parts} processes ended without a word; most often the "
                "machine ran out of memory. Try fewer devices."
            ) from error
        finally:
            for process in processes.processes:
                process.kill()
                process.join()
        state = torch.load(folder / "outcome", map_location="cpu", weights_only=True)
    return Outcome(**state)


def _run_part(part: int, folder: Path, parts: int, port: int, parent: int) -> None:
    """Train as one of several processes; the first one leaves the outcome in `folder`."""
    live_with(parent)
    # By these Lightning knows that the processes are there already.
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0",
        "LOCAL_RANK": str(part), "WORLD_SIZE": str(parts),
    }  # fmt: skip
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // parts))
    training: Training = need("cloudpickle").loads((folder / "training").read_bytes())

    def advance() -> None:
        if part == 0:
            with (folder / "epochs").open("ab") as file:
                file.write(b".")

    try:
        outcome = training.run(advance, part=part)
    except TrainingDivergedError as error:
        (folder / "diverged").write_text(str(error), encoding="utf-8")
        raise
    if part == 0:
        torch.save(vars(outcome), folder / "outcome")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
