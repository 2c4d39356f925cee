"""The public face: paint a photo of any kind in a blend of any kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from .adapters import as_picture
from .blend import Blend
from .cartridge import import_files
from .device import choose_device, choose_precision
from .errors import MultistyleError
from .image import Picture, check_image, write_picture
from .messages import Progress, no_progress
from .one_pass import OnePass
from .painting import Painted, PaintOptions, load_picture, paint_picture
from .strokes import Stroke, paint_scales, stroke_depth, stroke_number
from .weights import Model, Style, load_weights


class Stylizer:
    """Paints photos with one model; its arguments are those of `OnePass`.

    `stylizer(photo, blend)` paints tensors; `stylizer.paint(picture, blend, ...)` paints any picture, with all options.
    """

    def __init__(
        self,
        model: Model,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        default: str | None = None,
    ) -> None:
        self.one_pass = OnePass(model, device, precision, compile, default)

    @property
    def styles(self) -> list[Style]:
        """The catalogue, in the order of a blend's numbers; the first is photo, which returns the picture unchanged."""
        return list(self.one_pass.model.catalogue)

    @property
    def names(self) -> list[str]:
        """The names of the styles, in the same order."""
        return self.one_pass.names

    @property
    def painters(self) -> list[str]:
        """The names of all styles but photo, in the same order."""
        return self.one_pass.model.painters

    @property
    def device(self) -> torch.device:
        return self.one_pass.device

    def blend(self, blend: Blend | None = None, strength: float = 1.0) -> Tensor:
        """`blend` at `strength` as numbers; see `OnePass.blend`."""
        return self.one_pass.blend(blend, strength)

    def __call__(
        self, photo: Tensor, blend: Blend | None = None, strength: float = 1.0, stroke: Stroke = "auto"
    ) -> Tensor:
        """Paint `photo` in `blend`, float32 in [0, 1] and on the photo's device.

        photo: float, sRGB in [0, 1], (3, H, W) or a batch (B, 3, H, W).
        blend: "starry=0.7,scream=0.3", a mapping, S numbers, a tensor (S,) or (B, S), or a blend field (S, h, w), which
        is fitted to the photo's size; None: the default style.
        strength: in [0, 1]; the rest is the photo.
        stroke: size of the strokes; see `PaintOptions`.

        One photo with one blend gives (3, H, W). Otherwise the result is (B, 3, H, W): one photo in each of B blends,
        or each of B photos in one blend or in its own. Raises `ImageError` and `BlendError` for an invalid photo or
        blend, and `MultistyleError` if memory runs out or the network cannot be compiled.
        """
        check_image(photo)
        depth = stroke_depth(stroke_number(stroke), *photo.shape[-2:])
        return self.one_pass(photo, self.blend(blend, strength), partial(paint_scales, self.one_pass, depth=depth))

    def paint(self, picture: Any, blend: Blend | None = None, **options: Any) -> Any:
        """Paint a picture of any common kind; the painting is of the same kind.

        picture: a PIL image, of any mode; a NumPy array (H, W, 3), or (H, W, 4) with transparency, uint8 or float in
        [0, 1]; or a tensor (3, H, W), uint8 or float in [0, 1].
        blend: as in a call, except a batch.
        options: the fields of `PaintOptions`: strength, regions, size, keep_colors, ...

        Raises `ImageError` for another picture, `BlendError` for an invalid blend, and `MultistyleError` for an
        invalid option.
        """
        how = PaintOptions(blend, **options)
        source, restore = as_picture(picture)
        return restore(self.paint_picture(source, how).picture)

    def paint_picture(
        self, picture: Picture, options: PaintOptions = PaintOptions(), progress: Progress = no_progress
    ) -> Painted:
        """Paint a `Picture`; see `multistyle.painting.paint_picture`."""
        return paint_picture(self.one_pass, picture, options, progress)

    def interpolate(self, photo: Tensor, a: Blend, b: Blend, steps: int) -> Iterator[Tensor]:
        """Paint `photo` (3, H, W) `steps` times, from blend `a` to blend `b`, both included, in equal steps.

        Yields (3, H, W) one by one; one step is `a` alone. Raises as a call does, before the first picture, and
        `MultistyleError` for fewer than one step.
        """
        if steps < 1:
            raise MultistyleError(f"an interpolation has at least 1 step, not {steps}")
        start, end = self.blend(a), self.blend(b)
        if start.shape != end.shape:
            raise MultistyleError(
                f"blends of two kinds have nothing between them: shapes {tuple(start.shape)} and {tuple(end.shape)}"
            )
        shares = torch.linspace(0, 1, steps).tolist()
        return (self(photo, (1 - share) * start + share * end) for share in shares)


def load_stylizer(
    weights: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    compile: bool = False,
    style_files: Sequence[str | Path] = (),
) -> Stylizer:
    """A `Stylizer` for a weight file.

    weights: the file, or hf://USER/REPOSITORY on the Hugging Face Hub; None: the shipped one.
    device, precision, compile: see `OnePass`.
    style_files: cartridges, or their addresses on the hub. Their styles are appended; the first becomes the default.

    Raises `WeightsError` and `DeviceError`.
    """
    choose_precision(precision, choose_device(device))  # a missing device is reported before a file is read
    model = load_weights(weights)
    painters = len(model.painters)
    model = import_files(model, style_files)
    return Stylizer(model, device, precision, compile, model.painters[painters] if style_files else None)


def paint_file(
    stylizer: Stylizer,
    source: str | Path | BinaryIO,
    target: str | Path,
    options: PaintOptions = PaintOptions(),
    progress: Progress = no_progress,
) -> Painted:
    """Read the picture `source` (a path or a binary file), paint it, and write the file `target`.

    progress: counts strips, if it is painted in strips.

    Raises `MultistyleError` for a file that cannot be read or written, and as `Stylizer.paint_picture` does.
    """
    painted = stylizer.paint_picture(load_picture(source, options), options, progress)
    write_picture(target, painted.picture)
    return painted
