"""A step of training that runs out of memory ends with one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from multistyle.device import is_out_of_memory
from multistyle.errors import MultistyleError

from .config import TrainConfig


@contextmanager
def explained_memory(config: TrainConfig) -> Iterator[None]:
    """Raise `MultistyleError` where memory runs out. config: the recipe, whose sizes the line names."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MultistyleError(
            f"a step does not fit in memory with batch = {config.batch} and crop = {config.crop}; lower them, or raise "
            f"accumulate ({config.accumulate})"
        ) from error
