"""What strips are painted from: parts of a photo, or of a level in `strokes`, computed on demand.

Rows and columns are indices into the picture, in any order and with repetitions, as mirrored borders need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .blend import Regions
from .network import photo_share
from .pixels import as_float, put
from .strokes import double, finer_blend, halve, level_result, level_shares, level_source

LARGE = 1 << 24  # pixels; a level above it is held as bytes
BAND = 256  # rows of a picture that are halved together; even


@dataclass(frozen=True)
class Depths:
    """A depth (see `strokes`) for each region, and one for the rest."""

    regions: Regions
    values: Tensor  # (R + 1,)

    def part(self, rows: Tensor | slice = slice(None), columns: Tensor | slice = slice(None)) -> Tensor:
        """The map (1, 1, h, w) of those rows and columns."""
        return torch.einsum("rhw,r->hw", self.regions.claims(rows, columns), self.values)[None, None]

    def halved(self) -> Depths:
        """The depths of the picture at half the size."""
        return Depths(halved_regions(self.regions), self.values - 1)


@dataclass(frozen=True)
class HalvedRegions(Regions):
    """Regions of a picture at half the size: the means of their shares at full size."""

    whole: Regions

    def __post_init__(self) -> None:
        """The full-size regions have been checked."""

    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        height, width = self.whole.size()
        return -(-height // 2), -(-width // 2)

    def claims(self, rows: Tensor | slice = slice(None), columns: Tensor | slice = slice(None)) -> Tensor:
        """As `Regions.claims`."""
        height, width = self.size()
        rows, columns = torch.arange(height)[rows], torch.arange(width)[columns]
        first, last = int(rows.min()), int(rows.max()) + 1
        part = halve(self.whole.claims(slice(2 * first, 2 * last))[None])[0]
        return part.index_select(1, rows - first).index_select(2, columns)


@dataclass(frozen=True)
class PhotoSource:
    """A photo, painted in one pass."""

    picture: Tensor  # (3, H, W), bytes, or float in [0, 1]
    blend: Tensor | Regions  # (S,), a field (S, H, W), or regions of H x W px
    keeps_photo: bool = True  # whether photo's share of the blend is in the result

    def image(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(1, 3, h, w) in [0, 1]."""
        return as_float(self.picture.index_select(1, rows).index_select(2, columns)[None])

    def field(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(1, S) or (1, S, h, w)."""
        if isinstance(self.blend, Regions):
            return self.blend.field(rows, columns)[None]
        if self.blend.ndim == 3:
            return self.blend.index_select(1, rows).index_select(2, columns)[None]
        return self.blend[None]

    def kept(self, rows: Tensor, columns: Tensor) -> Tensor:
        """How much of the image is in the result, (1, 1, 1, 1) or (1, 1, h, w)."""
        return photo_share(self.field(rows, columns)) if self.keeps_photo else torch.zeros(1, 1, 1, 1)

    def reduced(self, height: int, width: int) -> PhotoSource:
        """The same source at another size."""
        small = F.interpolate(self.picture[None], (height, width), mode="bilinear", antialias=True)[0]
        blend = self.blend.fitted(height, width) if isinstance(self.blend, Regions) else self.blend
        return replace(self, picture=small, blend=blend)


@dataclass(frozen=True)
class FinerSource:
    """A finer level of a picture: what `strokes.paint_scales` paints above the coarsest level."""

    picture: Tensor  # (3, H, W), bytes, or float in [0, 1]
    below: Tensor  # the painting of the same at half the size
    blend: Tensor | Regions  # (S,), or regions of H x W px
    depth: float | Depths

    def image(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(1, 3, h, w) in [0, 1]."""
        first, last, width = int(rows.min()), int(rows.max()) + 1, self.picture.shape[2]
        start = doubled_rows(self.below, first, last, width)
        photo = as_float(self.picture[None, :, first:last])
        source = level_source(start, photo, self._shares(torch.arange(first, last), torch.arange(width))[0])
        return source.index_select(2, rows - first).index_select(3, columns)

    def field(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(1, S) or (1, S, h, w)."""
        plain = self.blend.field(rows, columns)[None] if isinstance(self.blend, Regions) else self.blend[None]
        return finer_blend(plain, self._shares(rows, columns)[1])

    def kept(self, rows: Tensor, columns: Tensor) -> Tensor:
        """How much of the image is in the result, (1, 1, 1, 1) or (1, 1, h, w)."""
        share = self._shares(rows, columns)[1]
        return 1 - (share if isinstance(share, Tensor) else torch.full((1, 1, 1, 1), share))

    def _shares(self, rows: Tensor, columns: Tensor) -> tuple[float | Tensor, float | Tensor]:
        return level_shares(self.depth.part(rows, columns) if isinstance(self.depth, Depths) else self.depth)

    def reduced(self, height: int, width: int) -> PhotoSource:
        """What this level paints, at another size."""
        start, photo = (
            as_float(F.interpolate(x[None], (height, width), mode="bilinear", antialias=True))
            for x in (self.below, self.picture)
        )
        blend = self.blend.fitted(height, width) if isinstance(self.blend, Regions) else self.blend
        depth = self.depth
        if isinstance(depth, Depths):
            depth = Depths(depth.regions.fitted(height, width), depth.values)
        finer = replace(self, blend=blend, depth=depth)
        everywhere = torch.arange(height), torch.arange(width)
        image = level_source(start, photo, finer._shares(*everywhere)[0])
        return PhotoSource(image[0], finer.field(*everywhere)[0], keeps_photo=False)

    def fuse(self, painted: Tensor) -> None:
        """Give `painted` (3, H, W), in place, the coarse frequencies of the painting below; see `strokes`."""
        height, width = painted.shape[1:]
        smaller = halved(painted)
        for first in range(0, height, BAND):
            last = min(height, first + BAND)
            start, blurred = (doubled_rows(x, first, last, width) for x in (self.below, smaller))
            own = self._shares(torch.arange(first, last), torch.arange(width))[0]
            put(painted[:, first:last], level_result(as_float(painted[None, :, first:last]), start, blurred, own)[0])


Source = PhotoSource | FinerSource


def halved(image: Tensor) -> Tensor:
    """An image (3, H, W), bytes or float, at half the size: float, or bytes if it is still large."""
    height, width = (-(-side // 2) for side in image.shape[1:])
    large = image.dtype == torch.uint8 and height * width > LARGE
    small = torch.empty(3, height, width, dtype=torch.uint8 if large else torch.float32)
    for first in range(0, image.shape[1], BAND):
        part = halve(as_float(image[None, :, first : first + BAND]))[0]
        put(small[:, first // 2 : first // 2 + part.shape[1]], part)
    return small


def halved_blend(blend: Tensor | Regions) -> Tensor | Regions:
    """`blend` for the picture at half the size."""
    return blend if isinstance(blend, Tensor) else halved_regions(blend)


def halved_regions(regions: Regions) -> HalvedRegions:
    """`regions` for the picture at half the size."""
    return HalvedRegions(regions.masks, regions.blends, regions.rest, regions)


def doubled_rows(image: Tensor, first: int, last: int, width: int) -> Tensor:
    """Rows `first` to `last` of `strokes.double` of an image (3, h, w), (1, 3, last - first, width)."""
    low, high = max(0, first // 2 - 2), min(image.shape[1], last // 2 + 3)
    part = double(as_float(image[None, :, low:high]), 2 * (high - low), width)
    return part[:, :, first - 2 * low : last - 2 * low]
