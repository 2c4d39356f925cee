"""What a long run says of itself, on standard error."""

from __future__ import annotations

import math
import sys
import time

from multistyle.errors import MultistyleError

from .config import TrainConfig
from .objective import Losses

SECONDS = 5.0  # between two lines


class Progress:
    """One line: step, mean losses since the last line, images per second, time left. On a terminal, written over."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.means: Losses | None = None
        self._restart()

    def _restart(self) -> None:
        self.sums, self.count, self.since = [0.0] * len(Losses._fields), 0, time.monotonic()

    def add(self, done: int, losses: Losses) -> None:
        """Count step `done` in. Raises `MultistyleError` where the losses since the last line are not finite."""
        self.sums = [total + loss for total, loss in zip(self.sums, losses)]
        self.count += 1
        elapsed = time.monotonic() - self.since
        if elapsed < SECONDS and done < self.config.steps:
            return
        means = Losses(*(float(total) / self.count for total in self.sums))
        if not math.isfinite(means.total):
            raise MultistyleError(f"the loss is no longer finite at step {done}; lower learning_rate")
        self.means = means
        left = (self.config.steps - done) * elapsed / self.count
        line = (
            f"step {done}/{self.config.steps}  loss {means.total:.3f}  content {means.content:.3f}  "
            f"style {means.style:.3f}  variation {means.variation:.4f}  "
            f"{self.count * self.config.batch / elapsed:.1f} images/s  {int(left // 60)}:{int(left % 60):02d} left"
        )
        say(line, end="\r" if sys.stderr.isatty() and done < self.config.steps else "\n")
        self._restart()

    def losses(self) -> dict[str, float]:
        """The means on the last line, for the record; empty before the first."""
        return {} if self.means is None else {"content": self.means.content, "style": self.means.style}


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
