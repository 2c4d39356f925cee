"""What sharing one network costs: python -m benchmarks.sharing --styles DIR --photos DIR_OR_TAR --features FILE

Trains one network on N painters, and N networks on one of them each, for the same number of steps of one recipe; then
adds painters that the shared network has not seen. Measured on the middles of photos that none of them learnt from:

- sharing: (shared - single) / single of each painter's content and style loss at full strength, mean and standard
  deviation over the painters. Dumoulin et al. (2017, section 3.1) report +8.7 +- 3.9 % and -8.9 +- 16.5 % for ten
  paintings of Monet, after 40,000 steps.
- adding: the steps in which a new row of the shared network (train/add_style.py) and a network for that painter alone
  first reach the same loss, the lowest that both of them reach. Published: 5,000 steps against 40,000 (section 3.4).

Deterministic. The networks stay in the folder of --work; the same command resumes an interrupted run.
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
from multistyle.weights import Style
from train.add_style import EVERY, SOLVE_PHOTOS, RowTrainer, learn, nearest_mix
from train.config import TrainConfig, read_config
from train.data import Batches, Photos, read_paintings
from train.evaluation import mean_losses, painter_losses, set_apart
from train.fit import train_network
from train.losses.loss_network import LossNetwork, load_loss_network
from train.losses.objective import Losses, Objective
from train.trainer import Trainer

from .parts.command import check_results, commit, make_folder, print_table, run, write_results
from .parts.study import Curve, Study

PUBLISHED = {"content": "+8.7 +- 3.9 %", "style": "-8.9 +- 16.5 %", "adding": "5,000 steps against 40,000"}



class WatchedTrainer(Trainer):
    """A trainer of one painter that notes its loss on the judges every `EVERY` steps, in the file `notes`."""

    judges: Tensor
    notes: Path

    def step(self, photos: Tensor) -> Losses:
        losses = super().step(photos)
        if self.done % EVERY == 0:
            with self.notes.open("a") as opened:
                opened.write(f"{self.done} {self._loss()}\n")
        return losses

    def _loss(self) -> float:
        blend = torch.tensor([0.0, 1.0], device=self.device)
        return mean_losses(self.model.network, self.objective, self.judges, blend).total.item()

    def curve(self) -> Curve:
        """What was noted; steps that were taken twice, after a stop, are the same twice."""
        lines = self.notes.read_text().split("\n")[:-1] if self.notes.exists() else []
        return {int(steps): float(loss) for steps, loss in map(str.split, lines)}


class Study:
    """Networks trained by one recipe on the same photos (a `Subset` of `Photos`), and the judges (N, 3, H, W)."""

    def __init__(
        self, config: TrainConfig, loss_network: LossNetwork, photos: Photos, folder: Path, device: torch.device
    ) -> None:
        self.config, self.loss_network, self.folder, self.device = config, loss_network.to(device), folder, device
        self.lessons, judges = set_apart(photos, config.crop)
        self.judges = judges.to(device, memory_format=torch.channels_last)

    def objective(self, paintings: Sequence[Tensor]) -> Objective:
        return Objective(self.config, self.loss_network, [painting.to(self.device) for painting in paintings])

    def train(self, title: str, styles: Sequence[Style], paintings: Sequence[Tensor]) -> Trainer:
        """The trainer of a network of `styles` after all steps, taken from the folder where it is done already."""
        trainer = Trainer(self.config, styles, self.objective(paintings), self.device)
        self._fit(trainer, title)
        return trainer

    def train_watched(self, title: str, style: Style, painting: Tensor) -> Curve:
        """The loss of a network of one style, by steps."""
        trainer = WatchedTrainer(self.config, [style], self.objective([painting]), self.device)
        trainer.judges, trainer.notes = self.judges, self.folder / f"{title}.txt"
        self._fit(trainer, title)
        return trainer.curve()

    def _fit(self, trainer: Trainer, title: str) -> None:
        say(f"{title}, {len(trainer.model.catalogue) - 1} painters")
        train_network(trainer, self.lessons, self.folder / f"{title}.safetensors", {})

    def losses(self, trainer: Trainer) -> dict[str, dict[str, float]]:
        names = [style.name for style in trainer.model.catalogue[PHOTO + 1 :]]
        return painter_losses(trainer.model.network, trainer.objective, self.judges, names)

    def added(self, shared: Trainer, painting: Tensor) -> Curve:
        """The loss of a new row of the shared network, by steps."""
        network, objective = shared.model.network, self.objective([painting])
        row = nearest_mix(network, objective, self.judges[:SOLVE_PHOTOS]) @ network.table
        batches = Batches(self.lessons, self.config.batch, self.config.crop, self.config.seed)
        found = learn(RowTrainer(self.config, network, row, objective), batches, self.judges, self.config.steps)
        return {evaluation.steps: evaluation.total for evaluation in found}

    def compare(self, entries: Sequence[Style], paintings: Sequence[Tensor], painters: int) -> dict[str, Any]:
        """Both measurements: the first `painters` of the entries share a network, the others are added to it."""
        shared = self.train("shared", entries[:painters], paintings[:painters])
        single = {}
        for entry, painting in zip(entries[:painters], paintings):
            single |= self.losses(self.train(f"alone-{entry.name}", [entry], [painting]))
        adding = {}
        for entry, painting in zip(entries[painters:], paintings[painters:]):
            alone = self.train_watched(f"alone-{entry.name}", entry, painting)
            adding[entry.name] = compare_steps(self.added(shared, painting), alone)
        return {"sharing": compare_losses(self.losses(shared), single), "adding": adding}


def compare_losses(shared: dict[str, Any], single: dict[str, Any]) -> dict[str, Any]:
    """The relative difference (shared - single) / single of the losses of each painter, with mean and deviation."""
    changes = {
        name: {part: shared[name][part] / single[name][part] - 1 for part in ("content", "style")} for name in single
    }
    columns = {part: [change[part] for change in changes.values()] for part in ("content", "style")}
    found = {part: {"mean": mean(column), "deviation": stdev(column)} for part, column in columns.items()}
    return {**found, "painters": changes}


def compare_steps(added: Curve, alone: Curve) -> dict[str, float]:
    """The steps in which either curve first reaches the lowest loss that both reach, and the lowest of each."""
    goal = max(min(added.values()), min(alone.values()))
    first = {
        title: min(steps for steps, loss in curve.items() if loss <= goal)
        for title, curve in (("steps as a row", added), ("steps as a network", alone))
    }
    return {"loss": goal, **first, "lowest as a row": min(added.values()), "lowest as a network": min(alone.values())}


def main(
    styles: Annotated[Path, typer.Option(help="Folder of paintings, NAME.jpg each.")],
    photos: Annotated[list[Path], typer.Option(help="Folder or .tar of photos; repeatable.")],
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML recipe; its styles, if any, are the painters.")] = None,
    painters: Annotated[int, typer.Option(min=2, help="How many share the network, the first of the folder.")] = 10,
    added: Annotated[int, typer.Option(min=0, help="How many of the next are added to it.")] = 1,
    steps: Annotated[int, typer.Option(min=EVERY, help="Steps of each training.")] = 1000,
    work: Annotated[Path, typer.Option(help="Folder for the networks; made if missing.")] = Path("outputs/sharing"),
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
