"""Which shape of network to ship: python -m benchmarks.shapes --styles DIR --photos DIR_OR_TAR --judges DIR_OR_TAR ...

Trains a network of each shape for the same number of steps, by one recipe, on the same painters and photos. For each,
reports the metrics of benchmarks.quality on other photos (`--judges`), the number of parameters, the operations at
512 px, and the time for a picture of 512 px relative to the first shape, measured in turns. Names the cheapest shape
whose objective, content + style_weight * style, is within 3 % of the best.

Deterministic on a CPU, except for the times. The networks stay in the folder --work; the same command resumes an
interrupted run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from multistyle.device import choose_device
from multistyle.errors import MultistyleError
from multistyle.files import make_folder
from multistyle.messages import tell
from multistyle.network import NetworkConfig
from multistyle.stylizer import Stylizer
from multistyle.weights import Model, Style
from train.config import read_config
from train.data import Photos, read_paintings
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective

from .parts.bench import METRICS, Bench, read_judges
from .parts.command import check_results, chosen, commit, print_table, run, write_results
from .parts.contenders import Contender, pictures
from .parts.machine import counted
from .parts.study import Study
from .parts.turns import take_turns

SHAPES = {
    "published": NetworkConfig(),
    "three quarters": NetworkConfig((24, 48, 96)),
    "half": NetworkConfig((16, 32, 64)),
    "lean": NetworkConfig((16, 32, 64), stem=5, head=5, upsampling="bilinear"),
}
SIZE = 512  # px, of the pictures that are timed
NEAR = 1.03  # times the best objective


def costs(models: dict[str, Model], device: str) -> dict[str, dict[str, float]]:
    """Parameters, operations and time of each shape's model; the time is relative to the first."""
    photo = pictures(SIZE, 1, choose_device(device))[0]
    stylizers = {name: Stylizer(model, device, "float32") for name, model in models.items()}
    group = [Contender(name, partial(stylizer, photo)) for name, stylizer in stylizers.items()]
    turns = take_turns(group, photo.device)
    return {
        name: {
            "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
            "GFLOP at 512 px": counted(model.network, SIZE, torch.float32)["operations"] / 1e9,
            f"time over {next(iter(models))}": 1 / turns[name]["speed"],
        }
        for name, model in models.items()
    }


def cheapest(rows: dict[str, dict[str, Any]]) -> str:
    """The shape with the fewest operations among those whose objective is at most `NEAR` times the best."""
    best = min(row["objective"] for row in rows.values())
    near = [name for name, row in rows.items() if row["objective"] <= NEAR * best]
    return min(near, key=lambda name: rows[name]["GFLOP at 512 px"])


def measure(
    names: Sequence[str],
    study: Study,
    entries: Sequence[Style],
    paintings: Sequence[Tensor],
    judges: Tensor,
    metrics: Sequence[str],
) -> tuple[dict[str, Model], dict[str, dict[str, Any]]]:
    """The trained model of each shape, and its metrics with its objective.

    names: of `SHAPES`.
    study: trains the networks; its recipe's shape is replaced by each of these.
    entries, paintings: the painters to learn.
    judges: photos (P, 3, 256, 256) for the evaluation.
    metrics: names of `METRICS`, "losses" among them.
    """
    models, rows = {}, {}
    for name in names:
        shaped = study.reshaped(SHAPES[name])
        models[name] = shaped.train(name, entries, paintings).model
        objective = Objective(shaped.config, study.loss_network.cpu(), paintings)
        bench = Bench(Stylizer(models[name], "cpu", "float32"), objective, judges)
        row = {metric: METRICS[metric](bench) for metric in metrics}
        losses = row["losses"]
        rows[name] = row | {"objective": losses["content"] + shaped.config.style_weight * losses["style"]}
    return models, rows


def main(
    styles: Annotated[Path, typer.Option(help="Folder of paintings; the first are learnt.")],
    photos: Annotated[list[Path], typer.Option(help="Folder or .tar of photos to train on; repeatable.")],
    judges: Annotated[list[Path], typer.Option(help="Folder or .tar of photos for the evaluation; repeatable.")],
    work: Annotated[Path, typer.Option(help="Folder for the networks; created if missing.")],
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    config: Annotated[Path | None, typer.Option(help="Recipe (TOML) of each training.")] = None,
    shapes: Annotated[str, typer.Option(help="Which shapes; times are relative to the first.")] = ",".join(SHAPES),
    painters: Annotated[int, typer.Option(min=3, help="How many painters are learnt.")] = 8,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each training; default: the recipe's.")] = None,
    metrics: Annotated[str, typer.Option(help="Metrics of benchmarks.quality, including losses.")] = ",".join(METRICS),
    count: Annotated[int, typer.Option(min=2, help="How many photos for the evaluation.")] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    output: Annotated[Path | None, typer.Option("--json", help="File to write the results to.")] = None,
) -> None:
    """Compare shapes of network after equal training."""
    names, wanted = chosen(shapes, SHAPES, "shape"), chosen(metrics, METRICS, "metric")
    if "losses" not in wanted:
        raise MultistyleError("shapes are chosen by their losses; include losses in --metrics")
    recipe = read_config(config)
    recipe = replace(recipe, steps=steps or recipe.steps)
    place = choose_device(device)
    check_results(output, styles, *photos, *judges, *(features or []), config)
    entries, paintings = read_paintings(styles, recipe.styles, recipe.style_size)
    if len(entries) < painters:
        raise MultistyleError(f"{len(entries)} paintings are too few for {painters} painters; lower --painters")
    make_folder(work)
    loss_network = load_loss_network(features or [], recipe.loss_network, recipe.pooling)
    squares = read_judges(judges, count)
    study = Study(recipe, loss_network, Photos(photos, recipe.photo_size), work, place)
    models, rows = measure(names, study, entries[:painters], paintings[:painters], squares, wanted)
    rows = {name: cost | rows[name] for name, cost in costs(models, device).items()}
    print_table(rows)
    tell(f"cheapest within 3 %: {cheapest(rows)}")
    facts = {
        "commit": commit(),
        "settings": {"painters": painters, "photos": len(squares), "config": recipe.as_dict(), "device": str(place)},
        "features": [path.name for path in features or []],
        "torch": torch.__version__,
    }
    write_results(output, facts | {"results": rows, "cheapest": cheapest(rows)})


if __name__ == "__main__":
    run(main, "stopped; the same command resumes")
