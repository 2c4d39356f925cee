"""The one way in which text reaches a person: it cannot fail, and a name in a text cannot act on a terminal."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import TextIO

Progress = Callable[[int, int | None], None]  # called with steps done, and steps in all where that is known
ESCAPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's control, format, surrogate, unassigned, line breaks


def no_progress(done: int, total: int | None) -> None:
    """A `Progress` that shows nothing."""


def printable(text: str) -> str:
    """`text` with every character that does not show, or acts on a terminal, as an escape such as \\x1b or \\n."""
    return "".join(
        char if unicodedata.category(char) not in ESCAPED else char.encode("unicode_escape").decode() for char in text
    )


def say(text: str, end: str = "\n") -> None:
    """Print the line `text` on standard error. Never raises; a stream that is closed or full swallows it."""
    _write(sys.stderr, text, end)


def tell(text: str, end: str = "\n") -> bool:
    """Print the line `text` on standard output, and say whether it arrived, or was not wanted (the reader has gone).

    Never raises. False means that the text is lost, on a full disk for example.
    """
    return _write(sys.stdout, text, end)


def flushed() -> bool:
    """As `tell`, of what others have printed on standard output."""
    return sys.stdout is None or _write(sys.stdout, "", "")


def _write(stream: TextIO | None, text: str, end: str) -> bool:
    if stream is None or stream.closed:
        return True
    encoding = stream.encoding or "utf-8"
    shown = printable(text).encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(shown + end)
        stream.flush()
        return True
    except (OSError, ValueError) as error:
        _silence(stream)
        return isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EBADF)


def _silence(stream: TextIO) -> None:
    """Send all that is written to `stream` from now on nowhere, or Python would fail when it ends and flushes it."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
