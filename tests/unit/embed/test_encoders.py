"""From the words of the user to an encoder."""

from __future__ import annotations

import pytest

from kinlens.embed.encoders import EncoderSpec, open_encoder, parse_encoder
from kinlens.errors import UsageError


@pytest.mark.parametrize(
    ("words", "spec"),
    [
        ("descriptors", EncoderSpec("descriptors")),
        ("timm:resnet18.a1_in1k", EncoderSpec("timm", "resnet18.a1_in1k")),
        ("timm:resnet18?random", EncoderSpec("timm", "resnet18", random_seed=0)),
        ("timm:resnet18?random=7&size=96", EncoderSpec("timm", "resnet18", 7, 96)),
        ("open_clip:hf-hub:org/name", EncoderSpec("open_clip", "hf-hub:org/name")),
        (" open_clip:ViT-B-32/openai ", EncoderSpec("open_clip", "ViT-B-32/openai")),
    ],
)
def test_words_are_read(words: str, spec: EncoderSpec) -> None:
    assert parse_encoder(words) == spec


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("timmm:resnet18", "Did you mean 'timm'"),
        ("resnet18", "Write descriptors, timm:NAME or open_clip:NAME"),
        ("timm:", "names no network"),
        ("timm:resnet18?sise=9", "Did you mean 'size'"),
        ("timm:resnet18?size=big", "must be a whole number, not 'big'"),
        ("timm:resnet18?size=", "must be a whole number"),
        ("descriptors:fine", "one kind only"),
    ],
)
def test_other_words_are_refused_with_a_way_out(words: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_encoder(words)


def test_descriptors_follow_the_channels() -> None:
    assert open_encoder("descriptors").n_features == 1918
    assert open_encoder("descriptors", n_channels=4).n_channels == 4
    stains = open_encoder("descriptors", n_channels=3, is_colour=False)
    assert stains.depth == "float32"


def test_descriptors_take_no_weights() -> None:
    with pytest.raises(UsageError, match="no weights"):
        open_encoder("descriptors", weights="some.safetensors")
