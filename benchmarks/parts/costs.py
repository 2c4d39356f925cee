"""What painting costs besides time: start-up, peak memory, and the efficiency of several devices at once."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from multistyle.messages import say
from multistyle.stylizer import load_stylizer

from .contenders import PEER, peers, pictures
from .machine import synchronize
from .memory import added_memory
from .painters import equal_mix
from .processes import in_new_processes

ROOT = Path(__file__).parents[2]
STARTS = 5
SECONDS = 10.0  # how long several devices paint at once
READY = 600.0  # seconds that a process may take to get ready


def start_up(device: str, weights: str, precision: str) -> dict[str, float]:
    """Seconds of each step of `first_picture`, and of its whole process: medians of several starts."""
    command = [sys.executable, "-m", "benchmarks.parts.first_picture", weights, device, precision]
    found = []
    for _ in range(STARTS):
        started = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        found.append({**json.loads(done.stdout), "process": time.perf_counter() - started})
    return {step: median(each[step] for each in found) for step in found[0]}


def painting_memory(name: str, device: str, size: int, weights: str, precision: str) -> int:
    """Peak bytes of painting one picture above the loaded network, measured in a new process.

    name: `PEER`, or "multistyle".
    size: side of the square picture in px.
    """
    return in_new_processes(_painting_memory, (name, device, size, weights, precision))[0]


def _painting_memory(name: str, device: str, size: int, weights: str, precision: str) -> int:
    place = torch.device(device)
    stylizer = load_stylizer(weights, device, precision)
    blend = equal_mix(stylizer, 2)
    paint = peers(place)[PEER] if name == PEER else lambda photo: stylizer(photo, blend, stroke="off")
    small, photo = pictures(64, 1, place), pictures(size, 1, place)
    paint(small)
    return added_memory(lambda: paint(photo), place)


def together(devices: list[str], size: int, batch: int, weights: str, precision: str) -> dict[str, Any]:
    """Pictures per second of each device alone and of all at once, one process each.

    The efficiency is the sum of the rates at once divided by the sum of the rates alone.
    """
    alone = [_rates([device], size, batch, weights, precision)[0] for device in devices]
    each = _rates(devices, size, batch, weights, precision)
    say(f"{len(devices)} devices at once: {sum(each) / sum(alone):.2f} of the sum of each alone")
    return {"alone": alone, "together": each, "efficiency": sum(each) / sum(alone), "size": size, "batch": batch}


def _rates(devices: list[str], size: int, batch: int, weights: str, precision: str) -> list[float]:
    with multiprocessing.get_context("spawn").Manager() as manager:
        barrier = manager.Barrier(len(devices))
        return in_new_processes(_rate, *((device, size, batch, weights, precision, barrier) for device in devices))


def _rate(device: str, size: int, batch: int, weights: str, precision: str, barrier: Any) -> float:
    """Pictures per second, counted from when all processes are ready."""
    stylizer = load_stylizer(weights, device, precision)
    photos, blend = pictures(size, batch, stylizer.device), equal_mix(stylizer, 2)
    for _ in range(3):
        stylizer(photos, blend, stroke="off")
    synchronize(stylizer.device)
    barrier.wait(timeout=READY)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        stylizer(photos, blend, stroke="off")
        synchronize(stylizer.device)
        count += batch
    return count / (time.perf_counter() - started)
