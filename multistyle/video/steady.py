"""Paint the frames of a video so that the painting stands still where the scene does.

A network trained on photos flickers on video for three reasons, each with its own remedy:

- Its convolutions of stride 2 make a grid of 4 px: the same scene, moved by one pixel, gets different strokes. `Camera`
  measures how far the scene has moved. The frame is shifted by the fraction of a pixel and padded, so that the scene
  keeps its place on the grid at every scale, and the painting is shifted back. This removes nearly all of the flicker
  of a pan.
- Sensor noise is painted as strokes. `Denoiser` averages pixels over time where nothing moves.
- The statistics of instance normalization belong to the whole frame: something bright at the edge changes the colours
  everywhere. They are carried over from frame to frame, with a time constant.

A frame that is painted at several scales would flicker more: each level's statistics change, and large strokes reach
farther in from the frame's edges. So the painting of each coarse level is averaged over time as well.

All of this restarts at a cut. Two things remain: motion of parts of the frame (people, zoom, rotation) is painted
without correction, and strokes follow the edges of the frame within the receptive field (56 px at the coarsest scale).
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
from ..grid import STRIDE
from ..image import check_image
from ..network import photo_share
from ..one_pass import Carry, fit_blend
from ..strokes import Stroke, halvings, paint_scales, stroke_depth, stroke_number
from ..stylizer import Stylizer
from .motion import MATCH, PATCH, Camera, central, displacement, shift, tapered_spectrum, translate

TIME_CONSTANT = 0.5  # s, for the statistics
NOISE = 6 / 255  # mean difference of a neighbourhood; up to this it is noise, from twice this on motion
PAINTING_TIME = 0.15  # s, time constant of the average of coarse paintings
SHARE = 0.25  # weight of the newest frame where nothing moves; reduces noise between frames to a fifth
ROOM = 8  # padding is less than 1 / ROOM of the shorter side, so that it hardly changes the statistics
CUT = 0.3  # relative to the contrasts of both frames; unrelated pictures are near 0.56


class Denoiser:
    """A recursive filter over time of each pixel, open where something moves.

    A difference from the average so far of less than `NOISE`, as a mean over 5 x 5 px and the three channels, counts as
    noise. So no ghost is stronger than that. A frame may have another size than the one before.
    """

    def __init__(self) -> None:
        self.average: Tensor | None = None

    def __call__(self, frame: Tensor, moved: tuple[int, int], share: float = SHARE) -> Tensor:
        """Denoise `frame` (3, H, W) in [0, 1]; the scene moved by (down, right) whole pixels since the last one.

        share: weight of the frame where nothing moves.
        """
        if self.average is None:
            self.average = frame
            return frame
        before = translate(self.average, moved, (frame.shape[1], frame.shape[2]))
        difference = F.avg_pool2d((frame - before).abs().mean(0, keepdim=True), 5, 1, 2, count_include_pad=False)
        motion = (difference / NOISE - 1).clamp(0, 1)
        self.average = torch.lerp(before, frame, share + (1 - share) * motion)
        return self.average


class Steady:
    """Paints frame after frame with `stylizer`, steadily.

    It holds a few frames in memory. Each call depends on the calls before; `Stylizer` itself has no state.
    """

    def __init__(self, stylizer: Stylizer) -> None:
        self.one_pass = stylizer.one_pass
        self.previous: Tensor | None = None
        self.carries: list[Carry] = []  # one for each level, the finest first
        self.place = self.moved = (0, 0)  # px: where the scene is on the padded frame, and how far it moved there
        self.share = 1.0  # of the newest in an average of coarse paintings
        self.time = 0.0

    def __call__(
        self,
        frame: Tensor,
        blend: Blend | None = None,
        strength: float = 1.0,
        time: float = 0.0,
        stroke: Stroke = "auto",
    ) -> Tensor:
        """Paint `frame` (3, H, W) in [0, 1]: (3, H, W) in [0, 1].

        blend, strength, stroke: see `Stylizer.__call__`; one blend (S,), or a blend field (S, h, w).
        time: when the frame is shown, in s; not before the last frame.

        A frame of another size is a cut. Raises as `Stylizer.__call__` does, and `MultistyleError` also for a batch of
        frames or blends, and for a time before the last one.
        """
        check_image(frame)
        weights = self.one_pass.blend(blend, strength)
        if weights.ndim == 2:
            raise BlendError(f"a frame is painted in one blend, not in {len(weights)}")
        size = frame.shape[-2:]
        return self.paint(frame, fit_blend(weights, *size), stroke_depth(stroke_number(stroke), *size), time)

    @torch.no_grad()
    def paint(self, frame: Tensor, blend: Tensor, depth: float | Tensor, time: float) -> Tensor:
        """Paint as a call does, given what `painting.fit_to_picture` returns.

        blend: (S,), or a field (S, H, W).
        depth: see `strokes`; a number or a map (1, 1, H, W).
        time: as in a call.
        """
        self._check(frame, time)
        device = self.one_pass.device
        frame, blend = frame.to(device, torch.float32), blend.to(device)[None]
        if self.previous is None or self.previous.shape != frame.shape or is_cut(self.previous, frame):
            self.carries, self.denoiser, self.camera, self.place = [], Denoiser(), Camera(), (0, 0)
        moved = self.camera.follow(luminance(frame).cpu())
        down, right = self.camera.fraction
        steady = self.denoiser(shift(frame, (-down, -right)).clamp(0, 1), moved)
        for level in range(len(self.carries), halvings(depth) + 1):
            self.carries.append(Carry(settle=partial(self._settle, level, Denoiser()) if level else None))
        for carry in self.carries:
            carry.share = 1 - math.exp((self.time - time) / TIME_CONSTANT)
        self.share = 1 - math.exp((self.time - time) / PAINTING_TIME)
        self.previous, self.time = frame, time
        painted = self._paint_on_grid(steady[None], blend, depth)
        photo = photo_share(blend)[0]  # of the frame as it is, noise and all
        return (photo * frame + (1 - photo) * shift(painted[0], self.camera.fraction)).clamp(0, 1)

    def _paint_on_grid(self, image: Tensor, blend: Tensor, depth: float | Tensor) -> Tensor:
        """`paint_scales` of (1, 3, H, W), with the scene where it was on the network's grid at first."""
        grid = grid_side(depth, *image.shape[2:])
        # a scene that moved by c pixels keeps its place on the grid if -c pixels, modulo the grid, are padded before it
        top, left = (-cell % grid for cell in self.camera.cell)
        place = (self.camera.cell[0] + top, self.camera.cell[1] + left)
        self.moved, self.place = (place[0] - self.place[0], place[1] - self.place[1]), place
        pad = partial(F.pad, pad=(left, 0, top, 0), mode="replicate")
        field, depths = pad(blend) if blend.ndim == 4 else blend, pad(depth) if isinstance(depth, Tensor) else depth
        return paint_scales(self.one_pass, pad(image), field, depths, self.carries)[:, :, top:, left:]

    def _settle(self, level: int, denoiser: Denoiser, below: Tensor) -> Tensor:
        """Average the painting (1, 3, h, w) of a picture that was halved `level` times; see `Carry`."""
        down, right = (round(by / 2**level) for by in self.moved)
        return denoiser(below[0], (down, right), self.share)[None]

    def _check(self, frame: Tensor, time: float) -> None:
        """Raise `MultistyleError` for a frame or a time that `__call__` cannot take."""
        check_image(frame)
        if frame.ndim != 3:
            raise ImageError(f"one frame a call: expected shape (3, H, W), got {tuple(frame.shape)}")
        if not (math.isfinite(time) and (self.previous is None or time >= self.time)):
            raise MultistyleError(
                f"times of frames are finite and do not go back; got {time:g} s after {self.time:g} s"
            )


def grid_side(depth: float | Tensor, height: int, width: int) -> int:
    """Side in px of the cells in which the scene keeps its place, for frames of height x width px.

    It is the network's stride at the coarsest level, seen at full size: below 2 % of the longer side for strokes of
    the usual size. Where strokes are so broad that frames would be padded by more than 1 / `ROOM`, a finer level's.
    """
    levels = halvings(depth)
    while levels and STRIDE << levels > min(height, width) / ROOM:
        levels -= 1
    return STRIDE << levels


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Whether two frames (3, H, W) in [0, 1] show unrelated scenes: blocks of them differ, and no displacement fits.

    Blocks are 8 x 8 means of the luma over the frame, and differences are relative to the contrasts of both frames, so
    that dark scenes count like bright ones. Blocks alone would mistake a fast pan or a change of light for a cut.
    """
    greys = [luminance(frame).cpu() for frame in (before, after)]
    a, b = (F.adaptive_avg_pool2d(grey[None], 8)[0] for grey in greys)
    floor = 2 / 255  # of the contrast, for frames that are flat
    if (a - b).abs().mean() < CUT * (a.std() + b.std() + floor):
        return False
    one, other = (central(grey, PATCH) for grey in greys)
    height, width = one.shape
    return displacement(tapered_spectrum(one), tapered_spectrum(other), (height, width))[1] < MATCH
