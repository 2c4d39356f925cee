"""What a picture of any size costs: python -m benchmarks.tiling PHOTO [--megapixels 1,4,16,64]

Enlarges a photo to each size, as a PNG file, and paints the file in a process of its own, in strips, file to file.
Prints seconds, seconds a megapixel over those of the first size, and the peak of memory above the loaded program.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from multistyle.image import read_image, resize_image, write_image
from multistyle.messages import say, tell
from multistyle.painting import PaintOptions
from multistyle.stylizer import load_stylizer, paint_file

from .parts.command import run

TILE = "1024"


def main(
    photo: Annotated[Path, typer.Argument(help="Picture to enlarge.")],
    megapixels: Annotated[str, typer.Option(help="Sizes, with commas between.")] = "1,4,16,64",
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Statistics from a reduced picture.")] = False,
    one: Annotated[bool, typer.Option("--one", hidden=True)] = False,
) -> None:
    """Measure painting in strips at several sizes."""
    if one:
        tell(json.dumps(measure(photo, weights, estimate)))
        return
    tell(f"{'megapixels':>10} {'seconds':>8} {'per megapixel':>14} {'peak memory':>12}")
    first = None
    for size in [float(text) for text in megapixels.split(",")]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "photo.png"
            pixels = enlarge(photo, size, file)
            command = [sys.executable, "-m", "benchmarks.tiling", str(file), "--one", *["--estimate"] * estimate]
            command += ["--weights", str(weights)] if weights else []
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        rate = found["seconds"] / pixels
        first = first or rate
        tell(
            f"{pixels / 1e6:10.1f} {found['seconds']:8.1f} {rate / first:13.2f}x {found['peak'] / 1e9:9.2f} GB",
        )


def enlarge(photo: Path, megapixels: float, file: Path) -> int:
    """Write a mosaic of the photo, mirrored so that no seam shows, of about that many pixels; returns how many.

    Made of whole photos: enlarging alone would leave a picture without any detail.
    """
    image = (resize_image(read_image(photo), 1000) * 255).round().byte()
    block = torch.cat([torch.cat([image, image.flip(2)], 2), torch.cat([image.flip(1), image.flip((1, 2))], 2)], 1)
    height = round((megapixels * 1e6 * block.shape[1] / block.shape[2]) ** 0.5)
    width = round(megapixels * 1e6 / height)
    repeats = (1, -(-height // block.shape[1]), -(-width // block.shape[2]))
    write_image(file, block.repeat(repeats)[:, :height, :width])
    return height * width


def measure(file: Path, weights: Path | None, estimate: bool) -> dict[str, float]:
    """Seconds to paint `file` to another file, and the peak of memory above what the loaded program takes, in bytes."""
    stylizer = load_stylizer(weights, "cpu", "float32")
    stylizer(torch.rand(3, 64, 64))
    loaded = peak_memory()
    started = time.perf_counter()

    def show(done: int, total: int) -> None:
        if 10 * done // total > 10 * (done - 1) // total:
            say(f"  {file.name}: {100 * done // total} %")

    paint_file(
        stylizer,
        file,
        file.with_name("painted.png"),
        PaintOptions(strips=TILE, estimate=estimate),
        show,
    )
    return {"seconds": time.perf_counter() - started, "peak": peak_memory() - loaded}


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the parent process held when it started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    run(main)
