"""Which shape of network to ship: python -m benchmarks.shapes --styles DIR --photos DIR_OR_TAR --judges DIR_OR_TAR ...

Trains networks of each shape equally long, by one recipe, on the same painters and photos, and measures each with the
metrics of benchmarks.quality on other photos (`--judges`), with its parameters, its operations at 512 px, and its time
for a picture of 512 px over that of the published shape, in turns. It names the cheapest shape whose objective, content
+ style_weight * style, is within 3 % of the best.

Deterministic but for the times. The networks stay in the folder of --work, so that the same command goes on where it
was stopped.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from multistyle.device import choose_device
from multistyle.errors import MultistyleError, suggestion
from multistyle.files import check_place
from multistyle.messages import say, tell
from multistyle.network import NetworkConfig
from multistyle.stylizer import Stylizer
from multistyle.weights import Model
from train.config import read_config
from train.data import Photos, read_paintings
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective

from .parts.command import commit, make_folder, print_table, run, write_results
from .parts.contenders import Contender, pictures
from .parts.machine import counted
from .quality import METRICS, Bench, read_judges
from .sharing import Study
from .throughput import take_turns

SHAPES = {
    "published": NetworkConfig(),
    "three quarters": NetworkConfig((24, 48, 96)),
    "half": NetworkConfig((16, 32, 64)),
    "lean": NetworkConfig((16, 32, 64), stem=5, head=5, upsampling="bilinear"),
}
SIZE = 512  # px, of the pictures that are timed
NEAR = 1.03  # times the best objective


def costs(models: dict[str, Model], device: str) -> dict[str, dict[str, float]]:
    """Parameters, operations and time of each shape's model, the time over that of the first."""
    photo = pictures(SIZE, 1, choose_device(device))[0]
    stylizers = {name: Stylizer(model, device, "float32") for name, model in models.items()}
    group = [Contender(name, lambda painter=painter: painter(photo)) for name, painter in stylizers.items()]
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
    """The shape of the fewest operations whose objective is at most `NEAR` times the best."""
    best = min(row["objective"] for row in rows.values())
    near = [name for name, row in rows.items() if row["objective"] <= NEAR * best]
    return min(near, key=lambda name: rows[name]["GFLOP at 512 px"])


def main(
    styles: Annotated[Path, typer.Option(help="Folder of paintings, of which the first are learnt.")],
    photos: Annotated[list[Path], typer.Option(help="Folder or .tar of photos to train on; repeatable.")],
    judges: Annotated[list[Path], typer.Option(help="Folder or .tar of photos to judge by; repeatable.")],
    work: Annotated[Path, typer.Option(help="Folder for the networks; another run there goes on with them.")],
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    config: Annotated[Path | None, typer.Option(help="Recipe (TOML) of each training.")] = None,
    shapes: Annotated[str, typer.Option(help="Which; times are over the first one's.")] = ",".join(SHAPES),
    painters: Annotated[int, typer.Option(min=3)] = 8,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each training; default: the recipe's.")] = None,
    metrics: Annotated[str, typer.Option(help="Of benchmarks.quality, losses among them.")] = ",".join(METRICS),
    count: Annotated[int, typer.Option(min=2, help="How many photos to judge by.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    output: Annotated[Path | None, typer.Option("--json", help="File to write the results to.")] = None,
) -> None:
    """Measure shapes of network against each other."""
    chosen, wanted = shapes.split(","), metrics.split(",")
    for name, known in [(name, SHAPES) for name in chosen] + [(name, METRICS) for name in wanted]:
        if name not in known:
            raise MultistyleError(f"unknown shape or metric {name!r}; {suggestion(name, known)}")
    if "losses" not in wanted:
        raise MultistyleError("shapes are chosen by their losses; name losses among the metrics")
    recipe = read_config(config)
    recipe = replace(recipe, steps=steps or recipe.steps)
    place = choose_device(device)
    entries, paintings = (found[:painters] for found in read_paintings(styles, recipe.styles, recipe.style_size))
    make_folder(work)
    if output is not None:
        check_place(output)
    loss_network = load_loss_network(features or [], recipe.loss_network, recipe.pooling)
    lessons, squares = Photos(photos, recipe.photo_size), read_judges(judges, count)
    models, rows = {}, {}
    for name in chosen:
        shaped = replace(recipe, **asdict(SHAPES[name]))
        models[name] = Study(shaped, loss_network, lessons, work, place).train(name, entries, paintings).model
        objective = Objective(shaped, loss_network.cpu(), paintings)
        bench = Bench(Stylizer(models[name], "cpu", "float32"), objective, squares)
        rows[name] = {metric: METRICS[metric](bench) for metric in wanted}
        losses = rows[name]["losses"]
        rows[name]["objective"] = losses["content"] + recipe.style_weight * losses["style"]
    say("time")
    for name, cost in costs(models, device).items():
        rows[name] = cost | rows[name]
    print_table(rows)
    tell(f"cheapest within 3 %: {cheapest(rows)}")
    facts = {
        "commit": commit(),
        "settings": {"painters": painters, "photos": count, "config": recipe.as_dict(), "device": str(place)},
        "features": [path.name for path in features or []],
        "torch": torch.__version__,
    }
    if output is not None:
        write_results(output, facts | {"results": rows, "cheapest": cheapest(rows)})


if __name__ == "__main__":
    run(main, "stopped; the same command goes on from here")
