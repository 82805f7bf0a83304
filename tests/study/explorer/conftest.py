"""Finished runs, a server on them, and Debian's Chromium."""

from __future__ import annotations

import importlib.util
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kinlens.explorer.app import build_app
from kinlens.explorer.asking import Answerers, SequenceHit
from kinlens.explorer.exhibit import Exhibit, open_exhibit
from kinlens.explorer.serve import allowed_hosts, listen, serve
from kinlens.explorer.uploads import PictureDecoder
from kinlens.studies.questions import answerers_for


@pytest.fixture(scope="session")
def runs() -> ModuleType:
    """The module `runs` beside this file."""
    path = Path(__file__).with_name("runs.py")
    spec = importlib.util.spec_from_file_location("explorer_runs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    import sys

    sys.modules["explorer_runs"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tour(runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return runs.make_tour(tmp_path_factory.mktemp("tour"))


@pytest.fixture(scope="session")
def exhibit(tour: Any) -> Exhibit:
    return open_exhibit([tour.folder])


def nearest_sequences(queries: Path) -> list[SequenceHit]:
    """Find what no network is needed for: the same answer to every question."""
    name = queries.read_text().split()[0].lstrip(">")
    return [
        SequenceHit(name, f"{species}.1", species, distance)
        for distance, species in enumerate(("Eos_b", "Eos_a", "Nyx_c"))
    ]


@dataclass(frozen=True)
class Served:
    """A running explorer."""

    address: str
    port: int
    tour: Any
    exhibit: Exhibit


@pytest.fixture(scope="session")
def served(tour: Any, exhibit: Exhibit) -> Iterator[Served]:
    answerers = answerers_for(exhibit)
    answerers = Answerers(picture=answerers.picture, sequence=nearest_sequences)
    decoder = PictureDecoder(seconds=5)
    with running(exhibit, answerers, decoder) as port:
        yield Served(f"http://127.0.0.1:{port}/", port, tour, exhibit)


class running:  # noqa: N801 - reads as a verb where it is used
    """Serves in a thread of this process."""

    def __init__(
        self,
        exhibit: Exhibit,
        answerers: Answerers,
        decoder: PictureDecoder,
        *,
        token: str | None = None,
    ) -> None:
        self._opened = listen("127.0.0.1", 0)
        self.port = int(self._opened.getsockname()[1])
        hosts = allowed_hosts(self.port) if token is None else None
        app = build_app(exhibit, answerers, decoder, hosts=hosts, token=token)
        self._decoder = decoder
        self._server: Any = None
        self._thread = threading.Thread(
            target=serve, args=(app, self._opened), kwargs={"on_server": self._keep}, daemon=True
        )

    def _keep(self, server: Any) -> None:
        self._server = server

    def __enter__(self) -> int:
        self._decoder.start()
        self._thread.start()
        return self.port

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(timeout=10)
        self._opened.close()
        self._decoder.close()


@pytest.fixture(scope="session")
def serve_runs() -> Any:
    """Serve some runs for the length of a `with` block, without anybody to answer questions."""

    @contextmanager
    def served_runs(*runs: Path) -> Iterator[Served]:
        exhibit = open_exhibit(list(runs))
        with running(exhibit, Answerers(), PictureDecoder()) as port:
            yield Served(f"http://127.0.0.1:{port}/", port, None, exhibit)

    return served_runs


@pytest.fixture(scope="session")
def exhibit_of() -> Any:
    return lambda *runs: open_exhibit(list(runs))


@pytest.fixture(scope="session")
def run_server() -> type[running]:
    return running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Debian's chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        # Without a sandbox, because tests may run as root in a container.
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page that fails the test when a script does, and remembers what it asked for."""
    context = chromium.new_context(
        viewport={"width": 1400, "height": 850}, color_scheme="light", accept_downloads=True
    )
    page = context.new_page()
    faults: list[str] = []
    page.asked = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda line: (
            faults.append(line.text)
            if line.type == "error" and "status of 4" not in line.text
            else None
        ),
    )
    page.on("request", lambda request: page.asked.append(request.url))
    page.set_default_timeout(20_000)
    yield page
    context.close()
    assert faults == []
