"""Run a measurement in a new process, so that earlier ones cannot affect it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from multistyle.errors import MultistyleError


def in_new_processes(function: Callable[..., Any], *calls: Sequence[Any]) -> list[Any]:
    """The results of `function(*call)` for each of `calls`, all at once, each in a new process.

    function: defined at the top level of a module.
    calls: the arguments of each call.

    Raises `MultistyleError` if a process dies, for example from lack of memory, and whatever `function` raises.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(calls), context) as pool:
        futures = [pool.submit(function, *call) for call in calls]
        try:
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise MultistyleError("the process that measures was killed; it may have run out of memory") from error
