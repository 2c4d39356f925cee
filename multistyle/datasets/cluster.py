"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

from ..errors import MultistyleError, one_line

LOCAL = "127.0.0.1"
SECONDS = 10.0  # how long an address may take to answer
CPU_SHARE = (
    0.9  # of a CPU for each worker; with a whole one, nothing would be left for Ray's own tasks on small machines
)


class Workers(NamedTuple):
    """How many workers a cluster has room for, and what each of them gets."""

    number: int
    cpus: float
    gpus: int
    device: str


def check_ray() -> None:
    """Raise `MultistyleError` if Ray Data is not installed."""
    for package in ("ray", "pyarrow"):
        if find_spec(package) is None:
            raise MultistyleError(f"--ray needs {package}: pip install 'multistyle[ray]'")


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the Ray cluster at `address`, for the time of the block; one that is there already is kept.

    address: "auto" is a cluster that runs on this machine, or otherwise a new one of this machine alone; "local" is
    always a new one; otherwise host:port, or ray://host:port.

    Raises `MultistyleError` if no cluster answers.
    """
    check_ray()
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray reads it when it is imported
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        _connect(address)
        yield
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address not in ("auto", "local"):
        _check_answer(address)
    try:
        if address != "local":
            try:
                ray.init(address=address, **quiet)
                return
            except ConnectionError:
                if address != "auto" or os.environ.get("RAY_ADDRESS"):
                    raise
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address="local", include_dashboard=False, _node_ip_address=LOCAL, **quiet)
    except Exception as error:  # Ray raises many kinds for what can be wrong with a cluster
        text = f"{type(error).__name__}: {one_line(error)}"
        raise MultistyleError(f"no Ray cluster answers at {address}: {text}") from error


def _check_answer(address: str) -> None:
    """Raise `MultistyleError` unless something listens at the address; Ray itself would wait for minutes."""
    found = re.fullmatch(r"(?:ray://)?(?:\[([^]]+)\]|([^:/]+)):(\d+)", address)
    if not found:
        raise MultistyleError(
            f"the address of a Ray cluster is auto, local, HOST:PORT or ray://HOST:PORT, not {address!r}"
        )
    try:
        socket.create_connection((found[1] or found[2], int(found[3])), SECONDS).close()
    except (OSError, OverflowError) as error:
        raise MultistyleError(f"no Ray cluster answers at {address}: {error}") from error


def workers(device: str) -> Workers:
    """The workers for the cluster that this program is connected to: one for each GPU, or one for each CPU.

    device: "auto", "cpu" or "cuda". Raises `MultistyleError` for another one, and for "cuda" without any GPU.
    """
    import ray

    if device not in ("auto", "cpu", "cuda"):
        raise MultistyleError(f"with --ray, the device is auto, cpu or cuda, not {device!r}")
    there = ray.cluster_resources()
    gpus = 0 if device == "cpu" else int(there.get("GPU", 0))
    if device == "cuda" and not gpus:
        raise MultistyleError("the Ray cluster has no GPU; use --device auto or cpu")
    if gpus:
        return Workers(gpus, CPU_SHARE, 1, "cuda")
    return Workers(max(1, int(there.get("CPU", 1))), CPU_SHARE, 0, "cpu")
