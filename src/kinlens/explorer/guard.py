"""Who may talk to the explorer, and what a browser may do with its pages.

Every answer carries a strict content-security policy: the page loads nothing from elsewhere and
talks to nobody but this server. Requests under a foreign host name are refused, which stops pages
of other sites that point their own name at this machine.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["POLICY", "Guard"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The content-security policy of every answer."""

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_COOKIE = "kinlens"


class Guard:
    """Stands before an application.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    hosts : collection of str, optional
        Host names, with port, under which it may be asked for; any when left out.
    token : str, optional
        What a visitor has to show once, as ``?token=``; a cookie then stands for it.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str] | None = None, token: str | None = None
    ) -> None:
        self._app = app
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
                message["headers"] = headers.raw
            await send(message)

        refusal = self._refusal(scope)
        answer = self._app if refusal is None else refusal
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self._hosts is not None and host not in self._hosts:
            return PlainTextResponse("This explorer does not go by that name.", status_code=421)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("No such method.", status_code=405)
        if scope["method"] == "POST":
            origin = headers.get("origin")
            if headers.get("x-kinlens") != "1" or (
                origin is not None and origin.partition("://")[2].lower() != host
            ):
                return PlainTextResponse("Questions come from the page itself.", status_code=403)
        return self._checked_token(scope, headers)

    def _checked_token(self, scope: Scope, headers: Headers) -> Response | None:
        if self._token is None:
            return None
        if self._is_token(_cookie(headers.get("cookie", ""))):
            return None
        try:
            shown = parse_qs(scope.get("query_string", b"").decode("ascii")).get("token", [""])[0]
        except (UnicodeDecodeError, ValueError):
            shown = ""
        if scope["method"] == "GET" and scope["path"] == "/" and self._is_token(shown):
            welcome = RedirectResponse("/", status_code=303)
            welcome.set_cookie(_COOKIE, self._token, httponly=True, samesite="strict")
            return welcome
        return PlainTextResponse(
            "Open the address that kinlens printed when it started; it ends in a token.",
            status_code=401,
        )

    def _is_token(self, shown: str) -> bool:
        assert self._token is not None
        return secrets.compare_digest(shown.encode(), self._token.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(_COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
