"""The explorer as a web application: paths in, answers out; it thinks nothing itself."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Collection
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kinlens.errors import KinlensError
from kinlens.explorer.answers import labelled_picture, picture_answer, sequence_answer
from kinlens.explorer.asking import Answerers
from kinlens.explorer.exhibit import Exhibit
from kinlens.explorer.guard import Guard
from kinlens.explorer.pictures import PictureShelf
from kinlens.explorer.queries import Queries, to_json
from kinlens.explorer.sequences import sequence_file
from kinlens.explorer.uploads import MOST_BYTES, PictureDecoder, UploadError

__all__ = ["STATIC", "build_app", "static_files"]

STATIC = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Files of the page, and what kind each is."""

# Questions that may wait for the one that is being answered.
_MOST_WAITING = 4
_UPLOAD_SECONDS = 60


def static_files() -> dict[str, bytes]:
    """Return the files of the page by name, as they come with the package."""
    folder = resources.files("kinlens.explorer") / "static"
    return {name: (folder / name).read_bytes() for name in STATIC}


def build_app(
    exhibit: Exhibit,
    answerers: Answerers,
    decoder: PictureDecoder,
    *,
    hosts: Collection[str] | None = None,
    token: str | None = None,
) -> ASGIApp:
    """Build the application.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    answerers : Answerers
        Who answers questions.
    decoder : PictureDecoder
        Who decodes uploaded pictures.
    hosts, token
        As in `Guard`.
    """
    shelf = PictureShelf(exhibit)
    desk = _Desk(Queries(exhibit, shelf, answerers.offered()), answerers, decoder)
    routes = [
        Route("/data/{path:path}", desk.data, methods=["GET"]),
        Route("/ask/picture", desk.ask_picture, methods=["POST"]),
        Route("/ask/sequence", desk.ask_sequence, methods=["POST"]),
        Route("/ask/attention", desk.ask_attention, methods=["POST"]),
        Route("/", desk.page, methods=["GET"]),
        Route("/{name}", desk.page, methods=["GET"]),
    ]
    return Guard(Starlette(routes=routes), hosts=hosts, token=token)


class _Desk:
    """Where requests arrive."""

    def __init__(self, queries: Queries, answerers: Answerers, decoder: PictureDecoder) -> None:
        self._queries = queries
        self._answerers = answerers
        self._decoder = decoder
        self._files = static_files()
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self._files:
            return _error("There is nothing here.", 404)
        return Response(self._files[name], media_type=STATIC[name])

    async def data(self, request: Request) -> Response:
        payload = await run_in_threadpool(self._queries.answer, request.path_params["path"])
        if payload is None:
            return _error("There is nothing here.", 404)
        headers = {"Cache-Control": "private, max-age=3600"}
        if payload.media_type == "application/json":
            headers = {"Cache-Control": "no-cache"}
        return Response(payload.content, media_type=payload.media_type, headers=headers)

    async def ask_picture(self, request: Request) -> Response:
        return await self._answered(request, self._about_picture)

    async def ask_sequence(self, request: Request) -> Response:
        return await self._answered(request, self._about_sequence)

    async def ask_attention(self, request: Request) -> Response:
        return await self._answered(request, self._about_attention)

    async def _answered(self, request: Request, about: Any) -> Response:
        if self._waiting >= _MOST_WAITING:
            return _error("Too many questions at once; ask again in a moment.", 503)
        self._waiting += 1
        try:
            content = await asyncio.wait_for(_body(request), _UPLOAD_SECONDS)
            async with self._turn:
                answer = await run_in_threadpool(about, content)
            return Response(to_json(answer), media_type="application/json")
        except UploadError as error:
            return _error(str(error), error.status)
        except (ClientDisconnect, TimeoutError):
            return _error("The upload was cut off.", 400)
        except KinlensError as error:
            # Words about files of this machine stay on this machine.
            print(error, file=sys.stderr)  # noqa: T201 - to whoever started the server
            return _error("The run cannot answer this; the terminal says why.", 422)
        except Exception:
            traceback.print_exc()
            return _error("This is a bug in kinlens; the terminal says more.", 500)
        finally:
            self._waiting -= 1

    def _about_picture(self, content: bytes) -> dict[str, Any]:
        if self._answerers.picture is None:
            raise UploadError("This run does not answer for pictures.", status=404)
        with self._decoder.decoded(content) as file:
            answer = self._answerers.picture(file)
        return picture_answer(answer, self._queries.exhibit)

    def _about_sequence(self, content: bytes) -> dict[str, Any]:
        if self._answerers.sequence is None:
            raise UploadError("This run does not answer for sequences.", status=404)
        with sequence_file(content) as file:
            hits = self._answerers.sequence(file)
        return sequence_answer(hits, self._queries.exhibit)

    def _about_attention(self, content: bytes) -> dict[str, Any]:
        if self._answerers.attention is None:
            raise UploadError("No run here looks at labels.", status=404)
        image, label = labelled_picture(content, self._queries.exhibit)
        cells = self._answerers.attention(image, label)
        return {"label": label, "cells": cells.tolist()}


async def _body(request: Request) -> bytes:
    """Read a body that stays below the limit, whatever its header says."""
    announced = request.headers.get("content-length", "")
    too_large = UploadError(f"An upload may have {MOST_BYTES // 2**20} MB at the most.", status=413)
    if announced.isdigit() and int(announced) > MOST_BYTES:
        raise too_large
    parts = bytearray()
    async for part in request.stream():
        if len(parts) + len(part) > MOST_BYTES:
            raise too_large
        parts += part
    return bytes(parts)


def _error(message: str, status: int) -> Response:
    return Response(to_json({"error": message}), status_code=status, media_type="application/json")
