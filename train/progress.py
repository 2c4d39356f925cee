"""The line in which a long run reports its losses and speed, on standard error and to TensorBoard."""

from __future__ import annotations

import sys
import time

import torch
from torch import Tensor

from multistyle.errors import MultistyleError
from multistyle.messages import say

from .config import TrainConfig
from .losses.objective import Losses
from .tensorboard import TensorBoardLog

SECONDS = 5.0  # between two lines


class ProgressLine:
    """Step, mean losses since the last line, images per second, time left. On a terminal, each line replaces the last.

    config: the run's recipe; log: for the same numbers as curves.
    """

    def __init__(self, config: TrainConfig, log: TensorBoardLog | None = None) -> None:
        self.config, self.log = config, log
        self.means: dict[str, float] = {}
        self._restart(0)

    def _restart(self, done: int) -> None:
        self.done, self.since = done, time.monotonic()
        self._losses: list[Tensor] = []

    def add(self, done: int, losses: Losses, rate: float) -> None:
        """Count step `done`, taken at learning rate `rate`, and print a line if it is time. Raises as `check` does."""
        self.done = done
        self._losses.append(torch.stack(losses))  # not read yet: that would wait for the device
        elapsed = time.monotonic() - self.since
        if elapsed < SECONDS and done < self.config.steps:
            return
        self.check()
        means = self.means = dict(zip(Losses._fields, torch.stack(self._losses).mean(0).tolist()))
        speed = len(self._losses) * self.config.batch / elapsed
        left = (self.config.steps - done) * self.config.batch / speed
        line = (
            f"step {done}/{self.config.steps}  loss {means['total']:.3f}  content {means['content']:.3f}  "
            f"style {means['style']:.3f}  variation {means['variation']:.4f}  "
            f"{speed:.1f} images/s  {int(left // 60)}:{int(left % 60):02d} left"
        )
        say(line, end="\r" if sys.stderr.isatty() and done < self.config.steps else "\n")
        if self.log is not None:
            self.log.scalars(done, {**means, "learning_rate": rate, "images_per_second": speed})
        self._restart(done)

    def check(self) -> None:
        """Raise `MultistyleError`, naming the first step since the last line whose loss is not finite."""
        if not self._losses:
            return
        finite = torch.stack(self._losses).isfinite().all(1).tolist()
        if not all(finite):
            step = self.done - len(finite) + 1 + finite.index(False)
            raise MultistyleError(f"the loss is no longer finite at step {step}; lower learning_rate")

    def losses(self) -> dict[str, float]:
        """The mean content and style loss of the last line; empty before the first."""
        return {name: self.means[name] for name in ("content", "style") if name in self.means}
