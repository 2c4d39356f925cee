"""TensorBoard: curves and previews of a run, for who asks for them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from multistyle.errors import MultistyleError


class Board:
    """Scalars and pictures by step in `folder`, for TensorBoard. Raises `MultistyleError` where that is missing."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # optional, and slow to import
        except ImportError as error:
            raise MultistyleError("--log-dir needs TensorBoard: pip install tensorboard") from error
        self.folder, self._open = folder, SummaryWriter

    def start(self, done: int) -> None:
        """Begin at step `done`; what an earlier run logged after it no longer counts."""
        try:
            self.writer = self._open(str(self.folder), purge_step=done + 1)
        except OSError as error:
            raise MultistyleError(f"cannot log to {self.folder}: {error.strerror or error}") from error

    def scalars(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def picture(self, step: int, sheet: Tensor) -> None:
        """sheet: (3, H, W) in [0, 1]."""
        self.writer.add_image("previews", sheet, step)
        self.writer.flush()
