"""A network in training: one step at a time, and the state from which a run goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multistyle.errors import MultistyleError, suggestion
from multistyle.network import PHOTO, StyleNetwork
from multistyle.weights import PHOTO_STYLE, Model, Style

from .checkpoint import as_lists, load_checkpoint
from .config import ConfigError, TrainConfig
from .data import Photos, step_seed
from .evaluation import CROPS, centre_squares, evenly_spaced, painter_losses
from .losses.objective import Losses, Objective, draw_blends
from .losses.regularizers import draw_offset
from .losses.step_loss import StepLoss
from .parallel import Team

FREE_KEYS = {"steps", "accumulate", "checkpoint_minutes", "preview_steps"}  # a run may be continued with others
ALONE = Team()


class Trainer:
    """A network, its optimizer and how far they are; one `step` at a time.

    Everything random in step n comes from the seed and n, so a continued run is the run that was never stopped, and a
    team of processes draws the same and takes each its part. Raises `MultistyleError` where the batch has no such
    parts.
    """

    def __init__(
        self,
        config: TrainConfig,
        styles: Sequence[Style],
        objective: Objective,
        device: torch.device,
        team: Team = ALONE,
    ) -> None:
        self.odds = draw_odds(styles, config.favoured)
        torch.manual_seed(config.seed)
        self.config, self.objective, self.device, self.team = config, objective, device, team
        self.rows = team.rows(config.batch, config.accumulate)
        self.format = torch.channels_last if config.channels_last else torch.contiguous_format
        network = StyleNetwork(config.network(), 1 + len(styles))
        self.model = Model(network.to(device, memory_format=self.format), [PHOTO_STYLE, *styles])
        self.loss = team.wrap(StepLoss(network, objective, config))
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        self.done = 0

    def step(self, photos: Tensor) -> Losses:
        """One step of the optimizer on this process's rows of a batch, photos (B, 3, crop, crop).

        Returns the means of the losses over the whole batch, detached.
        """
        config = self.config
        draws = torch.Generator().manual_seed(step_seed(config.seed, self.done, 1))
        blend = draw_blends(config.batch, len(self.odds), draws, config.blends, self.odds)[self.rows].to(self.device)
        offset = draw_offset(draws)
        photos = photos.to(self.device, memory_format=self.format)
        if torch.rand((), generator=draws) < config.repaint:
            photos = self.repaint(photos, blend)
        self.optimizer.param_groups[0]["lr"] = config.learning_rate * schedule(self.done, config)
        self.optimizer.zero_grad(set_to_none=True)
        part, means = len(photos) // config.accumulate, []
        for start in range(0, len(photos), part):
            last = start + part == len(photos)
            with nullcontext() if last or self.team.size == 1 else self.loss.no_sync():  # one exchange of gradients
                rows = slice(start, start + part)
                total, losses = self.loss(photos[rows], blend[rows], self.rows.start + start, offset)
                (total / config.accumulate).backward()
            means.append(torch.stack(losses))
        nn.utils.clip_grad_norm_(self.model.network.parameters(), config.clip)
        self.optimizer.step()
        self.done += 1
        return Losses(*self.team.mean(torch.stack(means).mean(0)))

    @torch.no_grad()
    def repaint(self, photos: Tensor, blend: Tensor) -> Tensor:
        """Photos (B, 3, crop, crop), painted at half their size in blend (B, S) and enlarged again."""
        half = F.interpolate(photos, scale_factor=0.5, mode="bilinear", antialias=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            painted = self.model.network(half, blend)
        larger = F.interpolate(painted.float(), photos.shape[2:], mode="bicubic").clamp(0, 1)
        return larger.contiguous(memory_format=self.format)

    def state(self) -> dict[str, Any]:
        return {
            "config": self._identity(),
            "step": self.done,
            "network": self.model.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def _identity(self) -> dict[str, Any]:
        return as_lists({**self.config.as_dict(), "styles": [style.name for style in self.model.catalogue]})

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


def draw_odds(styles: Sequence[Style], favoured: Sequence[str]) -> Tensor:
    """How often each row of the table, photo first, is drawn: 1 for each, 2 for the `favoured` painters.

    Raises `ConfigError` for a favoured painter that is not one of `styles`.
    """
    names = [style.name for style in styles]
    for name in favoured:
        if name not in names:
            raise ConfigError(f"favoured names {name!r}, which is not among the painters; {suggestion(name, names)}")
    return torch.tensor([1.0, *(1.0 + (name in favoured) for name in names)])


def schedule(step: int, config: TrainConfig) -> float:
    """The share of the peak learning rate at `step`: linear warm-up, then half a cosine down to 0, or 1 for good."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - config.warmup) / max(1, config.steps - config.warmup)))
