"""How good a model's paintings are: python -m benchmarks.quality --photos DIR_OR_TAR --styles DIR --features FILE

Works on central squares of 256 px of the first photos, with the objective and the recipe in the model's header.
Deterministic. The metrics:

- losses: mean content and style loss of one pass, of each painter
- separation: the share of paintings whose Grams are nearest to those of their own painter
- calibration: |share obtained - weight asked for| over pairs, triples and strengths, and the fraction of steps that
  rise; on the first two photos
- artifacts: grid scores of the paintings relative to those of the photos, and of flat fields; the same for hatching at
  any frequency (`hatch_loss`); border scores: the middles of photos, painted alone, compared with
  the same middles of whole paintings
- stability: change of the painting relative to the change of the photo, for a shift by one pixel and for noise of 2
  grey levels
- optimum: the L-BFGS iteration, started from the photo, that first reaches the objective of one pass

Losses, separation, artifacts and stability are means over photos, reported with their standard deviations.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import torch
import typer

from multistyle.strokes import Stroke, stroke_number
from multistyle.stylizer import Stylizer
from multistyle.weights import default_weights, load_weights
from train.config import TrainConfig
from train.data import read_paintings
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective

from .parts.bench import METRICS, SIZE, Bench, read_judges
from .parts.command import check_results, chosen, commit, print_table, run, write_results


def main(
    photos: Annotated[list[Path], typer.Option(help="Folder or .tar of photos for the evaluation; repeatable.")],
    styles: Annotated[Path, typer.Option(help="Folder of the paintings the model was trained on.")],
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    metrics: Annotated[str, typer.Option(help="Which metrics, separated by commas.")] = ",".join(METRICS),
    count: Annotated[int, typer.Option(min=2, help="How many photos.")] = 16,
    stroke: Annotated[
        str, typer.Option(help="Size of the strokes; photos have 256 px, so 5 is several scales.")
    ] = "auto",
    output: Annotated[Path | None, typer.Option("--json", help="File to write the results to.")] = None,
) -> None:
    """Measure the quality of a model's paintings."""
    names = chosen(metrics, METRICS, "metric")
    file = weights or default_weights()
    check_results(output, file, *photos, styles, *(features or []))
    stroke_number(stroke)
    bench = make_bench(file, photos, styles, features or [], count, stroke)
    results = {name: METRICS[name](bench) for name in names}
    print_table(results)
    facts = {
        "commit": commit(),
        "weights": {"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "settings": {
            "size": SIZE,
            "photos": len(bench.photos),
            "stroke": stroke,
            "features": [path.name for path in features or []],
        },
        "torch": torch.__version__,
    }
    write_results(output, facts | {"results": results})


def make_bench(
    file: Path, photos: list[Path], styles: Path, features: list[Path], count: int, stroke: Stroke = "auto"
) -> Bench:
    """Build the bench for a weight file, with the recipe in its header.

    file: the weight file.
    photos: folders or .tar files of photos for the evaluation.
    styles: folder of the paintings the model was trained on.
    features: weight files of the loss network.
    count: how many photos.
    stroke: size of the strokes.
    """
    model = load_weights(file)
    config = TrainConfig.from_header(model.training, file)
    stylizer = Stylizer(model, "cpu", "float32")
    _, paintings = read_paintings(styles, stylizer.painters, config.style_size)
    objective = Objective(config, load_loss_network(features, config.loss_network, config.pooling), paintings)
    return Bench(stylizer, objective, read_judges(photos, count), stroke)


if __name__ == "__main__":
    run(main)
