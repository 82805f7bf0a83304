"""Where weights are found, and how their absence is told: at once, and with a way out."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from kinlens.embed.weights import (
    check_can_get,
    find_local,
    get_from_hub,
    read_weights,
    refuse_misfit,
)
from kinlens.errors import InputError, UsageError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.arange(3.0)}, file)
    return file


class TestLocal:
    def test_file(self, weights: Path) -> None:
        assert find_local(weights).file == weights
        assert find_local(str(weights)).config == {}

    def test_folder_with_its_configuration(self, weights: Path) -> None:
        (weights.parent / "config.json").write_text(json.dumps({"architecture": "resnet18"}))
        found = find_local(weights.parent)
        assert found.file == weights
        assert found.config["architecture"] == "resnet18"

    def test_folder_with_one_file_of_another_name(self, weights: Path) -> None:
        renamed = weights.rename(weights.with_name("epoch9.safetensors"))
        assert find_local(weights.parent).file == renamed

    def test_no_telling_which(self, weights: Path) -> None:
        weights.rename(weights.with_name("a.safetensors"))
        weights.with_name("b.safetensors").write_bytes(b"")
        with pytest.raises(InputError, match=r"several .*a\.safetensors, b\.safetensors"):
            find_local(weights.parent)

    def test_missing_file_and_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such weights file"):
            find_local(tmp_path / "nothing.safetensors")
        with pytest.raises(InputError, match=r"no \.safetensors file in the folder"):
            find_local(tmp_path)

    @pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
    @pytest.mark.parametrize("is_folder", [True, False])
    def test_pickles_are_not_opened(self, tmp_path: Path, suffix: str, is_folder: bool) -> None:
        file = tmp_path / f"model{suffix}"
        file.write_bytes(b"anything")
        with pytest.raises(InputError, match="can run code when they are opened"):
            find_local(tmp_path if is_folder else file)

    def test_remedy_for_pickles_works(self, tmp_path: Path) -> None:
        file = tmp_path / "model.pth"
        torch.save({"a": torch.arange(3.0)}, file)
        with pytest.raises(InputError) as caught:
            find_local(file)
        command = re.search(r'python -c "(.*)"', str(caught.value))
        assert command is not None
        subprocess.run([sys.executable, "-c", command.group(1)], cwd=tmp_path, check=True)
        assert torch.equal(read_weights(find_local(tmp_path).file)["a"], torch.arange(3.0))

    def test_other_files_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(InputError, match=r"not a \.safetensors file"):
            find_local(tmp_path / "notes.txt")

    def test_broken_configuration_is_named(self, weights: Path) -> None:
        (weights.parent / "config.json").write_text("{")
        with pytest.raises(InputError, match=r"config\.json: not JSON"):
            find_local(weights.parent)

    def test_cut_off_file_is_named(self, weights: Path) -> None:
        weights.write_bytes(weights.read_bytes()[:-5])
        with pytest.raises(InputError, match=r"model\.safetensors: cannot be read as safetensors"):
            read_weights(weights)


class TestMisfit:
    def test_fit_passes(self, weights: Path) -> None:
        refuse_misfit(weights, "x", missing=[], unexpected=[], misshapen=[])

    def test_each_fault_is_counted_and_named(self, weights: Path) -> None:
        with pytest.raises(InputError) as caught:
            refuse_misfit(
                weights, "timm:x", missing=[*"abcd"], unexpected=["stem.w"], misshapen=["fc.bias"]
            )
        message = str(caught.value)
        assert "do not fit timm:x" in message
        assert "4 tensors are missing (a, b, c and 1 more)" in message
        assert "1 tensors are not part of it (stem.w)" in message
        assert "another shape (fc.bias)" in message


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub at an address where nobody listens."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return cache


def cached(cache: Path, repository: str, filename: str) -> Path:
    """Put a file where the hub's client would."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0123abc")
    snapshot = folder / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    file = snapshot / filename
    save_file({"a": torch.arange(3.0)}, file)
    return file


class TestHub:
    pattern = "models--timm--resnet18.*/snapshots/*/*.safetensors"

    def test_unreachable_hub_is_told_at_once(self, hub: Path) -> None:
        start = time.perf_counter()
        with pytest.raises(UsageError) as caught:
            check_can_get("timm:resnet18", cached=self.pattern)
        assert time.perf_counter() - start < 1
        message = str(caught.value)
        assert message.count("\n") == 0
        assert "127.0.0.1 does not answer" in message
        assert "--weights" in message
        assert "'descriptors'" in message

    def test_address_that_swallows_everything_is_told_in_under_a_second(
        self, hub: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_args: object, **_kwargs: object) -> None:
            time.sleep(1.5)
            raise TimeoutError

        monkeypatch.setattr("kinlens.embed.weights.socket.create_connection", never)
        start = time.perf_counter()
        with pytest.raises(UsageError, match="does not answer"):
            check_can_get("timm:resnet18", cached=self.pattern)
        assert time.perf_counter() - start < 1

    def test_answering_hub_passes(self, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
            check_can_get("timm:resnet18", cached=self.pattern)

    def test_proxy_is_knocked_at_in_the_hubs_place(
        self, hub: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
            check_can_get("timm:resnet18", cached=self.pattern)

    def test_offline_mode_is_respected(self, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids"):
            check_can_get("timm:resnet18", cached=self.pattern)

    def test_cached_weights_need_no_hub(self, hub: Path) -> None:
        file = cached(hub, "timm/resnet18.a1_in1k", "model.safetensors")
        check_can_get("timm:resnet18", cached=self.pattern)
        assert get_from_hub("w", "timm/resnet18.a1_in1k", "model.safetensors") == file

    def test_other_files_in_the_cache_do_not_help(self, hub: Path) -> None:
        cached(hub, "timm/resnet34.a1_in1k", "model.safetensors")
        with pytest.raises(UsageError, match="does not answer"):
            get_from_hub("timm:resnet18", "timm/resnet18.a1_in1k", "model.safetensors")

    def test_nothing_heavy_is_imported_and_the_environment_stays(self, tmp_path: Path) -> None:
        program = (
            "import os, sys; before = dict(os.environ)\n"
            "from kinlens.embed.encoders import open_encoder\n"
            "try: open_encoder('timm:resnet18')\n"
            "except ValueError as error: print(error)\n"
            "assert 'torch' not in sys.modules and 'timm' not in sys.modules\n"
            "assert dict(os.environ) == before\n"
        )
        environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "no weights for timm:resnet18 on this machine" in done.stdout
        assert done.stderr == ""
