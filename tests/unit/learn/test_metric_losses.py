from __future__ import annotations

import numpy as np
import pytest

from kinlens.learn.metric_losses import adjusted_logits, alignment_loss, reciprocal_triplet_loss
from kinlens.learn.metric_network import MetricNetwork, cap_row_norms
from kinlens.optional import need

torch = need("torch")


def test_the_triplet_loss_is_the_sum_over_pairs_written_out(rng: np.random.Generator) -> None:
    places = rng.standard_normal((7, 3))
    labels = np.array([0, 0, 0, 1, 1, 2, 3])
    terms = []
    for a in range(7):
        for p in range(7):
            if a != p and labels[a] == labels[p]:
                gaps = ((places[a] - places) ** 2).sum(axis=1)
                terms.append(gaps[p] + 1 / gaps[labels != labels[a]].min())
    found = reciprocal_triplet_loss(torch.tensor(places), torch.tensor(labels))
    assert float(found) == pytest.approx(np.mean(terms))


def test_a_batch_without_pairs_or_without_others_costs_nothing() -> None:
    places = torch.randn(3, 2, requires_grad=True)
    assert reciprocal_triplet_loss(places, torch.tensor([0, 1, 2])).item() == 0
    loss = reciprocal_triplet_loss(places, torch.tensor([1, 1, 1]))
    loss.backward()
    assert loss.item() == 0


def test_alignment_draws_to_the_own_anchor_and_off_the_others_beyond_the_margin() -> None:
    anchors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 0.0]])
    on_own = alignment_loss(anchors[:1], torch.tensor([0]), anchors)
    assert float(on_own) == pytest.approx(0.3)  # cos 0.8 with the other, 0.5 is free
    off = alignment_loss(-anchors[:1], torch.tensor([0]), anchors)
    assert float(off) == pytest.approx(2.0)
    nobody = alignment_loss(anchors[:1], torch.tensor([2]), anchors)
    assert float(nobody) == 0


def test_logits_are_shifted_by_how_common_classes_are() -> None:
    shifted = adjusted_logits(torch.zeros(1, 2), torch.tensor([0.75, 0.25]).log())
    assert torch.softmax(shifted, 1)[0].tolist() == pytest.approx([0.75, 0.25])


def test_norms_are_capped_and_parts_are_frozen() -> None:
    network = MetricNetwork(None, 4, 3, hidden=5, embedding=2)
    network.logits.weight.data.fill_(2.0)
    cap_row_norms(network.logits, 1.5)
    assert network.logits.weight.norm(dim=1).tolist() == pytest.approx([1.5] * 3)
    network.set_trained(trunk=False, hidden=False, embedding=True, logits=False)
    trained = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {"embedding"}
