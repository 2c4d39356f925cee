"""What sharing one network costs: python -m benchmarks.sharing --styles DIR --photos DIR_OR_TAR --features FILE

Trains one network on N painters, and N networks on one painter each, for the same number of steps of one recipe; then
adds painters that the shared network has not seen. Measures on the middles of photos that were not trained on:

- sharing: (shared - single) / single of each painter's content and style loss at full strength, mean and standard
  deviation over the painters. Dumoulin et al. (2017, section 3.1) report +8.7 +- 3.9 % and -8.9 +- 16.5 % for ten
  paintings of Monet, after 40,000 steps.
- adding: the steps in which a new row of the shared network (train/add_style.py) and a network for that painter alone
  first reach the same loss, the lowest that both of them reach. Published: 5,000 steps against 40,000 (section 3.4).

Deterministic on a CPU. The networks stay in the folder --work; the same command resumes an interrupted run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from multistyle.device import choose_device
from multistyle.errors import MultistyleError
from multistyle.files import make_folder
from multistyle.weights import Style
from train.add_style import EVERY
from train.config import read_config
from train.data import Photos, read_paintings
from train.losses.loss_network import load_loss_network

from .parts.command import check_results, commit, print_table, run, write_results
from .parts.study import Curve, Study

PUBLISHED = {"content": "+8.7 +- 3.9 %", "style": "-8.9 +- 16.5 %", "adding": "5,000 steps against 40,000"}


def compare(study: Study, entries: Sequence[Style], paintings: Sequence[Tensor], painters: int) -> dict[str, Any]:
    """Make both measurements: the first `painters` entries share a network, the others are added to it."""
    shared = study.train("shared", entries[:painters], paintings[:painters])
    single: dict[str, dict[str, float]] = {}
    for entry, painting in zip(entries[:painters], paintings):
        single |= study.losses(study.train(f"alone-{entry.name}", [entry], [painting]))
    adding = {}
    for entry, painting in zip(entries[painters:], paintings[painters:]):
        alone = study.train_watched(f"alone-{entry.name}", entry, painting)
        adding[entry.name] = compare_steps(study.added(shared, painting), alone)
    return {"sharing": compare_losses(study.losses(shared), single), "adding": adding}


def compare_losses(shared: dict[str, Any], single: dict[str, Any]) -> dict[str, Any]:
    """The relative difference (shared - single) / single of the losses of each painter, with mean and deviation."""
    changes = {
        name: {part: shared[name][part] / single[name][part] - 1 for part in ("content", "style")} for name in single
    }
    columns = {part: [change[part] for change in changes.values()] for part in ("content", "style")}
    found = {part: {"mean": mean(column), "deviation": stdev(column)} for part, column in columns.items()}
    return {**found, "painters": changes}


def compare_steps(added: Curve, alone: Curve) -> dict[str, float]:
    """The steps after which each curve first reaches the lowest loss that both reach, and the lowest loss of each."""
    goal = max(min(added.values()), min(alone.values()))
    first = {
        title: min(steps for steps, loss in curve.items() if loss <= goal)
        for title, curve in (("steps as a row", added), ("steps as a network", alone))
    }
    return {"loss": goal, **first, "lowest as a row": min(added.values()), "lowest as a network": min(alone.values())}


def main(
    styles: Annotated[Path, typer.Option(help="Folder of paintings, named NAME.jpg.")],
    photos: Annotated[list[Path], typer.Option(help="Folder or .tar of photos; repeatable.")],
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML recipe; its styles, if any, are the painters.")] = None,
    painters: Annotated[int, typer.Option(min=2, help="How many share the network, the first of the folder.")] = 10,
    added: Annotated[int, typer.Option(min=0, help="How many of the following painters are added to it.")] = 1,
    steps: Annotated[int, typer.Option(min=EVERY, help="Steps of each training.")] = 1000,
    work: Annotated[Path, typer.Option(help="Folder for the networks; created if missing.")] = Path("outputs/sharing"),
    output: Annotated[Path | None, typer.Option("--json", "-o", help="File to write the results to.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Measure what sharing a network costs and what adding to it saves."""
    recipe, place = replace(read_config(config), steps=steps), choose_device(device)
    entries, paintings = read_paintings(styles, recipe.styles, recipe.style_size)
    if len(entries) < painters + added:
        raise MultistyleError(f"{len(entries)} paintings are too few for {painters} painters and {added} to add")
    check_results(output, styles, *photos, *(features or []), config)
    make_folder(work)
    loss_network = load_loss_network(features or [], recipe.loss_network, recipe.pooling)
    study = Study(recipe, loss_network, Photos(photos, recipe.photo_size), work, place)
    results = compare(study, entries[: painters + added], paintings, painters)
    print_table(results)
    facts = {
        "commit": commit(),
        "torch": torch.__version__,
        "device": str(place),
        "settings": {**asdict(recipe), "painters": painters, "photos": len(study.lessons)},
        "published": PUBLISHED,
    }
    write_results(output, facts | {"results": results})


if __name__ == "__main__":
    run(main, "stopped; the same command resumes")
