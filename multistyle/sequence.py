"""One photo through a path of blends, as frames: a GIF, an MP4 or a folder of numbered PNGs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .errors import MultistyleError
from .files import atomic_write, check_place
from .image import Picture, check_output, check_picture, write_image
from .painting import PaintOptions
from .stylizer import Stylizer
from .video.reader import load_av

FRAMES_PER_SECOND = 20
H264 = {"crf": "17", "preset": "medium"}  # 17: hardly told from lossless


def blend_path(corners: Tensor, frames: int) -> Tensor:
    """Blends (frames, S) evenly over the path through `corners` (K, S), both ends included, each leg as long.

    One frame is the first corner. Raises `MultistyleError` for fewer than two corners or one frame.
    """
    if len(corners) < 2:
        raise MultistyleError(f"a path of blends has at least 2 ends, not {len(corners)}")
    if frames < 1:
        raise MultistyleError(f"a sequence has at least 1 frame, not {frames}")
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
    """Raise `MultistyleError` unless `write_sequence` can write there, in place of none of the `inputs`."""
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


def write_sequence(output: str | Path, frames: Iterable[Tensor]) -> None:
    """Write `frames`, (3, H, W) in [0, 1] and of one size, as they come, at 20 a second.

    output: a name in .gif (looped, 256 colours a frame) or .mp4 (H.264; odd sides get one more row or column), which
    appears complete or not at all; or a folder, made if missing, for 0001.png and so on. Raises `MultistyleError`,
    also for .mp4 where PyAV is not installed.
    """
    check_sequence(output)
    path, suffix = Path(output), _suffix(output)
    if not suffix:
        path.mkdir(exist_ok=True)
        for number, frame in enumerate(frames, start=1):
            write_image(path / f"{number:04d}.png", frame)
        return
    with atomic_write(path) as temporary:
        (_write_gif if suffix == ".gif" else _write_mp4)(temporary, frames)


def _suffix(output: str | Path) -> str:
    """.gif or .mp4, or nothing for a folder."""
    suffix = Path(output).suffix.lower()
    if str(output).endswith("/") or Path(output).is_dir() or not suffix:
        return ""
    if suffix not in (".gif", ".mp4"):
        raise MultistyleError(f"cannot tell the format of {output}; name a .gif, a .mp4, or a folder (NAME/) for PNGs")
    return suffix


def _pixels(frame: Tensor) -> np.ndarray:
    return frame.detach().cpu().mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()


def _write_gif(path: Path, frames: Iterable[Tensor]) -> None:
    pictures = (Image.fromarray(_pixels(frame)).quantize() for frame in frames)
    timing = {"duration": 1000 // FRAMES_PER_SECOND, "loop": 0}
    encoded = io.BytesIO()  # not the file itself: Pillow can miss that a disk became full
    next(pictures).save(encoded, format="GIF", save_all=True, append_images=pictures, **timing)
    path.write_bytes(encoded.getbuffer())


def _write_mp4(path: Path, frames: Iterable[Tensor]) -> None:
    av = load_av()
    bt709, video_range = 1, 1  # named in the file, as players guess differently
    colours = {"format": "yuv420p", "dst_colorspace": bt709, "dst_color_range": video_range}
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=H264)
            stream.pix_fmt = "yuv420p"  # what every player plays; has one colour for 2 x 2 px, hence even sides
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = bt709
            context.color_range = video_range
            for number, frame in enumerate(frames):
                height, width = frame.shape[1:]
                even = F.pad(frame[None], (0, width % 2, 0, height % 2), mode="replicate")[0]
                if number == 0:
                    stream.height, stream.width = even.shape[1:]
                picture = av.VideoFrame.from_ndarray(_pixels(even), format="rgb24")
                container.mux(stream.encode(picture.reformat(**colours)))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error
