"""All text to the user. Printing never fails, and file names in a text cannot control the terminal."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import TextIO

Progress = Callable[[int, int | None], None]  # called with steps done and total steps, None if unknown
ESCAPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's control, format, surrogate, unassigned, line breaks


def no_progress(done: int, total: int | None) -> None:
    """A `Progress` that shows nothing."""


def printable(text: str) -> str:
    """`text` with every invisible or control character as an escape such as \\x1b or \\n."""
    return "".join(
        char if unicodedata.category(char) not in ESCAPED else char.encode("unicode_escape").decode() for char in text
    )


def say(text: str, end: str = "\n") -> None:
    """Print the line `text` on standard error. Never raises; if the stream is closed or full, the text is lost."""
    _write(sys.stderr, text, end)


def tell(text: str, end: str = "\n") -> bool:
    """Print the line `text` on standard output. Never raises.

    Returns False if the text was lost, for example on a full disk; a reader that has gone does not count as a loss.
    """
    return _write(sys.stdout, text, end)


def flushed() -> bool:
    """Flush what others have printed on standard output; returns as `tell` does."""
    return sys.stdout is None or _write(sys.stdout, "", "")


def send(data: bytes | memoryview) -> bool:
    """Write `data`, such as a picture, on standard output; returns as `tell` does."""
    stream = sys.stdout
    if stream is None or stream.closed:
        return True
    return _deliver(stream, lambda: stream.buffer.write(data))


def _write(stream: TextIO | None, text: str, end: str) -> bool:
    if stream is None or stream.closed:
        return True
    encoding = stream.encoding or "utf-8"
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    return _deliver(stream, lambda: stream.write(shown + end))


def _deliver(stream: TextIO, write: Callable[[], object]) -> bool:
    try:
        write()
        stream.flush()
        return True
    except (OSError, ValueError) as error:
        _silence(stream)
        return isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EBADF)


def _silence(stream: TextIO) -> None:
    """Send further output of `stream` to the null device, or Python would fail when it flushes the stream at exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
