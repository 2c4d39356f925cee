"""What it costs to paint a data set: python -m benchmarks.datasets [--count 64] [--parts 2]

Paints JPEG files of 500 px in random mixes in three ways: with the plain command; with `--part`, all parts at once on
this machine's cores; and on a local Ray (`--ray auto`), if it is installed. The ways take turns. A command for a few
pictures and one for all of them give the rate, and the time that starting and ending takes.

Prints, for each way, the pictures a second and what they are relative to the plain command; the seconds of start-up;
the hours that a million pictures would take here; and the largest difference from the plain command's paintings, in
grey levels. (JPEG makes several levels of one.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import typer

from multistyle.errors import MultistyleError
from multistyle.image import read_image, resize_image, write_image
from multistyle.messages import say, tell

from .parts.command import progress, run

STORED = 500  # px, longer side of the files: about that of ImageNet's
FEW = 8  # pictures of the short command
PHOTO = Path(__file__).parents[1] / "tests" / "assets" / "chelsea.jpg"


class Turn(NamedTuple):
    """What two commands, for a few pictures and for all, took."""

    rate: float  # pictures a second
    start: float  # s


def main(
    count: Annotated[int, typer.Option(min=2 * FEW, help="Pictures that the long command paints.")] = 64,
    parts: Annotated[int, typer.Option(min=2, help="Parts, painted at once.")] = 2,
    turns: Annotated[int, typer.Option(min=1, help="How often each way is measured.")] = 3,
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
) -> None:
    """Measure the ways to paint a folder."""
    ways: dict[str, list[list[str]]] = {"plain": [[]]}
    ways |= {f"--part K/{parts}": [["--part", f"{part}/{parts}"] for part in range(1, parts + 1)]}
    if find_spec("ray") and find_spec("pyarrow"):
        ways["--ray auto"] = [["--ray", "auto"]]
    else:
        say("Ray is not installed (pip install '.[ray]'), and is left out")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, list[Turn]] = {way: [] for way in ways}
        write_photos(folder, count)
        for way in progress(list(ways) * turns, "measurement"):
            title = f"{len(found[way])} {way.split()[0]}"
            found[way].append(measure(folder, title, ways[way], count, weights))
        tell(
            f"{'':12} {'pictures/s':>10} {'to plain':>9} {'start-up, s':>11} {'hours a million':>15} {'difference':>10}"
        )
        for way, each in found.items():
            rate, start = (median(getattr(turn, field) for turn in each) for field in Turn._fields)
            ratio = median(turn.rate / plain.rate for turn, plain in zip(each, found["plain"], strict=True))
            apart = difference(folder / "0 plain all", folder / f"0 {way.split()[0]} all", count)
            tell(f"{way:12} {rate:10.2f} {ratio:8.2f}x {start:11.1f} {1e6 / rate / 3600:15.1f} {apart:10.0f}")


def write_photos(folder: Path, count: int) -> None:
    """Write `count` photos to `folder`/all, and a few of them to `folder`/few: one photo, moved round its borders."""
    image = resize_image(read_image(PHOTO), STORED)
    for part in ("all", "few"):
        (folder / part).mkdir()
    for number in range(count):
        file = folder / "all" / f"{number:05}.jpg"
        write_image(file, image.roll((7 * number, 11 * number), (1, 2)))
        if number < FEW:
            shutil.copyfile(file, folder / "few" / file.name)


def measure(folder: Path, title: str, options: list[list[str]], count: int, weights: Path | None) -> Turn:
    """Paint the few and all photos in `folder`, with one command for each list of `options`, all of them at once."""
    few, every = (seconds(folder / part, folder / f"{title} {part}", options, weights) for part in ("few", "all"))
    rate = (count - FEW) / max(every - few, 1e-3)
    return Turn(rate, few - FEW / rate)


def seconds(source: Path, target: Path, options: list[list[str]], weights: Path | None) -> float:
    """Seconds that commands of `multistyle folder` take. Raises `MultistyleError` if one fails."""
    command = [sys.executable, "-m", "multistyle", "folder", str(source), str(target), "--mix", "random"]
    command += [] if weights is None else ["--weights", str(weights)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    if any("--ray" in each for each in options):
        environment.pop("OMP_NUM_THREADS", None)  # Ray gives each worker its threads
    else:
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // len(options)))
    started = time.perf_counter()
    running = [
        subprocess.Popen(
            [*command, *each], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for each in options
    ]
    errors = [process.communicate()[1] for process in running]
    if any(process.returncode for process in running):
        raise MultistyleError(f"multistyle folder failed: {''.join(errors).strip()}")
    return time.perf_counter() - started


def difference(expected: Path, folder: Path, count: int) -> float:
    """The largest difference between paintings of the same name, in grey levels. Raises `MultistyleError`."""
    pairs = [(read_image(file), read_image(folder / file.name)) for file in sorted(expected.glob("*.jpg"))]
    if len(pairs) != count:
        raise MultistyleError(f"{len(pairs)} of {count} pictures were painted into {expected}")
    return 255 * max(float((one - other).abs().max()) for one, other in pairs)


if __name__ == "__main__":
    run(main)
