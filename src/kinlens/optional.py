"""The one door for heavy and optional imports.

`need` imports a module late and words its absence; it also mends the one known broken pairing of
libraries (a torchvision whose compiled operators cannot load beside a CPU-only torch).
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from kinlens.errors import MissingDependencyError

__all__ = ["is_available", "need"]

_EXTRAS = {
    "open_clip": "clip",
    "dask": "scale",
    "distributed": "scale",
    "faiss": "faiss",
}
# Importing any of these imports torchvision on the way.
_USES_TORCHVISION = ("torchvision", "timm", "lightning", "torchmetrics", "open_clip")
_BROKEN_TORCHVISION = "operator torchvision::nms does not exist"
# Kept for the life of the process: torch drops an operator when its library object is collected.
_DECLARED_OPERATORS: list[Any] = []


def need(module: str) -> ModuleType:
    """Import `module` and return it, or say how to install it.

    Parameters
    ----------
    module : str
        A dotted module name, such as ``"timm"`` or ``"dask.distributed"``.

    Raises
    ------
    MissingDependencyError
        When the library is not installed; the message holds the command that installs it.

    Examples
    --------
    >>> need("json").__name__
    'json'
    """
    top = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A part that is missing inside an installed library is another fault.
        if error.name != top:
            raise
        extra = _EXTRAS.get(top)
        command = f"pip install 'kinlens[{extra}]'" if extra else f"pip install {top}"
        raise MissingDependencyError(
            f"this needs the library {top!r}, which is not installed. Install it with: {command}"
        ) from error
    except RuntimeError as error:
        if top not in _USES_TORCHVISION or _BROKEN_TORCHVISION not in str(error):
            raise
        _declare_torchvision_operators()
        return importlib.import_module(module)


def is_available(module: str) -> bool:
    """Tell whether `need(module)` would succeed."""
    try:
        need(module)
    except ImportError:
        return False
    return True


def _declare_torchvision_operators() -> None:
    """Declare the schemas of the operators that torchvision registers shape rules for on import.

    Only the declarations are needed for the import to pass; calling one still fails, as it must,
    because there is no kernel behind it.
    """
    if not _DECLARED_OPERATORS:
        torch = importlib.import_module("torch")
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED_OPERATORS.append(library)
    # Half-imported modules would be found again instead of being run again.
    for name in list(sys.modules):
        if name.partition(".")[0] in _USES_TORCHVISION:
            del sys.modules[name]
