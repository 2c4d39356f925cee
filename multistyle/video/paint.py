"""Video file + blend -> painted video file: frame by frame, in the memory of a few frames, with its sound.

Frames keep their times, and so the frame rate, constant or not; a rotation in the file is carried out on the frames,
and the painted file has none. Sound is copied as it is. Subtitles, chapters and transparency are left out; HDR is taken
for ordinary video, without tone mapping. Needs PyAV: pip install 'multistyle[video]'.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from ..blend import Blend
from ..errors import MultistyleError
from ..files import check_place
from ..image import resize_image
from ..stylizer import Stylizer
from .reader import Film, load_av
from .steady import Steady
from .writer import ENCODERS, Writer

Progress = Callable[[int, int | None], None]  # (frames done, frames in all if known)


def paint_video(
    source: str | Path,
    target: str | Path,
    stylizer: Stylizer,
    blend: Blend | None = None,
    to: Blend | None = None,
    strength: float = 1.0,
    size: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Paint the video `source` into the file `target`, steadily (see `Steady`); the number of frames painted.

    blend, strength: as in `Stylizer.__call__`, one blend (S,); to: the blend to move to, evenly from the first frame
    to the last. size: of the longer side in px, None: as it is; an odd last row or column is cut off, for the encoders
    take even sizes only. progress: called after every frame.

    The format is that of the target's suffix: H.264 in .mp4, .m4v, .mov and .mkv, VP9 in .webm. The file appears under
    its name when it is finished. An interrupt (KeyboardInterrupt) finishes it with the frames painted so far, and is
    raised again. Raises `MultistyleError` for what is no video, cannot be written or does not go together; for a
    damaged or truncated video after the file was finished with what could be read; and as `Stylizer.__call__` does,
    leaving no file.
    """
    source, target = Path(source), Path(target)
    check_video_paths(source, target)
    start = stylizer.blend(blend, strength)
    end = start if to is None else stylizer.blend(to, strength)
    with Film(source) as film:
        if to is not None and not film.length:
            raise MultistyleError(f"{source} does not say how long it is, so that no blend can move over its length")
        writer, steady = Writer(film, target), Steady(stylizer)
        try:
            for frame in film:
                image = torch.from_numpy(frame).to(stylizer.device).permute(2, 0, 1).float() / 255
                image = image if size is None else resize_image(image, size)
                share = min(1.0, film.time / film.last) if film.last > 0 else 0.0
                writer.write(steady(image, torch.lerp(start, end, share), time=film.time))
                if progress is not None:
                    progress(film.frames, film.total)
        except KeyboardInterrupt:
            writer.finish()
            raise
        else:
            writer.finish()
        finally:
            writer.discard()
        if not film.frames:
            raise MultistyleError(f"{source} is damaged; not one frame can be read")
        if film.damaged:
            kept = f"{film.frames} frames could be read and are in {target}"
            raise MultistyleError(f"{source} is damaged or cut short; {kept}")
        return film.frames


def check_video_paths(source: Path, target: Path) -> None:
    """Raise `MultistyleError` unless PyAV is there and `target` can become the painted `source`."""
    load_av()
    if target.suffix.lower() not in ENCODERS:
        known = ", ".join(ENCODERS)
        raise MultistyleError(f"cannot tell the format of {target}; its name should end in one of {known}")
    check_place(target)
    if target.resolve() == source.resolve() or (target.exists() and source.exists() and target.samefile(source)):
        raise MultistyleError(f"{target} is the video itself; choose another output")
