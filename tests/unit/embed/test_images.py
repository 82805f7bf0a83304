"""Many pictures to vectors: order, skips, repeats, resuming, other processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kinlens.embed import images
from kinlens.embed.encoders import open_encoder
from kinlens.embed.image_pipeline import in_order, read_square
from kinlens.embed.images import embed_collection, embed_images
from kinlens.errors import InputError, UsageError
from kinlens.parallel import Resources
from kinlens.records.collection import Collection
from kinlens.records.specimens import SpecimenTable


class Averages:
    """An encoder whose vectors are easily known: the mean of each band."""

    name = "averages"
    depth = "uint8"
    input_size = 16
    batch_size = 4
    fingerprint = "averages-1"

    def __init__(self, n_channels: int = 3) -> None:
        self.n_channels = self.n_features = n_channels
        self.batches: list[int] = []

    def encode(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        return batch.mean(axis=(1, 2)).astype(np.float32)

    def features(self) -> pd.DataFrame:
        return pd.DataFrame(
            {"block": "mean"}, index=["red", "green", "blue", "far"][: self.n_channels]
        )


class Recorder:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.totals: dict[str, int | None] = {}
        self.notes: list[str] = []

    @contextmanager
    def task(self, label: str, total: int | None, *, unit: str = ""):
        assert unit == "image"
        self.totals[label] = total
        self.done[label] = 0
        recorder = self

        class Task:
            def advance(self, steps: int = 1) -> None:
                recorder.done[label] += steps

        yield Task()

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for place in range(11):
        colour = (place * 20, 255 - place * 20, 7)
        Image.new("RGB", (20 + place, 16), colour).save(folder / f"{place:02d}.png")
    return folder


@pytest.fixture
def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_BLOCK", 5)


@pytest.mark.usefixtures("small_blocks")
class TestVectors:
    def test_each_row_is_its_picture_in_the_order_given(self, files: list[Path]) -> None:
        vectors = embed_images(files[::-1], Averages(), ids=[file.stem for file in files[::-1]])
        np.testing.assert_array_equal(vectors.values[:, 0], np.arange(10, -1, -1) * 20)
        assert vectors.ids == tuple(f"{place:02d}" for place in range(10, -1, -1))
        assert vectors.values.dtype == np.float32
        assert vectors.features.index.tolist() == ["red", "green", "blue"]

    def test_pictures_that_cannot_be_read_are_skipped_with_their_reason(
        self, files: list[Path]
    ) -> None:
        files[2].write_bytes(files[2].read_bytes()[:60])
        files[5].write_text("<html>not found</html>")
        files[7].unlink()
        vectors = embed_images(files, Averages(), ids=[file.name for file in files])
        assert vectors.rows.tolist() == [0, 1, 3, 4, 6, 8, 9, 10]
        np.testing.assert_array_equal(vectors.values[:, 0], vectors.rows * 20)
        reasons = {entry.file: entry.reason for entry in vectors.skipped}
        assert list(reasons) == ["02.png", "05.png", "07.png"]
        assert reasons["07.png"] == "no such file"
        assert all(reasons.values())
        assert (vectors.provenance["pictures"], vectors.provenance["skipped"]) == (11, 3)

    def test_nothing_readable_is_an_error_that_shows_why(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"not one of 2 pictures.*no such file"):
            embed_images([tmp_path / "a.png", tmp_path / "b.png"], Averages())

    def test_no_pictures_give_no_vectors(self) -> None:
        assert embed_images([], Averages()).values.shape == (0, 3)

    def test_same_content_is_encoded_once(self, files: list[Path]) -> None:
        copies = [*files, *files[:4]]
        encoder = Averages()
        vectors = embed_images(copies, encoder)
        assert sum(encoder.batches) == len(files)
        np.testing.assert_array_equal(vectors.values[11:], vectors.values[:4])

    def test_batches_are_full_but_for_the_last_of_a_block(self, files: list[Path]) -> None:
        encoder = Averages()
        embed_images(files, encoder)
        assert encoder.batches == [4, 1, 4, 1, 1]

    def test_channel_files_become_bands_in_order(self, tmp_path: Path) -> None:
        stains = []
        for place, value in enumerate((10, 200, 30, 90)):
            stains.append(tmp_path / f"cell_{place}.png")
            Image.new("L", (16, 16), value).save(stains[-1])
        vectors = embed_images([tuple(stains)], Averages(4), ids=["cell"])
        np.testing.assert_array_equal(vectors.values, [[10, 200, 30, 90]])

    @pytest.mark.parametrize("n_files", [2, 3])
    def test_wrong_number_of_channel_files_is_refused(
        self, files: list[Path], n_files: int
    ) -> None:
        with pytest.raises(
            UsageError, match=f"opened for 4 channels, .* comes with {n_files} files"
        ):
            embed_images([tuple(files[:n_files])], Averages(4))

    def test_wrong_number_of_ids_is_refused(self, files: list[Path]) -> None:
        with pytest.raises(UsageError, match="1 ids for 11 pictures"):
            embed_images(files, Averages(), ids=["a"])

    def test_progress_counts_every_picture(self, files: list[Path]) -> None:
        files[3].unlink()
        recorder = Recorder()
        embed_images(files, Averages(), resources=Resources(progress=recorder))
        assert recorder.totals == {"Looking at files": 11, "Encoding": 11}
        assert recorder.done == recorder.totals


class TestSquare:
    def test_border_colour_fills_up_the_short_sides(self, tmp_path: Path) -> None:
        picture = Image.new("RGB", (60, 20), (10, 60, 110))
        picture.paste((250, 0, 0), (20, 2, 40, 18))
        picture.save(tmp_path / "wide.png")
        square = read_square((tmp_path / "wide.png",), Averages())
        assert square.shape == (16, 16, 3)
        np.testing.assert_array_equal(square[[0, -1]], np.broadcast_to((10, 60, 110), (2, 16, 3)))
        assert square[8, 8, 0] > 200


@pytest.mark.usefixtures("small_blocks")
class TestCache:
    def test_second_run_encodes_nothing_and_gives_the_same_bytes(
        self, files: list[Path], tmp_path: Path
    ) -> None:
        recorder = Recorder()
        resources = Resources(cache=tmp_path / "cache", progress=recorder)
        first = embed_images(files, Averages(), resources=resources)
        encoder = Averages()
        second = embed_images(files[::-1], encoder, resources=resources)
        assert encoder.batches == []
        assert second.values[::-1].tobytes() == first.values.tobytes()
        assert recorder.notes == ["11 of 11 pictures are encoded already."]

    def test_new_and_changed_pictures_are_encoded_and_renamed_ones_are_not(
        self, files: list[Path], tmp_path: Path
    ) -> None:
        resources = Resources(cache=tmp_path / "cache")
        embed_images(files, Averages(), resources=resources)
        renamed = files[0].rename(files[0].with_name("renamed.png"))
        Image.new("RGB", (16, 16), (99, 99, 99)).save(files[4])
        Image.new("RGB", (16, 16), (55, 55, 55)).save(tmp_path / "new.png")
        encoder = Averages()
        wanted = [renamed, *files[1:], tmp_path / "new.png"]
        vectors = embed_images(wanted, encoder, resources=resources)
        assert sum(encoder.batches) == 2
        assert vectors.values[[0, 4, 11], 0].tolist() == [0, 99, 55]

    def test_another_encoder_does_not_see_these_vectors(
        self, files: list[Path], tmp_path: Path
    ) -> None:
        resources = Resources(cache=tmp_path / "cache")
        embed_images(files, Averages(), resources=resources)
        other = Averages()
        other.fingerprint = "averages-2"
        embed_images(files, other, resources=resources)
        assert sum(other.batches) == 11

    def test_damaged_block_is_made_again(self, files: list[Path], tmp_path: Path) -> None:
        resources = Resources(cache=tmp_path / "cache")
        expected = embed_images(files, Averages(), resources=resources)
        blocks = sorted((tmp_path / "cache").rglob("*.npz"))
        assert len(blocks) == 3
        blocks[0].write_bytes(blocks[0].read_bytes()[:-30])
        encoder = Averages()
        again = embed_images(files, encoder, resources=resources)
        assert 1 <= sum(encoder.batches) <= 5
        assert again.values.tobytes() == expected.values.tobytes()
        encoder.batches.clear()
        embed_images(files, encoder, resources=resources)
        assert encoder.batches == []

    def test_interrupted_work_keeps_its_finished_blocks(
        self, files: list[Path], tmp_path: Path
    ) -> None:
        class Stops(Averages):
            def encode(self, batch: np.ndarray) -> np.ndarray:
                if sum(self.batches) >= 8:
                    raise KeyboardInterrupt
                return super().encode(batch)

        resources = Resources(cache=tmp_path / "cache")
        with pytest.raises(KeyboardInterrupt):
            embed_images(files, Stops(), resources=resources)
        encoder = Averages()
        vectors = embed_images(files, encoder, resources=resources)
        assert encoder.batches == [4, 1, 1]
        np.testing.assert_array_equal(vectors.values[:, 0], np.arange(11) * 20)


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from kinlens.embed import images
from kinlens.embed.encoders import open_encoder
from kinlens.parallel import Resources
images._BLOCK = 8
folder, cache, out, pause = sys.argv[1:]
encoder = open_encoder("descriptors")
encode = encoder.encode
def slow(batch):
    time.sleep(float(pause))
    return encode(batch)
encoder.encode = slow
files = sorted(Path(folder).glob("*.png"))
vectors = images.embed_images(files, encoder, resources=Resources(cache=Path(cache)))
np.save(out, vectors.values)
"""


def test_killed_work_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for place in range(40):
        noise = rng.integers(0, 256, (70, 60, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{place:02d}.png")

    def command(cache: str, pause: float) -> list[str]:
        places = [str(folder), str(tmp_path / cache), str(tmp_path / f"{cache}.npy"), str(pause)]
        return [sys.executable, "-c", KILLED, *places]

    victim = subprocess.Popen(command("resumed", 0.3))
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "resumed").rglob("[!.]*.npz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    kept = list((tmp_path / "resumed").rglob("[!.]*.npz"))
    assert 2 <= len(kept) < 5
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in kept}

    subprocess.run(command("resumed", 0), check=True)
    subprocess.run(command("straight", 0), check=True)
    resumed, straight = (tmp_path / f"{name}.npy" for name in ("resumed", "straight"))
    assert resumed.read_bytes() == straight.read_bytes()
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in kept} == before


@pytest.mark.usefixtures("small_blocks")
def test_other_processes_give_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    encoder = open_encoder("descriptors")
    files[6].write_text("no picture")
    recorder = Recorder()
    resources = Resources(workers=2, progress=recorder, cache=tmp_path / "cache")
    spread = embed_images(files, encoder, resources=resources)
    alone = embed_images(files, encoder)
    assert spread.values.tobytes() == alone.values.tobytes()
    assert spread.skipped == alone.skipped
    assert recorder.done == {"Looking at files": 11, "Encoding": 11}
    kept = embed_images(files, encoder, resources=replace(resources, workers=1))
    assert kept.values.tobytes() == alone.values.tobytes()


class TestReadingAhead:
    def test_order_is_kept_and_the_window_is_not_passed(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        begun: list[int] = []
        lock = threading.Lock()

        def slow(item: int) -> int:
            with lock:
                begun.append(item)
            time.sleep(0.002 * (item % 3))
            return item

        with ThreadPoolExecutor(4) as pool:
            for expected, got in enumerate(in_order(pool, slow, range(40), ahead=6)):
                assert got == expected
                assert max(begun) <= expected + 7
        assert sorted(begun) == list(range(40))

    def test_reading_goes_on_while_the_encoder_works(self, files: list[Path]) -> None:
        """With reading and encoding equally slow, together they take little more than one."""

        class Slow(Averages):
            def encode(self, batch: np.ndarray) -> np.ndarray:
                time.sleep(0.02 * len(batch))
                return super().encode(batch)

        encoder = Slow()
        many = files * 8
        original = images.embed_images.__globals__["encode_blocks"].__globals__["read_image"]

        def slow_read(*args: object, **kwargs: object):
            time.sleep(0.01)
            return original(*args, **kwargs)

        module = sys.modules["kinlens.embed.image_pipeline"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "read_image", slow_read)
            # Different keys, so that every copy is read and encoded.
            patch.setattr(images, "_content_key", lambda files: os.urandom(8).hex())
            start = time.perf_counter()
            embed_images(many, encoder)
            together = time.perf_counter() - start
        encoding = 0.02 * len(many)
        assert together < 1.35 * encoding + 0.3


def test_collection_is_embedded_with_its_names(folder: Path, files: list[Path]) -> None:
    frame = pd.DataFrame({"image": [f"pictures/{file.name}" for file in files], "species": "A_b"})
    collection = Collection("x", folder.parent, specimens=SpecimenTable(frame))
    vectors = embed_collection(collection)
    assert vectors.ids[3] == "pictures/03.png"
    assert vectors.values.shape == (11, 1918)
    assert vectors.provenance["encoder"] == "descriptors"


def test_collection_with_stains_is_not_taken_for_colour(tmp_path: Path) -> None:
    for stain, value in (("red", 20), ("green", 120), ("blue", 220)):
        Image.new("L", (30, 30), value).save(tmp_path / f"cell_{stain}.png")
    collection = Collection(
        "x",
        tmp_path,
        specimens=SpecimenTable(pd.DataFrame({"image": ["cell"]})),
        channels=("red", "green", "blue"),
        channel_pattern="{image}_{channel}.png",
    )
    assert embed_collection(collection).provenance["fingerprint"] == "descriptors-1-3-channels"


def test_dataset_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs metadata"):
        embed_collection(Collection("x", tmp_path))
