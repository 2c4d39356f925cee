"""A network in training: one step at a time, and the state from which a run continues."""

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

from multistyle.errors import MultistyleError
from multistyle.network import PHOTO
from multistyle.weights import PHOTO_STYLE, Model, Style

from .blends import draw_blends, draw_odds
from .checkpoint import RESTART, CheckpointError, as_lists, load_checkpoint
from .config import TrainConfig
from .data import PhotoSet, step_seed
from .evaluation import CROPS, centre_squares, evenly_spaced, painter_losses
from .losses.objective import Losses, Objective
from .losses.regularizers import draw_disturbance
from .losses.step_loss import StepLoss, precision_of
from .memory import explained_memory
from .parallel import Team
from .training_network import training_network

FREE_KEYS = {"steps", "accumulate", "checkpoint_minutes", "preview_steps"}  # a resumed run may change these
ALONE = Team()


class Trainer:
    """A network, its optimizer and the number of steps done; one `step` at a time.

    Everything random in step n depends only on the seed and n. So a resumed run equals one that was never stopped, and
    all processes of a team draw the same numbers and each takes its part of them.

    config: the recipe; styles: the painters; objective: with their paintings, in the same order; device: for all
    tensors; team: the processes of the run. Raises `MultistyleError` if the team cannot share the batch out evenly,
    `ConfigError` if the recipe favours an unknown painter.
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
        network = training_network(config.network(), 1 + len(styles))
        self.model = Model(network.to(device).to(memory_format=self.format), [PHOTO_STYLE, *styles])
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
        disturbance = draw_disturbance(draws, config.crop)
        photos = photos.to(self.device, memory_format=self.format)
        if torch.rand((), generator=draws) < config.repaint:
            photos = self.repaint(photos, blend)
        self.optimizer.param_groups[0]["lr"] = config.learning_rate * schedule(self.done, config)
        self.optimizer.zero_grad(set_to_none=True)
        part, means = len(photos) // config.accumulate, []
        for start in range(0, len(photos), part):
            last = start + part == len(photos)
            with nullcontext() if last else self.team.without_exchange(self.loss), explained_memory(config):
                rows = slice(start, start + part)
                total, losses = self.loss(photos[rows], blend[rows], self.rows.start + start, disturbance)
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
        with precision_of(self.config.precision, self.device):
            painted = self.model.network(half, blend)
        larger = F.interpolate(painted.float(), photos.shape[2:], mode="bicubic").clamp(0, 1)
        return larger.contiguous(memory_format=self.format)

    def state(self) -> dict[str, Any]:
        """What `resume` needs: the recipe, the step, the network and the optimizer."""
        return {
            "config": self._identity(),
            "step": self.done,
            "network": self.model.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def _identity(self) -> dict[str, Any]:
        return as_lists({**self.config.as_dict(), "styles": [style.name for style in self.model.catalogue]})

    def resume(self, file: Path) -> bool:
        """Continue from the state in `file`, if it exists; whether it does. Raises `CheckpointError`."""
        state = load_checkpoint(file, self._identity(), FREE_KEYS)
        if state is None:
            return False
        try:
            self.model.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self._check_moments()
            if state["step"] < 0:
                raise ValueError("a negative step")
            self.done = state["step"]
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"the state of a run in {file} does not fit its network; {RESTART}") from error
        return True

    def _check_moments(self) -> None:
        """Raise ValueError unless the optimizer's state has a tensor of each parameter's shape for its two moments."""
        for parameter, moments in self.optimizer.state.items():
            if any(moments[name].shape != parameter.shape for name in ("exp_avg", "exp_avg_sq")):
                raise ValueError("the optimizer's moments have other shapes than the parameters")

    @torch.no_grad()
    def start_from(self, model: Model) -> None:
        """Take over a model's convolutions, and its rows by name. A painter it lacks starts at the mean of its rows.

        Raises `MultistyleError` if its network has another shape.
        """
        ours, theirs = self.model.network, model.network
        if replace(theirs.config, upsampling=ours.config.upsampling) != ours.config:
            raise MultistyleError(f"cannot start from a network with {theirs.config}, not {ours.config}")
        rows = {style.name: row for style, row in zip(model.catalogue, theirs.table)}
        mean = theirs.table[PHOTO + 1 :].mean(0)
        table = torch.stack([rows.get(style.name, mean) for style in self.model.catalogue])
        ours.load_state_dict({**theirs.state_dict(), "table": table})

    def check_finite(self) -> None:
        """Raise `MultistyleError` if a parameter has become infinite or NaN."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.network.parameters()):
            raise MultistyleError(f"the network is no longer finite at step {self.done}; lower learning_rate")

    @torch.no_grad()
    def preview_sheet(self, photos: Tensor) -> Tensor:
        """A sheet (3, H, W) with a row for each of photos (N, 3, crop, crop): the photo itself, then every painter."""
        rows = []
        for photo in photos:
            corners = torch.eye(len(self.model.catalogue), device=self.device)
            painted = [self.model.network(photo[None].to(self.device), corner[None])[0] for corner in corners]
            rows.append(torch.cat(painted, dim=2))
        return torch.cat(rows, dim=1).cpu()

    def painter_losses(self, photos: PhotoSet) -> dict[str, Any]:
        """The content and style loss of each painter, by name, on the central squares of a few photos."""
        some = [photos[index] for index in evenly_spaced(len(photos), min(CROPS, len(photos)))]
        squares = centre_squares(some, self.config.crop).to(self.device, memory_format=self.format)
        return painter_losses(self.model.network, self.objective, squares, self.model.painters)


def schedule(step: int, config: TrainConfig) -> float:
    """The learning rate at `step`, relative to its highest: a linear warm-up, then half a cosine to 0, or 1."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - config.warmup) / max(1, config.steps - config.warmup)))
