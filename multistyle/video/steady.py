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
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blend import Blend
from ..color import luminance
from ..errors import BlendError, ImageError, MultistyleError
from ..image import check_image
from ..network import PHOTO, STRIDE
from ..one_pass import Carry
from ..stylizer import Stylizer
from .motion import MATCH, PATCH, Camera, central, displacement, shift, tapered_spectrum, translate

TIME_CONSTANT = 0.5  # s, of the statistics
NOISE = 6 / 255  # mean difference of a neighbourhood up to which it is noise; at twice as much it is motion
SHARE = 0.25  # of the newest frame, where nothing moves: frame-to-frame noise falls to a fifth
CUT = 0.3  # of the two frames' contrasts; unrelated pictures are near 0.56


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

        blend, strength, and what is raised: see `Stylizer.__call__`; one blend (S,). A frame of another size is a cut.
        Raises `MultistyleError` also for a batch of frames or blends, and for a time before the last one.
        """
        weights = self._checked(frame, blend, strength, time)
        frame = frame.to(self.stylizer.device, torch.float32)
        if self.previous is None or self.previous.shape != frame.shape or is_cut(self.previous, frame):
            self.carry, self.denoiser, self.camera = Carry(), Denoiser(), Camera()
        moved = self.camera.follow(luminance(frame).cpu())
        down, right = self.camera.fraction
        steady = self.denoiser(shift(frame, (-down, -right)).clamp(0, 1), moved)
        self.carry.share = 1 - math.exp((self.time - time) / TIME_CONSTANT)
        self.previous, self.time = frame, time
        # what has moved by c pixels since the first frame keeps its place on the grid when as many lie before it
        top, left = (-cell % STRIDE for cell in self.camera.cell)
        padded = F.pad(steady[None], (left, 0, top, 0), mode="replicate")[0]
        painted = self.stylizer.one_pass(padded, weights, partial(self.stylizer.one_pass.paint, carry=self.carry))[
            :, top:, left:
        ]
        photo = weights[PHOTO]  # its share is of the frame as it is, noise and all
        return (shift(painted - photo * steady, self.camera.fraction) + photo * frame).clamp(0, 1)

    def _checked(self, frame: Tensor, blend: Blend | None, strength: float, time: float) -> Tensor:
        """The weights (S,) of `blend` at `strength`. Raises `MultistyleError` for what `__call__` cannot take."""
        check_image(frame)
        if frame.ndim != 3:
            raise ImageError(f"one frame a call: expected shape (3, H, W), got {tuple(frame.shape)}")
        weights = one_blend(self.stylizer, blend, strength)
        if not (math.isfinite(time) and (self.previous is None or time >= self.time)):
            raise MultistyleError(
                f"times of frames are finite and do not go back; got {time:g} s after {self.time:g} s"
            )
        return weights


def one_blend(stylizer: Stylizer, blend: Blend | None = None, strength: float = 1.0) -> Tensor:
    """The weights (S,) of `blend` at `strength`. Raises `BlendError`, also for a batch and for a blend field."""
    weights = stylizer.blend(blend, strength)
    if weights.ndim != 1:
        raise BlendError(f"a frame is painted in one blend, of shape (S,); got shape {tuple(weights.shape)}")
    return weights


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
    one, other = (central(grey, PATCH) for grey in greys)
    height, width = one.shape
    return displacement(tapered_spectrum(one), tapered_spectrum(other), (height, width))[1] < MATCH
