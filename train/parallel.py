"""Several processes that train one network, as torchrun starts them; a process alone is a team of one.

torchrun --nproc-per-node N -m train fit ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from multistyle.device import choose_device
from multistyle.errors import DeviceError, MultistyleError
from multistyle.messages import say


@dataclass(frozen=True)
class Team:
    """rank: this process's number, from 0, which leads: it alone writes and prints; size: of how many."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def rows(self, batch: int, accumulate: int = 1) -> slice:
        """This process's rows of a global batch. Raises `MultistyleError` where they cannot be shared out evenly."""
        if batch % (self.size * accumulate):
            parts = f"{self.size} processes" + (f" in {accumulate} parts each" if accumulate > 1 else "")
            raise MultistyleError(f"a batch of {batch} cannot be shared out evenly over {parts}; change the recipe")
        share = batch // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def wrap(self, module: nn.Module) -> nn.Module:
        """`module`, its gradients averaged over the team by the end of a backward pass."""
        return module if self.size == 1 else nn.parallel.DistributedDataParallel(module)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of `values` over the team, on every process."""
        if self.size > 1:
            dist.all_reduce(values)
        return values / self.size

    def gather(self, value: Any) -> list[Any]:
        """Each process's `value` (anything that pickles), in order, on every process."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set on any process; all get the same answer."""
        if self.size == 1:
            return flag
        flags = torch.tensor(int(flag))
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done inside fails on all processes where it fails on one; every message is said once."""
        if self.size == 1:
            yield
            return
        failure = None
        try:
            yield
        except MultistyleError as error:
            failure = str(error)
        failures = list(dict.fromkeys(filter(None, self.gather(failure))))
        if failures:
            if self.leads:
                for failure in failures:
                    say(f"error: {failure}")
            dist.barrier()  # torchrun ends the others as soon as one has gone
            raise SystemExit(1)


@contextmanager
def team_up() -> Iterator[Team]:
    """The team that this process was started in, told by torchrun's environment variables."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):  # which has no error class of its own
            raise MultistyleError(f"process {dist.get_rank()} ends: another one has, or cannot be reached") from error
        raise
    dist.destroy_process_group()  # not after a failure: it could wait for who is gone


def spare_cores() -> int:
    """Processor cores for each process of this machine's share of the team."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def choose_share(name: str, team: Team) -> torch.device:
    """The device of this process: `name` as for `choose_device`; in a team, the GPU of its local rank.

    Raises `DeviceError`.
    """
    if team.size == 1:
        return choose_device(name)
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"of several processes each takes its own device; use --device auto, cpu or cuda, not {name}")
    if name == "cpu" or not (name == "cuda" or torch.cuda.is_available()):
        return choose_device("cpu")
    device = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
    torch.cuda.set_device(device)
    return device
