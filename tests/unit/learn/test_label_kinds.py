"""Losses and heads for several labels: known values, the gate, and what each kind learns."""

from __future__ import annotations

import numpy as np
import pytest

from kinlens.errors import UsageError
from kinlens.learn.label_kinds import Combined, Gated, Independent, gate_logit
from kinlens.learn.multilabel_losses import asymmetric, label_balance, soft_margin
from kinlens.learn.patience import Patience
from kinlens.optional import need

torch = need("torch")

LOGITS = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
TRUTH = torch.tensor([[1.0, 0.0], [0.0, 1.0]])


def test_the_soft_margin_loss_is_that_of_torch():
    expected = torch.nn.MultiLabelSoftMarginLoss()(LOGITS, TRUTH)
    assert float(soft_margin(LOGITS, TRUTH)) == pytest.approx(float(expected))


def test_without_focus_and_margin_the_asymmetric_loss_is_the_soft_margin_loss():
    plain = asymmetric(LOGITS, TRUTH, focus=0.0, margin=0.0)
    assert float(plain) == pytest.approx(float(soft_margin(LOGITS, TRUTH)), rel=1e-5)


def test_easy_absences_cost_nothing():
    easy = asymmetric(torch.full((1, 3), -5.0), torch.zeros(1, 3))
    assert float(easy) == 0.0


def test_a_mask_leaves_entries_out():
    mask = torch.tensor([[True, False], [False, False]])
    assert float(soft_margin(LOGITS, TRUTH, mask=mask)) == pytest.approx(
        float(soft_margin(LOGITS[:1, :1], TRUTH[:1, :1]))
    )
    assert float(soft_margin(LOGITS, TRUTH, mask=torch.zeros(2, 2, dtype=bool))) == 0.0


def test_weights_count_for_pictures_that_hold_the_label():
    weights = torch.tensor([3.0, 1.0])
    plain = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS, TRUTH, reduction="none")
    expected = (plain * torch.tensor([[3.0, 1.0], [1.0, 1.0]])).mean()
    assert float(soft_margin(LOGITS, TRUTH, weights=weights)) == pytest.approx(float(expected))


def test_balance_grows_with_rarity_and_its_strength_has_a_range():
    assert label_balance(np.array([50, 10, 1]), 100, strength=1.0).tolist() == [1.0, 9.0, 99.0]
    assert label_balance(np.array([50, 10, 1]), 100, strength=0.0).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(UsageError, match="from 0 to 1"):
        label_balance(np.array([1]), 2, strength=2.0)


def test_the_gate_multiplies_probabilities_without_overflow():
    group, inner = torch.tensor([-30.0, 0.3, 90.0]), torch.tensor([80.0, -0.7, 2.0])
    expected = torch.sigmoid(group.double()) * torch.sigmoid(inner.double())
    found = torch.sigmoid(gate_logit(group, inner).double())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_gated_network_starts_at_the_flat_one():
    trunk = torch.nn.Flatten()
    flat = Independent(3).build(trunk, 12)
    gated = Gated(np.array([0, 0, 1])).build(trunk, 12)
    gated.load_state_dict(flat.state_dict(), strict=False)
    gated.open_the_gate()
    pictures = torch.randn(5, 3, 2, 2)
    with torch.no_grad():
        np.testing.assert_allclose(
            torch.sigmoid(gated(pictures).joint), torch.sigmoid(flat(pictures)), atol=0.02
        )


def test_the_inner_head_learns_from_its_own_group_alone():
    kind = Gated(np.array([0, 0, 1]))
    network = kind.build(torch.nn.Flatten(), 4)
    truth = torch.tensor([[1.0, 0.0, 0.0]])
    output = network(torch.randn(1, 1, 2, 2))
    by_head = output._replace(joint=output.joint.detach())
    (slope,) = torch.autograd.grad(kind.loss(by_head, truth), output.inner)
    assert (slope[0, :2] != 0).all()
    assert slope[0, 2] == 0


def test_combinations_add_up_to_labels():
    kind = Combined.seen(np.array([[1, 0], [0, 1], [1, 1], [1, 0]], bool))
    assert len(kind.patterns) == 3
    logits = torch.full((1, 3), -40.0)
    logits[0, np.flatnonzero((kind.patterns == [True, True]).all(axis=1))[0]] = 40.0
    np.testing.assert_allclose(kind.probabilities(logits), [[1.0, 1.0]], atol=1e-6)
    assert float(kind.loss(logits, torch.tensor([[1.0, 1.0]]))) == pytest.approx(0.0, abs=1e-6)


def test_patience_that_never_ends_never_stops():
    assert Patience(None).judge(500, best_epoch=1) == "go on"
    assert Patience(3).judge(4, best_epoch=1) == "stop"
