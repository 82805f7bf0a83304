"""Two processes that train one network do what one does with their batches joined."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.learn.batches import PictureBatches
from kinlens.learn.fit import Fitted, fit
from kinlens.learn.plan import FitPlan, TrainingDivergedError
from kinlens.optional import need
from kinlens.progress import Progress

torch = need("torch")

PLAN = FitPlan(epochs=6, learning_rate=0.05, weight_decay=0.01)


class Batches:
    """Sums of five numbers; `joined` at a time."""

    def __init__(self, joined: int = 1, sizes: int = 32) -> None:
        self.joined = joined
        self.sizes = sizes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 6 // self.joined

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.epoch)
        every = torch.randn(6, self.sizes, 5, generator=generator)
        for start in range(0, 6, self.joined):
            values = every[start : start + self.joined].flatten(0, 1)
            yield values, values.sum(1, keepdim=True)


def trained(batches: Batches, devices: int, *, scale: float = 1.0, **options) -> Fitted:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))

    def objective(model, batch):
        return scale * ((model(batch[0]) - batch[1]) ** 2).mean()

    def score(model):
        values = torch.eye(5)
        return float(((model(values) - 1) ** 2).mean())

    plan = PLAN.model_copy(update={"devices": devices} | options.pop("plan", {}))
    return fit(network, objective, batches, score=score, plan=plan, seed=3, device="cpu", **options)


class Counting(Progress):
    """Counts steps."""

    steps = 0

    def task(self, label, total, *, unit=""):
        outer = self

        class Bar:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def advance(self, by=1):
                outer.steps += by

        return Bar()


def test_two_devices_take_the_steps_of_one_with_their_batches_joined():
    progress = Counting()
    alone = trained(Batches(joined=2), 1)
    together = trained(Batches(), 2, progress=progress)
    for ours, theirs in zip(alone.network.parameters(), together.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    columns = ["epoch", "loss", "score", "learning_rate"]
    np.testing.assert_allclose(alone.history[columns], together.history[columns], rtol=1e-4)
    assert (alone.best_epoch, progress.steps) == (together.best_epoch, 6)
    assert not multiprocessing.active_children()


def test_a_loss_that_is_not_finite_is_told_by_its_own_error(tmp_path: Path):
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1 .*Lower learning_rate"):
        trained(Batches(), 2, scale=float("inf"), checkpoint=tmp_path / "state.ckpt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_training_on_two_devices_goes_on_from_a_checkpoint_of_one(tmp_path: Path):
    class KilledError(Exception):
        pass

    class Killing(Counting):
        def task(self, label, total, *, unit=""):
            bar = super().task(label, total, unit=unit)
            advance = bar.advance

            def counted(by=1):
                advance(by)
                if self.steps == 3:
                    raise KilledError

            bar.advance = counted
            return bar

    checkpoint = tmp_path / "state.ckpt"
    whole = trained(Batches(joined=2), 1)
    with pytest.raises(KilledError):
        trained(Batches(joined=2), 1, checkpoint=checkpoint, progress=Killing())
    assert checkpoint.is_file()
    resumed = trained(Batches(), 2, checkpoint=checkpoint)
    assert not checkpoint.exists()
    assert resumed.history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(whole.history["score"], resumed.history["score"], rtol=1e-4)


def test_fewer_batches_than_devices_are_refused():
    with pytest.raises(UsageError, match="7 of them cannot share 6 batches"):
        trained(Batches(), 7)


def test_shares_of_pictures_are_the_batches_of_the_whole():
    pictures = np.random.default_rng(0).integers(0, 255, (23, 4, 4, 3), dtype=np.uint8)
    whole = PictureBatches(
        pictures, np.arange(23), mean=np.zeros(3), spread=np.ones(3), batch_size=4, seed=1,
        quarter_turns=True,
    )  # fmt: skip
    expected = list(whole)
    found = [list(whole.share(part, 2)) for part in (0, 1)]
    assert [len(each) for each in found] == [3, 3]
    for number, (inputs, labels) in enumerate(expected):
        mine, its_labels = found[number % 2][number // 2]
        torch.testing.assert_close(mine, inputs, rtol=0, atol=0)
        assert its_labels.tolist() == labels.tolist()
