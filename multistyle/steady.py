"""Paint the frames of a film so that the painting holds still where the scene does.

A network trained on photos flickers on film, and for three reasons, each met where it arises:

- Its convolutions of stride 2 see every fourth pixel: the same scene one pixel further on is painted with other
  strokes. `Camera` measures how far the scene has moved, and the frame is moved by the fraction of a pixel, and padded,
  so that the scene keeps its place on the network's grid; the painting is moved back. This is nearly all of the
  flicker of a pan.
- Sensor noise is painted as strokes. `Denoiser` averages a pixel over time where nothing moves.
- The statistics of instance normalization are of the whole frame: something bright at the edge changes the colours of
  all of it. They are carried over, with a time constant.

All three start afresh at a cut. What remains: motion that is not of the whole frame (people, zoom, rotation) is
painted as it comes, and within the receptive field of the frame's edges (56 px) strokes follow the edge.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .blend import Blend
from .color import luminance
from .network import PHOTO, STRIDE
from .stylize import Carry, Stylizer

TIME_CONSTANT = 0.5  # s, of the statistics
NOISE = 6 / 255  # mean difference of a neighbourhood up to which it is noise; at twice as much it is motion
SHARE = 0.25  # of the newest frame, where nothing moves: frame-to-frame noise falls to a fifth
CUT = 0.3  # of the two frames' contrasts; unrelated pictures are near 0.56
PATCH = 512  # px; the part of a frame by which the camera is followed
STEPS = 8  # a pixel; how finely the camera is followed
LOBES = 3  # of the interpolation
MATCH = 0.2  # of a perfect match's peak; unrelated pictures reach half of it


class Denoiser:
    """A recursive filter over time of each pixel, open where something moves.

    What differs from the average so far by less than `NOISE`, in the mean of 5 x 5 px and the three channels, is taken
    for noise, so no ghost is ever stronger than that.
    """

    def __init__(self) -> None:
        self.average: Tensor | None = None

    def __call__(self, frame: Tensor, moved: tuple[int, int]) -> Tensor:
        """`frame` (3, H, W) in [0, 1], of a scene that moved by (down, right) whole pixels since the last one."""
        if self.average is None:
            self.average = frame
            return frame
        before = translate(self.average, moved)
        difference = F.avg_pool2d((frame - before).abs().mean(0, keepdim=True), 5, 1, 2, count_include_pad=False)
        motion = (difference / NOISE - 1).clamp(0, 1)
        self.average = torch.lerp(before, frame, SHARE + (1 - SHARE) * motion)
        return self.average


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
        spectrum, renew = tapered_spectrum(patch), True
        if self.key is not None:
            moved, match = displacement(self.key, spectrum, patch.shape)
            if match >= MATCH:
                self.measured = (self.origin[0] + moved[0], self.origin[1] + moved[1])
            renew = match < MATCH or any(abs(m) > side / 8 for m, side in zip(moved, patch.shape))
        if renew:
            self.key, self.origin = spectrum, self.measured
        self.position = tuple(map(hold, self.measured, self.position))
        before, self.cell = self.cell, tuple(round(p) for p in self.position)
        self.fraction = tuple(p - c for p, c in zip(self.position, self.cell))
        return self.cell[0] - before[0], self.cell[1] - before[1]


class Steady:
    """Paints frame after frame with `stylizer`, steadily.

    Memory is a few frames. Calls depend on the calls before; `Stylizer` itself has no state.
    """

    def __init__(self, stylizer: Stylizer) -> None:
        self.stylizer = stylizer
        self.previous: Tensor | None = None
        self.time = 0.0

    def __call__(self, frame: Tensor, blend: Blend | None = None, strength: float = 1.0, time: float = 0.0) -> Tensor:
        """Paint `frame` (3, H, W) in [0, 1], shown at `time` (s, not before the last frame's): (3, H, W) in [0, 1].

        blend, strength, and what is raised: see `Stylizer.__call__`. A frame of another size is a cut.
        """
        frame = frame.to(self.stylizer.device, torch.float32)
        if self.previous is None or self.previous.shape != frame.shape or is_cut(self.previous, frame):
            self.carry, self.denoiser, self.camera = Carry(), Denoiser(), Camera()
        moved = self.camera.follow(luminance(frame).cpu())
        down, right = self.camera.fraction
        steady = self.denoiser(shift(frame, (-down, -right)).clamp(0, 1), moved)
        self.carry.share = 1 - math.exp((self.time - time) / TIME_CONSTANT)
        self.previous, self.time = frame, time
        weights = self.stylizer.blend(blend, strength)
        # what has moved by c pixels since the first frame keeps its place on the grid when as many lie before it
        top, left = (-cell % STRIDE for cell in self.camera.cell)
        padded = F.pad(steady[None], (left, 0, top, 0), mode="replicate")[0]
        painted = self.stylizer(padded, weights, carry=self.carry)[:, top:, left:]
        photo = weights[PHOTO]  # its share is of the frame as it is, noise and all
        return (shift(painted - photo * steady, self.camera.fraction) + photo * frame).clamp(0, 1)


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Whether two frames (3, H, W) in [0, 1] show unrelated scenes: blocks of them differ, and no displacement fits.

    Blocks are 8 x 8 means of the luma over the frame, and differ relative to the contrasts of both frames, so that dark
    scenes count as bright ones do. Alone they would take a fast pan or a change of light for a cut.
    """
    greys = [luminance(frame).cpu() for frame in (before, after)]
    a, b = (F.adaptive_avg_pool2d(grey[None], 8)[0] for grey in greys)
    floor = 2 / 255  # of the contrast, for frames that are flat
    if (a - b).abs().mean() < CUT * (a.std() + b.std() + floor):
        return False
    patches = [central(grey, PATCH) for grey in greys]
    return displacement(*map(tapered_spectrum, patches), patches[0].shape)[1] < MATCH


def hold(measured: float, before: float) -> float:
    """`measured` in steps of 1 / `STEPS` px, or `before` while that is near: a camera at rest must not tremble."""
    return before if abs(measured - before) < 0.6 / STEPS else round(measured * STEPS) / STEPS


def translate(image: Tensor, moved: tuple[int, int]) -> Tensor:
    """`image` (3, H, W) moved (down, right) by whole pixels, its edges repeated where nothing is known."""
    (height, width), (down, right) = image.shape[1:], moved
    rows = (torch.arange(height, device=image.device) - down).clamp(0, height - 1)
    columns = (torch.arange(width, device=image.device) - right).clamp(0, width - 1)
    return image[:, rows][:, :, columns]


def shift(image: Tensor, moved: tuple[float, float]) -> Tensor:
    """`image` (C, H, W) moved (down, right) by at most half a pixel, by Lanczos interpolation; itself where by none."""
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
