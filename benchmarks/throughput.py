"""How fast networks paint on this machine: python -m benchmarks.throughput [--sizes 256,512] [-o results/NAME.json]

In one run, on each device:

- `johnson`: the published one-style network as PyTorch's examples build it, eager, in float32 (on a GPU also in
  float16): all speeds are relative to this peer;
- `multistyle`: the shipped model through `Stylizer`, eager; `multistyle compiled`: with compile=True;
- `multistyle width 1`: the shape that Dumoulin et al. 2017 published, eager, with random weights;
- the floor: the time that the network's counted operations, or the bytes it has to move, take at the rates of a large
  matrix product and of a copy, measured here (`parts/machine.py`);
- the cost of a blend: 1, 2 and all styles, and 32 against 1,024 rows in the table;
- peak memory of one picture, and start-up, from the interpreter's start to the first picture;
- pictures read from files and written to files;
- several GPUs at once, one process each: the rate of all together relative to the sum of their rates alone.

Contenders, each in a separate process, take turns, so that anything that slows the machine down for a while slows all
of them. A turn is the median of several calls after a warm-up call. Times are medians over turns, ratios are medians
of each turn's ratio. Paintings are checked: all must be finite, and ours must equal those of the plain network.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from multistyle.device import choose_device, choose_precision
from multistyle.errors import MultistyleError
from multistyle.messages import say
from multistyle.stylizer import Stylizer
from multistyle.weights import default_weights, load_weights

from .parts.command import check_results, commit, run, whole_numbers, write_results
from .parts.contenders import PEER, blends, disk, names, precision_name
from .parts.costs import painting_memory, start_up, together
from .parts.machine import counted, describe, floor, limits
from .parts.turns import TURNS, Remote, take_turns

MEMORY_SIZE = 1024  # px
DEVICES = "Devices, separated by commas: auto (all GPUs, or the CPU), cpu, cuda:0, ..."


def measure_size(stylizer: Stylizer, name: str, weights: Path, size: int, batch: int) -> list[dict[str, Any]]:
    """A row for each contender at one size and batch."""
    device, precision = stylizer.device, precision_name(stylizer)
    one_pass = stylizer.one_pass
    least = floor(counted(one_pass.network, size, one_pass.precision), limits(device, one_pass.precision))
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
    result: dict[str, Any] = {"device": name, **describe(device), "precision": precision_name(stylizer)}
    say(f"{name}: {result['name']}, {result['precision']}")
    result["limits"] = limits(device, stylizer.one_pass.precision)
    result["rows"] = [
        row for size in sizes for batch in batches for row in measure_size(stylizer, name, weights, size, batch)
    ]
    result["blends"] = take_turns(blends(stylizer, device, sizes[len(sizes) // 2]), device)
    result["files"] = take_turns(disk(stylizer, device, sizes[len(sizes) // 2]), device)
    say("memory")
    result["memory"] = {
        each: painting_memory(each, name, MEMORY_SIZE, str(weights), precision) for each in (PEER, "multistyle")
    }
    say("start-up")
    result["start-up"] = start_up(name, str(weights), precision)
    return result


def main(
    devices: Annotated[str, typer.Option(help=DEVICES)] = "auto",
    sizes: Annotated[
        str, typer.Option(help="Sides of the square pictures in px, separated by commas.")
    ] = "256,512,1024",
    batch: Annotated[str | None, typer.Option(help="Batch sizes; default: 1 on a CPU, 1,4,16 on a GPU.")] = None,
    precision: Annotated[
        str, typer.Option(help="Precision of our network: auto, float32, bfloat16 or float16.")
    ] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write the results to.")] = None,
) -> None:
    """Measure speed, memory and start-up on this machine's devices."""
    places = chosen_devices(devices)
    for name in places:
        choose_precision(precision, choose_device(name))
    wanted = whole_numbers(sizes, "sizes")
    if any(size % 4 or size < 64 for size in wanted):
        raise MultistyleError(f"sizes are multiples of 4 px, 64 or more, not {sizes}")
    file = weights or default_weights()
    check_results(output, file)
    found = []
    for name in places:
        batches = whole_numbers(batch or ("1" if name == "cpu" else "1,4,16"), "batch")
        found.append(measure_device(name, wanted, batches, precision, file))
    facts: dict[str, Any] = {"commit": commit(), "weights": file.name, "turns": TURNS, "devices": found}
    if len(places) > 1:
        facts["together"] = together(places, max(wanted), max(batches), str(file), precision)
    write_results(output, facts)
    if output is not None:
        say(f"for the tables: python -m benchmarks.report {output}")


def chosen_devices(text: str) -> list[str]:
    """The devices that `text` names, separated by commas. Raises `MultistyleError` for one that does not exist."""
    if text != "auto":
        chosen = text.split(",")
        for name in chosen:
            choose_device(name)
        return chosen
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


if __name__ == "__main__":
    run(main)
