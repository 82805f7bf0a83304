"""Muon makes matrices orthogonal, finds planted weights, and picks up where it stopped."""

from __future__ import annotations

import pytest

from kinlens.learn.optimizers import Muon, orthogonalized
from kinlens.optional import need

torch = need("torch")


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (40, 5), (1, 7)])
def test_brings_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonalized(matrix)
    values = torch.linalg.svdvals(made)
    assert made.shape == matrix.shape
    assert made.dtype == matrix.dtype
    assert 0.5 < values.min() <= values.max() < 1.35


def test_keeps_the_directions():
    left, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))
    right, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)))
    skewed = left @ torch.diag(torch.tensor([9.0, 5, 3, 2, 1, 0.5])) @ right.T
    along = torch.diagonal(left.T @ orthogonalized(skewed) @ right)
    assert (along > 0.5).all()


def test_a_matrix_of_zeros_stays_zero():
    assert not orthogonalized(torch.zeros(4, 9)).any()


def trained(steps, *, resumed_at=None):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = torch.nn.Sequential(
            torch.nn.Linear(6, 12), torch.nn.ReLU(), torch.nn.Linear(12, 1)
        )
        inputs = torch.randn(256, 6)
    optimizer = Muon(network.parameters(), lr=0.02)
    losses = []
    for step in range(steps):
        if step == resumed_at:
            state = optimizer.state_dict()
            optimizer = Muon(network.parameters(), lr=0.02)
            optimizer.load_state_dict(state)
        loss = ((network(inputs) - inputs[:, :2].prod(1, keepdim=True)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_learns_and_resumes_exactly():
    whole = trained(150)
    assert whole[-1] < 0.1 * whole[0]
    assert trained(150, resumed_at=70) == whole


def test_decay_is_for_matrices_alone_and_missing_gradients_are_left():
    matrix, vector, idle = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 2), 2, 2))
    optimizer = Muon([matrix, vector, idle], lr=0.1, weight_decay=0.5)
    matrix.grad, vector.grad = torch.zeros(2, 2), torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(matrix.detach(), torch.full((2, 2), 0.95))
    assert (vector == 1).all()
    assert (idle == 1).all()


def test_convolutions_are_seen_as_matrices():
    weight = torch.nn.Parameter(torch.zeros(4, 3, 5))
    optimizer = Muon([weight], lr=1.0)
    weight.grad = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(4))
    optimizer.step()
    values = torch.linalg.svdvals(weight.detach().view(4, 15))
    assert 0.5 < values.min() <= values.max() < 1.35


def test_what_fades_away_becomes_nothing_before_it_costs_time():
    weight = torch.nn.Parameter(torch.zeros(6, 9))
    optimizer = Muon([weight])
    for step in range(1800):
        gradient = torch.ones(6, 9)
        gradient[3:] *= float(step < 5)  # as that of units which fall silent
        weight.grad = gradient
        optimizer.step()
    momentum = optimizer.state[weight]["momentum"]
    assert (momentum[:3] > 0.9).all()
    assert not momentum[3:].any()
    faint = torch.randn(6, 9, generator=torch.Generator().manual_seed(5))
    silent = faint.clone()
    faint[3:] *= 1e-40
    silent[3:] = 0.0
    torch.testing.assert_close(orthogonalized(faint), orthogonalized(silent))
