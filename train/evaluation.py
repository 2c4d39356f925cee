"""The losses of each painter on photos that were set apart, as add-style and the header of a weight file give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from multistyle.image import resize_image
from multistyle.pixels import as_float

from .data import Photos, next_readable
from .listing import DataError
from .losses.objective import Losses, Objective

CROPS = 8  # enough to tell painters apart: losses differ far more between painters than between photos

Paint = Callable[[Tensor, Tensor], Tensor]  # photos (B, 3, H, W), blend (B, S) -> paintings (B, 3, H, W)


class Selection:
    """Some of a set of photos, by their indices in it."""

    def __init__(self, photos: Photos, indices: Sequence[int]) -> None:
        self.photos, self.indices = photos, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Tensor:
        """Photo `index` of the selection as bytes, (3, H, W); in place of a broken one, the next that can be read."""
        return next_readable(self.photos, self.indices, index)[1]


def set_apart(photos: Photos, side: int) -> tuple[Selection, Tensor]:
    """The photos to learn from, and central squares (N, 3, side, side) of up to `CROPS` others to evaluate on.

    The latter are evenly spaced and at most half of all. Raises `DataError` for fewer than two photos.
    """
    if len(photos) < 2:
        raise DataError("1 photo is not enough: some are needed to learn from, and some to evaluate on")
    every = range(len(photos))
    chosen = evenly_spaced(len(photos), min(CROPS, len(photos) // 2))
    judges = dict(next_readable(photos, every, index) for index in chosen)
    others = [index for index in every if index not in judges]
    return Selection(photos, others), centre_squares(list(judges.values()), side)


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` evenly spaced indices below `total`, the first of them 0."""
    return [index * total // count for index in range(count)]


def centre_squares(photos: Sequence[Tensor], side: int) -> Tensor:
    """The central squares of photos (3, H, W) of bytes, resized to (N, 3, side, side) in [0, 1]."""
    return torch.stack([_centre_square(as_float(photo), side) for photo in photos])


def _centre_square(photo: Tensor, side: int) -> Tensor:
    shorter, longer = sorted(photo.shape[1:])
    photo = resize_image(photo, max(side, round(longer * side / shorter)))
    if min(photo.shape[1:]) < side:  # by rounding
        photo = F.interpolate(photo[None], [max(side, edge) for edge in photo.shape[1:]], mode="bilinear")[0]
    top, left = ((edge - side) // 2 for edge in photo.shape[1:])
    return photo[:, top : top + side, left : left + side]


@torch.no_grad()
def mean_losses(paint: Paint, objective: Objective, photos: Tensor, blend: Tensor) -> Losses:
    """The mean losses of photos (N, 3, H, W) painted in one blend (S,), in batches of the recipe's size."""
    found = []
    for some in photos.split(objective.config.batch):
        blends = blend.expand(len(some), -1)
        found.append(objective(paint(some, blends), some, blends))
    return Losses(*(torch.cat(parts).mean() for parts in zip(*found)))


def painter_losses(paint: Paint, objective: Objective, photos: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """The mean content and style loss of each painter, by name.

    paint: the network; objective: with the painters' styles in order; photos: (N, 3, H, W); names: of the painters.
    """
    corners = torch.eye(1 + len(names), device=photos.device)[1:]
    each = {name: mean_losses(paint, objective, photos, corner) for name, corner in zip(names, corners)}
    return {name: {"content": losses.content.item(), "style": losses.style.item()} for name, losses in each.items()}
