"""Optimise one picture: Gatys, Ecker and Bethge (CVPR 2016), the slow ancestor and the yardstick of the network.

Departures: it starts from the photo instead of noise, and minimises this project's own objective, so that a network's
one pass and an optimisation can be compared in the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .objective import Losses, Objective


def optimise(objective: Objective, photo: Tensor, blend: Tensor, steps: int) -> Iterator[tuple[Tensor, Losses]]:
    """Minimise the objective over the pixels by L-BFGS (strong Wolfe line search), from the photo.

    photo: (1, 3, H, W) in [0, 1]; blend: (1, S). Yields, `steps` times, the picture after one more iteration, (1, 3,
    H, W) in [0, 1], and its losses. It ends early where no step lowers the loss any more.
    """
    pixels = photo.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [pixels], lr=1.0, max_iter=1, max_eval=20, history_size=20, line_search_fn="strong_wolfe"
    )
    optimizer.param_groups[0].update(tolerance_grad=0.0, tolerance_change=0.0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective(pixels.clamp(0, 1), photo, blend).total.sum()
        loss.backward()
        return loss

    for _ in range(steps):
        before = pixels.detach().clone()
        optimizer.step(closure)
        if torch.equal(before, pixels):
            return
        with torch.no_grad():
            picture = pixels.clamp(0, 1)
            yield picture, objective(picture, photo, blend)
