"""Networks as encoders, with small checkpoints that the tests write themselves."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from kinlens.embed.backbones import open_backbone
from kinlens.embed.encoders import open_encoder, parse_encoder
from kinlens.embed.network_encoder import NetworkEncoder, best_precision
from kinlens.errors import InputError, UsageError
from kinlens.optional import need

TINY = "timm:test_resnet"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on a busy machine are faster alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(words: str = f"{TINY}?random&size=32", **arguments: object) -> NetworkEncoder:
    arguments = {"device": "cpu", "precision": "float32"} | arguments
    return open_backbone(parse_encoder(words), **arguments)  # type: ignore[arg-type]


def pictures(n: int = 3, size: int = 32, bands: int = 3) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (n, size, size, bands), dtype=np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole classifier, head and all, as a folder that the hub would hold."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(11)
    model = need("timm").create_model("test_resnet", num_classes=7)
    # Running statistics as after training, so that their loading shows.
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


def expected(checkpoint: Path, batch: np.ndarray, mean: float = 0.5, std: float = 0.5):
    """Encode by hand with timm and torch alone."""
    model = need("timm").create_model("test_resnet", num_classes=7)
    model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    model.reset_classifier(0)
    tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        return model.eval()((tensor - mean) / std).numpy()


class TestTimm:
    def test_checkpoint_gives_the_vectors_of_its_network(self, checkpoint: Path) -> None:
        encoder = network(f"{TINY}?size=32", weights=checkpoint)
        batch = pictures()
        np.testing.assert_allclose(encoder.encode(batch), expected(checkpoint, batch), atol=1e-4)
        assert encoder.n_features == 96
        by_file = network(f"{TINY}?size=32", weights=checkpoint / "model.safetensors")
        np.testing.assert_array_equal(by_file.encode(batch), encoder.encode(batch))

    def test_preparation_comes_from_the_configuration_beside(
        self, checkpoint: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "model.safetensors").symlink_to(checkpoint / "model.safetensors")
        prepared = {"mean": [0.1] * 3, "std": [0.2] * 3, "input_size": [3, 48, 48]}
        config = {"architecture": "test_resnet", "num_classes": 7, "pretrained_cfg": prepared}
        (folder / "config.json").write_text(json.dumps(config))
        encoder = network(TINY, weights=folder)
        assert encoder.input_size == 48
        batch = pictures(size=48)
        wanted = expected(checkpoint, batch, mean=0.1, std=0.2)
        np.testing.assert_allclose(encoder.encode(batch), wanted, atol=1e-4)

    def test_weights_of_another_network_are_refused_by_their_configuration(
        self, checkpoint: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "other"
        folder.mkdir()
        (folder / "model.safetensors").symlink_to(checkpoint / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"architecture": "resnet34"}))
        with pytest.raises(InputError, match=r"weights of 'resnet34'.*Write timm:resnet34"):
            network(TINY, weights=folder)

    def test_missing_unexpected_and_misshapen_tensors_are_reported(
        self, checkpoint: Path, tmp_path: Path
    ) -> None:
        tensors = load_file(checkpoint / "model.safetensors")
        names = [name for name in tensors if name.endswith("conv1.weight")]
        del tensors[names[0]]
        tensors[names[1]] = torch.zeros(2, 2)
        tensors["stranger"] = torch.zeros(1)
        save_file(tensors, tmp_path / "bad.safetensors")
        with pytest.raises(InputError) as caught:
            network(TINY, weights=tmp_path / "bad.safetensors")
        message = str(caught.value)
        assert "do not fit timm:test_resnet" in message
        assert f"1 tensors are missing ({names[0]})" in message
        assert "1 tensors are not part of it (stranger)" in message
        assert f"1 tensors have another shape ({names[1]})" in message

    @pytest.mark.parametrize("bands", [1, 6])
    def test_same_grey_in_every_band_looks_the_same(self, checkpoint: Path, bands: int) -> None:
        encoder = network(f"{TINY}?size=32", weights=checkpoint, n_channels=bands)
        assert encoder.depth == "float32"
        grey = np.repeat(pictures(bands=1), bands, axis=3)
        as_colour = expected(checkpoint, np.repeat(grey[..., :1], 3, axis=3))
        np.testing.assert_allclose(encoder.encode(grey), as_colour, atol=2e-4)

    def test_fourth_band_takes_the_weights_of_the_first(self, checkpoint: Path) -> None:
        encoder = network(f"{TINY}?size=32", weights=checkpoint, n_channels=4)
        layer = dict(encoder.module.named_parameters())["conv1.0.weight"]
        known = load_file(checkpoint / "model.safetensors")["conv1.0.weight"]
        torch.testing.assert_close(layer, known[:, [0, 1, 2, 0]] * 0.75)

    def test_checkpoint_made_for_four_channels_is_taken_as_it_is(self, tmp_path: Path) -> None:
        torch.manual_seed(3)
        model = need("timm").create_model("test_resnet", in_chans=4, num_classes=0)
        save_file(model.state_dict(), tmp_path / "four.safetensors")
        encoder = network(f"{TINY}?size=32", weights=tmp_path / "four.safetensors", n_channels=4)
        batch = pictures(bands=4)
        tensor = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        with torch.inference_mode():
            wanted = model.eval()(tensor).numpy()
        np.testing.assert_allclose(encoder.encode(batch), wanted, atol=1e-4)

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ("timm:resnet19?random", "no network 'resnet19'. Did you mean 'resnet18"),
            ("timm:resnet18.a1_in2k?random", "no weights 'a1_in2k' for resnet18. Did you mean"),
        ],
    )
    def test_unknown_names_are_told_with_the_nearest(self, words: str, complaint: str) -> None:
        with pytest.raises(UsageError, match=complaint):
            network(words)

    def test_transformer_of_fixed_size_takes_another_size(self) -> None:
        encoder = network("timm:test_vit?random&size=64")
        assert encoder.encode(pictures(size=64)).shape == (3, encoder.n_features)

    def test_network_without_pooling_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        encoder = network()
        monkeypatch.setattr(encoder, "module", torch.nn.Identity())
        with pytest.raises(UsageError, match="choose a network with a pooling layer"):
            encoder.encode(pictures())


class TestEncoding:
    def test_each_vector_depends_on_its_picture_only(self) -> None:
        encoder = network()
        batch = pictures(9)
        together = encoder.encode(batch)
        apart = np.concatenate([encoder.encode(batch[i : i + 1]) for i in range(9)])
        np.testing.assert_allclose(together, apart, atol=1e-5)
        np.testing.assert_array_equal(encoder.encode(batch[::-1])[::-1], together)

    def test_seed_fixes_random_weights_and_leaves_torch_alone(self) -> None:
        torch.manual_seed(1)
        expected_draw = torch.rand(3)
        torch.manual_seed(1)
        first, second, other = (
            network(f"{TINY}?random={seed}&size=32").encode(pictures()) for seed in (4, 4, 5)
        )
        assert torch.equal(torch.rand(3), expected_draw)
        np.testing.assert_array_equal(first, second)
        assert np.abs(first - other).max() > 1e-3

    def test_fractions_are_as_good_as_bytes_and_read_only_arrays_do(self) -> None:
        encoder = network()
        batch = pictures()
        fractions = (batch / 255).astype(np.float32)
        batch.setflags(write=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            vectors = encoder.encode(batch)
        np.testing.assert_allclose(encoder.encode(fractions), vectors, atol=1e-5)

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(UsageError, match=r"wants pictures of shape \(32, 32, 3\)"):
            network().encode(pictures(bands=4))

    def test_bfloat16_is_close_and_has_a_fingerprint_of_its_own(self) -> None:
        batch = pictures(6)
        exact, fast = network(), network(precision="bfloat16")
        a, b = exact.encode(batch), fast.encode(batch)
        assert b.dtype == np.float32
        cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine.min() > 0.999
        assert exact.fingerprint != fast.fingerprint

    def test_fingerprint_follows_weights_size_and_channels(self, checkpoint: Path) -> None:
        encoders = [
            network(),
            network(f"{TINY}?random=1&size=32"),
            network(f"{TINY}?random&size=64"),
            network(n_channels=4),
            network(f"{TINY}?size=32", weights=checkpoint),
        ]
        prints = [encoder.fingerprint for encoder in encoders]
        assert len(set(prints)) == len(prints)
        assert network().fingerprint == prints[0]

    def test_precision_follows_the_device(self) -> None:
        assert best_precision(torch.device("cpu")) in ("float32", "bfloat16")
        assert network(precision=None).precision == best_precision(torch.device("cpu"))

    def test_nothing_is_left_to_train(self) -> None:
        encoder = network()
        assert not encoder.module.training
        assert not any(p.requires_grad for p in encoder.module.parameters())

    def test_random_and_weights_exclude_each_other(self, checkpoint: Path) -> None:
        with pytest.raises(UsageError, match="not both"):
            network(weights=checkpoint)

    @pytest.mark.gpu
    def test_gpu_agrees_with_the_processor(self) -> None:
        batch = pictures(5)
        on_gpu = network(device="cuda").encode(batch)
        np.testing.assert_allclose(on_gpu, network().encode(batch), atol=1e-2)


CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small open_clip model in the layout of the hub."""
    folder = tmp_path_factory.mktemp("clip")
    config = {"model_cfg": CLIP, "preprocess_cfg": {"mean": [0.2] * 3, "std": [0.3] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(2)
    model = need("open_clip").model.CLIP(**CLIP)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


class TestOpenClip:
    def test_folder_gives_the_vectors_of_its_image_tower(self, folder: Path) -> None:
        model = need("open_clip").model.CLIP(**CLIP)
        model.load_state_dict(load_file(folder / "open_clip_model.safetensors"))
        batch = pictures()
        tensor = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - 0.2) / 0.3
        with torch.inference_mode():
            wanted = model.eval().encode_image(tensor).numpy()
        encoder = network("open_clip:mine", weights=folder)
        np.testing.assert_allclose(encoder.encode(batch), wanted, atol=1e-4)
        assert (encoder.input_size, encoder.n_features) == (32, 24)

    def test_image_tower_alone_is_enough(self, folder: Path, tmp_path: Path) -> None:
        tensors = load_file(folder / "open_clip_model.safetensors")
        seen = {name: t for name, t in tensors.items() if name.startswith("visual.")}
        save_file(seen, tmp_path / "open_clip_model.safetensors")
        (tmp_path / "open_clip_config.json").write_text(
            (folder / "open_clip_config.json").read_text()
        )
        first, second = (
            network("open_clip:mine", weights=place).encode(pictures())
            for place in (folder, tmp_path)
        )
        np.testing.assert_array_equal(first, second)

    def test_misfit_is_reported(self, folder: Path, tmp_path: Path) -> None:
        tensors = load_file(folder / "open_clip_model.safetensors")
        del tensors["visual.proj"]
        save_file(tensors, tmp_path / "open_clip_model.safetensors")
        (tmp_path / "open_clip_config.json").write_text(
            (folder / "open_clip_config.json").read_text()
        )
        with pytest.raises(InputError, match=r"1 tensors are missing \(visual\.proj\)"):
            network("open_clip:mine", weights=tmp_path)

    def test_six_channels_of_the_same_grey_look_like_three(self, folder: Path) -> None:
        encoder = network("open_clip:mine", weights=folder, n_channels=6)
        grey = np.repeat(pictures(bands=1), 6, axis=3)
        as_colour = network("open_clip:mine", weights=folder).encode(grey[..., :3].copy())
        np.testing.assert_allclose(encoder.encode(grey), as_colour, atol=1e-3)

    def test_logging_is_left_as_it_was(
        self, folder: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        root = logging.getLogger()
        before = (list(root.handlers), root.manager.disable)
        network("open_clip:mine", weights=folder)
        assert (list(root.handlers), root.manager.disable) == before
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ("open_clip:ViT-B-33?random", "no network 'ViT-B-33'. Did you mean 'ViT-B-32"),
            ("open_clip:ViT-B-32/openia?random", "no weights 'openia' .* Did you mean 'openai'"),
        ],
    )
    def test_unknown_names_are_told_with_the_nearest(self, words: str, complaint: str) -> None:
        with pytest.raises(UsageError, match=complaint):
            network(words)

    def test_architecture_without_a_tag_lists_the_tags(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kinlens.embed.clip_networks.check_can_get", lambda *_a, **_k: None)
        with pytest.raises(UsageError, match=r"several sets of weights: openai, .*--weights"):
            network("open_clip:ViT-B-32")


def test_open_encoder_opens_networks() -> None:
    encoder = open_encoder(f"{TINY}?random&size=32", device="cpu")
    assert encoder.name == TINY
    assert encoder.features().index[95] == "feature[95]"
