from __future__ import annotations

import pickle
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from kinlens.errors import UsageError
from kinlens.io.images import (
    MOST_PIXELS,
    ImageError,
    read_channels,
    read_image,
    resize_to_square,
)


def codes(path: Path) -> list[str]:
    return [note.code for note in read_image(path).notes]


def stretched(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    return (values - values.min()) / (values.max() - values.min())


@pytest.fixture
def colours(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture
def wide(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(300, 4096, (20, 30, 3), dtype=np.uint16)


# --- every bad or unusual kind of file


def test_every_kind_of_bad_image_is_named(
    tmp_path: Path,
    make_bad_images: Callable[[Path], dict[str, str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    expected = make_bad_images(tmp_path)
    assert len(expected) >= 50
    found, messages = {}, {}
    for name, code in expected.items():
        try:
            noted = codes(tmp_path / name)
        except ImageError as error:
            messages[name] = str(error)
            noted = [error.code]
        found[name] = code if code in noted else noted
    assert found == expected
    assert all(message.startswith(f"{tmp_path / name}: ") for name, message in messages.items())
    assert all(message.endswith(".") for message in messages.values())
    # Compiled decoders print on their own; nothing of that may reach the user.
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif", "bmp", "jp2", "ppm"])
def test_any_cut_is_an_image_error_or_the_whole_picture(
    tmp_path: Path, suffix: str, colours: np.ndarray
) -> None:
    whole_file = tmp_path / f"whole.{suffix}"
    Image.fromarray(colours).save(whole_file)
    whole = read_image(whole_file).pixels
    content = whole_file.read_bytes()
    cut_file = tmp_path / f"cut.{suffix}"
    refused = []
    for length in range(0, len(content), max(1, len(content) // 60)):
        cut_file.write_bytes(content[:length])
        try:
            pixels = read_image(cut_file).pixels
        except ImageError as error:
            refused.append(error.code)
        else:
            np.testing.assert_array_equal(pixels, whole)
    assert len(refused) >= 40
    assert set(refused) <= {"truncated", "damaged", "empty", "unsupported", "not-an-image"}
    assert refused.count("truncated") >= 30


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "gif", "bmp", "jp2", "avif"])
def test_flipped_bytes_never_raise_anything_else(
    tmp_path: Path, suffix: str, colours: np.ndarray, rng: np.random.Generator
) -> None:
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(colours).save(file)
    content = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    for _ in range(30):
        spoiled = content.copy()
        spoiled[rng.integers(0, len(content), 3)] = rng.integers(0, 256, 3)
        file.write_bytes(spoiled.tobytes())
        try:
            picture = read_image(file, most_pixels=1_000_000)
        except ImageError:
            continue
        assert picture.pixels.ndim == 3


def test_missing_file_tells_of_a_name_that_differs_in_case(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.JPG")
    with pytest.raises(ImageError, match=r"no such file.*'a\.JPG'") as raised:
        read_image(tmp_path / "a.jpg")
    assert raised.value.code == "missing"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.jpg")

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageError, match="no permission") as raised:
        read_image(tmp_path / "a.jpg")
    assert raised.value.code == "unreadable"


def test_limit_of_pixels_can_be_moved(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("L", (50, 40), 9).save(file)
    with pytest.raises(ImageError, match="50 x 40 pixels are more than the limit of 1,999"):
        read_image(file, most_pixels=1_999)
    assert read_image(file, most_pixels=2_000).size == (50, 40)


def test_bands_count_towards_the_limit(tmp_path: Path) -> None:
    values = np.zeros((20, 20, 40), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError) as raised:
        read_image(tmp_path / "a.tif", most_pixels=1_000)
    assert raised.value.code == "too-large"
    assert read_image(tmp_path / "a.tif", most_pixels=2_000).size == (20, 20)


def test_large_but_allowed_picture_is_read_without_a_warning(tmp_path: Path) -> None:
    # Between Pillow's own limit, where it warns, and twice that, where it refuses.
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.zeros((300, 300_000), dtype=np.uint8), compression="zlib")
    assert MOST_PIXELS < 300 * 300_000
    with pytest.raises(ImageError, match="more than the limit"):
        read_image(file)
    picture = read_channels([file], most_pixels=100_000_000)
    assert picture.pixels.shape == (300, 300_000, 1)


def test_errors_survive_the_way_back_from_a_worker(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as raised:
        read_image(tmp_path / "none.jpg")
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (str(copy), copy.code) == (str(raised.value), "missing")


# --- exact pixels


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "jp2", "ppm"])
def test_lossless_colour_comes_back_exactly(
    tmp_path: Path, suffix: str, colours: np.ndarray
) -> None:
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(colours).save(file)
    picture = read_image(file)
    np.testing.assert_array_equal(picture.pixels, colours)
    assert picture.notes == ()
    assert picture.size == (30, 20)


def test_jpeg_equals_pillow(tmp_path: Path, colours: np.ndarray) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(colours).save(file)
    with Image.open(file) as opened:
        np.testing.assert_array_equal(read_image(file).pixels, np.asarray(opened))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr"])
def test_other_modes_equal_a_plain_conversion(
    tmp_path: Path, mode: str, colours: np.ndarray
) -> None:
    picture = Image.fromarray(colours).convert(mode)
    file = tmp_path / "a.tif"
    picture.save(file)
    np.testing.assert_array_equal(read_image(file).pixels, np.asarray(picture.convert("RGB")))


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    layered = np.zeros((20, 20, 4), dtype=np.uint8)
    layered[:10, :, 3] = 255
    layered[10:15, :, 3] = 51
    Image.fromarray(layered).save(tmp_path / "a.png")
    column = read_image(tmp_path / "a.png").pixels[:, 0, 0]
    assert column.tolist() == [0] * 10 + [204] * 5 + [255] * 5
    assert codes(tmp_path / "a.png") == ["alpha"]


def test_transparent_palette_colour_is_put_on_white(tmp_path: Path) -> None:
    picture = Image.new("P", (20, 20), 1)
    picture.putpalette([0, 0, 0, 200, 10, 10])
    picture.paste(0, (0, 0, 10, 20))
    picture.save(tmp_path / "a.png", transparency=0)
    pixels = read_image(tmp_path / "a.png").pixels
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 15].tolist() == [200, 10, 10]


def test_opaque_alpha_is_not_worth_a_note(tmp_path: Path, colours: np.ndarray) -> None:
    Image.fromarray(colours).convert("RGBA").save(tmp_path / "a.png")
    assert codes(tmp_path / "a.png") == []
    Image.fromarray(colours).convert("LA").save(tmp_path / "b.png")
    assert codes(tmp_path / "b.png") == ["grayscale"]


def test_lab_white_black_and_red(tmp_path: Path) -> None:
    lab = np.array([[255, 0, 0], [0, 0, 0], [136, 80, 67]], dtype=np.uint8)
    Image.frombytes("LAB", (3, 20), np.tile(lab, (20, 1, 1)).tobytes()).save(tmp_path / "a.tif")
    white, black, red = read_image(tmp_path / "a.tif").pixels[0].astype(int)
    assert white.min() >= 254
    assert black.max() <= 1
    np.testing.assert_allclose(red, [255, 0, 0], atol=12)


# --- wide values


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb"},
        {"photometric": "rgb", "compression": "zlib"},
        {"photometric": "rgb", "tile": (16, 16)},
        {"photometric": "rgb", "bigtiff": True},
        {"photometric": "rgb", "planarconfig": "separate"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
@pytest.mark.parametrize("kind", ["uint16", "uint32", "float32", "float64"])
def test_every_tiff_layout_is_scaled_by_its_own_range(
    tmp_path: Path, wide: np.ndarray, options: dict[str, object], byteorder: str, kind: str
) -> None:
    values = wide.astype(kind) * (70_000 if kind == "uint32" else 1)
    stored = np.moveaxis(values, 2, 0) if "planarconfig" in options else values
    tifffile.imwrite(tmp_path / "a.tif", stored, byteorder=byteorder, **options)
    picture = read_image(tmp_path / "a.tif", depth="float32")
    assert picture.pixels.dtype == np.float32
    np.testing.assert_allclose(picture.pixels, stretched(values), atol=1e-6)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_grey_tiff(
    tmp_path: Path, wide: np.ndarray, byteorder: str, photometric: str, compression: str | None
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        wide[:, :, 0],
        byteorder=byteorder,
        photometric=photometric,
        compression=compression,
    )
    expected = stretched(wide[:, :, :1])
    expected = 1 - expected if photometric == "miniswhite" else expected
    pixels = read_image(tmp_path / "a.tif", depth="float32").pixels
    np.testing.assert_allclose(pixels, np.repeat(expected, 3, axis=2), atol=1e-6)


def test_16_bit_colour_tiff_with_a_compression_that_only_pillow_has(
    tmp_path: Path, wide: np.ndarray
) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", wide, photometric="rgb", rowsperstrip=20)
    content = bytearray((tmp_path / "plain.tif").read_bytes())
    packed = lzw(wide.astype("<u2").tobytes())
    with tifffile.TiffFile(tmp_path / "plain.tif") as file:
        tags = file.pages.first.tags
        compression, offset, length = (
            tags[name].valueoffset for name in ("Compression", "StripOffsets", "StripByteCounts")
        )
    struct.pack_into("<H", content, compression, 5)
    struct.pack_into("<I", content, offset, len(content))
    struct.pack_into("<I", content, length, len(packed))
    (tmp_path / "lzw.tif").write_bytes(bytes(content) + packed)
    with pytest.raises(ValueError, match="imagecodecs"):
        tifffile.imread(tmp_path / "lzw.tif")
    pixels = read_image(tmp_path / "lzw.tif", depth="float32").pixels
    np.testing.assert_allclose(pixels, stretched(wide), atol=1e-6)


def lzw(content: bytes) -> bytes:
    """Encode without compressing: nine-bit literals, and a clear code before ten are needed."""
    numbers: list[int] = []
    for start in range(0, len(content), 250):
        numbers += [256, *content[start : start + 250]]
    bits = "".join(f"{number:09b}" for number in [*numbers, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_16_bit_png_keeps_its_low_bytes(tmp_path: Path, wide: np.ndarray, bands: int) -> None:
    opaque = np.full((20, 30, 1), 65535, dtype=np.uint16)
    values = np.concatenate([wide, opaque], axis=2)[:, :, :bands]
    write_png_16(tmp_path / "a.png", values)
    pixels = read_image(tmp_path / "a.png", depth="float32").pixels
    colour = values[:, :, :3] if bands > 1 else np.repeat(values, 3, axis=2)
    np.testing.assert_allclose(pixels, stretched(colour), atol=1e-6)
    assert codes(tmp_path / "a.png") == ["16-bit"]


def test_16_bit_transparency_is_put_on_white_after_scaling(
    tmp_path: Path, wide: np.ndarray
) -> None:
    half = np.full((20, 30, 1), 32768, dtype=np.uint16)
    write_png_16(tmp_path / "a.png", np.concatenate([wide, half], axis=2))
    pixels = read_image(tmp_path / "a.png", depth="float32").pixels
    opacity = 32768 / 65535
    np.testing.assert_allclose(pixels, stretched(wide) * opacity + 1 - opacity, atol=1e-5)


def write_png_16(file: Path, values: np.ndarray) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width, bands = values.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_8_bit_output_of_wide_values_and_its_note(tmp_path: Path, wide: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", wide, photometric="rgb")
    picture = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, np.rint(stretched(wide) * 255))
    (note,) = picture.notes
    assert note.code == "16-bit"
    assert f"{wide.min()}..{wide.max()}" in note.sentence


def test_even_wide_picture_is_black_and_blank(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((20, 20), 777, dtype=np.uint16))
    picture = read_image(tmp_path / "a.tif")
    assert picture.pixels.max() == 0
    assert [note.code for note in picture.notes] == ["16-bit", "blank"]


def test_values_that_are_not_finite_are_black(tmp_path: Path) -> None:
    values = np.linspace(5, 9, 400, dtype=np.float32).reshape(20, 20)
    values[0, 0], values[0, 1] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", values)
    picture = read_image(tmp_path / "a.tif", depth="float32")
    assert picture.pixels[0, :2].max() == 0
    assert picture.pixels.max() == 1
    assert "2 values" in picture.notes[0].sentence


def test_first_page_of_a_stack(tmp_path: Path, wide: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(wide, 2, 0), photometric="minisblack")
    pixels = read_image(tmp_path / "a.tif", depth="float32").pixels
    np.testing.assert_allclose(pixels[:, :, 0], stretched(wide[:, :, 0]), atol=1e-6)
    assert codes(tmp_path / "a.tif") == ["multi-page", "16-bit"]


# --- orientation


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_applied(
    tmp_path: Path, suffix: str, turn: int, colours: np.ndarray
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(colours).save(file, exif=exif, lossless=True)
    as_stored = [
        colours,
        colours[:, ::-1],
        colours[::-1, ::-1],
        colours[::-1],
        colours.transpose(1, 0, 2),
        np.rot90(colours, -1),
        colours[::-1, ::-1].transpose(1, 0, 2),
        np.rot90(colours),
    ]
    picture = read_image(file)
    np.testing.assert_array_equal(picture.pixels, as_stored[turn - 1])
    assert picture.size == picture.pixels.shape[1::-1]
    assert codes(file) == ([] if turn == 1 else ["EXIF-rotated"])


@pytest.mark.parametrize("turn", [3, 6])
def test_orientation_of_wide_tiff(tmp_path: Path, wide: np.ndarray, turn: int) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", wide, photometric="rgb", extratags=[(274, "H", 1, turn, True)]
    )
    expected = {3: np.rot90(wide, 2), 6: np.rot90(wide, -1)}[turn]
    pixels = read_image(tmp_path / "a.tif", depth="float32").pixels
    np.testing.assert_allclose(pixels, stretched(expected), atol=1e-6)


def test_broken_exif_spoils_nothing(tmp_path: Path, colours: np.ndarray) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(colours).save(file, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    assert read_image(file).notes == ()


# --- reduced decoding


def test_reduced_decoding_keeps_twice_what_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    ramp = np.linspace(0, 255, 1600).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp, (1000, 1600)).copy()).save(file, quality=95)
    full = read_image(file)
    reduced = read_image(file, at_least=100)
    assert full.pixels.shape == (1000, 1600, 3)
    assert reduced.pixels.shape == (250, 400, 3)
    assert reduced.size == full.size == (1600, 1000)
    assert read_image(file, at_least=400).pixels.shape == (1000, 1600, 3)
    difference = resize_to_square(full.pixels, 100).astype(int) - resize_to_square(
        reduced.pixels, 100
    ).astype(int)
    assert np.abs(difference).max() <= 4


def test_reduced_decoding_leaves_lossless_files_alone(tmp_path: Path) -> None:
    Image.new("RGB", (800, 800), "red").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", at_least=10).pixels.shape == (800, 800, 3)


# --- channels


def test_channels_are_stacked_in_order(tmp_path: Path) -> None:
    files = []
    for value, name in enumerate(("red", "green", "blue", "yellow")):
        grey = np.full((20, 25), value, dtype=np.uint8)
        grey[0, 0] = 200
        files.append(tmp_path / f"cell_{name}.png")
        Image.fromarray(grey).save(files[-1])
    picture = read_channels(files)
    assert picture.pixels.shape == (20, 25, 4)
    assert picture.pixels[5, 5].tolist() == [0, 1, 2, 3]
    assert picture.notes == ()


def test_tinted_channel_files_give_their_brightness(tmp_path: Path) -> None:
    grey = np.arange(400, dtype=np.uint8).reshape(20, 20)
    tinted = np.zeros((20, 20, 3), dtype=np.uint8)
    tinted[:, :, 1] = grey
    Image.fromarray(tinted).save(tmp_path / "a_green.png")
    picture = read_channels([tmp_path / "a_green.png"])
    np.testing.assert_array_equal(picture.pixels[:, :, 0], grey)
    assert picture.notes[0].code == "tinted"
    assert picture.notes[0].sentence.startswith("a_green.png: ")


def test_each_channel_is_scaled_by_its_own_range(tmp_path: Path) -> None:
    for name, top in (("a", 1000), ("b", 60_000)):
        values = np.linspace(0, top, 400).astype(np.uint16).reshape(20, 20)
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
    pixels = read_channels([tmp_path / "a.tif", tmp_path / "b.tif"]).pixels
    assert pixels.max(axis=(0, 1)).tolist() == [255, 255]


def test_channels_of_different_size_are_refused(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    Image.new("L", (20, 30)).save(tmp_path / "b.png")
    with pytest.raises(ImageError, match=r"20 x 30 pixels.*\(a\.png\) has 20 x 20") as raised:
        read_channels([tmp_path / "a.png", tmp_path / "b.png"])
    assert raised.value.code == "channels-differ"


# --- resizing


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_resized_shape_type_and_level(bands: int, kind: str, fit: str) -> None:
    level = {"uint8": 90, "float32": 0.25}[kind]
    pixels = np.full((37, 91, bands), level, dtype=kind)
    square = resize_to_square(pixels, 24, background=level, fit=fit)
    assert square.shape == (24, 24, bands)
    assert square.dtype == pixels.dtype
    np.testing.assert_allclose(square, level, rtol=1e-5)


def test_padding_is_centred() -> None:
    square = resize_to_square(np.zeros((30, 10, 3), dtype=np.uint8), 30, background=7)
    assert (square[:, :10] == 7).all()
    assert (square[:, 10:20] == 0).all()
    assert (square[:, 20:] == 7).all()


def test_crop_takes_the_middle() -> None:
    pixels = np.zeros((10, 30, 1), dtype=np.uint8)
    pixels[:, 10:20] = 100
    assert (resize_to_square(pixels, 10, fit="crop") == 100).all()


def test_shrinking_is_smooth() -> None:
    rows, columns = np.mgrid[0:512, 0:512]
    board = (((rows + columns) % 2) * 255).astype(np.uint8)[:, :, None]
    small = resize_to_square(np.repeat(board, 3, axis=2), 32)
    assert np.abs(small.astype(int) - 127).max() <= 3


def test_float_and_whole_numbers_resize_alike(colours: np.ndarray) -> None:
    whole = resize_to_square(colours, 9)
    fraction = resize_to_square((colours / 255).astype(np.float32), 9, background=1.0)
    np.testing.assert_allclose(fraction * 255, whole, atol=1.5)
    assert fraction.min() >= 0
    assert fraction.max() <= 1


def test_very_thin_pictures_keep_a_pixel() -> None:
    square = resize_to_square(np.zeros((1, 5000, 3), dtype=np.uint8), 16)
    assert (square == 0).any()


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    with pytest.raises(UsageError, match="'squash'"):
        resize_to_square(pixels, 2, fit="squash")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 1"):
        resize_to_square(pixels, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="'int8'"):
        read_image(tmp_path / "a.png", depth="int8")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least one file"):
        read_channels([])


# --- threads and global state


def test_threads_share_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    pictures = {}
    for index in range(6):
        file = tmp_path / f"{index}.png"
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        # A transparent palette entry makes Pillow warn.
        Image.fromarray(pixels).convert("P").save(file, transparency=bytes(range(256)))
        pictures[file] = read_image(file).pixels
    (tmp_path / "bad.png").write_bytes((tmp_path / "0.png").read_bytes()[:200])
    filters = list(warnings.filters)
    truncated, limit = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    failures: list[object] = []

    def work() -> None:
        for _ in range(5):
            for file, expected in pictures.items():
                if not np.array_equal(read_image(file).pixels, expected):
                    failures.append(file)
            try:
                read_image(tmp_path / "bad.png")
                failures.append("bad.png was read")
            except ImageError:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(warnings.filters) == filters
    assert (truncated, limit) == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


def test_pillows_warnings_do_not_leak_but_others_do(tmp_path: Path, colours: np.ndarray) -> None:
    # A TIFF with a tag that leads outside the file makes Pillow warn.
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, colours, photometric="rgb", extratags=[(315, "s", 0, "x" * 99, True)])
    with tifffile.TiffFile(file) as opened:
        place = opened.pages.first.tags[315].offset
    content = bytearray(file.read_bytes())
    struct.pack_into("<I", content, place + 8, len(content) - 3)
    file.write_bytes(content)
    with pytest.warns(UserWarning, match=r"."), Image.open(file):
        pass
    np.testing.assert_array_equal(read_image(file).pixels, colours)
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


# --- real pictures


@pytest.mark.shared
def test_real_pictures_are_read_without_a_note(shared_data: Path) -> None:
    folder = shared_data / "butterflies" / "images"
    files = sorted(folder.iterdir())[::100]
    assert len(files) > 20
    for file in files:
        picture = read_image(file)
        assert picture.notes == ()
        with Image.open(file) as opened:
            np.testing.assert_array_equal(picture.pixels, np.asarray(opened.convert("RGB")))


@pytest.mark.shared
def test_real_cells_have_four_channels(shared_data: Path) -> None:
    folder = shared_data / "cells" / "images"
    greens = sorted(folder.glob("*_green.jpg"))[::100]
    assert len(greens) > 10
    for green in greens:
        stem = green.name.removesuffix("_green.jpg")
        files = [folder / f"{stem}_{channel}.jpg" for channel in ("red", "green", "blue", "yellow")]
        picture = read_channels(files)
        assert picture.pixels.shape == (128, 128, 4)
        assert {note.code for note in picture.notes} <= {"blank"}
