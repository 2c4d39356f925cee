"""The loss of one training step, as one module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..config import TrainConfig
from ..normalization import instance_norm
from .objective import Losses, Objective
from .regularizers import Disturbance, SpikeMeter, hatch_loss, shift_loss, weave_loss


def precision_of(name: str, device: torch.device) -> torch.autocast:
    """The context in which convolutions on `device` run in the precision `name`, "float32" or "bfloat16"."""
    return torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16")


class StepLoss(nn.Module):
    """The objective and the regularizers of a network's paintings.

    A module, so that DistributedDataParallel sees one forward and one backward pass although the network runs twice.

    network: from photos, a blend and a normalization to paintings; objective: with the paintings; config: the recipe.
    """

    def __init__(self, network: Callable[..., Tensor], objective: Objective, config: TrainConfig) -> None:
        super().__init__()
        self.network, self.objective, self.config = network, objective, config

    def forward(self, photos: Tensor, blend: Tensor, first: int, disturbance: Disturbance) -> tuple[Tensor, Losses]:
        """The number to minimize, and the means of the losses, detached.

        Averaged over equal parts of a batch, both are those of the batch.

        photos: (B, 3, crop, crop) in [0, 1]; blend: (B, S); first: index of photos[0] in the step's batch;
        disturbance: for `shift_loss`, the same for the whole step.
        """
        config = self.config
        meter = SpikeMeter(config.crop)
        with precision_of(config.precision, photos.device):
            painted = self.network(photos, blend, meter if config.spike_weight else instance_norm)
        with precision_of(config.loss_precision, photos.device):
            losses = Losses(*(loss.mean() for loss in self.objective(painted, photos, blend)))
        total = losses.total + config.spike_weight * meter.penalty
        if config.weave_weight:
            total = total + config.weave_weight * weave_loss(painted.float())
        if config.hatch_weight:
            total = total + config.hatch_weight * hatch_loss(painted.float())
        rows = slice(first % 2, None, 2)  # every second row is enough; each costs a second pass
        if config.shift_weight and len(photos[rows]):
            with precision_of(config.precision, photos.device):
                network = partial(self.network, norm=instance_norm)
                drift = shift_loss(network, photos[rows], blend[rows], painted[rows], disturbance)
            part = len(photos[rows]) / len(photos) * config.batch / ((config.batch + 1) // 2)  # 1 in an even part
            total = total + config.shift_weight * part * drift
        return total, Losses(*(loss.detach() for loss in losses))
