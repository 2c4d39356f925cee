"""Train a network: python -m train fit --styles DIR --photos DIR_OR_TAR -o FILE"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from multistyle.errors import MultistyleError
from multistyle.image import write_image
from multistyle.network import PHOTO, StyleNetwork
from multistyle.weights import PHOTO_STYLE, Model, Style, save_weights

from .checkpoint import load_checkpoint, save_checkpoint
from .config import TrainConfig
from .data import Batches, Photos, step_seed
from .evaluation import CROPS, centre_squares, evenly_spaced, painter_losses
from .objective import Losses, Objective, draw_blends
from .progress import Progress, say
from .regularizers import SpikeMeter, shift_loss

FREE_KEYS = {"steps", "checkpoint_minutes", "preview_steps"}  # a run may be continued with others of these
PREVIEW_PHOTOS = 3


class Trainer:
    """A network, its optimizer and how far they are; one `step` at a time.

    Everything random in step n comes from the seed and n, so a continued run is the run that was never stopped.
    """

    def __init__(self, config: TrainConfig, styles: Sequence[Style], objective: Objective, device: torch.device):
        torch.manual_seed(config.seed)
        self.config, self.objective, self.device = config, objective, device
        self.format = torch.channels_last if config.channels_last else torch.contiguous_format
        network = StyleNetwork(config.network(), 1 + len(styles))
        self.model = Model(network.to(device, memory_format=self.format), [PHOTO_STYLE, *styles])
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        self.done = 0

    def step(self, photos: Tensor) -> Losses:
        """One step of the optimizer on photos (B, 3, crop, crop). Returns the means of the losses, detached."""
        draws = torch.Generator().manual_seed(step_seed(self.config.seed, self.done, 1))
        blend = draw_blends(len(photos), len(self.model.catalogue), draws).to(self.device)
        photos = photos.to(self.device, memory_format=self.format)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * schedule(self.done, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        network, meter = self.model.network, SpikeMeter(self.config.crop)
        painted = network(photos, blend, meter)
        losses = Losses(*(loss.mean() for loss in self.objective(painted, photos, blend)))
        half = (len(photos) + 1) // 2  # of the batch is enough for it, and it costs a second pass
        drift = shift_loss(network, photos[:half], blend[:half], painted[:half], draws)
        (losses.total + self.config.spike_weight * meter.penalty + self.config.shift_weight * drift).backward()
        nn.utils.clip_grad_norm_(self.model.network.parameters(), self.config.clip)
        self.optimizer.step()
        self.done += 1
        return Losses(*(loss.detach() for loss in losses))

    def state(self) -> dict[str, Any]:
        return {
            "config": self._identity(),
            "step": self.done,
            "network": self.model.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def _identity(self) -> dict[str, Any]:
        values = {**self.config.as_dict(), "styles": [style.name for style in self.model.catalogue]}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def resume(self, file: Path) -> bool:
        """Continue from the state in `file` where there is one. Raises `CheckpointError`."""
        state = load_checkpoint(file, self._identity(), FREE_KEYS)
        if state is None:
            return False
        self.model.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["step"]
        return True

    @torch.no_grad()
    def start_from(self, model: Model) -> None:
        """Take over a model's convolutions, and its rows by their names; a painter new to it starts at their mean.

        Raises `MultistyleError` where its network has another shape.
        """
        ours, theirs = self.model.network, model.network
        if replace(theirs.config, upsampling=ours.config.upsampling) != ours.config:
            raise MultistyleError(f"cannot start from a network with {theirs.config}, not {ours.config}")
        rows = {style.name: row for style, row in zip(model.catalogue, theirs.table)}
        mean = theirs.table[PHOTO + 1 :].mean(0)
        table = torch.stack([rows.get(style.name, mean) for style in self.model.catalogue])
        ours.load_state_dict({**theirs.state_dict(), "table": table})

    def check_finite(self) -> None:
        """Raise `MultistyleError` where a parameter has become infinite or no number."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.network.parameters()):
            raise MultistyleError(f"the network is no longer finite at step {self.done}; lower learning_rate")

    @torch.no_grad()
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """A sheet (3, H, W): a row for each photo (3, crop, crop), the photo and then every painter."""
        rows = []
        for photo in photos:
            corners = torch.eye(len(self.model.catalogue), device=self.device)
            painted = [self.model.network(photo[None].to(self.device), corner[None])[0] for corner in corners]
            rows.append(torch.cat(painted, dim=2))
        return torch.cat(rows, dim=1).cpu()

    def painter_losses(self, photos: Photos) -> dict[str, Any]:
        """The content and style loss of each painter, by name, on the middles of a few of the photos."""
        some = [photos[index] for index in evenly_spaced(len(photos), min(CROPS, len(photos)))]
        squares = centre_squares(some, self.config.crop).to(self.device, memory_format=self.format)
        names = [style.name for style in self.model.catalogue[PHOTO + 1 :]]
        return painter_losses(self.model.network, self.objective, squares, names)


def schedule(step: int, config: TrainConfig) -> float:
    """The share of the peak learning rate at `step`: linear warm-up, then half a cosine down to 0."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - config.warmup) / max(1, config.steps - config.warmup)))


def fit(trainer: Trainer, photos: Photos, output: Path, facts: dict[str, Any]) -> None:
    """Train until `config.steps`, writing the weights to `output` and, beside it, the run's state and previews.

    The state is OUTPUT.state; a run that finds one goes on from there. Ctrl-C or a termination signal ends the step
    under way, saves, and raises KeyboardInterrupt. facts: put into the weight file's header. Raises
    `MultistyleError` when the loss is no longer finite; what was saved last stays.
    """
    config, state_file = trainer.config, output.with_name(output.name + ".state")
    if trainer.resume(state_file):
        say(f"going on from step {trainer.done} in {state_file}")
    examples = Batches(photos, PREVIEW_PHOTOS, config.crop, config.seed)[0]
    progress, saved = Progress(config), time.monotonic()

    def save() -> None:
        trainer.check_finite()
        trainer.model.training = {**facts, "steps": trainer.done, "config": config.as_dict(), **progress.losses()}
        save_weights(output, trainer.model)
        save_checkpoint(state_file, trainer.state())

    with stop_signals() as stopped:
        for batch in Batches(photos, config.batch, config.crop, config.seed).from_step(trainer.done):
            if trainer.done >= config.steps or stopped:
                break
            progress.add(trainer.done + 1, trainer.step(batch))
            if trainer.done % config.preview_steps == 0 or trainer.done == config.steps:
                write_image(output.with_name(output.stem + ".preview.png"), trainer.preview(examples))
            if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                save()
                saved = time.monotonic()
        if trainer.done >= config.steps:
            facts = {**facts, "painters": trainer.painter_losses(photos)}
        save()
    if stopped:
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
