"""What every request and every answer of the server passes: who may ask, and what the browser is allowed to do."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "style-src 'self'; img-src 'self' blob: data:; media-src blob:; connect-src 'self' blob:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests that a foreign page could have made, and adds `HEADERS` to every answer.

    A page of another site can make a browser send requests to this server, under this server's name (a POST with a
    foreign Origin) or under its own (DNS rebinding, a foreign Host).

    host: the address the server listens on.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app, self.host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from starlette.responses import JSONResponse

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in extra if pair[0] not in given)]
            await send(message)

        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self.refusal(scope["method"], headers)
        answer = self.app if refusal is None else JSONResponse({"error": refusal}, 403)
        await answer(scope, receive, send_with_headers)

    def refusal(self, method: str, headers: dict[bytes, str]) -> str | None:
        """Why a request with these headers is refused; None if it is not."""
        host = headers.get(b"host", "")
        if not is_allowed(host, self.host):
            return f"this server answers at {self.host}, not as {host!r}"
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site", "none")
        foreign = origin is not None and origin.partition("://")[2] != host
        if method not in ("GET", "HEAD") and (foreign or site in ("cross-site", "same-site")):
            return "pages of other sites may not use this server"
        return None


def is_allowed(host: str, listening: str) -> bool:
    """Whether a request with this Host header is for a server that listens on `listening`.

    Names other than the one it was started with are refused, since anybody can make a name point here. A server for
    all addresses (0.0.0.0 or ::) answers to every address.
    """
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() in (*LOOPBACK, listening.lower()):
        return True
    return listening in ("0.0.0.0", "::") and is_address(name)


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
