"""One picture file to another: read, paint in whatever way fits the memory, write."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .blend import Regions
from .color import keep_colors
from .errors import MultistyleError
from .image import Picture, picture_size, read_image, read_picture, resize_image, write_image
from .strips import needs_tiling, paint_tiled
from .stylizer import Stylizer

LARGE = 1 << 25  # pixels; a larger picture is held as bytes
ROWS_PIXELS = 1 << 22  # at a time, where a large picture's colours are kept


@dataclass(frozen=True)
class Render:
    """How files are painted.

    blend: (S,), as `Stylizer.blend` returns it, or `Regions`; size: longer side of the painting in px, None as it is;
    keep_colors: take the photo's colours (see `multistyle.color`); tile: "auto" (strips where one pass would take more
    than half of the free memory), "off", or the side in px of a strip's area; estimate: statistics of a tiled picture
    from a reduced one. Raises `MultistyleError` for another tile.
    """

    blend: Tensor | Regions
    size: int | None = None
    keep_colors: bool = False
    tile: str = "auto"
    estimate: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise MultistyleError(f"a size is at least 1 pixel, not {self.size}")
        if self.tile not in ("auto", "off") and not (self.tile.isdecimal() and int(self.tile) >= 64):
            raise MultistyleError(f"a tile is auto, off, or at least 64 pixels, not {self.tile!r}")

    @torch.inference_mode()
    def paint(
        self, stylizer: Stylizer, picture: Picture, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Picture:
        """Paint a picture whose image is float in [0, 1] or bytes (3, H, W); the result's image is of the same kind.

        progress is called with steps done and steps in all, where it is painted in strips.
        """
        image, alpha = picture
        tiled = self.tiled(stylizer, *image.shape[1:])
        if self.size is not None:
            image, alpha = (None if part is None else resize_image(part, self.size) for part in (image, alpha))
        if tiled:
            tile = 1024 if self.tile == "auto" else int(self.tile)
            painted = paint_tiled(stylizer, image, self.blend, tile, self.estimate, progress)
        else:
            painted = self._whole(stylizer, image)
        if self.keep_colors:
            _keep_colors_by_rows(painted, image)
        return Picture(painted, alpha)

    def tiled(self, stylizer: Stylizer, height: int, width: int) -> bool:
        """Whether a picture that is height x width px, before it is resized, will be painted in strips."""
        if self.size is not None:
            height, width = (round(side * self.size / max(height, width)) for side in (height, width))
        return self.tile != "off" and (self.tile != "auto" or needs_tiling(stylizer, height, width))

    def _whole(self, stylizer: Stylizer, image: Tensor) -> Tensor:
        blend = self.blend.fitted(*image.shape[1:]).field() if isinstance(self.blend, Regions) else self.blend
        if image.dtype == torch.uint8:
            return (stylizer(image / 255, blend) * 255).round().byte()
        return stylizer(image, blend)


def paint_file(
    stylizer: Stylizer,
    source: Path,
    target: Path,
    render: Render,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, int]:
    """Read `source`, paint it, write `target`; returns height and width of the painting in px.

    Raises `MultistyleError` for a file that cannot be read or written.
    """
    dtype = torch.uint8 if math.prod(picture_size(source)) > LARGE else torch.float32
    picture = render.paint(stylizer, read_picture(source, dtype), progress)
    write_image(target, *picture)
    return picture.image.shape[1], picture.image.shape[2]


def read_mask(source: Path) -> Tensor:
    """A region's mask (h, w) in [0, 1]: the mean of the picture's channels; white is in. Raises `ImageError`."""
    return read_image(source).mean(0)


def _keep_colors_by_rows(painted: Tensor, photo: Tensor) -> None:
    """`keep_colors` in place, some rows at a time, for float images and bytes."""
    rows = max(1, ROWS_PIXELS // painted.shape[2])
    full = 255 if painted.dtype == torch.uint8 else 1
    for top in range(0, painted.shape[1], rows):
        part = slice(top, top + rows)
        kept = keep_colors(painted[:, part] / full, photo[:, part] / full) * full
        painted[:, part] = kept.round() if full == 255 else kept
