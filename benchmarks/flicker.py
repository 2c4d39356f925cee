"""How much a painted video flickers: python -m benchmarks.flicker [--weights FILE] [--photo FILE]

Each film is made from one photo, and painted frame by frame and by `Steady`. Deterministic. The columns, in grey levels
where not a ratio:

- film, each, steady: mean absolute difference between a frame and the one before it: in the film, in the frames painted
  one by one, and in the steady painting. Only what both frames show counts, after undoing the known motion (exactly for
  whole pixels, otherwise by bicubic interpolation)
- ratio: steady over each
- sharp: mean gradient, steady over each: below 1 the steady painting is smeared
- off each, off steady: mean difference between the last frame and the painting of that frame without noise or lamp, so
  that lag and ghosts show (for a still camera; in a pan, two paintings of one frame have different strokes)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from multistyle.image import read_image, resize_image
from multistyle.messages import tell
from multistyle.stylizer import Stylizer, load_stylizer
from multistyle.video.steady import Steady

from .parts.command import run

HEIGHT, WIDTH, FRAMES, RATE = 192, 256, 12, 25  # px, px, frames, frames a second
MARGIN = 24  # px between the photo's border and the first frame
FINE = 4  # steps a pixel of the camera's motion
LAMP, FAR = 48, 48 + 64  # px: side of the lamp, and the column beyond which it does not change the painting
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
) -> None:
    """Measure the flicker of painted videos."""
    stylizer, view = load_stylizer(weights, "cpu", "float32"), fine_view(read_image(photo))
    columns = ("film", "each", "steady", "ratio", "sharp", "off each", "off steady")
    tell(" ".join([" " * 26, *(f"{column:>10}" for column in columns)]))
    for name, scene in SCENES.items():
        rows = [measure(stylizer, painter, view, scene) for painter in stylizer.painters[:count]]
        film, each, steady, sharp, off_each, off_steady = (mean(column) for column in zip(*rows))
        numbers = (film, each, steady, steady / each, sharp, off_each, off_steady)
        tell(" ".join([f"{name:26}", *(f"{number:10.2f}" for number in numbers)]))


def measure(stylizer: Stylizer, painter: str, view: Tensor, scene: Scene) -> tuple[float, ...]:
    """film, each, steady, sharp, off each and off steady of one painter and scene."""
    clean, frames = make_film(view, Scene(scene.camera))[-1], make_film(view, scene)
    painter_steadily = Steady(stylizer)
    each = [stylizer(frame, painter) for frame in frames]
    steady = [painter_steadily(frame, painter, time=index / RATE) for index, frame in enumerate(frames)]
    left = FAR if scene.lamp else 0
    changes = (change(film, scene.camera, left) for film in (frames, each, steady))
    goal = stylizer(clean, painter)
    return *changes, gradient(steady) / gradient(each), *(difference(film[-1], goal, left) for film in (each, steady))


def fine_view(photo: Tensor) -> Tensor:
    """`photo` (3, H, W), enlarged to cover every pan, at FINE times the camera's resolution."""
    reach = max(max(scene.camera) for scene in SCENES.values()) * FRAMES + 2 * MARGIN
    size = round(max((HEIGHT + reach) / photo.shape[1], (WIDTH + reach) / photo.shape[2]) * max(photo.shape[1:]))
    photo = resize_image(photo, size)
    return F.interpolate(photo[None], scale_factor=FINE, mode="bicubic")[0].clamp(0, 1)


def make_film(view: Tensor, scene: Scene) -> list[Tensor]:
    """The frames (3, HEIGHT, WIDTH) of `scene`, from the fine `view`."""
    draws, frames = torch.Generator().manual_seed(0), []
    for index in range(FRAMES):
        top, left = (round(FINE * (MARGIN + speed * index)) for speed in scene.camera)
        seen = view[None, :, top : top + FINE * HEIGHT, left : left + FINE * WIDTH]
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
        int(side - speed) - 3 for side, speed in zip((height, width), camera)
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
