"""Contact sheets: one photo in many blends, as one picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .blend import mix_text
from .errors import MultistyleError
from .image import Picture, check_picture, lay_on_white
from .painting import PaintOptions
from .pixels import as_float
from .stylizer import Stylizer

STEPS = 5  # paintings from one corner to the next
GAP, LABEL = 1 / 32, 1 / 12  # space around a painting and height of its label, as parts of its longer side


class Cell(NamedTuple):
    """One cell of a sheet. blend: (S,); label: the text below the painting, or ""."""

    blend: Tensor
    label: str


Sheet = list[list[Cell]]  # rows, from the top; shorter ones are centred


def style_sheet(stylizer: Stylizer, styles: Sequence[str] | None = None) -> Sheet:
    """The named styles (None: the whole catalogue), each alone, in about as many rows as columns.

    Raises `BlendError` for an unknown name.
    """
    names = stylizer.names if styles is None else list(styles)
    cells = [Cell(stylizer.blend({name: 1.0}), name) for name in names]
    columns = math.ceil(math.sqrt(len(cells)))
    return [cells[start : start + columns] for start in range(0, len(cells), columns)]


def corner_sheet(stylizer: Stylizer, corners: Tensor) -> Sheet:
    """The blends between `corners` (K, S), in equal steps: a strip for K = 2, a triangle for 3, a square for 4.

    The first corner is at the top left (of a triangle, the top), the others follow row by row; corners have labels.
    Raises `MultistyleError` for another number of corners.
    """
    last, steps = STEPS - 1, torch.linspace(0, 1, STEPS).tolist()
    rows: list[list[tuple[float, ...]]]
    if len(corners) == 2:
        rows = [[(1 - x, x) for x in steps]]
    elif len(corners) == 3:
        rows = [[(1 - r / last, (r - c) / last, c / last) for c in range(r + 1)] for r in range(STEPS)]
    elif len(corners) == 4:
        rows = [[((1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x) for x in steps] for y in steps]
    else:
        raise MultistyleError(f"a sheet of blends has 2, 3 or 4 corners, not {len(corners)}")
    names = [mix_text(corner, stylizer.names).removesuffix("=1") for corner in corners]
    return [
        [Cell(torch.tensor(shares) @ corners, names[shares.index(1)] if 1 in shares else "") for shares in row]
        for row in rows
    ]


def paint_sheet(
    stylizer: Stylizer, picture: Picture, sheet: Sheet, options: PaintOptions = PaintOptions()
) -> Iterator[Tensor]:
    """Paint a picture for each cell, row by row, otherwise by `options`; yields (3, H, W), on white.

    Raises as `Stylizer.paint_picture`.
    """
    check_picture(picture)
    cells = (replace(options, blend=cell.blend) for row in sheet for cell in row)
    return (_on_white(stylizer.paint_picture(picture, how).picture) for how in cells)


def _on_white(picture: Picture) -> Tensor:
    return picture.image if picture.alpha is None else lay_on_white(as_float(picture.image), picture.alpha)


def arrange_sheet(sheet: Sheet, paintings: Iterable[Tensor]) -> Tensor:
    """The sheet as one picture (3, H, W) in [0, 1]: the paintings on white, with their labels below.

    paintings: (3, h, w) in [0, 1], all of one size, one for each cell, row by row; more are ignored.

    Raises `MultistyleError` for other paintings, and for too few.
    """
    paintings = _checked(paintings, sum(map(len, sheet)))
    first = next(paintings)
    height, width = first.shape[1:]
    gap, label = (math.ceil(part * max(height, width)) for part in (GAP, LABEL))
    across, down = width + gap, height + label + gap
    page = torch.ones(3, len(sheet) * down + gap, max(map(len, sheet)) * across + gap)
    for row, cells in enumerate(sheet):
        top, left = gap + row * down, gap + (page.shape[2] - gap - len(cells) * across) // 2
        for column, cell in enumerate(cells):
            painting = first if row == column == 0 else next(paintings)
            x = left + column * across
            page[:, top : top + height, x : x + width] = painting
            page[:, top + height : top + height + label, x : x + width] = _label(cell.label, label, width)
    return page


def _checked(paintings: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    shape = None
    for painting in itertools.islice(paintings, count):
        check_picture(Picture(painting))
        if shape not in (None, painting.shape):
            raise MultistyleError(f"paintings on a sheet have one size; got {tuple(shape)} and {tuple(painting.shape)}")
        shape, count = painting.shape, count - 1
        yield as_float(painting)
    if count:
        raise MultistyleError(f"a painting is missing for {count} cells of the sheet")


def _label(text: str, height: int, width: int) -> Tensor:
    """Draw `text` black on white, (1, height, width), centred and small enough to fit."""
    size = 0.8 * height
    length = ImageFont.load_default(size).getlength(text)
    font = ImageFont.load_default(max(1, size * min(1, width / max(1, length))))
    picture = Image.new("L", (width, height), 255)
    ImageDraw.Draw(picture).text((width / 2, height / 2), text, fill=0, font=font, anchor="mm")
    return torch.from_numpy(np.array(picture, dtype=np.float32))[None] / 255
