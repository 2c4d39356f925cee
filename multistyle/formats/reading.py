"""Open a picture file for reading; every error while reading becomes an `ImageError` with the file's name."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..errors import ImageError, one_line
from ..files import check_input


@contextmanager
def opened(source: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """`source` as a seekable file; any error while reading becomes an `ImageError` with its name."""
    if isinstance(source, (str, Path)):
        check_input(source, ImageError)
        name = str(source)
    else:
        name = str(getattr(source, "name", "the picture"))
    with _failures_named(name), ExitStack() as opened:
        file: BinaryIO
        if isinstance(source, (str, Path)):
            file = opened.enter_context(Path(source).open("rb"))
        else:
            file = source if source.seekable() else io.BytesIO(source.read())
        if not file.seek(0, io.SEEK_END):
            raise ImageError("is empty")
        yield file


@contextmanager
def _failures_named(name: str) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{name} {one_line(error)}") from error
    except Image.DecompressionBombError as error:  # from WebP and tiles of TIFF; other formats have no such limit
        raise ImageError(f"{name} has more pixels than Pillow opens in this format ({one_line(error)})") from error
    except Exception as error:  # decoders raise almost anything for broken bytes
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocat" in str(error)):
            raise ImageError(f"{name} does not fit in the memory that is free; --size reads it smaller") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(f"cannot read {name}: {error.strerror or error}") from error
        raise ImageError(f"{name} is damaged and cannot be read ({one_line(error)})") from error
