"""Several processes that train one network, started by torchrun. A single process is a team of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
    """The processes of a run, as seen by one of them."""

    rank: int = 0  # number of this process; number 0 leads, and alone writes and prints
    size: int = 1  # number of processes

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def rows(self, batch: int, accumulate: int = 1) -> slice:
        """This process's rows of a batch. Raises `MultistyleError` if they cannot be shared out evenly."""
        if batch % (self.size * accumulate):
            parts = f"{self.size} processes" + (f" in {accumulate} parts each" if accumulate > 1 else "")
            raise MultistyleError(f"a batch of {batch} cannot be shared out evenly over {parts}; change the recipe")
        share = batch // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def wrap(self, module: nn.Module) -> nn.Module:
        """`module`, with its gradients averaged over the team by the end of a backward pass."""
        return module if self.size == 1 else nn.parallel.DistributedDataParallel(module)

    def without_exchange(self, module: nn.Module) -> AbstractContextManager[None]:
        """Inside, backward passes of a wrapped `module` add to the gradients of this process alone."""
        return module.no_sync() if isinstance(module, nn.parallel.DistributedDataParallel) else nullcontext()

    def mean(self, values: Tensor) -> Tensor:
        """The mean of `values` over the team, on every process."""
        if self.size > 1:
            dist.all_reduce(values)
        return values / self.size

    def gather(self, value: Any) -> list[Any]:
        """The `value` (anything that pickles) of every process, in order, on every process."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set on any process; the same answer on all."""
        if self.size == 1:
            return flag
        flags = torch.tensor(int(flag))
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let all processes fail if the body fails on one of them; print each message once."""
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
            dist.barrier()  # torchrun ends the others as soon as one has ended
            raise SystemExit(1)


@contextmanager
def team_up() -> Iterator[Team]:
    """The team that this process belongs to, according to torchrun's environment variables."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Team(dist.get_rank(), size)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):  # gloo has no error class
            raise MultistyleError(
                f"process {dist.get_rank()} ends: another one has ended or cannot be reached"
            ) from error
        raise
    dist.destroy_process_group()  # not after a failure: it could wait for a process that has ended


def spare_cores() -> int:
    """Processor cores of this machine for each process of the team on it."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def choose_share(name: str, team: Team) -> torch.device:
    """The device of this process: `name` as for `choose_device`; in a team, the GPU with the process's local rank.

    Raises `DeviceError`.
    """
    if team.size == 1:
        return choose_device(name)
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"each of several processes takes its own device; use --device auto, cpu or cuda, not {name}")
    if name == "cpu" or not (name == "cuda" or torch.cuda.is_available()):
        return choose_device("cpu")
    device = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
    torch.cuda.set_device(device)
    return device
