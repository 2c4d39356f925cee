"""Paint one picture by optimizing its pixels, after Gatys, Ecker and Bethge (CVPR 2016).

This is slow, and the yardstick for the network. Departures: it starts from the photo, not from noise, and minimizes
this project's objective, so that the same numbers compare an optimization with one pass of a network.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from multistyle.device import free_memory
from multistyle.errors import MultistyleError
from multistyle.image import write_image
from multistyle.messages import say
from multistyle.stopping import stop_signals

from .losses.loss_network import SMALLEST
from .losses.objective import Losses, Objective
from .progress import SECONDS

OPTIMIZERS = ("lbfgs", "adam")
ADAM_RATE = 0.02  # in units of a pixel's range


def optimize(
    objective: Objective, photo: Tensor, blend: Tensor, steps: int, optimizer: str = "lbfgs"
) -> Iterator[tuple[Tensor, Losses]]:
    """Minimize the objective over the pixels, starting from the photo.

    Yields the picture, (1, 3, H, W) in [0, 1], and its losses after each iteration.

    objective: what to minimize; photo: (1, 3, H, W) in [0, 1]; blend: (1, S); steps: iterations at most. optimizer:
    "lbfgs", with a strong Wolfe line search: no step raises the loss, and it ends early if none lowers it; or "adam",
    which Gatys et al. did not use.
    """
    pixels = photo.clone().requires_grad_(True)
    chosen: torch.optim.Optimizer
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
                pixels.clamp_(0, 1)  # outside, a pixel has no gradient to bring it back
            picture = pixels.clamp(0, 1)
            yield picture, objective(picture, photo, blend)


def _lbfgs(pixels: Tensor) -> torch.optim.LBFGS:
    optimizer = torch.optim.LBFGS(
        [pixels], lr=1.0, max_iter=1, max_eval=20, history_size=20, line_search_fn="strong_wolfe"
    )
    optimizer.param_groups[0].update(tolerance_grad=0.0, tolerance_change=0.0)
    return optimizer


def parse_paintings(texts: list[str]) -> tuple[list[Path], Tensor]:
    """The files and the blend (1, 1 + files) of texts such as "a.jpg=0.7", or "a.jpg" for weight 1.

    Weights are normalized to sum to 1, as in a mix; that of photo is 0. Raises `MultistyleError`.
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
            raise MultistyleError(f"{text!r} is not a painting with a weight above 0; write FILE or FILE=0.7")
        files.append(Path(name))
        weights.append(weight)
    return files, torch.tensor([[0.0, *weights]]) / sum(weights)


def paint_photo(
    objective: Objective,
    photo: Tensor,
    blend: Tensor,
    output: Path,
    steps: int,
    optimizer: str = "lbfgs",
    preview_steps: int = 0,
) -> bool:
    """Optimize `photo` and write it to `output`, at the end and every `preview_steps` steps (0: only at the end).

    Reports the losses on standard error now and then. Ctrl-C or a termination signal lets the current step end, and
    the picture as it is then is written. objective, photo, blend, steps, optimizer: as for `optimize`. Returns whether
    it was stopped.
    """
    started = said = time.monotonic()
    picture, losses, step = photo, None, 0
    with stop_signals() as stopped:
        for step, (picture, losses) in enumerate(optimize(objective, photo, blend, steps, optimizer), start=1):
            if stopped:
                break
            if preview_steps and step % preview_steps == 0:
                write_image(output, picture[0])
            if time.monotonic() - said > SECONDS and step < steps:
                say(_step_line(step, steps, losses))
                said = time.monotonic()
        if losses is not None:
            say(_step_line(step, steps, losses))
        write_image(output, picture[0])
    say(f"{output}: {step} steps in {time.monotonic() - started:.1f} s")
    return bool(stopped)


def _step_line(step: int, steps: int, losses: Losses) -> str:
    total, content, style, _ = (loss.item() for loss in losses)
    return f"step {step}/{steps}  loss {total:.3f}  content {content:.3f}  style {style:.3f}"


def check_size(objective: Objective, height: int, width: int, device: torch.device) -> None:
    """Raise `MultistyleError` if a picture of height x width px is too narrow, or needs more memory than `device` has.

    What a step keeps for its backward pass is counted on a small picture; it grows with the number of pixels.
    """
    if min(height, width) < SMALLEST:
        raise MultistyleError(
            f"{width} x {height} px are too narrow; the loss network needs {SMALLEST} px, so use a larger --size"
        )
    side, kept = 64, dict[int, int]()
    weights = {buffer.data_ptr() for buffer in objective.loss_network.buffers()}

    def count(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    picture = torch.rand(1, 3, side, side, device=device, requires_grad=True)
    blend = torch.eye(1 + len(next(iter(objective.targets.values()))), device=device)[1:2]
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        objective(picture, picture.detach(), blend)
    needed, free = sum(kept.values()) / side**2 * height * width, free_memory(device)
    if needed > free:
        raise MultistyleError(
            f"a picture of {width} x {height} px takes some {needed / 1e9:.1f} GB to optimize, and {free / 1e9:.1f} GB "
            f"are free; use a smaller --size"
        )
