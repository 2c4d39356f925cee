"""Curves and previews of a run for TensorBoard, on request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from multistyle.errors import MultistyleError


class TensorBoardLog:
    """Numbers and pictures by step, as event files in `folder`.

    Raises `MultistyleError` if TensorBoard is not installed, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # optional, and slow to import
        except ImportError as error:
            raise MultistyleError("--log-dir needs TensorBoard: pip install tensorboard") from error
        if folder.exists() and not folder.is_dir():
            raise MultistyleError(f"cannot log to {folder}: it is not a folder")
        self.folder, self._open = folder, SummaryWriter

    def start(self, done: int) -> None:
        """Begin after step `done`; what an earlier run logged for later steps no longer counts."""
        with self._failing():
            self.writer = self._open(str(self.folder), purge_step=done + 1)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Add one point to the curve of each of `values`, by name."""
        with self._failing():
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)
            self.writer.flush()

    def picture(self, step: int, sheet: Tensor) -> None:
        """Add a sheet of previews, (3, H, W) in [0, 1]."""
        with self._failing():
            self.writer.add_image("previews", sheet, step)
            self.writer.flush()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MultistyleError(f"cannot log to {self.folder}: {error.strerror or error}") from error
