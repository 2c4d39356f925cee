"""The measures of the quality benchmark, as pure functions whose results can be worked out by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from multistyle.color import luminance
from multistyle.grid import STRIDE
from train.losses.terms import Grams

BORDER = 16  # px
FLOOR = (1 / 255) ** 2 / 12  # variance of rounding to 8 bits; less energy cannot be seen


def nearest_target(grams: Grams, targets: Grams) -> Tensor:
    """Index (B,) of the target, among (S, C, C), nearest to each sample's Grams (B, C, C).

    grams, targets: by layer, with the same layers.

    The distance is the squared difference, divided in each layer by the mean square of all its targets, and summed over
    layers. (The style loss divides by each target's own mean square, so it does not compare targets fairly.)
    """
    distances = []
    for layer, target in targets.items():
        difference = grams[layer][:, None].flatten(2) - target[None].flatten(2)
        distances.append(difference.square().mean(2) / target.square().mean())
    return torch.stack(distances).sum(0).argmin(1)


def layer_normalized(grams: Grams, scales: dict[str, float]) -> Tensor:
    """Grams (B, C, C) of all layers as one vector per sample, (B, N), each layer divided by scale and size."""
    parts = [gram.flatten(1) / (scales[layer] * gram[0].numel() ** 0.5) for layer, gram in grams.items()]
    return torch.cat(parts, dim=1)


def shares(points: Tensor, corners: Tensor) -> Tensor:
    """Shares (B, K) of K corners (K, N) in points (B, N), which are projected onto the plane through the corners.

    Shares sum to 1 and are not clipped: a point beyond a corner has a share above 1.
    """
    edges = (corners[1:] - corners[0]).double()
    rest = torch.linalg.lstsq(edges.T, (points - corners[0]).double().T).solution.T
    return torch.cat([1 - rest.sum(1, keepdim=True), rest], dim=1).float()


def monotonic_steps(values: Tensor) -> float:
    """The fraction of steps of a sequence (T,) that do not go down."""
    return float((values.diff() >= 0).float().mean())


def grid_score(image: Tensor) -> float:
    """Energy of (3, H, W) at the frequencies of the upsampling's grid, relative to neighbouring ones; 1 means no grid.

    Compares the luminance's energy under a Hann window at the multiples of 1/4 cycle a pixel, in either direction, with
    that in the ring of frequencies 3 to 6 bins away. A flat picture has a score of 1, since both energies are offset by
    that of rounding to 8 bits. Sides are at least 64 px.
    """
    height, width = (side // STRIDE * STRIDE for side in image.shape[1:])
    grey = luminance(image)[:height, :width]
    window = torch.outer(torch.hann_window(height), torch.hann_window(width))
    energy = torch.fft.fft2((grey - grey.mean()) * window).abs().square() / window.square().sum()
    peaks, around = [], []
    for row in range(0, height, height // STRIDE):
        for column in range(0, width, width // STRIDE):
            if row == column == 0:
                continue
            patch = energy.roll((6 - row, 6 - column), (0, 1))[:13, :13]
            ring = torch.ones(13, 13, dtype=torch.bool)
            ring[4:9, 4:9] = False
            peaks.append(patch[5:8, 5:8].mean())
            around.append(patch[ring].mean())
    return float((torch.stack(peaks).mean() + FLOOR) / (torch.stack(around).mean() + FLOOR))


def border_score(painted: Tensor, inside: Tensor) -> float:
    """Mean gradient of the luminance in the outer 16 px of a painting, relative to the same pixels away from a border.

    painted: (3, H, W).
    inside: (3, H, W), the same pixels cut out of the painting of a larger picture, with the same statistics.

    1 means no frame. (Comparing a painting's border with its own middle would measure the photo, whose subject is in
    the middle, as much as the painter.)
    """
    return float((_border_gradient(painted) + 1e-4) / (_border_gradient(inside) + 1e-4))


def _border_gradient(image: Tensor) -> Tensor:
    grey = luminance(image)
    gradient = torch.zeros_like(grey)
    gradient[1:] += grey.diff(dim=0).abs()
    gradient[:, 1:] += grey.diff(dim=1).abs()
    border = torch.ones_like(grey, dtype=torch.bool)
    border[BORDER:-BORDER, BORDER:-BORDER] = False
    return gradient[border].mean()
