"""The one door for heavy imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kinlens.errors import MissingDependencyError
from kinlens.optional import is_available, need


def test_need_returns_the_module_itself() -> None:
    assert need("json.decoder") is sys.modules["json.decoder"]
    assert is_available("json")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which neither faiss nor a library of no extra is installed."""

    class Hide:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] in ("faiss", "timm"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Hide(), *sys.meta_path])
    for name in list(sys.modules):
        if name.partition(".")[0] in ("faiss", "timm"):
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("without")
def test_an_absent_library_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'kinlens\[faiss\]'"):
        need("faiss")
    with pytest.raises(MissingDependencyError, match="Install it with: pip install timm"):
        need("timm")
    assert not is_available("faiss")


def test_an_absent_part_of_a_present_library_is_not_called_an_absent_library() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        need("json.no_such_part")
    assert not isinstance(caught.value, MissingDependencyError)


def test_a_library_that_lacks_a_library_of_its_own_is_not_called_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import something_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_that_is_not_there") as caught:
        need("half_installed")
    assert not isinstance(caught.value, MissingDependencyError)


_BROKEN = '''
import sys, types, torch
from kinlens.optional import need
class Broken:
    """A torchvision that cannot load its operators until somebody declares them."""
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            import importlib.machinery
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec): return None
    def exec_module(self, module):
        try:
            torch.library.register_fake("torchvision::nms")(lambda dets, scores, limit: dets)
        except RuntimeError as error:
            raise RuntimeError("operator torchvision::nms does not exist") from error
sys.meta_path.insert(0, Broken())
module = need("torchvision")
assert module is sys.modules["torchvision"]
print("mended")
'''


def test_a_torchvision_without_its_operators_is_mended() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _BROKEN], capture_output=True, text=True, check=False
    )
    assert run.stdout == "mended\n", run.stderr


def test_another_fault_of_torchvision_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('another fault')\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="another fault"):
        need("timm")
