"""The state of a training run, in one file that is either complete or missing."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from multistyle.errors import MultistyleError
from multistyle.files import atomic_write, check_input

from .config import TrainConfig

PARTS = {"config": dict, "step": int, "network": dict, "optimizer": dict}
RESTART = "delete it to start a new run"


class CheckpointError(MultistyleError):
    """A run's state that cannot be read or written, or that belongs to another run."""


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of these) to `file`. Raises `CheckpointError`."""
    content = io.BytesIO()  # torch.save turns the errors of a full disk into a RuntimeError
    torch.save(state, content)
    with atomic_write(file, CheckpointError) as temporary:
        temporary.write_bytes(content.getbuffer())


def as_lists(values: dict[str, Any]) -> dict[str, Any]:
    """`values` with lists for tuples, as a state's file holds them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def load_checkpoint(file: Path, config: dict[str, Any], free: set[str]) -> dict[str, Any] | None:
    """The state in `file`, or None if there is no such file. No pickled code is run.

    config: the recipe of the run that wants to continue; it must equal the saved one, except for the keys in `free`.
    Raises `CheckpointError`.
    """
    if not file.exists():
        return None
    check_input(file, CheckpointError)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the unpickler raise almost anything
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise CheckpointError(f"cannot read the state of a run in {file} ({reason}); {RESTART}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{file} does not hold the state of a run; {RESTART}")
    for part, kind in PARTS.items():
        if not isinstance(state.get(part), kind):
            raise CheckpointError(f"the state of a run in {file} lacks {part}; {RESTART}")
    defaults = as_lists({field.name: field.default for field in fields(TrainConfig)})  # for keys newer than the state
    for key in sorted((config.keys() | state["config"].keys()) - free, key=str):
        old, new = state["config"].get(key, defaults.get(key)), config.get(key)
        if isinstance(old, torch.Tensor) or old != new:
            raise CheckpointError(f"{file} is of a run with {key} = {old}, not {new}; {RESTART}")
    return state
