"""What a picture of any size costs: python -m benchmarks.strips PHOTO [--megapixels 1,4,16,64]

For each size, enlarges a photo to a PNG file and paints that file in strips, file to file, in a new process: several
turns, each with all strokes one after the other. Prints, for each size and stroke, the median of the seconds; seconds
per megapixel, relative to the first size; seconds relative to the first stroke, as the median over turns; and the peak
memory above the loaded program.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer

from multistyle.image import read_image, resize_image, write_image
from multistyle.messages import say, tell
from multistyle.painting import PaintOptions
from multistyle.pixels import as_bytes
from multistyle.strips import SIDE
from multistyle.stylizer import load_stylizer, paint_file

from .parts.command import numbers, run
from .parts.memory import added_memory
from .parts.processes import in_new_processes


def main(
    photo: Annotated[Path, typer.Argument(help="Picture to enlarge.")],
    megapixels: Annotated[str, typer.Option(help="Sizes, separated by commas.")] = "1,4,16,64",
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Take the statistics from a reduced picture.")] = False,
    stroke: Annotated[
        list[str] | None,
        typer.Option(help="Size of the strokes, repeatable: off (default), one pass; auto or a number."),
    ] = None,
    turns: Annotated[int, typer.Option(min=1, help="How often each is painted.")] = 3,
) -> None:
    """Measure painting in strips at several sizes."""
    sizes, strokes = numbers(megapixels, "megapixels"), stroke or ["off"]
    tell(f"{'megapixels':>10} {'stroke':>6} {'seconds':>8} {'per megapixel':>14} {'to first':>9} {'peak memory':>12}")
    first: dict[str, float] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "photo.png"
            pixels = enlarge(photo, size, file)
            found = [measure_all(file, weights, estimate, strokes) for _ in range(turns)]
        for index, name in enumerate(strokes):
            seconds = median(turn[index][0] for turn in found)
            ratio = median(turn[index][0] / turn[0][0] for turn in found)
            memory = max(turn[index][1] for turn in found)
            rate = seconds / pixels
            relative = rate / first.setdefault(name, rate)
            sizes_and_times = f"{pixels / 1e6:10.1f} {name:>6} {seconds:8.1f} {relative:13.2f}x {ratio:8.2f}x"
            tell(f"{sizes_and_times} {memory / 1e9:9.2f} GB")


def measure_all(file: Path, weights: Path | None, estimate: bool, strokes: Sequence[str]) -> list[tuple[float, int]]:
    """`measure` for each stroke, each in a new process, one after the other."""
    return [in_new_processes(measure, (file, weights, estimate, stroke))[0] for stroke in strokes]


def enlarge(photo: Path, megapixels: float, file: Path) -> int:
    """Write a mosaic of the photo of about that size, mirrored so that no seam shows; return its number of pixels.

    The mosaic repeats the photo, because an enlarged photo would have no detail.
    """
    image = as_bytes(resize_image(read_image(photo), 1000))
    block = torch.cat([torch.cat([image, image.flip(2)], 2), torch.cat([image.flip(1), image.flip((1, 2))], 2)], 1)
    height = max(1, round((megapixels * 1e6 * block.shape[1] / block.shape[2]) ** 0.5))
    width = max(1, round(megapixels * 1e6 / height))
    repeats = (1, -(-height // block.shape[1]), -(-width // block.shape[2]))
    write_image(file, block.repeat(repeats)[:, :height, :width])
    return height * width


def measure(file: Path, weights: Path | None, estimate: bool, stroke: str) -> tuple[float, int]:
    """Paint `file` to a file beside it; return seconds, and peak bytes above the loaded program."""
    stylizer = load_stylizer(weights, "cpu", "float32")
    stylizer(torch.rand(3, 64, 64))
    options = PaintOptions(stroke=stroke, strips=SIDE, estimate=estimate)

    def show(done: int, total: int | None) -> None:
        if total and 10 * done // total > 10 * (done - 1) // total:
            say(f"  {file.name}: {100 * done // total} %")

    started = time.perf_counter()
    memory = added_memory(
        lambda: paint_file(stylizer, file, file.with_name("painted.png"), options, show), stylizer.device
    )
    return time.perf_counter() - started, memory


if __name__ == "__main__":
    run(main)
