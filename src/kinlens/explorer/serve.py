"""The explorer on a port of this machine: bound, announced, and stopped with Ctrl-C."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

from kinlens.errors import UsageError
from kinlens.explorer.app import build_app
from kinlens.explorer.asking import Answerers
from kinlens.explorer.exhibit import Exhibit
from kinlens.explorer.uploads import PictureDecoder

__all__ = ["allowed_hosts", "is_loopback", "listen", "serve", "serve_exhibit"]

# When the port wanted is taken, the next ones are tried.
_TRIED = 20


def serve_exhibit(
    exhibit: Exhibit,
    answerers: Answerers,
    *,
    host: str,
    port: int,
    announce: Callable[[str], object],
    open_page: Callable[[str], object] | None = None,
) -> None:
    """Serve an exhibit until stopped.

    Parameters
    ----------
    exhibit : Exhibit
        What is shown.
    answerers : Answerers
        Who answers questions.
    host : str
        Where to listen. Whoever comes from elsewhere than this machine has to show a token, which
        is part of the address announced.
    port : int
        The port wanted.
    announce : callable
        Told the address.
    open_page : callable, optional
        Called with the address when the server answers.
    """
    with listen(host, port) as opened:
        taken = int(opened.getsockname()[1])
        is_local = is_loopback(host)
        token = None if is_local else secrets.token_urlsafe(24)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{taken}/" + ("" if token is None else f"?token={token}")
        decoder = PictureDecoder()
        app = build_app(
            exhibit,
            answerers,
            decoder,
            hosts=allowed_hosts(taken) if is_local else None,
            token=token,
        )
        decoder.start()
        threading.Thread(target=exhibit.get_ready, daemon=True).start()
        announce(address)
        try:
            if open_page is not None:
                # The socket listens already: the browser may come before the server is ready.
                threading.Thread(target=open_page, args=(address,), daemon=True).start()
            serve(app, opened)
        finally:
            decoder.close()


def listen(host: str, port: int) -> socket.socket:
    """Open a socket on `host`, at `port` or the next one that is free.

    Parameters
    ----------
    host : str
        Address or name of this machine.
    port : int
        0 for any.

    Raises
    ------
    UsageError
        When none of them can be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for wanted in range(port, port + (_TRIED if port else 1)):
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, wanted))
            # Listening already: whoever is told the address now is not turned away.
            opened.listen(128)
        except (OSError, OverflowError) as error:
            opened.close()
            reason = getattr(error, "strerror", None) or str(error)
            continue
        return opened
    raise UsageError(
        f"{host}:{port}: cannot listen there ({reason}). Choose another --port, or a --host that "
        "is an address of this machine."
    )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine itself can reach `host`.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_hosts(port: int) -> frozenset[str]:
    """Return the host names under which a browser on this machine asks for a loopback port."""
    names = ("127.0.0.1", "localhost", "[::1]")
    return frozenset(f"{name}:{port}" for name in names)


def serve(
    app: ASGIApp,
    opened: socket.socket,
    *,
    on_server: Callable[[uvicorn.Server], None] | None = None,
) -> None:
    """Serve until stopped.

    Parameters
    ----------
    app : ASGI application
        From `build_app`.
    opened : socket.socket
        From `listen`.
    on_server : callable, optional
        Given the server before it starts; setting its ``should_exit`` stops it.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        loop="asyncio",
        http="h11",
        ws="none",
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16 * 1024,
    )
    server = uvicorn.Server(config)
    if on_server is not None:
        on_server(server)
    server.run(sockets=[opened])
