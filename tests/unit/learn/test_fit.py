"""The trainer finds the planted answer, keeps the best weights, resumes exactly, refuses NaN."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from kinlens.learn.fit import fit
from kinlens.learn.plan import FitPlan, TrainingDivergedError
from kinlens.optional import need

torch = need("torch")


class SumBatches:
    """Batches of five numbers and their sum, drawn anew each epoch."""

    def __init__(self) -> None:
        self.epoch = 0
        self.asked: list[int] = []

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 8

    def __iter__(self):
        self.asked.append(self.epoch)
        generator = torch.Generator().manual_seed(self.epoch)
        for _ in range(8):
            values = torch.randn(64, 5, generator=generator)
            yield values, values.sum(1, keepdim=True)


def network(*, dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Dropout(dropout), torch.nn.Linear(5, 1))


def objective(model, batch):
    values, sums = batch
    return ((model(values) - sums) ** 2).mean()


def score(model):
    values = torch.eye(5)
    return ((model(values) - 1) ** 2).mean()


PLAN = FitPlan(epochs=10, learning_rate=0.1)


def test_finds_the_planted_weights():
    plan = FitPlan(epochs=30, learning_rate=0.1)
    fitted = fit(network(), objective, SumBatches(), score=score, plan=plan, seed=0, device="cpu")
    np.testing.assert_allclose(fitted.network[1].weight.detach(), np.ones((1, 5)), atol=0.02)
    assert fitted.history["loss"].iloc[-1] < 0.01 < fitted.history["loss"].iloc[0]


def test_gives_back_the_best_weights_not_the_last():
    scores = iter([3.0, 1.0, 2.0, 4.0])
    kept = []

    def scripted(model):
        kept.append(model[1].weight.detach().clone())
        return next(scores)

    plan = FitPlan(epochs=4, learning_rate=0.05, patience=None)
    fitted = fit(network(), objective, SumBatches(), score=scripted, plan=plan, seed=0)
    assert (fitted.best_epoch, fitted.best_score) == (2, 1.0)
    torch.testing.assert_close(fitted.network[1].weight.detach(), kept[1])


def test_stops_when_patience_is_over():
    plan = FitPlan(epochs=50, patience=3)
    fitted = fit(network(), objective, SumBatches(), score=lambda _: 1.0, plan=plan, seed=0)
    assert len(fitted.history) == 4


def test_same_seed_same_weights_and_the_callers_random_state_is_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second = (
        fit(network(dropout=0.3), objective, SumBatches(), score=score, plan=PLAN, seed=5)
        for _ in range(2)
    )
    torch.testing.assert_close(torch.rand(3), expected)
    torch.testing.assert_close(first.network[1].weight, second.network[1].weight, rtol=0, atol=0)


def test_an_average_of_weights_is_kept_and_is_less_noisy():
    plan = FitPlan(epochs=6, learning_rate=0.3, schedule="constant", patience=None)
    noisy = fit(network(), objective, SumBatches(), score=score, plan=plan, seed=0)
    calm_plan = plan.model_copy(update={"averaging": 0.9})
    calm = fit(network(), objective, SumBatches(), score=score, plan=calm_plan, seed=0)
    assert calm.history["score"].iloc[-1] < noisy.history["score"].iloc[-1]


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_resumes_to_the_very_same_weights(tmp_path: Path, averaging):
    class KilledError(Exception):
        pass

    calls = []

    def killed_in_the_sixth(model):
        calls.append(1)
        if len(calls) == 6:
            raise KilledError
        return score(model)

    plan = PLAN.model_copy(update={"averaging": averaging})
    checkpoint = tmp_path / "state.ckpt"
    whole = fit(network(dropout=0.3), objective, SumBatches(), score=score, plan=plan, seed=5)
    with pytest.raises(KilledError):
        fit(
            network(dropout=0.3), objective, SumBatches(), score=killed_in_the_sixth, plan=plan,
            seed=5, checkpoint=checkpoint,
        )  # fmt: skip
    assert checkpoint.is_file()
    batches = SumBatches()
    resumed = fit(
        network(dropout=0.3), objective, batches, score=score, plan=plan, seed=5,
        checkpoint=checkpoint,
    )  # fmt: skip
    assert batches.asked == [5, 6, 7, 8, 9]
    assert not checkpoint.exists()
    torch.testing.assert_close(whole.network[1].weight, resumed.network[1].weight, rtol=0, atol=0)
    np.testing.assert_array_equal(whole.history["loss"], resumed.history["loss"])


def test_ctrl_c_is_handed_on():
    handler = signal.getsignal(signal.SIGINT)

    def interrupted(model):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network(), objective, SumBatches(), score=interrupted, plan=PLAN, seed=0)
    assert signal.getsignal(signal.SIGINT) is handler


def test_refuses_to_go_on_with_nan():
    plan = FitPlan(epochs=3, learning_rate=0.05)

    def broken(model, batch):
        return objective(model, batch) * float("nan")

    with pytest.raises(TrainingDivergedError, match=r"in epoch 1 .*Lower learning_rate"):
        fit(network(), broken, SumBatches(), score=score, plan=plan, seed=0)


def test_when_patience_runs_out_training_restarts_from_the_best_weights_at_a_tenth_of_the_rate():
    scores = iter([3.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0])
    seen = []

    def told(model):
        seen.append(model[1].weight.detach().clone())
        return next(scores)

    plan = FitPlan(epochs=20, learning_rate=0.1, patience=2, restarts=1, schedule="constant")
    fitted = fit(network(), objective, SumBatches(), score=told, plan=plan, seed=0, device="cpu")
    # Two epochs to the best, two of patience, the restart, two more, the end.
    assert fitted.history["learning_rate"].round(6).tolist() == [0.1] * 4 + [0.01] * 2
    assert fitted.best_epoch == 2
    best, before, after = seen[1], seen[3], seen[4]
    assert (after - best).abs().max() < (after - before).abs().max()


def test_a_restart_survives_an_interruption(tmp_path: Path):
    plan = FitPlan(epochs=20, learning_rate=0.1, patience=2, restarts=1, schedule="constant")
    scripted = [3.0, 2.0, 5.0, 5.0, 5.0, 5.0]

    def trained(scores, checkpoint=None):
        told = list(scores)
        return fit(
            network(), objective, SumBatches(), score=lambda _: told.pop(0), plan=plan, seed=0,
            device="cpu", checkpoint=checkpoint,
        )  # fmt: skip

    with pytest.raises(IndexError):
        trained(scripted[:4], tmp_path / "state.ckpt")  # dies in the epoch after the restart
    resumed = trained(scripted[4:], tmp_path / "state.ckpt")
    columns = ["epoch", "loss", "score", "learning_rate"]
    np.testing.assert_array_equal(trained(scripted).history[columns], resumed.history[columns])
