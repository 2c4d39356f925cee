"""How sizes of strokes look, seen whole: python -m benchmarks.strokes PHOTO... --styles DIR --features FILE

Each photo is painted at several sizes, with several strokes. The painting and its photo are then reduced to 512 px and
compared by the objective in the model's header with the painter's work at 512 px: does the whole look like that
painter's work? The table also has the content loss of the middle at full size (at most 1024 px a side) and the time
relative to one pass. A photo that is smaller than a size is left out at that size.
"""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated

import torch
import typer
from torch import Tensor

from multistyle.errors import MultistyleError
from multistyle.image import read_image, resize_image
from multistyle.strokes import stroke_number
from multistyle.stylizer import Stylizer
from multistyle.weights import default_weights, load_weights
from train.config import TrainConfig
from train.data import read_paintings
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective

from .parts.command import check_results, chosen, commit, print_table, progress, run, whole_numbers, write_results

WHOLE, MIDDLE = 512, 1024  # px


def main(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Large photos to paint.")],
    styles: Annotated[Path, typer.Option(help="Folder of the paintings the model was trained on.")],
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    names: Annotated[str | None, typer.Option("--painters", help="Which painters; default: all.")] = None,
    each: Annotated[int | None, typer.Option(min=1, help="Painters for each photo, in turn; default: all.")] = None,
    sizes: Annotated[str, typer.Option(help="Longer sides in pixels.")] = "512,1280,3000",
    strokes: Annotated[str, typer.Option(help="Which strokes; off comes first.")] = "off,auto,0.5,2",
    output: Annotated[Path | None, typer.Option("--json", help="File to write the results to.")] = None,
) -> None:
    """Compare sizes of strokes on pictures of several sizes."""
    file = weights or default_weights()
    check_results(output, file, *photos, styles, *(features or []))
    sides, dials = whole_numbers(sizes, "sizes"), strokes.split(",")
    for dial in dials:
        stroke_number(dial)
    model = load_weights(file)
    config = TrainConfig.from_header(model.training, file)
    stylizer = Stylizer(model, precision="float32")
    wanted = model.painters if names is None else chosen(names, model.painters, "painter")
    _, paintings = read_paintings(styles, model.painters, config.style_size)
    objective = Objective(config, load_loss_network(features or [], config.loss_network, config.pooling), paintings)
    loaded = [read_image(photo) for photo in photos]
    results = {}
    for size in sides:
        large = [resize_image(photo, size) for photo in loaded if max(photo.shape[1:]) >= size]
        if not large:
            raise MultistyleError(f"no photo has {size} pixels; leave that size out of --sizes, or give a larger photo")
        stylizer(large[0], wanted[0], stroke="off")  # to warm up
        turns = cycle(wanted)
        pairs = [(photo, name) for photo in large for name in islice(turns, each or len(wanted))]
        rows = [
            {stroke: measure(stylizer, objective, photo, name, stroke) for stroke in dials}
            for photo, name in progress(pairs, f"{size} px")
        ]
        results[f"{size} px"] = {"photos": len(large)} | {stroke: summary(rows, stroke) for stroke in rows[0]}
    print_table(results)
    facts = {"commit": commit(), "torch": torch.__version__, "painters": wanted, "for each photo": each or len(wanted)}
    facts["photos"] = [photo.name for photo in photos]
    write_results(output, facts | {"results": results})


@torch.no_grad()
def measure(stylizer: Stylizer, objective: Objective, photo: Tensor, name: str, stroke: str) -> dict[str, float]:
    """The losses of one painting, seen whole, its content loss at full size, and the seconds that it took.

    photo: (3, H, W) in [0, 1].
    name: the painter.
    stroke: as in `PaintOptions`.
    """
    started = time.perf_counter()
    painted = stylizer(photo, name, stroke=stroke)
    seconds = time.perf_counter() - started
    blend = stylizer.blend(name)[None]
    whole = objective(reduced(painted)[None], reduced(photo)[None], blend)
    full = objective(middle(painted)[None], middle(photo)[None], blend)
    style_weight = objective.config.style_weight
    return {
        "content": whole.content.item(),
        "style": whole.style.item(),
        "objective": whole.content.item() + style_weight * whole.style.item(),
        "content at full size": full.content.item(),
        "seconds": seconds,
    }


def summary(rows: list[dict[str, dict[str, float]]], stroke: str) -> dict[str, float]:
    """Means over photos and painters of what `measure` returned; the time is relative to the first stroke."""
    first = next(iter(rows[0]))
    means = {key: mean(row[stroke][key] for row in rows) for key in rows[0][stroke] if key != "seconds"}
    spread = stdev(row[stroke]["objective"] for row in rows) if len(rows) > 1 else 0.0
    ratio = sum(row[stroke]["seconds"] for row in rows) / sum(row[first]["seconds"] for row in rows)
    return means | {"deviation of objective": spread, "time over the first": ratio}


def reduced(image: Tensor) -> Tensor:
    """The whole image (3, H, W) at a longer side of at most `WHOLE` px."""
    return resize_image(image, min(WHOLE, max(image.shape[1:])))


def middle(image: Tensor) -> Tensor:
    """The middle of an image (3, H, W), at most `MIDDLE` px a side."""
    top, left = (max(0, side - MIDDLE) // 2 for side in image.shape[1:])
    return image[:, top : top + MIDDLE, left : left + MIDDLE]


if __name__ == "__main__":
    run(main)
