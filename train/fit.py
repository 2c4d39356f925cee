"""Train a network: python -m train fit --styles DIR --photos DIR_OR_TAR -o FILE"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from multistyle.errors import MultistyleError
from multistyle.files import remove_stale
from multistyle.image import write_image
from multistyle.messages import say
from multistyle.weights import save_weights

from .checkpoint import save_checkpoint
from .data import Batches, Photos
from .losses.objective import Losses
from .progress import Progress
from .tensorboard import Board
from .trainer import Trainer

PREVIEW_PHOTOS = 3


class Record:
    """What a run leaves behind: lines, sheets of previews, weights and state, by the one process that leads."""

    def __init__(self, trainer: Trainer, photos: Photos, output: Path, facts: dict[str, Any], board: Board | None):
        self.trainer, self.output, self.facts, self.board = trainer, output, dict(facts), board
        self.examples = Batches(photos, PREVIEW_PHOTOS, trainer.config.crop, trainer.config.seed)[0]
        self.progress, self.saved = Progress(trainer.config, board), time.monotonic()
        remove_stale(output.parent)
        if board is not None:
            board.start(trainer.done)

    def add(self, losses: Losses) -> None:
        """Note a step. Raises `MultistyleError` when the loss or the network is no longer finite."""
        config, done = self.trainer.config, self.trainer.done
        self.progress.add(done, losses, self.trainer.optimizer.param_groups[0]["lr"])
        if done % config.preview_steps == 0 or done == config.steps:
            sheet = self.trainer.preview(self.examples)
            write_image(self.output.with_name(self.output.stem + ".preview.png"), sheet)
            if self.board is not None:
                self.board.picture(done, sheet)
        if time.monotonic() - self.saved > 60 * config.checkpoint_minutes:
            self.save()

    def save(self) -> None:
        """Write the weights, then the state: after a stop between the two, the older state makes the same weights."""
        self.progress.check()
        self.trainer.check_finite()
        model, config = self.trainer.model, self.trainer.config
        model.training = {**self.facts, "steps": self.trainer.done, "config": config.as_dict()}
        model.training |= self.progress.losses()
        save_weights(self.output, model)
        save_checkpoint(state_of(self.output), self.trainer.state())
        self.saved = time.monotonic()


def state_of(output: Path) -> Path:
    """The file that holds the state of the run that writes its weights to `output`."""
    return output.with_name(output.name + ".state")


def fit(
    trainer: Trainer,
    photos: Photos,
    output: Path,
    facts: dict[str, Any],
    workers: int = 0,
    board: Board | None = None,
) -> None:
    """Train until `config.steps`, writing the weights to `output` and, beside it, the run's state and previews.

    The state is OUTPUT.state; a run that finds one goes on from there. Ctrl-C or a termination signal ends the step
    under way, saves, and raises KeyboardInterrupt. facts: put into the weight file's header. workers: processes that
    decode photos, 0 for a thread of this one. Raises `MultistyleError` when the loss is no longer finite; what was
    saved last stays.
    """
    config, team = trainer.config, trainer.team
    with team.together():
        resumed = trainer.resume(state_of(output))
    steps = team.gather(trainer.done)
    with team.together():
        if len(set(steps)) > 1:
            raise MultistyleError(f"not all processes see {state_of(output)}; write to a folder that they share")
        record = Record(trainer, photos, output, facts, board) if team.leads else None
    if resumed and team.leads:
        say(f"going on from step {trainer.done} in {state_of(output)}")
    batches = Batches(photos, config.batch, config.crop, config.seed, trainer.rows)
    with stop_signals() as stopped:
        for batch in batches.from_step(trainer.done, workers):
            halt = team.any(bool(stopped))
            if trainer.done >= config.steps or halt:
                break
            losses = trainer.step(batch)
            if record:
                record.add(losses)
        if record:
            if trainer.done >= config.steps:
                record.facts["painters"] = trainer.painter_losses(photos)
            record.save()
    if halt:
        raise KeyboardInterrupt


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that fills when a signal asks to stop, so that no step is cut in two; a second one stops at once."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
