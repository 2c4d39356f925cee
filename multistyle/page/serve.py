"""Run the server of the page until it is stopped."""

from __future__ import annotations

import errno
import socket
import webbrowser
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import MultistyleError, first_line
from ..messages import say, tell
from .security import LOOPBACK

if TYPE_CHECKING:
    from starlette.applications import Starlette

PACKAGES = ("starlette", "uvicorn", "python_multipart")
LAST = 2  # s, that requests have to end after the server was stopped


def check_packages() -> None:
    """Raise `MultistyleError` if the extra `page` is not installed."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MultistyleError(f"the page needs {package}: pip install 'multistyle[page]'")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`; port 0 takes any free one. Raises `MultistyleError`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        foreign = isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL
        other = "--host" if foreign or isinstance(error, (socket.gaierror, UnicodeError)) else "--port"
        raise MultistyleError(f"cannot listen on {host}, port {port} ({reason}); choose another {other}") from error


def serve(app: Starlette, listening: socket.socket, host: str, show: bool) -> None:
    """Serve `app` until Ctrl-C, which raises KeyboardInterrupt.

    listening: from `listen`.
    host: the address, as it was asked for.
    show: open the page in the browser.
    """
    import uvicorn

    port = listening.getsockname()[1]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    url = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
    if host not in LOOPBACK:
        say(f"warning: everybody who can reach {host} can use this server")
    tell(f"{url}  Ctrl-C stops the server")
    if show:
        webbrowser.open(url)
    config = uvicorn.Config(
        app, log_level="error", lifespan="on", access_log=False, server_header=False, timeout_graceful_shutdown=LAST
    )
    uvicorn.Server(config).run(sockets=[listening])
