"""The page without a server: files for any static host, with the network as ONNX, which paints in the browser."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ..errors import MultistyleError
from ..files import atomic_write
from ..messages import Progress, no_progress
from ..onnx import check_export, export_onnx
from ..stylizer import Stylizer
from ..weights import Model
from .requests import BYTES, PIXELS
from .thumbnails import STATIC, config, config_file, thumbnails

VERSION = "1.30.0"  # of onnxruntime-web
CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
RUNTIME = {  # script and binary, for the processor and for GPUs
    "wasm": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": ("ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"),
}
HASHES = {  # SHA-384 of these files of that version
    "ort.wasm.bundle.min.mjs": "PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    "ort-wasm-simd-threaded.wasm": "vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
    "ort.webgpu.bundle.min.mjs": "1ntMeyj+z5diX6vBR5h+zlJBPc4iNvhCxE6nlammh8daBYcLBZkzrwDkuJjhwI+f",
    "ort-wasm-simd-threaded.asyncify.wasm": "EPVDLTxuO663dkZO/pcKJF6vOyyfq/5z9FY1oksN0UWFX2ABH4wDDZQHeNoUleWR",
}
BACKEND = {"backend": "onnx"}  # in CONFIG
MODEL, CONFIG = "multistyle.onnx", "config.json"


def write_static_page(
    model: Model, folder: str | Path, runtime: str | Path | None = None, progress: Progress = no_progress
) -> None:
    """Write the page into `folder`: a new or empty one, or one that holds such a page.

    runtime: the folder `dist` of onnxruntime-web, whose files are copied; None: the page loads them from a public CDN,
    and checks their hashes.
    progress: counts thumbnails.

    Raises `MultistyleError` for another folder or runtime, if a file cannot be written, and as `export_onnx` does.
    """
    folder = Path(folder)
    check_static(folder, runtime)
    folder.mkdir(exist_ok=True)
    if not _holds_page(folder):  # after an interruption, the same command can be given again
        _write(folder / CONFIG, json.dumps(BACKEND).encode())
    for part in ("thumbnails", *(["runtime"] if runtime else [])):
        (folder / part).mkdir(exist_ok=True)
    export_onnx(model, folder / MODEL)
    for file in STATIC.iterdir():
        _write(folder / file.name, file.read_bytes())
    stylizer = Stylizer(model, "cpu", "float32")
    for name, body in thumbnails(stylizer, progress).items():
        _write(folder / "thumbnails" / f"{name}.jpg", body)
    if runtime is not None:
        for name in HASHES:
            with atomic_write(folder / "runtime" / name) as temporary:
                shutil.copyfile(Path(runtime) / name, temporary)
    facts = {**BACKEND, "model": MODEL, "names": stylizer.names}
    limits = {"bytes": BYTES, "pixels": PIXELS}
    files = _runtime_files(runtime is not None)
    _write(folder / CONFIG, config_file(config(stylizer, video=False, limits=limits, runtime=files, **facts)))


def _runtime_files(local: bool) -> dict[str, Any]:
    """Where the page finds the files of the runtime."""

    def place(name: str) -> dict[str, str]:
        if local:
            return {"url": f"runtime/{name}"}
        return {"url": CDN + name, "integrity": f"sha384-{HASHES[name]}"}

    return {kind: {"script": place(script), "binary": place(binary)} for kind, (script, binary) in RUNTIME.items()}


def check_static(folder: Path, runtime: str | Path | None) -> None:
    """Raise `MultistyleError` unless the page can be written into `folder`, with the files of `runtime`."""
    if folder.exists() and not folder.is_dir():
        raise MultistyleError(f"{folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not _holds_page(folder):
        raise MultistyleError(f"the folder {folder} is not empty and holds no such page; name another")
    for name, expected in HASHES.items() if runtime is not None else ():
        file = Path(runtime or "") / name
        if not file.is_file():
            raise MultistyleError(f"{runtime} has no {name}; name the folder dist of onnxruntime-web {VERSION}")
        if base64.b64encode(hashlib.sha384(file.read_bytes()).digest()).decode() != expected:
            raise MultistyleError(f"{file} is of another version: npm install onnxruntime-web@{VERSION}")
    if not folder.parent.is_dir():
        raise MultistyleError(f"there is no folder {folder.parent}")
    check_export(folder / MODEL if folder.is_dir() else folder.parent / MODEL, "float32")


def _holds_page(folder: Path) -> bool:
    try:
        return BACKEND.items() <= json.loads((folder / CONFIG).read_bytes()).items()
    except (OSError, ValueError, AttributeError):
        return False


def _write(path: Path, body: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(body)
