"""Gene2Bird has the published layers."""

from __future__ import annotations

import torch

from kinlens.learn.gene2bird import Gene2Bird


def test_a_clip_vector_leaves_the_published_number_of_inputs() -> None:
    network = Gene2Bird((1, 512))
    widths = [layer.in_features for layer in network.full if hasattr(layer, "in_features")]
    assert widths == [2176, 1024]
    assert network(torch.zeros(3, 1, 512)).shape == (3, 128)


def test_convolutions_are_as_published_on_pictures_of_any_size() -> None:
    network = Gene2Bird((4, 96, 64))
    layers = [layer for layer in network.convolutions if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [8, 64, 128]
    assert {(layer.kernel_size, layer.stride, layer.padding) for layer in layers} == {
        ((5, 5), (2, 2), (4, 4))
    }
    assert network(torch.zeros(2, 4, 96, 64)).shape == (2, 128)
