"""The explorer in headless Chromium: a million points, and a picture from upload to answer.

    python benchmarks/explorer.py [--points 1000000] [--run RUN --pictures FOLDER]

Points are drawn by both painters of the page: WebGL2, which headless Chromium computes on the
processor, and plain pixels on a 2D canvas. Frames are counted while the map is panned and zoomed by
one event a frame, tiles being fetched on the way. The server runs in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from kinlens.explorer.app import build_app
from kinlens.explorer.asking import Answerers
from kinlens.explorer.charts import Chart, columns_of, unit_square
from kinlens.explorer.exhibit import Exhibit, open_exhibit
from kinlens.explorer.serve import allowed_hosts, listen, serve
from kinlens.explorer.uploads import PictureDecoder
from kinlens.optional import need
from kinlens.parallel import Resources
from kinlens.rng import RandomStreams
from kinlens.simulate.world import simulate_world
from kinlens.simulate.world_config import WorldConfig
from kinlens.studies.catalogue import load_study
from kinlens.studies.questions import answerers_for
from kinlens.studies.runner import run_into_folder
from kinlens.studies.simulation import write_world
from kinlens.studies.taxa import TaxaConfig
from reporting import report, versions

SEED = 1
VIEWPORT = {"width": 1440, "height": 900}
SECONDS = 4.0
# One event a frame: a spiral of zooming in and out with panning in between.
DRIVE = """
async (seconds) => {
  const over = document.querySelector(".map canvas.over");
  const box = over.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const send = (kind, more) => over.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, clientX: x, clientY: y, button: 0, pointerId: 1, ...more }));
  over.setPointerCapture = () => undefined;
  const times = [];
  let n = 0;
  const began = performance.now();
  let last = began;
  while (last - began < 1000 * seconds) {
    const turn = Math.floor(n / 30) % 4;
    if (turn === 0 || turn === 2) {
      over.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, clientX: x,
        clientY: y, deltaY: turn === 0 ? -60 : 60 }));
    } else {
      const t = n % 30;
      if (t === 0) send("pointerdown", {});
      send("pointermove", { clientX: x + 8 * t, clientY: y + 5 * t });
      if (t === 29) send("pointerup", { clientX: x + 8 * t, clientY: y + 5 * t });
    }
    n += 1;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}
"""
LASSO = """
async () => {
  const began = performance.now();
  location.hash += "&lasso=0.1,0.1,0.9,0.2,0.8,0.9,0.5,0.6,0.2,0.8";
  while (!document.querySelector(".detail .bars")) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}
"""


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--run", type=Path, help="a finished run of taxa; made when left out")
    parser.add_argument("--pictures", type=Path, help="pictures to ask it with")
    arguments = parser.parse_args()
    playwright = need("playwright.sync_api")
    with playwright.sync_playwright() as started, tempfile.TemporaryDirectory() as folder:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        rows = rows_of_points(browser, arguments.points)
        run, pictures = arguments.run, arguments.pictures
        if run is None or pictures is None:
            run, pictures = make_run(Path(folder))
        rows += rows_of_questions(browser, run, pictures)
        chromium = browser.version
        browser.close()
    report(
        "explorer",
        title="The explorer in headless Chromium",
        columns=("what", "measured", "wanted"),
        rows=rows,
        notes=f"Chromium {chromium}, window of {VIEWPORT['width']} x {VIEWPORT['height']} pixels, "
        f"seed {SEED}; medians of 5 loads, of {SECONDS:g} s of frames, and of 20 uploads of JPEG "
        f"pictures of 1,200 x 900 pixels. {versions('starlette', 'uvicorn', 'playwright')}.",
    )


# A million points --------------------------------------------------------------------------------


def million(n: int) -> Exhibit:
    """Scatter points around 400 species of 40 genera."""
    rng = np.random.default_rng(SEED)
    genus = rng.integers(0, 40, 400)
    middle = rng.standard_normal((40, 2))[genus] * 3 + rng.standard_normal((400, 2)) * 0.6
    species = rng.choice(400, n, p=(weights := rng.pareto(1.2, 400) + 0.05) / weights.sum())
    points = middle[species] + rng.standard_normal((n, 2)) * 0.25
    frame = pd.DataFrame(
        {
            "species": pd.Categorical.from_codes(species, [f"Genus_{k:03d}" for k in range(400)]),
            "genus": pd.Categorical.from_codes(genus[species], [f"Genus{k}" for k in range(40)]),
            "width_mm": rng.lognormal(3, 0.3, n),
        }
    )
    ids = tuple(f"images/{number:07d}.jpg" for number in range(n))
    vectors = np.concatenate([points, rng.standard_normal((n, 6))], axis=1).astype(np.float32)
    chart = Chart("taxa", "image", "UMAP", ids, unit_square(points), columns_of(frame), vectors)
    return Exhibit("A million pictures", (), (chart,))


def serve_points(n: int, ready: Any) -> None:
    """Serve points from a process of its own."""
    exhibit = million(n)
    began = time.perf_counter()
    opened = listen("127.0.0.1", 0)
    port = int(opened.getsockname()[1])
    app = build_app(exhibit, Answerers(), PictureDecoder(), hosts=allowed_hosts(port))
    ready.put((port, time.perf_counter() - began))
    serve(app, opened)


def serve_run(run: Path, ready: Any) -> None:
    """Serve a run with its answers from a process of its own."""
    exhibit = open_exhibit([run])
    opened = listen("127.0.0.1", 0)
    port = int(opened.getsockname()[1])
    decoder = PictureDecoder()
    app = build_app(exhibit, answerers_for(exhibit), decoder, hosts=allowed_hosts(port))
    decoder.start()
    exhibit.get_ready()
    ready.put((port, 0.0))
    serve(app, opened)


@contextmanager
def served(target: Any, *arguments: Any) -> Iterator[tuple[str, float]]:
    """Hand out the address of a server, and what it took to get ready."""
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=target, args=(*arguments, ready), daemon=False)
    process.start()
    try:
        port, seconds = ready.get(timeout=300)
        yield f"http://127.0.0.1:{port}/", seconds
    finally:
        process.terminate()
        process.join()


def rows_of_points(browser: Any, n: int) -> list[tuple[str, str, str]]:
    """Measure both painters."""
    rows = []
    with served(serve_points, n) as (address, seconds):
        rows.append((f"tiles of {n:,} points, once at the start", f"{seconds:.2f} s", ""))
        for painter, name in (("canvas2d", "Canvas2D"), ("webgl2", "WebGL2")):
            first, whole, frames, slowest, lasso, drawn = looked_at(browser, address, painter)
            wanted = ("< 3 s", ">= 20 a second") if painter == "canvas2d" else ("", "")
            rows += [
                (f"{name}: first points on the screen", f"{first:.2f} s", wanted[0]),
                (f"{name}: all that the window shows ({drawn:,} points)", f"{whole:.2f} s", ""),
                (f"{name}: frames while panning and zooming", f"{frames:.0f} a second", wanted[1]),
                (f"{name}: the slowest frame in twenty", f"{slowest:.0f} ms", ""),
                (f"{name}: lasso to what is in it", f"{lasso:.2f} s", ""),
            ]
    return rows


def looked_at(browser: Any, address: str, painter: str) -> tuple[float, ...]:
    """Load the page five times, then move about in it."""
    firsts, wholes = [], []
    for _ in range(5):
        page = browser.new_page(viewport=VIEWPORT)
        page.goto(f"{address}?painter={painter}", wait_until="commit")
        page.wait_for_selector(".map[data-ready]", timeout=60_000)
        firsts.append(
            page.evaluate("performance.getEntriesByName('first points')[0].startTime") / 1000
        )
        wholes.append(page.evaluate("performance.now()") / 1000)
        drawn = int(page.get_attribute(".map", "data-drawn"))
        if len(firsts) < 5:
            page.close()
    times = page.evaluate(DRIVE, SECONDS)
    page.wait_for_selector(".map[data-ready]", timeout=60_000)
    lasso = page.evaluate(LASSO) / 1000
    page.close()
    return (
        statistics.median(firsts),
        statistics.median(wholes),
        1000 * len(times) / sum(times),
        float(np.quantile(times, 0.95)),
        lasso,
        drawn,
    )


# From upload to answer ---------------------------------------------------------------------------


def make_run(folder: Path) -> tuple[Path, Path]:
    """Simulate shells, run `taxa` on some of them, and keep others to ask with."""
    settings = {"species": 16, "images": 320, "zipf_exponent": 0.3, "genes": 20}
    world = simulate_world(WorldConfig(**settings), RandomStreams(SEED))
    write_world(world, folder / "shells")
    config = TaxaConfig(models=("majority", "hierarchical"), replicates=100, permutations=19)
    run_into_folder(
        load_study("taxa"), folder / "shells", folder / "taxa", config, resources=Resources()
    )
    asked = folder / "asked"
    asked.mkdir()
    for number in range(20):
        shell = Image.fromarray(world.pictures.render(number)).resize((1200, 900))
        shell.save(asked / f"{number:02d}.jpg", quality=92)
    return folder / "taxa", asked


def rows_of_questions(browser: Any, run: Path, pictures: Path) -> list[tuple[str, str, str]]:
    """Ask with one picture after the other, the first one included."""
    files = sorted(path for path in pictures.iterdir() if path.is_file())[:21]
    with served(serve_run, run) as (address, _seconds):
        page = browser.new_page(viewport=VIEWPORT)
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        seconds = []
        for file in files:
            began = time.perf_counter()
            page.set_input_files("#ask-file", file)
            page.wait_for_selector(f".answer[data-asked='{file.name}'] .ranks")
            seconds.append(time.perf_counter() - began)
        page.close()
    return [
        (
            "descriptors: upload to answer on the page, median",
            f"{np.median(seconds):.2f} s",
            "< 1 s",
        ),
        ("descriptors: upload to answer on the page, slowest", f"{max(seconds):.2f} s", "< 1 s"),
    ]


if __name__ == "__main__":
    main()
