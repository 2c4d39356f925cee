"""Facts about a device for the results, and the two rates that limit a network's speed."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from multistyle.network import StyleNetwork

REPEATS = 9


def describe(device: torch.device) -> dict[str, Any]:
    """Name, driver, threads and versions of the device and of what runs on it."""
    facts: dict[str, Any] = {"torch": torch.__version__, "python": platform.python_version()}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        driver = Path("/proc/driver/nvidia/version")
        version = driver.read_text().split("Module")[-1].split()[0] if driver.is_file() else "unknown"
        return facts | {"name": properties.name, "cuda": torch.version.cuda, "driver": version}
    return facts | {"name": processor(), "threads": torch.get_num_threads()}


def processor() -> str:
    """The name of the processor, and its number of cores."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds(run: Callable[[], Any], device: torch.device) -> float:
    """How long one call takes, including the work that it starts on the device."""
    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


def median_seconds(run: Callable[[], Any], device: torch.device, repeats: int = REPEATS) -> float:
    """The median time of a call, after two warm-up calls."""
    for _ in range(2):
        run()
    return median(seconds(run, device) for _ in range(repeats))


def limits(device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Measured operations per second of a large matrix product, and bytes per second read and written by a copy.

    On a GPU, a product in float32 may use TF32, as convolutions do by default.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    side = 2048 if device.type == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    large = torch.empty(2**26 if device.type == "cpu" else 2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(large)
    product = min(median_seconds(lambda: a @ b, device), median_seconds(lambda: a @ b, device))
    copy = median_seconds(lambda: target.copy_(large), device)
    return {"operations": 2 * side**3 / product, "bytes": 2 * large.numel() / copy}


def counted(network: StyleNetwork, size: int, dtype: torch.dtype) -> dict[str, float]:
    """Operations of all convolutions for one picture of size x size px, and the fewest bytes they must move.

    A normalization needs the whole picture before the next convolution can begin, so each convolution's input is read
    and its output written once. Weights and normalizations are left out: both are small against these.
    """
    full, half, quarter = network.config.widths
    pixels, blocks = size * size, len(network.blocks)
    layers = [
        (3, full, network.config.stem, 1, 1),
        (full, half, 3, 1, 4),
        (half, quarter, 3, 4, 16),
        *[(quarter, quarter, 3, 16, 16)] * blocks,
        (quarter, half, 3, 16, 4),
        (half, full, 3, 4, 1),
        (full, 3, network.config.head, 1, 1),
    ]  # channels in and out, kernel, and by how much input and output are smaller than the picture
    operations = sum(2 * i * o * k * k * pixels / down for i, o, k, _, down in layers)
    moved = sum(i * pixels / before + o * pixels / after for i, o, _, before, after in layers)
    return {"operations": operations, "bytes": moved * torch.empty(0, dtype=dtype).element_size()}


def floor(work: dict[str, float], rates: dict[str, float]) -> float:
    """The seconds that the operations, or the bytes, take at the measured rates: whichever is longer."""
    return max(work[kind] / rates[kind] for kind in ("operations", "bytes"))
