"""Choose a device and a precision, and prove that they are there before any work is done."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

from .errors import DeviceError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`: "auto" (CUDA, then MPS, then CPU), "cpu", "cuda", "cuda:N" or "mps".

    Raises `DeviceError` where the name is none of these or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps") or (device.type != "cuda" and device.index):
        raise DeviceError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:N or mps")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= count:
        there = f"; CUDA devices here: {count}" if device.type == "cuda" else ""
        raise DeviceError(f"no device {name} on this machine{there}; use --device auto or cpu")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype the network computes in: "auto" (bfloat16 where a GPU has it, else float32) or one of `PRECISIONS`.

    Raises `DeviceError` for another name, and for a half precision that the device computes in only by emulation.
    """
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if name == "auto":
        return torch.bfloat16 if native else torch.float32
    if name not in PRECISIONS:
        raise DeviceError(f"unknown precision {name!r}; use auto, {', '.join(PRECISIONS)}")
    if name == "bfloat16" and device.type == "cuda" and not native:
        raise DeviceError(f"{torch.cuda.get_device_name(device)} has no bfloat16; use --precision float16 or float32")
    return PRECISIONS[name]


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on `device` now; where the system does not say, half of the machine's memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def keep_freed_memory() -> None:
    """Let this process keep memory that a layer frees for the next one, instead of returning it to the system.

    Else a fifth of the time of a compiled network goes into getting pages and clearing them. The process then holds
    what it held at its peak; for one that paints picture after picture. Without glibc, nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold, most = -1, -3, 2**30
        mallopt(trim_threshold, most)
        mallopt(mmap_threshold, most)
