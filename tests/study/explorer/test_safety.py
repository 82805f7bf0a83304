"""What strangers send: damaged pictures, hostile paths and headers, too much of everything."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import socket
import struct
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from kinlens.explorer.asking import Answerers, PictureAnswer
from kinlens.explorer.guard import POLICY
from kinlens.explorer.uploads import MOST_BYTES, PictureDecoder, UploadError

FROM_THE_PAGE = {"X-Kinlens": "1"}


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read(), headers
    finally:
        connection.close()


def raw(port: int, content: bytes) -> bytes:
    """Send bytes as they are and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(content)
        connection.settimeout(10)
        try:
            return connection.recv(65536)
        except OSError:
            return b""


# Pictures ----------------------------------------------------------------------------------------


def seeds(tour: Any) -> list[bytes]:
    picture = Image.open(tour.dataset / "images" / "Ino_a_1.jpg")
    found = []
    for kind, mode in (("JPEG", "RGB"), ("PNG", "RGBA"), ("TIFF", "RGB"), ("WEBP", "RGB")):
        content = io.BytesIO()
        picture.convert(mode).save(content, format=kind)
        found.append(content.getvalue())
    for kind in ("GIF", "BMP", "PPM"):
        content = io.BytesIO()
        picture.convert("P" if kind == "GIF" else "RGB").save(content, format=kind)
        found.append(content.getvalue())
    return found


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Change, cut, double or blow up a few bytes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 12))):
        kind = rng.integers(5)
        at = int(rng.integers(len(data)))
        if kind == 0:
            data[at] = int(rng.integers(256))
        elif kind == 1:
            data[at : at + 4] = struct.pack(">I", int(rng.choice([0, 65535, 2**31 - 1, 2**32 - 1])))
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 40))]
        elif kind == 3:
            data[at:at] = data[at : at + int(rng.integers(1, 60))]
        elif len(data) > 40:
            del data[max(20, at) :]
        if len(data) < 4:
            break
    return bytes(data)


def png_of(width: int, height: int) -> bytes:
    """Write a PNG header that promises this size, and next to nothing behind it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )


def archives() -> list[bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../evil.jpg", b"x" * 1000)
    return [packed.getvalue(), gzip.compress(b"\0" * 1_000_000), b"BZh91AY&SY" + b"\0" * 40]


def impostors() -> list[bytes]:
    return [
        b"<html><script>alert(1)</script></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        b"%PDF-1.7\n%%EOF",
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.",
        b"P6\n100000 100000\n255\n" + b"\0" * 100,
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**30, 2**30, 1, 24, *[0] * 6),
        b"/etc/passwd",
        b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x'",
        png_of(60_000, 60_000),
        png_of(1, 2**31 - 1),
        png_of(0, 0),
        *archives(),
    ]


def decoders() -> list[psutil.Process]:
    """The processes that decode for this one, the last one started at the end."""
    found = [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE
        and "kinlens.explorer.decoder" in " ".join(child.cmdline())
    ]
    return sorted(found, key=lambda child: child.create_time())


def test_five_hundred_damaged_pictures_are_answered_with_words(tour: Any) -> None:
    rng = np.random.default_rng(11)
    pictures = seeds(tour)
    uploads = [mutated(pictures[n % len(pictures)], rng) for n in range(500)] + impostors()
    decoder = PictureDecoder(seconds=5)
    n_pictures, refusals, most = 0, [], 0
    try:
        for upload in uploads:
            try:
                with decoder.decoded(upload) as file:
                    with Image.open(file) as picture:
                        assert max(picture.size) <= 2048
                        assert picture.format == "PPM"
                    folder = file.parent
                    assert [each.name for each in folder.iterdir()] == ["picture.ppm"]
                assert not folder.exists()
                n_pictures += 1
            except UploadError as error:
                refusals.append(str(error))
            most = max(most, *(child.memory_info().rss for child in decoders()), 0)
    finally:
        decoder.close()
    assert not [words for words in refusals if "kinlens-upload" in words]
    assert len(refusals) > 150
    assert n_pictures > 50
    assert 0 < most < 700 * 2**20


def test_impostors_are_all_refused(served: Any) -> None:
    for upload in impostors():
        status, body, _ = ask(served.port, "POST", "/ask/picture", upload, FROM_THE_PAGE)
        assert status == 422
        assert b"/tmp" not in body
        assert "picture" in json.loads(body)["error"]


def test_a_decoder_that_hangs_is_replaced(tour: Any) -> None:
    decoder = PictureDecoder(seconds=1.0)
    decoder.start()
    first = decoders()[-1]
    picture = (tour.dataset / "images" / "Ino_a_1.jpg").read_bytes()
    try:
        first.suspend()
        with pytest.raises(UploadError, match="too long"), decoder.decoded(picture):
            pass
        assert not first.is_running()
        decoder.start()
        with decoder.decoded(picture) as file:
            assert file.is_file()
    finally:
        decoder.close()


def test_nothing_of_the_metadata_comes_back(served: Any) -> None:
    chart = served.exhibit.charts[0]
    original = (served.tour.dataset / chart.ids[0]).read_bytes()
    assert b"secret meadow" in original
    for size in ("small", "medium", "large"):
        _, picture, _ = ask(served.port, "GET", f"/data/chart/0/{size}/0.jpg")
        assert b"secret" not in picture
        assert b"Exif" not in picture
    status, answer, _ = ask(served.port, "POST", "/ask/picture", original, FROM_THE_PAGE)
    assert status == 200
    assert b"secret" not in answer


# Paths -------------------------------------------------------------------------------------------

HOSTILE = [
    "/../../etc/passwd",
    "/data/../../../../etc/passwd",
    "/data/%2e%2e/%2e%2e/etc/passwd",
    "/data/chart/0/small/../../../run.json",
    "/data/chart/0/small/%2Fetc%2Fpasswd",
    "/data/chart/0/small/0.jpg%00.png",
    "/data/chart/-1/small/0.jpg",
    "/data/chart/0/small/99999999.jpg",
    "/data/chart/99/positions.bin",
    "/data/chart/0/column/99.bin",
    "/data/chart/0/tile/99-0-0.bin",
    "/data/chart/0/small/0.jpg/..",
    "/data/chart/0/huge/0.jpg",
    "/data/chart/0/channel/7/0.jpg",
    "/data/run/0/figure/0.exe",
    "/data/run/99/findings.json",
    "/data/gene/999999.bin",
    "/data/" + "a" * 5000,
    "/data/chart/" + "9" * 300 + "/positions.bin",
    "/run.json",
    "/..%5c..%5cwindows",
    "//etc/passwd",
    "/static/app.js",
    "/data/chart/\u0660/positions.bin".encode().decode("latin-1"),
]


@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
def test_no_path_leads_out_of_what_was_read(served: Any, path: str) -> None:
    content = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n\r\n"
    answer = raw(served.port, content.encode("latin-1"))
    assert answer.split()[1] in (b"404", b"400")
    assert b"root:" not in answer


def test_the_run_folder_is_not_read_by_name(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = Path.read_bytes

    def watched(self: Path) -> bytes:
        opened.append(self)
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", watched)
    for row in (1, 2):
        assert ask(served.port, "GET", f"/data/chart/0/medium/{row}.jpg")[0] == 200
    dataset = served.tour.dataset.resolve()
    assert opened
    assert all(path.resolve().is_relative_to(dataset / "images") for path in opened)


# Headers, methods, bodies ------------------------------------------------------------------------


def test_every_answer_carries_the_policy(served: Any) -> None:
    for path in ("/", "/app.js", "/data/exhibit.json", "/nowhere", "/data/nowhere"):
        _, _, headers = ask(served.port, "GET", path)
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", ""])
def test_a_foreign_name_is_refused(served: Any, host: str) -> None:
    assert ask(served.port, "GET", "/", headers={"Host": host})[0] == 421


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_there_are_no_other_methods(served: Any, method: str) -> None:
    assert ask(served.port, method, "/")[0] == 405


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Kinlens": "1", "Origin": "https://evil.example"},
        {"X-Kinlens": "1", "Origin": "null"},
    ],
)
def test_questions_from_other_sites_are_refused(served: Any, headers: dict[str, str]) -> None:
    assert ask(served.port, "POST", "/ask/picture", b"x", headers)[0] == 403


def test_too_large_an_upload_is_refused_before_it_is_read(served: Any) -> None:
    headers = FROM_THE_PAGE | {"Content-Length": str(MOST_BYTES + 1)}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = raw(
        served.port,
        f"POST /ask/picture HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n{head}\r\n".encode(),
    )
    assert answer.split()[1] == b"413"


def test_an_upload_without_a_length_is_stopped_at_the_limit(served: Any) -> None:
    def pieces() -> Any:
        for _ in range(MOST_BYTES // 2**20 + 2):
            yield b"\0" * 2**20

    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.request(
            "POST", "/ask/picture", body=pieces(), headers=FROM_THE_PAGE, encode_chunked=True
        )
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # the server hung up while we were still sending
    finally:
        connection.close()
    assert status in (413, 400)


@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /ask/picture HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\0" * 1000,
    ],
)
def test_hostile_requests_do_not_stop_the_server(served: Any, content: bytes) -> None:
    answer = raw(served.port, content)
    assert answer == b"" or answer.split()[1][:1] == b"4"
    assert ask(served.port, "GET", "/data/exhibit.json")[0] == 200


def test_a_visitor_from_elsewhere_shows_a_token(run_server: Any, exhibit: Any) -> None:
    with run_server(exhibit, Answerers(), PictureDecoder(), token="s3cret") as port:
        assert ask(port, "GET", "/")[0] == 401
        assert ask(port, "GET", "/data/exhibit.json")[0] == 401
        assert ask(port, "GET", "/?token=wrong")[0] == 401
        assert ask(port, "GET", "/data/exhibit.json?token=s3cret")[0] == 401
        assert (
            ask(
                port,
                "GET",
                "/",
                headers={
                    "Cookie": "kinlens=\udcff".encode("utf-8", "surrogateescape").decode("latin-1")
                },
            )[0]
            == 401
        )
        status, _, headers = ask(port, "GET", "/?token=s3cret")
        assert status == 303
        assert "httponly" in headers["set-cookie"].lower()
        assert "samesite=strict" in headers["set-cookie"].lower()
        cookie = headers["set-cookie"].split(";")[0]
        assert ask(port, "GET", "/data/exhibit.json", headers={"Cookie": cookie})[0] == 200


def test_words_of_an_error_stay_on_this_machine(
    run_server: Any, exhibit: Any, tour: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(picture: Path) -> PictureAnswer:
        raise RuntimeError(f"cannot open {picture}")

    with run_server(exhibit, Answerers(picture=broken), PictureDecoder()) as port:
        picture = (tour.dataset / "images" / "Ino_a_1.jpg").read_bytes()
        status, body, _ = ask(port, "POST", "/ask/picture", picture, FROM_THE_PAGE)
        assert status == 500
        assert b"cannot open" not in body
        assert ask(port, "POST", "/ask/sequence", b"ACGT", FROM_THE_PAGE)[0] == 404
    assert "cannot open" in capsys.readouterr().err


def test_slow_visitors_do_not_keep_others_waiting(served: Any) -> None:
    slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)]
    try:
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        assert ask(served.port, "GET", "/data/exhibit.json")[0] == 200
        assert time.monotonic() - began < 2
    finally:
        for connection in slow:
            connection.close()
