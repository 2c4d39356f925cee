"""How fast networks paint on this machine: python -m benchmarks.throughput [--sizes 256,512] [-o results/NAME.json]

In one run, on each device:

- `johnson`: the published one-style network as PyTorch's examples build it, eager, in float32 (and on a GPU in the half
  precision it is fastest in): the peer that the speeds of all others are ratios to;
- `multistyle`: the shipped model by `Stylizer`, eager; `multistyle compiled`: with compile=True;
- `multistyle width 1`: the shape that Dumoulin et al. 2017 published, eager, random weights;
- the floor: the time that the network's counted operations, or the bytes it has to move, take at the rates of a large
  matrix product and of a copy measured here (`machine.py`);
- the cost of a blend: of 1, 2 and all styles, and of 32 against 1,024 rows in the table;
- start-up, from the interpreter's start to the first picture, and pictures read from files and written to files;
- several GPUs at once, a process each: the rate of all together over the sum of each alone.

Contenders, each in a process of its own, take turns, each several times in a row after one call that does not count, so
that what slows the machine down for a while slows all of them; times are medians of turns, ratios medians of each
turn's ratio. Paintings are checked to be finite, and ours to be those of the plain network.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import torch
import typer

from multistyle.device import choose_device, choose_precision
from multistyle.errors import MultistyleError
from multistyle.files import check_place
from multistyle.messages import say
from multistyle.stylizer import Stylizer
from multistyle.weights import default_weights, load_weights

from .parts.command import commit, run, write_results
from .parts.contenders import PEER, Contender, blends, disk, names
from .parts.machine import counted, describe, floor, limits
from .parts.processes import Remote, peak_memory, start_up, tells_memory, together

TURNS = 7
MEMORY_SIZE = 1024  # px
DEVICES = "auto: all GPUs, or the CPU; or cpu, cuda:0, ..."


def take_turns(group: Sequence[Contender | Remote], device: torch.device) -> dict[str, dict[str, float]]:
    """Seconds a picture of each contender: median and quartiles over turns, and its speed over the first one's."""
    times: dict[str, list[float]] = {contender.name: [] for contender in group}
    for _ in range(TURNS):
        for contender in group:
            times[contender.name].append(contender.turn(device))
    first = times[group[0].name]
    found = {}
    for name, own in times.items():
        low, middle, high = quantiles(own, n=4)
        ratio = median(a / b for a, b in zip(first, own))
        found[name] = {"seconds": middle, "lower quartile": low, "upper quartile": high, "speed": ratio}
    return found


def measure_size(stylizer: Stylizer, name: str, weights: Path, size: int, batch: int) -> list[dict[str, Any]]:
    """A row for each contender at one size and batch."""
    device, precision = stylizer.device, str(stylizer.one_pass.precision).split(".")[-1]
    least = floor(
        counted(stylizer.one_pass.network, size, stylizer.one_pass.precision),
        limits(device, stylizer.one_pass.precision),
    )
    with ExitStack() as stack:
        group = [
            stack.enter_context(closing(Remote(each, name, size, batch, str(weights), precision)))
            for each in names(device)
        ]
        times = take_turns(group, device)
    rows = []
    for each, found in times.items():
        row = {"name": each, "size": size, "batch": batch, **found}
        row |= {"pictures per second": 1 / found["seconds"], "megapixels per second": size**2 / 1e6 / found["seconds"]}
        if each in ("multistyle", "multistyle compiled"):
            row["over the floor"] = found["seconds"] / least
        rows.append(row)
        say(f"{size} px, {batch} a batch: {each}  {found['speed']:.2f} x {PEER}")
    return rows


def measure_device(name: str, sizes: list[int], batches: list[int], precision: str, weights: Path) -> dict[str, Any]:
    """All rows of one device."""
    device = choose_device(name)
    stylizer = Stylizer(load_weights(weights), name, precision)
    result: dict[str, Any] = {
        "device": name,
        **describe(device),
        "precision": str(stylizer.one_pass.precision).split(".")[-1],
    }
    say(f"{name}: {result['name']}, {result['precision']}")
    result["limits"] = limits(device, stylizer.one_pass.precision)
    result["rows"] = [
        row for size in sizes for batch in batches for row in measure_size(stylizer, name, weights, size, batch)
    ]
    result["blends"] = take_turns(blends(stylizer, device, sizes[len(sizes) // 2]), device)
    result["files"] = take_turns(disk(stylizer, device, sizes[len(sizes) // 2]), device)
    if tells_memory(device):
        say("memory")
        result["memory"] = {
            each: peak_memory(each, name, MEMORY_SIZE, str(weights), precision) for each in (PEER, "multistyle")
        }
    say("start-up")
    result["start-up"] = start_up(name, str(weights), precision)
    return result


def main(
    devices: Annotated[str, typer.Option(help=DEVICES)] = "auto",
    sizes: Annotated[str, typer.Option(help="Sides of square pictures in px.")] = "256,512,1024",
    batch: Annotated[str | None, typer.Option(help="Pictures at once; 1 on a CPU, 1,4,16 on a GPU by default.")] = None,
    precision: Annotated[str, typer.Option(help="Of our network: auto, float32, bfloat16 or float16.")] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write the results to.")] = None,
) -> None:
    """Measure throughput, memory and start-up of this machine's devices."""
    places = chosen_devices(devices)
    for name in places:
        choose_precision(precision, choose_device(name))
    wanted = numbers(sizes, "sizes")
    if any(size % 4 or size < 64 for size in wanted):
        raise MultistyleError(f"sizes are multiples of 4 px, 64 or more, not {sizes}")
    if output is not None:
        check_place(output)
    file = weights or default_weights()
    found = []
    for name in places:
        batches = numbers(batch or ("1" if name == "cpu" else "1,4,16"), "batch")
        found.append(measure_device(name, wanted, batches, precision, file))
    facts: dict[str, Any] = {"commit": commit(), "weights": file.name, "turns": TURNS, "devices": found}
    if len(places) > 1:
        facts["together"] = together(places, max(wanted), max(batches), str(file), precision)
    if output is not None:
        write_results(output, facts)
        say(f"python -m benchmarks.report {output}")


def chosen_devices(text: str) -> list[str]:
    """The devices that `text` names."""
    if text != "auto":
        return [choose_device(name) and name for name in text.split(",")]
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


def numbers(text: str, what: str) -> list[int]:
    """Whole numbers separated by commas. Raises `MultistyleError`."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise MultistyleError(f"{what} are whole numbers separated by commas, not {text!r}")
    return [int(part) for part in parts]


if __name__ == "__main__":
    run(main)
