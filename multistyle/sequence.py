"""One photo through a path of blends, as frames: a GIF, an MP4 or a folder of numbered PNGs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import torch
from PIL import GifImagePlugin, Image
from torch import Tensor

from .device import free_memory
from .errors import MultistyleError
from .files import atomic_write, check_place, remove_stale
from .image import Picture, check_output, check_picture, lay_on_white, write_image
from .painting import PaintOptions
from .pixels import as_bytes, as_float
from .stylizer import Stylizer
from .video.reader import load_av
from .video.writer import VideoWriter

FRAMES_PER_SECOND = 20
BYTES_PER_FRAME = 50  # in a file, whatever the picture
BYTES_PER_PIXEL = {"": 0.2, ".gif": 0.1, ".mp4": 0.001}  # less than any painting takes
TRANSPARENT = 255  # its index in a GIF's palette


def blend_path(corners: Tensor, frames: int) -> Tensor:
    """Blends (frames, S), evenly spaced on the path through `corners` (K, S), ends included; all legs are equally long.

    A single frame is the first corner. Raises `MultistyleError` for fewer than two corners or one frame, and for more
    frames than fit in memory.
    """
    if len(corners) < 2:
        raise MultistyleError(f"a path of blends has at least 2 ends, not {len(corners)}")
    if frames < 1:
        raise MultistyleError(f"a sequence has at least 1 frame, not {frames}")
    needed = 4 * corners.element_size() * corners[0].numel() * frames  # the path, and what it is computed from
    if needed > free_memory(torch.device("cpu")):
        raise MultistyleError(f"{frames} blends would take {needed / 1e9:.1f} GB of memory; ask for fewer frames")
    positions = torch.linspace(0, len(corners) - 1, frames)
    legs = positions.long().clamp_max(len(corners) - 2)
    return torch.lerp(corners[legs], corners[legs + 1], (positions - legs)[:, None])


def paint_sequence(
    stylizer: Stylizer, picture: Picture, blends: Tensor, options: PaintOptions = PaintOptions()
) -> Iterator[Tensor]:
    """Paint a picture in each of `blends` (N, S), otherwise by `options`; yields (3, H, W), one by one.

    Raises as `Stylizer.paint_picture` does.
    """
    check_picture(picture)
    frames = (replace(options, blend=blend) for blend in blends)
    return (stylizer.paint_picture(picture, how).picture.image for how in frames)


def check_sequence(output: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Raise `MultistyleError` unless `write_sequence` can write there. inputs: files that must not be replaced."""
    path, suffix = Path(output), _suffix(output)
    if suffix == ".mp4":
        load_av()
    if suffix:
        check_place(path, inputs=inputs)
    elif path.exists() and not path.is_dir():
        raise MultistyleError(f"cannot write {path}: it is a file; end the name with .gif or .mp4, or name a folder")
    elif path.is_dir() and any(path.iterdir()):
        raise MultistyleError(f"the folder {path} is not empty; old frames would mix with the new, so name another")
    else:
        check_output((path if path.is_dir() else path.parent) / "0001.png")


def check_room(output: str | Path, frames: int, height: int, width: int) -> None:
    """Raise `MultistyleError` if the disk certainly cannot hold that many frames of height x width px."""
    needed = frames * (BYTES_PER_FRAME + height * width * BYTES_PER_PIXEL[_suffix(output)])
    free = shutil.disk_usage(os.path.dirname(os.path.realpath(output))).free
    if needed > free:
        sizes = f"at least {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise MultistyleError(f"{frames} frames of {width} x {height} px in {output} would take {sizes}; ask for fewer")


def write_sequence(output: str | Path, frames: Iterable[Tensor], alpha: Tensor | None = None) -> None:
    """Write frames one by one, at 20 a second.

    output: a .gif (looped, 256 colours a frame) or .mp4 (H.264; odd sides get one more row or column), which appears
    complete or not at all; or a folder, created if missing, for 0001.png and so on.
    frames: (3, H, W), float in [0, 1] or bytes, all of one size.
    alpha: (1, H, W) in [0, 1], for all frames, which then have straight colours. PNG keeps it, GIF rounds it to 0 or 1,
    MP4 puts the frames on white.

    Raises `MultistyleError` for other frames or another alpha, for no frames, for an output that cannot be written, and
    for .mp4 if PyAV is not installed.
    """
    check_sequence(output)
    path = Path(output)
    if not _suffix(output):
        path.mkdir(exist_ok=True)
        remove_stale(path)
        for number, frame in enumerate(_checked(frames, alpha), start=1):
            write_image(path / f"{number:04d}.png", frame, alpha)
        return
    remove_stale(os.path.dirname(os.path.realpath(path)))
    with atomic_write(path) as temporary:
        encode_sequence(temporary, path, frames, alpha)


def encode_sequence(
    place: Path | BinaryIO, target: Path, frames: Iterable[Tensor], alpha: Tensor | None = None
) -> None:
    """Write a GIF or an MP4 as `write_sequence` does, under a temporary name or into memory.

    place: a path, or a binary file that can seek.
    target: its final name, .gif or .mp4, also for errors.
    """
    frames = _checked(frames, alpha)
    if target.suffix.lower() != ".gif":
        _write_mp4(place, target, frames, alpha)
    elif isinstance(place, Path):
        with place.open("wb") as file:
            _write_gif(file, frames, alpha)
    else:
        _write_gif(place, frames, alpha)


def _suffix(output: str | Path) -> str:
    """.gif or .mp4, or nothing for a folder."""
    suffix = Path(output).suffix.lower()
    if str(output).endswith("/") or Path(output).is_dir() or not suffix:
        return ""
    if suffix not in (".gif", ".mp4"):
        raise MultistyleError(f"cannot tell the format of {output}; name a .gif, a .mp4, or a folder (NAME/) for PNGs")
    return suffix


def _checked(frames: Iterable[Tensor], alpha: Tensor | None) -> Iterator[Tensor]:
    """The frames as float32; checks that there is one, and that all have the size of the first and of `alpha`."""
    shape = None
    for frame in frames:
        check_picture(Picture(frame, alpha if shape is None else None))
        if shape not in (None, frame.shape):
            raise MultistyleError(f"frames of a sequence have one size; got {tuple(shape)} and {tuple(frame.shape)}")
        shape = frame.shape
        yield as_float(frame)
    if shape is None:
        raise MultistyleError("a sequence has at least 1 frame, not 0")


def _write_gif(file: BinaryIO, frames: Iterable[Tensor], alpha: Tensor | None) -> None:
    """Write frame by frame: Pillow's own `save` would hold all of them in memory."""
    timing: dict[str, Any] = {"duration": 1000 // FRAMES_PER_SECOND, "include_color_table": True}
    clear = None if alpha is None else Image.fromarray((alpha[0] < 0.5).byte().mul(255).cpu().numpy())
    colours = 256 if clear is None else TRANSPARENT
    for number, frame in enumerate(frames):
        pixels = as_bytes(frame.detach()).permute(1, 2, 0).contiguous().cpu().numpy()
        picture = Image.fromarray(pixels).quantize(colours)
        if clear is not None:
            picture.paste(TRANSPARENT, mask=clear)
            timing["transparency"] = TRANSPARENT
        if number == 0:
            file.writelines(GifImagePlugin.getheader(picture, info={"loop": 0, "version": b"89a"})[0])
        file.writelines(GifImagePlugin.getdata(picture, **timing))
    file.write(b";")


def _write_mp4(place: Path | BinaryIO, target: Path, frames: Iterable[Tensor], alpha: Tensor | None) -> None:
    writer = VideoWriter(place, target, Fraction(FRAMES_PER_SECOND), Fraction(1, FRAMES_PER_SECOND))
    try:
        for number, frame in enumerate(frames):
            writer.write(frame if alpha is None else lay_on_white(frame, alpha.to(frame.device)), number)
        writer.finish()
    finally:
        writer.discard()
