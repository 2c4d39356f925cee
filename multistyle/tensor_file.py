"""Read and write multistyle's safetensors files; the header is checked before any tensor is read.

The header's metadata are strings: `format` and `format_version` name the kind of file, our other entries are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .device import is_out_of_memory
from .errors import SHOWN, WeightsError, first_line
from .files import atomic_write, check_input

FLOATS = {"F64", "F32", "F16", "BF16"}  # safetensors' names for torch.float64 to torch.bfloat16
LONGEST = 800  # characters of a reason

Header = dict[str, str]  # our entries, each as JSON
Shapes = dict[str, tuple[int, ...]]
Checked = TypeVar("Checked")


@dataclass(frozen=True)
class Kind:
    """A kind of file, recognized by its mark."""

    name: str  # for people, as in "cannot read the weight file"
    mark: str  # `format` in the header; starts with "multistyle"
    version: int  # `format_version` in the header


def write_tensors(
    file: Path,
    kind: Kind,
    header: dict[str, Any],
    tensors: dict[str, Tensor],
    check: Callable[[Header, Shapes], object],
) -> None:
    """Write a file of `kind`, which appears complete or not at all.

    header: entries for the header, of values that JSON can hold.
    tensors: of finite floating-point numbers.
    check: the one that `read_tensors` will call; it raises `WeightsError` for a header that does not fit the tensors.

    Raises `WeightsError` for what `read_tensors` would refuse, and where the file cannot be written.
    """
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        texts = {key: _to_json(key, value) for key, value in header.items()}
        check(texts, {name: tuple(tensor.shape) for name, tensor in ready.items()})
        for name, tensor in ready.items():
            if not tensor.is_floating_point():
                raise WeightsError(f"the tensor {name} has the type {tensor.dtype}, not a floating-point one")
            _as_float32(name, tensor)
    except WeightsError as error:
        raise WeightsError(f"cannot write {file}: {error}") from error
    with atomic_write(file, WeightsError) as temporary:
        temporary.write_bytes(save(ready, {"format": kind.mark, "format_version": str(kind.version), **texts}))


def read_tensors(
    file: Path, kind: Kind, check: Callable[[Header, Shapes], Checked]
) -> tuple[Checked, dict[str, Tensor]]:
    """What `check` returned, and the tensors as float32 on the CPU, of a file of `kind`.

    check: called with the header's entries and the tensors' shapes before any tensor is read; raises `WeightsError`
    where they are wrong.

    Raises `WeightsError`, in one line that names the file and says what is wrong with it.
    """
    check_input(file, WeightsError)
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            _check_kind(file, metadata, kind)
            try:
                slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 (it is not a dict)
                checked = check(metadata, {name: tuple(part.get_shape()) for name, part in slices.items()})
                for name, part in slices.items():
                    if part.get_dtype() not in FLOATS:
                        raise WeightsError(
                            f"the tensor {name} has the type {part.get_dtype()}, not a floating-point one"
                        )
                return checked, {name: _as_float32(name, opened.get_tensor(name)) for name in slices}
            except WeightsError as error:
                raise WeightsError(f"cannot use the {kind.name} {file}: {str(error)[:LONGEST]}") from error
    except OSError as error:
        raise WeightsError(f"cannot read the {kind.name} {file}: {error.strerror or error}") from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise WeightsError(f"the {kind.name} {file} does not fit in memory") from error
    except SafetensorError as error:
        raise WeightsError(f"{file} {_damage(file)} ({first_line(error)})") from error


def entry(header: Header, key: str, kind: type[Checked]) -> Checked:
    """The value of the header's entry `key`, of type `kind`: a dict, a list or a str.

    Raises `WeightsError` if it is missing, not JSON, or of another type.
    """
    if key not in header:
        raise WeightsError(f"its header has no entry {key!r}")
    try:
        value = json.loads(header[key])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"the entry {key!r} of its header is not JSON ({first_line(error)})") from error
    if not isinstance(value, kind):
        named = {"dict": "a JSON object", "list": "a JSON list", "str": "a text"}[kind.__name__]
        raise WeightsError(f"the entry {key!r} of its header should be {named}")
    return value


def _to_json(key: str, value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"the entry {key!r} of its header cannot be JSON ({first_line(error)})") from error


def _as_float32(name: str, tensor: Tensor) -> Tensor:
    tensor = tensor.float()
    if not bool(torch.isfinite(tensor).all()):
        raise WeightsError(f"the tensor {name} holds NaN or infinite numbers; training may have diverged")
    return tensor


def _check_kind(file: Path, metadata: dict[str, str], kind: Kind) -> None:
    found = metadata.get("format", "")
    if found != kind.mark and found.startswith("multistyle"):
        raise WeightsError(f"{file} is another kind of multistyle file ({found[:SHOWN]!r}), not a {kind.name}")
    if found != kind.mark:
        raise WeightsError(
            f"{file} is a safetensors file, but not a {kind.name} of multistyle (its header does not say so)"
        )
    found = metadata.get("format_version", "")
    if found != str(kind.version):
        newer = found.isascii() and found.isdigit() and (len(found) > 9 or int(found) > kind.version)
        advice = "upgrade multistyle to read it" if newer else f"this version reads {kind.version}"
        raise WeightsError(f"{file} has the format version {found[:20] or '(none)'!r}; {advice}")


def _damage(file: Path) -> str:
    """What is wrong with a file that cannot be opened: it is a truncated safetensors file, or something else."""
    with file.open("rb") as opened:
        start = opened.read(9)
    if len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000:
        return "is truncated or damaged"
    return "is not a safetensors file"
