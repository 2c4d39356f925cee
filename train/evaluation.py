"""How far painters are from their paintings, on photos set apart: the losses that add-style compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Subset

from multistyle.image import resize_image

from .data import DataError, Photos
from .losses.objective import Losses, Objective

CROPS = 8  # enough to tell painters apart: their losses differ far more than photos do

Paint = Callable[[Tensor, Tensor], Tensor]  # photos (B, 3, H, W), blend (B, S) -> paintings (B, 3, H, W)


def set_apart(photos: Photos, side: int) -> tuple[Subset, Tensor]:
    """The photos to learn from, and central squares (N, 3, side, side) of up to `CROPS` others to judge by.

    Those are evenly spaced and at most half of all. Raises `DataError` for fewer than two photos.
    """
    if len(photos) < 2:
        raise DataError("1 photo is not enough: give some to learn from and some to judge by")
    judges = evenly_spaced(len(photos), min(CROPS, len(photos) // 2))
    others = [index for index in range(len(photos)) if index not in set(judges)]
    return Subset(photos, others), centre_squares([photos[index] for index in judges], side)


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` of the indices below `total`, from the first on."""
    return [index * total // count for index in range(count)]


def centre_squares(photos: Sequence[Tensor], side: int) -> Tensor:
    """The middles of photos (3, H, W) of bytes, reduced as far as that leaves a square: (N, 3, side, side) in [0, 1].

    A photo smaller than that is enlarged.
    """
    return torch.stack([_centre_square(photo.float() / 255, side) for photo in photos])


def _centre_square(photo: Tensor, side: int) -> Tensor:
    shorter, longer = sorted(photo.shape[1:])
    photo = resize_image(photo, max(side, round(longer * side / shorter)))
    if min(photo.shape[1:]) < side:  # by rounding
        photo = F.interpolate(photo[None], [max(side, edge) for edge in photo.shape[1:]], mode="bilinear")[0]
    top, left = ((edge - side) // 2 for edge in photo.shape[1:])
    return photo[:, top : top + side, left : left + side]


@torch.no_grad()
def mean_losses(paint: Paint, objective: Objective, photos: Tensor, blend: Tensor) -> Losses:
    """The mean losses of photos (N, 3, H, W) painted in one blend (S,), a batch of the recipe at a time."""
    found = []
    for some in photos.split(objective.config.batch):
        blends = blend.expand(len(some), -1)
        found.append(objective(paint(some, blends), some, blends))
    return Losses(*(torch.cat(parts).mean() for parts in zip(*found)))


def painter_losses(paint: Paint, objective: Objective, photos: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """The content and style loss of each painter of `names`, the objective's styles in order, over the photos."""
    corners = torch.eye(1 + len(names), device=photos.device)[1:]
    each = {name: mean_losses(paint, objective, photos, corner) for name, corner in zip(names, corners)}
    return {name: {"content": losses.content.item(), "style": losses.style.item()} for name, losses in each.items()}
