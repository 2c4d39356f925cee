"""What a user can get wrong. Every error here is one line that says what was wrong and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHOWN = 300  # characters of a text from elsewhere


class MultistyleError(Exception):
    """Base of all errors this package raises on purpose; its text is one line for a person."""


class ImageError(MultistyleError):
    """A picture that cannot be read, written or understood."""


class BlendError(MultistyleError):
    """A blend that names an unknown style, or has weights that are not finite and non-negative."""


class WeightsError(MultistyleError):
    """A weight file or style file that is missing, damaged, or of another kind or format version."""


class DeviceError(MultistyleError):
    """A device or a precision that this machine does not have."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of an error line about an unknown `word`: the most similar known words, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(known)}"


def first_line(error: Exception) -> str:
    """The first line of what `error` says, or its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:SHOWN]


def one_line(error: Exception) -> str:
    """All that `error` says, in one line."""
    return " ".join(str(error).split())[:SHOWN]


def as_line(error: Exception, doing: str) -> str:
    """One line for `error`: its text if it is a `MultistyleError`, otherwise `doing` ("cannot ...") and its type."""
    if isinstance(error, MultistyleError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{doing}: not enough memory"
    text = str(error).strip().partition("\n")[0]
    return f"{doing}: {type(error).__name__}{': ' if text else ''}{text}"
