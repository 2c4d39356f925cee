"""Contenders take turns, so that anything that slows the machine down for a while slows all of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

import torch

from multistyle.errors import MultistyleError

from .contenders import Contender, build

TURNS = 7


class Remote:
    """A contender in a separate process, so that nothing else affects its allocator. Close it after use.

    The arguments are those of `contenders.build`. Raises `MultistyleError` if the contender cannot be built.
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
        """End the process."""
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


def take_turns(group: Sequence[Contender | Remote], device: torch.device) -> dict[str, dict[str, float]]:
    """Seconds per picture of each contender: median and quartiles over turns; and its speed over the first's."""
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
