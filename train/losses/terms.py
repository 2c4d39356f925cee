"""The perceptual losses, as pure functions. Each returns one number per sample, shape (B,), in float32.

Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks" (CVPR 2016). Errors are relative to
their targets, so that layers and painters need no separate weights, or absolute, as published.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Grams = dict[str, Tensor]  # layer name -> (B, C, C)
Error = Callable[[Tensor, Tensor], Tensor]  # (value, target), both (B, ...) -> (B,)


def gram(features: Tensor) -> Tensor:
    """The Gram matrices (B, C, C) of features (B, C, H, W), divided by H * W; in float32, since float16 overflows."""
    with torch.autocast(features.device.type, enabled=False):
        found: Tensor = _Gram.apply(features.float().flatten(2))
        return found


class _Gram(torch.autograd.Function):
    """x x^T / n of x (B, C, n). One product in the backward pass; autograd takes two, and adds them up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x @ x.transpose(1, 2) / x.shape[2]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return (x.transpose(1, 2) @ ((outer + outer.transpose(1, 2)) / x.shape[2])).transpose(1, 2)  # channels last


def relative_error(value: Tensor, target: Tensor) -> Tensor:
    """mean (value - target)^2 / mean target^2 of each sample, both (B, ...): 0 if equal, 1 if value is 0."""
    value, target = value.float().flatten(1), target.float().flatten(1)
    return (value - target).square().mean(1) / target.square().mean(1).clamp_min(1e-12)


def absolute_error(value: Tensor, target: Tensor) -> Tensor:
    """mean (value - target)^2 of each sample, both (B, ...); it grows with the square of the features.

    The squared norm over the number of values, as in the losses of Dumoulin et al. 2017 (section 2).
    """
    return (value.float() - target.float()).flatten(1).square().mean(1)


ERRORS: dict[str, Error] = {"relative": relative_error, "absolute": absolute_error}


def style_loss(grams: Grams, targets: Grams, error: Error = relative_error) -> Tensor:
    """The errors of the Grams, summed over the layers of `targets`.

    Equations 4 and 5 of Gatys et al. with equal layer weights. A relative error divides each layer by the mean square
    of its target, not by a power of its size.
    """
    return torch.stack([error(grams[layer], target) for layer, target in targets.items()]).sum(0)


def content_loss(features: Tensor, target: Tensor, error: Error = relative_error) -> Tensor:
    """The error of a painting's features (B, C, H, W) against its photo's (equation 1 of Gatys et al.)."""
    return error(features, target)


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of vertical plus horizontal neighbours of (B, C, H, W): a checkerboard of 0, 1 has 2."""
    image = image.float()
    vertical = (image[..., 1:, :] - image[..., :-1, :]).square().mean((1, 2, 3))
    horizontal = (image[..., 1:] - image[..., :-1]).square().mean((1, 2, 3))
    return vertical + horizontal


def blend_grams(targets: Grams, blend: Tensor) -> Grams:
    """The targets of a blend: for each layer the mean of `targets` (S, C, C) weighted by blend (B, S): (B, C, C).

    Weights need not sum to 1, so that a photo's share can be added. In float32, under autocast too.
    """
    with torch.autocast(blend.device.type, enabled=False):
        return {layer: torch.einsum("bs,scd->bcd", blend, target) for layer, target in targets.items()}
