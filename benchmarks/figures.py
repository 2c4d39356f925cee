"""The README's pictures: python -m benchmarks.figures PHOTO -o FOLDER [--weights FILE]

Everything is painted at 1,024 px or more, with strokes of the usual size unless a label says otherwise, and reduced
afterwards. The last picture enlarges the photo to 12 megapixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from multistyle.files import make_folder
from multistyle.image import read_image, resize_image, write_image
from multistyle.sheet import Cell, Sheet, arrange_sheet, corner_sheet, style_sheet
from multistyle.stylizer import Stylizer, load_stylizer

from .parts.command import progress, run

SIZE, LARGE, CELL = 1024, 4096, 320  # px, longer side: of what is painted, of the large photo, of a cell on a sheet
MIX = "starry=0.7,scream=0.3"
PAINTERS = "starry scream wave composition kiss straw_hat metzinger naruto irises berlin waterfall goldfish"
STROKES = ("off", "auto", "2", "4")
DIAL = "irises"  # whose strokes the dial shows


def main(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Photo to paint, of at least 1,024 pixels.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the pictures.")],
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
) -> None:
    """Paint the README's pictures."""
    make_folder(output)
    stylizer = load_stylizer(weights, precision="float32")
    view = resize_image(read_image(photo), SIZE)
    write_image(output / "sample.jpg", stylizer(view, MIX))
    ends = torch.stack([stylizer.blend(name) for name in ("starry", "composition")])
    for name, sheet, size in (
        ("gallery.jpg", style_sheet(stylizer, PAINTERS.split()), CELL),
        ("strip.jpg", corner_sheet(stylizer, ends), CELL // 2),
    ):
        blends = [cell.blend for row in sheet for cell in row]
        cells = (resize_image(stylizer(view, blend), size) for blend in progress(blends, name))
        write_image(output / name, arrange_sheet(sheet, cells))
    write_image(output / "strokes.jpg", dial(stylizer, view))
    write_image(output / "large.jpg", large(stylizer, view))


def dial(stylizer: Stylizer, view: Tensor) -> Tensor:
    """One photo (3, H, W) in four sizes of strokes, on a sheet."""
    cells = (resize_image(stylizer(view, DIAL, stroke=stroke), CELL) for stroke in progress(STROKES, "strokes.jpg"))
    return labelled([f"--stroke {stroke}" for stroke in STROKES], cells)


def large(stylizer: Stylizer, view: Tensor) -> Tensor:
    """A photo of 12 megapixels in one pass and at several scales: each whole, and a part of it at full size."""
    photo = resize_image(view, LARGE)

    def cells() -> Iterator[Tensor]:
        for stroke in progress(("off", "auto"), "large.jpg"):
            painted = stylizer.paint(photo, DIAL, stroke=stroke, strips=1024)
            whole = resize_image(painted, CELL)
            yield whole
            height, width = whole.shape[1:]
            top, left = painted.shape[1] * 37 // 100, painted.shape[2] * 64 // 100
            yield painted[:, top : top + height, left : left + width]

    return labelled(["--stroke off", "off, at 100 %", "--stroke auto", "auto, at 100 %"], cells())


def labelled(labels: list[str], cells: Iterator[Tensor]) -> Tensor:
    """A sheet of one row."""
    sheet: Sheet = [[Cell(torch.empty(0), label) for label in labels]]
    return arrange_sheet(sheet, cells)


if __name__ == "__main__":
    run(main)
