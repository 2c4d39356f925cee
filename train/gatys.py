"""Optimise one picture: Gatys, Ecker and Bethge (CVPR 2016), the slow ancestor and the yardstick of the network.

Departures: it starts from the photo instead of noise, and minimises this project's own objective, so that a network's
one pass and an optimisation can be compared in the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from multistyle.errors import MultistyleError

from .losses.objective import Losses, Objective

OPTIMIZERS = ("lbfgs", "adam")
ADAM_RATE = 0.02  # in units of a pixel's range


def optimise(
    objective: Objective, photo: Tensor, blend: Tensor, steps: int, optimizer: str = "lbfgs"
) -> Iterator[tuple[Tensor, Losses]]:
    """Minimise the objective over the pixels, from the photo.

    photo: (1, 3, H, W) in [0, 1]; blend: (1, S). optimizer: "lbfgs", with a strong Wolfe line search: no step makes the
    loss larger, and it ends early where none lowers it any more; or "adam", which Gatys et al. did not use. Yields,
    `steps` times, the picture after one more iteration, (1, 3, H, W) in [0, 1], and its losses.
    """
    pixels = photo.clone().requires_grad_(True)
    chosen = _lbfgs(pixels) if optimizer == "lbfgs" else torch.optim.Adam([pixels], ADAM_RATE)

    def closure() -> Tensor:
        chosen.zero_grad()
        loss = objective(pixels.clamp(0, 1), photo, blend).total.sum()
        loss.backward()
        return loss

    for _ in range(steps):
        before = pixels.detach().clone()
        chosen.step(closure)
        if torch.equal(before, pixels):
            return
        with torch.no_grad():
            if optimizer == "adam":
                pixels.clamp_(0, 1)  # beyond, a pixel has no gradient that could bring it back
            picture = pixels.clamp(0, 1)
            yield picture, objective(picture, photo, blend)


def _lbfgs(pixels: Tensor) -> torch.optim.LBFGS:
    optimizer = torch.optim.LBFGS(
        [pixels], lr=1.0, max_iter=1, max_eval=20, history_size=20, line_search_fn="strong_wolfe"
    )
    optimizer.param_groups[0].update(tolerance_grad=0.0, tolerance_change=0.0)
    return optimizer


def parse_paintings(texts: list[str]) -> tuple[list[Path], Tensor]:
    """The files of "a.jpg=0.7", "b.jpg=0.3", or "a.jpg" for weight 1, and their blend (1, 1 + files), photo at 0.

    Weights are normalised to sum to 1, as in a mix. Raises `MultistyleError`.
    """
    files, weights = [], []
    for text in texts:
        name, sign, number = text.rpartition("=")
        if not sign or Path(text).exists():
            name, number = text, "1"
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if not 0 < weight < float("inf"):
            raise MultistyleError(f"{text!r} is no painting with a weight; write FILE or FILE=0.7")
        files.append(Path(name))
        weights.append(weight)
    return files, torch.tensor([[0.0, *weights]]) / sum(weights)
