"""Measurements that take a process of their own: start-up, peak memory, and several devices at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.multiprocessing as multiprocessing

from multistyle.errors import MultistyleError
from multistyle.messages import say
from multistyle.stylizer import load_stylizer

from .contenders import PEER, build, mix, peers, pictures
from .machine import synchronize

STARTS = 5
SECONDS = 10.0  # of painting, where several devices paint at once
START_UP = """
import json, sys, time
begin = time.perf_counter()
import torch
torch_there = time.perf_counter()
from multistyle.stylizer import load_stylizer
package = time.perf_counter()
stylizer = load_stylizer({weights!r}, {device!r}, {precision!r})
loaded = time.perf_counter()
stylizer(torch.rand(3, 512, 512)).cpu()
print(json.dumps({{"torch": torch_there - begin, "multistyle": package - torch_there,
                  "weights": loaded - package, "first picture": time.perf_counter() - loaded}}))
"""


class Remote:
    """A contender in a process of its own: what it leaves in the memory allocator neither helps nor hurts others.

    The arguments are those of `contenders.build`. To be closed. Raises `MultistyleError` where it could not be built.
    """

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, name, *arguments), daemon=True)
        self.process.start()
        there.close()
        self._receive()

    def turn(self, device: torch.device) -> float:
        """As `Contender.turn`."""
        self.here.send("turn")
        return self._receive()

    def _receive(self) -> float:
        try:
            return self.here.recv()
        except EOFError as error:
            raise MultistyleError(f"{self.name} cannot be measured; see above") from error

    def close(self) -> None:
        self.here.close()
        self.process.join()


def _serve(connection: Any, name: str, device: str, *arguments: Any) -> None:
    contender, place = build(name, device, *arguments), torch.device(device)
    connection.send(0.0)
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        connection.send(contender.turn(place))


def start_up(device: str, weights: str, precision: str) -> dict[str, float]:
    """Seconds of each part of a start, and of a whole process that paints one picture of 512 px; medians."""
    code, found = START_UP.format(weights=weights, device=device, precision=precision), []
    for _ in range(STARTS):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root())
        found.append({**json.loads(done.stdout), "process": time.perf_counter() - started})
    return {part: median(each[part] for each in found) for part in found[0]}


def root() -> Path:
    return Path(__file__).parents[2]


def tells_memory(device: torch.device) -> bool:
    """Whether `peak_memory` can be measured here."""
    return device.type == "cuda" or Path("/proc/self/clear_refs").exists()


def peak_memory(name: str, device: str, size: int, weights: str, precision: str) -> int:
    """Bytes at the peak of one picture of size x size px, above those of a loaded network, in a process of its own.

    Of a GPU as PyTorch counts them, elsewhere as Linux does.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_memory, (name, device, size, weights, precision))


def _peak_memory(name: str, device: str, size: int, weights: str, precision: str) -> int:
    place = torch.device(device)
    stylizer = load_stylizer(weights, device, precision)
    small, photo = pictures(64, 1, place), pictures(size, 1, place)
    run = peers(place)[PEER] if name == PEER else lambda photo: stylizer(photo, mix(stylizer, 2))
    run(small)  # what is allocated once is not the picture's
    if place.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(place)
        before = torch.cuda.memory_allocated(place)
        run(photo)
        return torch.cuda.max_memory_allocated(place) - before
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew
    before = _status("VmRSS")
    run(photo)
    return _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024


def together(devices: list[str], size: int, batch: int, weights: str, precision: str) -> dict[str, Any]:
    """Pictures per second of each device alone, and of all at once, a process each; their ratio is the efficiency."""
    alone = [_rates([device], size, batch, weights, precision)[0] for device in devices]
    each = _rates(devices, size, batch, weights, precision)
    say(f"{len(devices)} devices at once: {sum(each) / sum(alone):.2f} of the sum of each alone")
    return {"alone": alone, "together": each, "efficiency": sum(each) / sum(alone), "size": size, "batch": batch}


def _rates(devices: list[str], size: int, batch: int, weights: str, precision: str) -> list[float]:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(len(devices)) as pool:
        barrier = manager.Barrier(len(devices))
        return pool.starmap(_rate, [(device, size, batch, weights, precision, barrier) for device in devices], 1)


def _rate(device: str, size: int, batch: int, weights: str, precision: str, barrier: Any) -> float:
    """Pictures per second, from when all processes are ready."""
    stylizer = load_stylizer(weights, device, precision)
    photos, blend = pictures(size, batch, stylizer.device), mix(stylizer, 2)
    for _ in range(3):
        stylizer(photos, blend)
    synchronize(stylizer.device)
    barrier.wait(timeout=600)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        stylizer(photos, blend)
        synchronize(stylizer.device)
        count += batch
    return count / (time.perf_counter() - started)
