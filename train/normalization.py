"""Conditional instance normalization in training: its gradient in closed form, and a measure of its spikes.

Autograd's gradient of `multistyle.network.conditional_instance_norm` is the same to rounding, but goes over the
features once for each operation and takes two to five times as long.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from multistyle.network import EPSILON, FLAT, modulate, moments


def instance_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`conditional_instance_norm` of x (B, C, H, W) with scale and shift (B, C)."""
    normalized: Tensor = _InstanceNorm.apply(x, scale, shift, None)[0]
    return normalized


def norm_and_spikes(x: Tensor, scale: Tensor, shift: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """`instance_norm`, and the mean square, (), of what exceeds `limit` deviations in x."""
    normalized, spikes = _InstanceNorm.apply(x, scale, shift, limit)
    return normalized, spikes


class _InstanceNorm(torch.autograd.Function):
    """With n pixels, m and v the mean and variance of a channel, d = 1 / sqrt(v + EPSILON), and c = x - m:

    y = shift + scale k c, with k = d v / (v + FLAT + (eps m)^2) as in `modulate`; spikes = mean e^2, where e is what
    c d exceeds the limit by. The gradient takes (eps m)^2, which is tiny, for a constant.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, limit: float | None) -> tuple[Tensor, Tensor]:
        mean, variance = moments(x)
        excess, spikes = None, variance.new_zeros(())
        if limit is not None:
            deviation = torch.rsqrt(variance + EPSILON)[..., None, None]
            excess = F.softshrink((x - mean[..., None, None]) * deviation, limit)
            spikes = excess.square().mean()
        ctx.save_for_backward(x, mean, variance, scale, excess)
        return modulate(x, mean, variance, scale, shift), spikes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor, outer_spikes: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, mean, variance, scale, excess = ctx.saved_tensors
        mean, variance, scale = (part.float()[..., None, None] for part in (mean, variance, scale))
        pixels = x.shape[2] * x.shape[3]
        centred = x - mean
        total = outer.sum((2, 3), keepdim=True, dtype=torch.float32)
        product = (outer * centred).sum((2, 3), keepdim=True)

        deviation = torch.rsqrt(variance + EPSILON)
        rounded = variance + FLAT + (torch.finfo(x.dtype).eps * mean).square()
        k = deviation * variance / rounded
        by_variance = deviation * (rounded - variance) / rounded.square() - 0.5 * deviation.square() * k
        slope = 2 * scale * by_variance * product / pixels
        inner = torch.addcmul(-scale * k * total / pixels, outer, scale * k)
        if excess is not None:
            weight = outer_spikes * 2 / excess.numel() * deviation
            inner = torch.addcmul(inner, excess, weight) - weight * excess.mean((2, 3), keepdim=True)
            slope = slope - weight * deviation.square() * (excess * centred).mean((2, 3), keepdim=True)
        inner = inner.addcmul_(centred, slope).to(x.dtype)
        return inner, (product * k)[:, :, 0, 0].to(scale.dtype), total[:, :, 0, 0], None
