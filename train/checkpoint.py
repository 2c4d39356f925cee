"""The state of a training run, in one file that is either whole or not there."""

from __future__ import annotations

import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from multistyle.errors import MultistyleError
from multistyle.files import atomic_write

from .config import TrainConfig


class CheckpointError(MultistyleError):
    """A run's state that cannot be read, or that belongs to another run."""


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of these) under a temporary name, then rename it."""
    with atomic_write(file, CheckpointError) as temporary:
        torch.save(state, temporary)


def as_lists(values: dict[str, Any]) -> dict[str, Any]:
    """`values` with lists for tuples, as a state's file holds them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def load_checkpoint(file: Path, config: dict[str, Any], free: set[str]) -> dict[str, Any] | None:
    """The state in `file`, None where there is none. It was saved with the same `config` but for the keys in `free`.

    Loaded without running any pickled code. Raises `CheckpointError`.
    """
    if not file.exists():
        return None
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"cannot read the state of a run in {file} ({reason}); delete it to start anew"
        ) from error
    defaults = as_lists({field.name: field.default for field in fields(TrainConfig)})  # for keys newer than the state
    for key in sorted((config.keys() | state["config"].keys()) - free):
        old, new = state["config"].get(key, defaults.get(key)), config.get(key)
        if old != new:
            raise CheckpointError(f"{file} is of a run with {key} = {old}, not {new}; delete it to start anew")
    return state
