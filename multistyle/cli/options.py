"""Options that several commands share, each defined once. Torch is imported when work begins."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..errors import MultistyleError
from .running import FAILURE, USAGE, failing_with

if TYPE_CHECKING:
    from ..painting import PaintOptions
    from ..stylizer import Stylizer
    from ..weights import Model

Mix = Annotated[
    str | None,
    typer.Option(
        metavar="MIX",
        help="Styles with weights in any scale, like starry=0.7,scream=0.3. Default: the first --style-file, else the "
        "first painter.",
    ),
]


@dataclass(frozen=True)
class CatalogueOptions:
    """Which styles there are."""

    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weight file, or hf://USER/MODEL. Default: the shipped one.")
    ] = None
    style_file: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Add the style in this file, or hf://USER/STYLE; repeatable. The first becomes the default.",
        ),
    ] = None


@dataclass(frozen=True)
class ModelOptions(CatalogueOptions):
    """Which styles there are, and where they are computed."""

    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto"
    compile: Annotated[
        bool,
        typer.Option(
            "--compile", help="Compile the network first: starts slowly, then paints faster; for many pictures."
        ),
    ] = False


@dataclass(frozen=True)
class LookOptions:
    """What a painting looks like, apart from its mix."""

    strength: Annotated[float, typer.Option(help="0: the photo unchanged; 1: the full effect.")] = 1.0
    region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MASK=MIX[@STROKE]",
            help="Paint MIX where the picture MASK is white or opaque, in strokes of size STROKE; repeatable.",
        ),
    ] = None
    size: Annotated[int | None, typer.Option(help="Longer side of the painting in pixels. Default: the photo's.")] = (
        None
    )
    stroke: Annotated[
        str,
        typer.Option(
            metavar="auto|off|NUMBER", help="Size of strokes; auto: as in the painting, 2: twice that, off: one pass."
        ),
    ] = "auto"
    keep_colors: Annotated[bool, typer.Option("--keep-colors", help="Keep the photo's colours.")] = False
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out date, place, camera and other data of the photo.")
    ] = False


@dataclass(frozen=True)
class StripOptions:
    """How a large picture is painted."""

    strips: Annotated[
        str, typer.Option(metavar="auto|off|PIXELS", help="Paint in strips, which takes less memory.")
    ] = "auto"
    estimate: Annotated[
        bool, typer.Option("--estimate", help="With strips: use statistics of a reduced picture; faster, approximate.")
    ] = False


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter of `function` that is one of the dataclasses above by options for its fields."""
    hints = get_type_hints(function, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if isinstance(kind, type) and is_dataclass(kind)}
    taken, shared = [], []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in groups:
            taken.append(parameter.replace(annotation=hints[name]))
            continue
        types = get_type_hints(groups[name], include_extras=True)
        for field in fields(groups[name]):
            shared.append(
                inspect.Parameter(field.name, parameter.kind, default=field.default, annotation=types[field.name])
            )

    @wraps(function)
    def run(**values: Any) -> None:
        for name, kind in groups.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        function(**values)

    signature = inspect.Signature([*taken, *shared])
    run.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect.signature` returns
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    del run.__wrapped__
    return run


def prepare(
    model: ModelOptions, look: LookOptions, mixes: Sequence[str], strips: StripOptions | None = None
) -> tuple[Stylizer, PaintOptions]:
    """The stylizer and the painting options that the command line asks for; ends the command if one is wrong.

    mixes: all mixes of the command; checked as far as possible before the weight file is read. The first is the blend.
    """
    from ..blend import parse_mix
    from ..device import choose_device, choose_precision
    from ..image import read_mask
    from ..painting import PaintOptions, Region
    from ..strokes import split_stroke
    from ..stylizer import load_stylizer

    with failing_with(USAGE):
        choose_precision(model.precision, choose_device(model.device))
        regions = [(mask, *split_stroke(rest)) for mask, rest in map(split_region, look.region or [])]
        for mix in (*mixes, *(mix for _, mix, _ in regions)):
            parse_mix(mix)
        options = PaintOptions(
            mixes[0] if mixes else None,
            look.strength,
            size=look.size,
            stroke=look.stroke,
            keep_colors=look.keep_colors,
            keep_metadata=not look.strip_metadata,
        )
        if strips is not None:
            options = replace(options, strips=strips.strips, estimate=strips.estimate)
    with failing_with(FAILURE):
        stylizer = load_stylizer(model.weights, model.device, model.precision, model.compile, model.style_file or [])
    with failing_with(USAGE):
        for mix in (*mixes, *(mix for _, mix, _ in regions)):
            stylizer.blend(mix)
        options = replace(options, regions=[Region(read_mask(mask), mix, stroke) for mask, mix, stroke in regions])
        options.resolve(stylizer.one_pass)
    return stylizer, options


def split_region(text: str) -> tuple[Path, str]:
    """MASK=MIX -> the mask's file, whose name may have "=" in it, and the rest. Raises `MultistyleError`."""
    signs = [place for place, letter in enumerate(text) if letter == "=" and text[:place] and text[place + 1 :]]
    if not signs:
        raise MultistyleError(f"a region is MASK=MIX or MASK=MIX@STROKE, like sky.png=starry@2, not {text!r}")
    sign = next((place for place in signs if os.path.exists(text[:place])), signs[0])
    return Path(text[:sign]), text[sign + 1 :]


def load_model(catalogue: CatalogueOptions) -> Model:
    """The model of the weight file, with the styles of the style files. Raises `MultistyleError`."""
    from ..cartridge import import_files
    from ..weights import load_weights

    return import_files(load_weights(catalogue.weights), catalogue.style_file or [])


def input_files(model: CatalogueOptions, look: LookOptions | None = None) -> list[Path]:
    """The files that these options name. An output must not replace them."""
    from ..weights import default_weights

    masks = [split_region(text)[0] for text in (look.region if look else None) or []]
    return [model.weights or default_weights(), *(model.style_file or []), *masks]
