"""Encoders: padding and neighbours in the batch do not matter, letters and places do."""

from __future__ import annotations

import pytest

from kinlens.errors import UsageError
from kinlens.learn.encoders import ENCODERS, build_encoder
from kinlens.optional import need

torch = need("torch")

LENGTH = 64
ANY_LENGTH = ["cnn", "gru", "transformer", "local_transformer"]


def encoder(name, *, length=LENGTH, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_encoder(name, letters=4, length=length, dimensions=7, settings=settings).eval()


def batch(lengths, *, padded_to=None, seed=0):
    longest = padded_to or max(*lengths, 1)
    letters = torch.zeros(len(lengths), longest, 4)
    mask = torch.zeros(len(lengths), longest, dtype=torch.bool)
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(seed + 1000 * row)
        codes = torch.randint(4, (length,), generator=generator)
        letters[row, :length] = torch.eye(4)[codes]
        mask[row, :length] = True
    return letters, mask


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("length", [1, 2, 3, 7, 31, 33, 64, 65, 200])
def test_padding_does_not_change_a_vector(name, length):
    network = encoder(name)
    with torch.no_grad():
        alone = network(*batch([length]))
        for padded_to in (length + 1, length + 5, length + 90):
            padded = network(*batch([length], padded_to=padded_to))
            torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_vector_does_not_depend_on_the_others_in_the_batch(name):
    network = encoder(name)
    lengths = [5, 64, 0, 31, 150, 8]
    letters, mask = batch(lengths)
    with torch.no_grad():
        together = network(letters, mask)
        for row, length in enumerate(lengths):
            size = max(length, 1)
            alone = network(letters[row : row + 1, :size], mask[row : row + 1, :size])
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_exchanged_letter_is_seen(name):
    network = encoder(name)
    letters, mask = batch([LENGTH])
    with torch.no_grad():
        before = network(letters, mask)
        for place in range(LENGTH):
            changed = letters.clone()
            changed[0, place] = changed[0, place].roll(1)
            assert (network(changed, mask) - before).abs().max() > 1e-5, place


@pytest.mark.parametrize("name", ANY_LENGTH)
def test_letters_beyond_the_training_length_are_read(name):
    network = encoder(name)
    letters, mask = batch([3 * LENGTH])
    changed = letters.clone()
    changed[0, -2] = changed[0, -2].roll(1)
    with torch.no_grad():
        assert (network(changed, mask) - network(letters, mask)).abs().max() > 1e-6


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_encoders_of_fixed_length_read_no_further(name):
    network = encoder(name)
    letters, mask = batch([2 * LENGTH])
    with torch.no_grad():
        torch.testing.assert_close(
            network(letters, mask), network(letters[:, :LENGTH], mask[:, :LENGTH])
        )


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_are_finite_with_empty_sequences_in_the_batch(name):
    network = encoder(name).train()
    network(*batch([0, 3, LENGTH, 0])).square().sum().backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        assert torch.isfinite(weight.grad).all(), key


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("length", [1, 2, 5])
def test_very_short_training_sequences(name, length):
    with torch.no_grad():
        assert torch.isfinite(encoder(name, length=length)(*batch([length, 0, 40]))).all()


def test_a_window_limits_what_a_token_sees():
    near = encoder("local_transformer", layers=1, window=1, stride=1).layers[0]
    features = torch.randn(1, 10, 64, generator=torch.Generator().manual_seed(0))
    changed = features.clone()
    changed[0, 9] = changed[0, 9].flip(0)
    present = torch.ones(1, 10, dtype=torch.bool)
    with torch.no_grad():
        moved = (near(changed, present) - near(features, present)).abs().amax(-1)[0] > 1e-6
    assert moved.tolist() == [False] * 8 + [True] * 2


def test_many_tokens_and_few_are_attended_to_alike(monkeypatch):
    network = encoder("local_transformer", window=2, stride=1)
    letters, mask = batch([64, 40, 0, 9])
    with torch.no_grad():
        in_a_band = network(letters, mask)
        monkeypatch.setattr("kinlens.learn.encoders._FEW_TOKENS", 0)
        torch.testing.assert_close(network(letters, mask), in_a_band, rtol=1e-4, atol=1e-5)


def test_a_window_over_everything_equals_global_attention():
    everywhere = encoder("transformer", layers=1)
    windowed = encoder("local_transformer", layers=1, window=1000)
    letters, mask = batch([64, 40, 9])
    with torch.no_grad():
        torch.testing.assert_close(
            windowed(letters, mask), everywhere(letters, mask), rtol=1e-4, atol=1e-5
        )


def test_what_is_unknown_is_refused():
    with pytest.raises(UsageError, match="mlp"):
        build_encoder("mpl", letters=4, length=9, dimensions=2, settings={})
    with pytest.raises(UsageError, match="hidden"):
        build_encoder("mlp", letters=4, length=9, dimensions=2, settings={"hiden": 3})
    with pytest.raises(UsageError, match="It has none"):
        build_encoder("linear", letters=4, length=9, dimensions=2, settings={"hidden": 3})
    with pytest.raises(UsageError, match="multiple of heads"):
        build_encoder("transformer", letters=4, length=9, dimensions=2, settings={"hidden": 30})


@pytest.mark.parametrize("name", ["transformer", "local_transformer"])
def test_settings_of_transformers_are_known(name):
    network = encoder(name, hidden=16, layers=3, heads=2, stride=4, window=2, dropout=0.1)
    assert len(network.layers) == 3
