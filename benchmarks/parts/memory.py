"""The peak memory of a call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

PROC = Path("/proc/self")


def added_memory(run: Callable[[], Any], device: torch.device) -> int:
    """Peak bytes during `run()` above what was allocated before, on `device`, a GPU or the CPU.

    PyTorch counts on a GPU, the operating system on the CPU. Call `run` once on a small picture first, so that one-time
    allocations do not count. Where the system cannot reset its count (macOS), a peak below an earlier one counts as 0,
    so measure in a new process (`processes.in_new_processes`).
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    _restart()
    before = _peak()
    run()
    return _peak() - before


def _restart() -> None:
    """Reset the recorded peak to what the process holds now, if the system can."""
    if (PROC / "clear_refs").exists():
        (PROC / "clear_refs").write_text("5", encoding="ascii")


def _peak() -> int:
    """The most memory this process has held, in bytes."""
    status = PROC / "status"
    if status.is_file():  # getrusage would include the peak of the parent process
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
