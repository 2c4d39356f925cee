"""Add a painter to a trained network by learning one row of its table.

Only the new row of scales and shifts is learnt (Dumoulin et al. 2017, section 3.4); the convolutions and the other rows
stay as they are. Two things are ours. The row starts at the mix of existing rows whose Grams come nearest to the new
ones: Grams of a blend are close to the blend of Grams, since the network was trained for that. And learning ends when
photos that were set apart show no more gain.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from multistyle.network import PHOTO, Norm, StyleNetwork, conditional_instance_norm

from .config import TrainConfig
from .data import Batches, read_painting, step_seed
from .evaluation import mean_losses
from .listing import DataError, pictures_in
from .losses.objective import Objective
from .losses.regularizers import draw_disturbance
from .losses.step_loss import StepLoss
from .losses.terms import Grams
from .memory import explained_memory

LEARNING_RATE = 0.05  # thirty times that of the convolutions
FALL = 4.0  # divides the learning rate from stage to stage
STAGES = 3  # learning rates tried
EVERY = 20  # steps between two evaluations
PATIENCE = 2  # evaluations without a gain that end a stage
GAIN = 0.01  # relative decrease of the loss that counts as a gain
STRENGTHS = 0.25  # share of the samples that are mixed with photo, which keeps the strength dial calibrated
SOLVE_PHOTOS, SOLVE_STEPS = 2, 500


@dataclass(frozen=True)
class Evaluation:
    """The losses of a row at full strength, on the photos set apart."""

    steps: int  # taken before
    seconds: float  # since the start
    content: float
    style: float
    total: float  # weighted sum


def painting_files(sources: Sequence[Path]) -> list[Path]:
    """The paintings of one painter: the files among `sources`, and the pictures in its folders. Raises `DataError`."""
    files = [file for source in sources for file in (pictures_in(source) if source.is_dir() else [source])]
    if not files:
        raise DataError(f"no pictures in {', '.join(map(str, sources))}; give paintings or a folder of them")
    return files


def read_artist(sources: Sequence[Path], size: int) -> list[Tensor]:
    """The paintings in files and folders, each at a longer side of `size` px. Raises `DataError`, `ImageError`."""
    return [read_painting(file, size) for file in painting_files(sources)]


def one_style(objective: Objective) -> Objective:
    """`objective` itself, now for a single style: the mean of the Grams of all its paintings."""
    objective.targets = {layer: target.mean(0, keepdim=True) for layer, target in objective.targets.items()}
    return objective


@torch.no_grad()
def nearest_mix(network: StyleNetwork, objective: Objective, photos: Tensor) -> Tensor:
    """The blend (S,), without photo, whose Grams should come nearest to the objective's one style.

    Takes the Grams of each painter alone, and solves the least squares of `style_loss` over their convex combinations,
    by Adam on the logits. photos: (N, 3, H, W).
    """
    corners = torch.eye(len(network.table), device=photos.device)[PHOTO + 1 :]
    each = [objective.grams(network(photos, corner.expand(len(photos), -1))) for corner in corners]
    vectors = torch.stack([_flattened({k: v.mean(0) for k, v in grams.items()}, objective.targets) for grams in each])
    goal = _flattened(objective.targets, objective.targets)
    square, product = ((vectors @ other).cpu().double() for other in (vectors.T, goal))  # MPS has no doubles
    with torch.enable_grad():
        logits = torch.zeros_like(product, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.1)
        for _ in range(SOLVE_STEPS):
            weights = logits.softmax(0)
            optimizer.zero_grad()
            (weights @ square @ weights - 2 * weights @ product).backward()
            optimizer.step()
    return torch.cat([torch.zeros(PHOTO + 1), logits.softmax(0).float()]).to(photos.device)


def _flattened(grams: Grams, targets: Grams) -> Tensor:
    """All Grams in one vector, each layer divided by its target's norm: squared distances are then style losses."""
    return torch.cat([grams[layer].flatten() / target.norm() for layer, target in targets.items()])


class RowTrainer:
    """A row of scales and shifts that is learnt for a frozen network, one `step` at a time.

    `best` is the best row evaluated so far, and `best_evaluation` its losses, infinite before the first evaluation.

    config: the network's recipe; network: it is frozen here; row: (2 N,), where to start; objective: of one style, the
    new one. All on one device.
    """

    def __init__(self, config: TrainConfig, network: StyleNetwork, row: Tensor, objective: Objective) -> None:
        self.config, self.network, self.objective = config, network.requires_grad_(False), objective
        self.row, self.best = nn.Parameter(row.detach().clone()), row.detach().clone()
        self.best_evaluation = Evaluation(0, 0.0, math.inf, math.inf, math.inf)
        self.loss = StepLoss(self.paint, objective, config)
        self.done = 0
        self.restart(LEARNING_RATE)

    def restart(self, learning_rate: float) -> None:
        """Continue from the best row at another learning rate."""
        self.row.data.copy_(self.best)
        self.optimizer = torch.optim.Adam([self.row], lr=learning_rate)

    def paint(self, photos: Tensor, blend: Tensor, norm: Norm = conditional_instance_norm) -> Tensor:
        """Photos (B, 3, H, W) in blends (B, 2) of photo and the new style."""
        table = torch.stack([self.network.table[PHOTO], self.row])
        return functional_call(self.network, {"table": table}, (photos, blend, norm))

    def step(self, photos: Tensor) -> None:
        """One step of the optimizer on photos (B, 3, crop, crop)."""
        draws = torch.Generator().manual_seed(step_seed(self.config.seed, self.done, 1))
        blend = draw_strengths(len(photos), draws).to(photos.device)
        self.optimizer.zero_grad()
        with explained_memory(self.config):
            total, _ = self.loss(photos, blend, 0, draw_disturbance(draws, photos.shape[2]))
            total.backward()
        nn.utils.clip_grad_norm_([self.row], self.config.clip)
        self.optimizer.step()
        self.done += 1

    def evaluate(self, photos: Tensor, seconds: float) -> Evaluation:
        """The mean losses of the current row at full strength; if they are the lowest so far, it becomes the best.

        photos: (N, 3, H, W); seconds: since the start, for the evaluation.
        """
        blend = torch.tensor([0.0, 1.0], device=photos.device)
        losses = mean_losses(self.paint, self.objective, photos, blend)
        found = Evaluation(self.done, seconds, losses.content.item(), losses.style.item(), losses.total.item())
        if found.total < self.best_evaluation.total:
            self.best, self.best_evaluation = self.row.detach().clone(), found
        return found


def learn(
    trainer: RowTrainer, batches: Batches, judges: Tensor, steps: int, stopped: Sequence[int] = ()
) -> Iterator[Evaluation]:
    """Learn the row, and yield an `Evaluation` of it now and then, the first before any step.

    After `PATIENCE` evaluations without a gain, learning continues from the best row at a lower rate; after `STAGES`
    rates it ends. A loss that is not a number counts as no gain.

    trainer: the row; batches: to learn from; judges: photos (N, 3, H, W) to evaluate on; steps: at most; stopped: ends
    before the next step once it is not empty.
    """
    mark, stale, stage, started = float("inf"), 0, 1, time.monotonic()
    for batch in batches.from_step(0):
        if trainer.done % EVERY == 0 or trainer.done == steps:
            found = trainer.evaluate(judges, time.monotonic() - started)
            gained = found.total < (1 - GAIN) * mark
            stale, mark = (0, found.total) if gained else (stale + 1, mark)
            yield found
            if trainer.done == steps or (stale >= PATIENCE and stage == STAGES):
                return
            if stale >= PATIENCE:
                stale, stage = 0, stage + 1
                trainer.restart(LEARNING_RATE / FALL ** (stage - 1))
        if stopped:
            return
        trainer.step(batch.to(judges.device, memory_format=torch.channels_last))


def draw_strengths(batch: int, draws: torch.Generator) -> Tensor:
    """Blends (batch, 2) of photo and one style: a share `STRENGTHS` of them at uniform strength, the others at 1."""
    shares = torch.rand(batch, generator=draws)
    photo = torch.where(torch.rand(batch, generator=draws) < STRENGTHS, shares, 0.0)
    return torch.stack([photo, 1 - photo], dim=1)
