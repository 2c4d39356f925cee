"""How much a painted video flickers: python -m benchmarks.flicker [--weights FILE] [--photo FILE]

Each film is made from one photo and painted twice: frame by frame, and by `Steady`. Deterministic. Frames this small
are painted in one pass. To compare that with several scales, ask for broad strokes (--stroke off --stroke 4), or for
frames wider than 800 px (--width 1280 --stroke off --stroke auto), which takes 20 times as long.

The columns, in grey levels where not a ratio:

- film, each, steady: mean absolute difference between a frame and the one before it: in the film, in the frames painted
  one by one, and in the steady painting. Only what both frames show counts, after undoing the known motion (exactly for
  whole pixels, otherwise by bicubic interpolation)
- ratio: steady divided by each
- sharp: mean gradient, steady divided by each; below 1 the steady painting is smeared
- off each, off steady: mean difference between the last frame and the painting of that frame without noise or lamp, so
  that lag and ghosts show (for a still camera; in a pan, two paintings of one frame have different strokes)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import mean
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from multistyle.image import read_image, resize_image
from multistyle.messages import tell
from multistyle.strokes import Stroke, halvings, stroke_depth, stroke_number
from multistyle.stylizer import Stylizer, load_stylizer
from multistyle.video.steady import Steady

from .parts.command import run

WIDTH, FRAMES, RATE = 256, 12, 25  # px, frames, frames a second
MARGIN = 24  # px between the photo's border and the first frame
FINE = 4  # steps a pixel of the camera's motion
LAMP, REACH = 48, 64  # px: side of the lamp, and how far from it one pass paints otherwise
PHOTO = Path(__file__).parents[1] / "tests" / "assets" / "chelsea.jpg"


@dataclass(frozen=True)
class Scene:
    """What a film shows."""

    camera: tuple[float, float] = (0.0, 0.0)  # px a frame (down, right), in steps of 1 / FINE
    noise: float = 0.0  # standard deviation in grey levels
    lamp: bool = False  # whether a lamp blinks at the left


SCENES = {
    "pan, 1 px": Scene((0, 1)),
    "pan, 2 px": Scene((0, 2)),
    "pan, 3 px and 1 down": Scene((1, 3)),
    "pan, 0.25 px": Scene((0, 0.25)),
    "pan, 1.5 px": Scene((0, 1.5)),
    "pan, 2.75 px and 0.5 down": Scene((0.5, 2.75)),
    "still, noise": Scene(noise=4),
    "pan, 2 px, noise": Scene((0, 2), noise=4),
    "still, blinking lamp": Scene(lamp=True),
}


def main(
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    photo: Annotated[Path, typer.Option(help="Picture that the camera sees.")] = PHOTO,
    count: Annotated[int, typer.Option("--painters", min=1, help="How many painters, the first of the catalogue.")] = 3,
    width: Annotated[int, typer.Option(min=WIDTH, help="Width of the frames in pixels; 3/4 of it is their height.")] = (
        WIDTH
    ),
    stroke: Annotated[
        list[str] | None, typer.Option(help="Size of the strokes: auto, off or a number; repeatable. Default: auto.")
    ] = None,
) -> None:
    """Measure the flicker of painted videos."""
    strokes = stroke or ["auto"]
    for size in strokes:
        stroke_number(size)
    stylizer, view = load_stylizer(weights, "cpu", "float32"), fine_view(read_image(photo), width)
    columns = ("film", "each", "steady", "ratio", "sharp", "off each", "off steady")
    tell(" ".join([" " * 26, f"{'stroke':>6}", *(f"{column:>10}" for column in columns)]))
    for (name, scene), size in product(SCENES.items(), strokes):
        rows = [measure(stylizer, painter, view, scene, width, size) for painter in stylizer.painters[:count]]
        film, each, steady, sharp, off_each, off_steady = (mean(column) for column in zip(*rows, strict=True))
        numbers = (film, each, steady, steady / each, sharp, off_each, off_steady)
        tell(" ".join([f"{name:26}", f"{size:>6}", *(f"{number:10.2f}" for number in numbers)]))


def measure(
    stylizer: Stylizer, painter: str, view: Tensor, scene: Scene, width: int = WIDTH, stroke: Stroke = "auto"
) -> tuple[float, ...]:
    """film, each, steady, sharp, off each and off steady of one painter and scene; frames are `width` px wide."""
    clean, frames = make_film(view, Scene(scene.camera), width)[-1], make_film(view, scene, width)
    paint = Steady(stylizer)
    each = [stylizer(frame, painter, stroke=stroke) for frame in frames]
    steady = [paint(frame, painter, time=index / RATE, stroke=stroke) for index, frame in enumerate(frames)]
    levels = halvings(stroke_depth(stroke_number(stroke), *frames[0].shape[1:]))
    left = LAMP + (REACH << levels) if scene.lamp else 0
    changes = (change(film, scene.camera, left) for film in (frames, each, steady))
    goal = stylizer(clean, painter, stroke=stroke)
    return *changes, gradient(steady) / gradient(each), *(difference(film[-1], goal, left) for film in (each, steady))


def fine_view(photo: Tensor, width: int = WIDTH) -> Tensor:
    """`photo` (3, H, W), enlarged to cover every pan of frames `width` px wide, at FINE times their resolution."""
    reach = max(max(scene.camera) for scene in SCENES.values()) * FRAMES + 2 * MARGIN
    sides = zip((frame_height(width), width), photo.shape[1:], strict=True)
    size = round(max((side + reach) / given for side, given in sides) * max(photo.shape[1:]))
    photo = resize_image(photo, size)
    return F.interpolate(photo[None], scale_factor=FINE, mode="bicubic")[0].clamp(0, 1)


def frame_height(width: int) -> int:
    return width * 3 // 4


def make_film(view: Tensor, scene: Scene, width: int = WIDTH) -> list[Tensor]:
    """The frames of `scene`, `width` px wide, from the fine `view`."""
    draws, frames, height = torch.Generator().manual_seed(0), [], frame_height(width)
    for index in range(FRAMES):
        top, left = (round(FINE * (MARGIN + speed * index)) for speed in scene.camera)
        seen = view[None, :, top : top + FINE * height, left : left + FINE * width]
        frame = F.avg_pool2d(seen, FINE)[0]
        if scene.lamp and index % 2:
            frame[:, :LAMP, :LAMP] = 1
        noise = torch.randn(frame.shape, generator=draws) * scene.noise / 255
        frames.append((frame + noise).clamp(0, 1))
    return frames


def change(film: list[Tensor], camera: tuple[float, float], left: int = 0) -> float:
    """Mean difference in grey levels between successive frames, right of column `left`, the camera's motion undone."""
    return mean(difference(*align(before, after, camera), left) for before, after in pairwise(film))


def align(before: Tensor, after: Tensor, camera: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """The parts of two frames (3, H, W) that show the same scene, the first moved as the camera moved."""
    if all(float(speed).is_integer() and speed >= 0 for speed in camera):
        (down, right), (height, width) = map(int, camera), before.shape[1:]
        return before[:, down:, right:], after[:, : height - down, : width - right]
    height, width = before.shape[1:]
    rows, columns = torch.arange(height) + float(camera[0]), torch.arange(width) + float(camera[1])
    y, x = torch.meshgrid(2 * rows / (height - 1) - 1, 2 * columns / (width - 1) - 1, indexing="ij")
    grid = torch.stack([x, y], -1)[None]
    moved = F.grid_sample(before[None], grid, mode="bicubic", align_corners=True)[0].clamp(0, 1)
    bottom, right = (
        int(side - speed) - 3 for side, speed in zip((height, width), camera, strict=True)
    )  # beyond, the first frame shows nothing
    return moved[:, 2:bottom, 2:right], after[:, 2:bottom, 2:right]


def difference(a: Tensor, b: Tensor, left: int = 0) -> float:
    """Mean absolute difference in grey levels, right of column `left`."""
    return 255 * float((a - b)[:, :, left:].abs().mean())


def gradient(film: list[Tensor]) -> float:
    """Mean absolute difference between neighbouring pixels."""
    return mean(float(frame.diff(dim=1).abs().mean() + frame.diff(dim=2).abs().mean()) for frame in film)


if __name__ == "__main__":
    run(main)
