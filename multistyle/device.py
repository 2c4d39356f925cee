"""Choose a device and a precision, and check that the machine has them before any work is done; memory."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import torch

from .errors import DeviceError

OUT_OF_MEMORY = (  # in the texts of errors; CUDA and newer PyTorch raise `torch.OutOfMemoryError` instead
    "can't allocate memory",  # Linux and macOS: "DefaultCPUAllocator: can't allocate memory: you tried to allocate ..."
    "not enough memory",  # Windows: "DefaultCPUAllocator: not enough memory: you tried to allocate ..."
    "out of memory",  # "CUDA error: out of memory", "MPS backend out of memory"
    "cannot allocate memory",  # Linux, by its system's words, as where a file cannot be mapped
    "bad_alloc",  # C++
    "invalid buffer size",  # MPS, for one buffer larger than the device takes
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)

UNKNOWN = 4 << 30  # bytes of free memory that are assumed where the system says nothing, as on Windows
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`: "auto" (CUDA, then MPS, then CPU), "cpu", "cuda", "cuda:N" or "mps".

    Raises `DeviceError` for any other name, or if this machine has no such device.
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

    Raises `DeviceError` for any other name, and for bfloat16 on a GPU that only emulates it.
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
    """Free bytes on `device` now; where the system does not say, half of the machine's memory, or 4 GiB.

    On a GPU, memory that PyTorch keeps for later tensors is free too.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    if not hasattr(os, "sysconf"):
        return UNKNOWN
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out: on a CPU under Linux, macOS or Windows, on CUDA, or on MPS."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in OUT_OF_MEMORY)


def keep_freed_memory() -> None:
    """Let this process keep memory that a layer frees for the next one, instead of returning it to the system.

    Otherwise, a compiled network spends a fifth of its time on getting and clearing pages. The process then holds on
    to its peak, which suits one that paints picture after picture. Without glibc, nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold, most = -1, -3, 2**30
        mallopt(trim_threshold, most)
        mallopt(mmap_threshold, most)
