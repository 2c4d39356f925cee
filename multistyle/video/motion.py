"""Measure how far a camera has moved, by phase correlation; shift frames by parts of a pixel."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 512  # px; the part of a frame by which the camera is followed
STEPS = 8  # a pixel; how finely the camera is followed
LOBES = 3  # of the interpolation
MATCH = 0.2  # of a perfect match's peak; unrelated pictures reach half of it


class Camera:
    """Where the scene is, relative to the first frame: by phase correlation with a key frame, without drift.

    cell, fraction: (down, right) in whole pixels, and the rest, within half a pixel.
    """

    def __init__(self) -> None:
        self.key: Tensor | None = None
        self.origin = self.measured = self.position = (0.0, 0.0)
        self.cell, self.fraction = (0, 0), (0.0, 0.0)

    def follow(self, grey: Tensor) -> tuple[int, int]:
        """The whole pixels (down, right) by which the scene in `grey` (H, W) moved since the frame before."""
        patch = central(grey, PATCH)
        height, width = patch.shape
        spectrum, renew = tapered_spectrum(patch), True
        if self.key is not None:
            moved, match = displacement(self.key, spectrum, (height, width))
            if match >= MATCH:
                self.measured = (self.origin[0] + moved[0], self.origin[1] + moved[1])
            renew = match < MATCH or abs(moved[0]) > height / 8 or abs(moved[1]) > width / 8
        if renew:
            self.key, self.origin = spectrum, self.measured
        down, right = map(hold, self.measured, self.position)
        before, self.cell = self.cell, (round(down), round(right))
        self.position, self.fraction = (down, right), (down - self.cell[0], right - self.cell[1])
        return self.cell[0] - before[0], self.cell[1] - before[1]


def hold(measured: float, before: float) -> float:
    """`measured` rounded to 1 / `STEPS` px, or `before` if it is near: a camera at rest must not tremble."""
    return before if abs(measured - before) < 0.6 / STEPS else round(measured * STEPS) / STEPS


def translate(image: Tensor, moved: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """`image` (3, h, w) moved (down, right) by whole pixels, (3, H, W), its edges repeated where it shows nothing.

    size: (H, W) of the result, of which the upper left corner stays.
    """
    rows, columns = (
        (torch.arange(side, device=image.device) - by).clamp(0, given - 1)
        for side, by, given in zip(size, moved, image.shape[1:], strict=True)
    )
    return image[:, rows][:, :, columns]


def shift(image: Tensor, moved: tuple[float, float]) -> Tensor:
    """`image` (C, H, W) moved (down, right) by at most half a pixel, by Lanczos interpolation, if by any."""
    for axis, fraction in enumerate(moved):
        if fraction:
            place = torch.arange(-LOBES, LOBES + 1, device=image.device) + fraction
            taps = torch.where(place.abs() < LOBES, torch.sinc(place) * torch.sinc(place / LOBES), 0)
            taps = (taps / taps.sum()).view(1, 1, *((-1, 1) if axis == 0 else (1, -1)))
            margin = (0, 0, LOBES, LOBES) if axis == 0 else (LOBES, LOBES, 0, 0)
            image = F.conv2d(F.pad(image[:, None], margin, mode="replicate"), taps)[:, 0]
    return image


def central(grey: Tensor, size: int) -> Tensor:
    """The middle of `grey` (H, W), at most `size` px a side."""
    top, left = (max(0, side - size) // 2 for side in grey.shape)
    return grey[top : top + size, left : left + size]


def tapered_spectrum(patch: Tensor) -> Tensor:
    """The Fourier transform (H, W // 2 + 1) of `patch` (H, W), faded out towards its edges."""
    fade = torch.outer(*(torch.hann_window(side, periodic=False) for side in patch.shape))
    return torch.fft.rfft2((patch - patch.mean()) * fade)


def displacement(before: Tensor, after: Tensor, shape: tuple[int, int]) -> tuple[tuple[float, float], float]:
    """How far (down, right) in px the second of two patches of `shape`, given as spectra, has moved; and how surely.

    Phase correlation (Kuglin and Hines 1975), with a Gaussian lowpass that makes the peak a Gaussian of 1 px, so that
    three points of its logarithm give its place. The second number is the peak's height over a perfect match's.
    """
    rows, columns = torch.fft.fftfreq(shape[0])[:, None], torch.fft.rfftfreq(shape[1])
    lowpass = torch.exp(-2 * math.pi**2 * (rows**2 + columns**2))
    cross = after * before.conj()
    correlation = torch.fft.irfft2(lowpass * cross / (cross.abs() + 1e-9), s=shape)
    peak = divmod(int(correlation.argmax()), shape[1])
    place = []
    for axis, side in enumerate(shape):
        line = correlation.select(1 - axis, peak[1 - axis])
        low, middle, high = (math.log(max(float(line[(peak[axis] + step) % side]), 1e-9)) for step in (-1, 0, 1))
        curvature = low - 2 * middle + high
        offset = (low - high) / (2 * curvature) if curvature < 0 else 0.0
        place.append((peak[axis] + side // 2) % side - side // 2 + offset)
    perfect = float(torch.fft.irfft2(lowpass.to(cross.dtype), s=shape)[0, 0])
    return (place[0], place[1]), float(correlation[peak]) / perfect
