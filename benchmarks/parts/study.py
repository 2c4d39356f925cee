"""Networks trained by one recipe on the same photos, each for the same number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from multistyle.messages import say
from multistyle.network import NetworkConfig
from multistyle.weights import Style
from train.add_style import EVERY, SOLVE_PHOTOS, RowTrainer, learn, nearest_mix
from train.config import TrainConfig
from train.data import Batches, Photos
from train.evaluation import mean_losses, painter_losses, set_apart
from train.fit import train_network
from train.losses.loss_network import LossNetwork
from train.losses.objective import Losses, Objective
from train.trainer import Trainer

Curve = dict[int, float]  # steps -> loss on the judges


class WatchedTrainer(Trainer):
    """A trainer of one painter that appends its loss on the judges to the file `notes` every `EVERY` steps."""

    judges: Tensor
    notes: Path

    def step(self, photos: Tensor) -> Losses:
        losses = super().step(photos)
        if self.done % EVERY == 0:
            with self.notes.open("a", encoding="utf-8") as opened:
                opened.write(f"{self.done} {self._loss()}\n")
        return losses

    def _loss(self) -> float:
        blend = torch.tensor([0.0, 1.0], device=self.device)
        return mean_losses(self.model.network, self.objective, self.judges, blend).total.item()

    def curve(self) -> Curve:
        """The recorded losses, by steps. Steps repeated after an interruption have the same loss."""
        lines = self.notes.read_text(encoding="utf-8").split("\n")[:-1] if self.notes.exists() else []
        return {int(steps): float(loss) for steps, loss in map(str.split, lines)}


class Study:
    """Networks trained by one recipe on the same photos, and the judges: squares (N, 3, H, W) of photos set apart.

    config: the recipe.
    loss_network: moved to `device` whenever a network is trained.
    photos: for training and for evaluation.
    folder: where the networks are kept.
    device: where they are trained.
    """

    def __init__(
        self, config: TrainConfig, loss_network: LossNetwork, photos: Photos, folder: Path, device: torch.device
    ) -> None:
        self.config, self.loss_network, self.folder, self.device = config, loss_network, folder, device
        self.lessons, judges = set_apart(photos, config.crop)
        self.judges = judges.to(device, memory_format=torch.channels_last)

    def reshaped(self, shape: NetworkConfig) -> Study:
        """The same study with networks of another shape."""
        other = copy(self)
        other.config = replace(self.config, **asdict(shape))
        return other

    def objective(self, paintings: Sequence[Tensor]) -> Objective:
        """The objective of the recipe for these paintings."""
        return Objective(
            self.config, self.loss_network.to(self.device), [painting.to(self.device) for painting in paintings]
        )

    def train(self, title: str, styles: Sequence[Style], paintings: Sequence[Tensor]) -> Trainer:
        """The trainer of a network of `styles` after all steps; a finished one is read from the folder."""
        trainer = Trainer(self.config, styles, self.objective(paintings), self.device)
        self._fit(trainer, title)
        return trainer

    def train_watched(self, title: str, style: Style, painting: Tensor) -> Curve:
        """The loss of a network of one style, by steps."""
        trainer = WatchedTrainer(self.config, [style], self.objective([painting]), self.device)
        title = f"{title}-watched"
        trainer.judges, trainer.notes = self.judges, self._file(title, ".txt")
        self._fit(trainer, title)
        return trainer.curve()

    def _fit(self, trainer: Trainer, title: str) -> None:
        say(f"{title}, {len(trainer.model.painters)} painters")
        train_network(trainer, self.lessons, self._file(title, ".safetensors"), {})

    def _file(self, title: str, suffix: str) -> Path:
        """Its place in the folder; networks of other numbers of steps are other files."""
        return self.folder / f"{title}-{self.config.steps}{suffix}"

    def losses(self, trainer: Trainer) -> dict[str, dict[str, float]]:
        """The content and style loss of each painter of a network, on the judges."""
        return painter_losses(trainer.model.network, trainer.objective, self.judges, trainer.model.painters)

    def added(self, shared: Trainer, painting: Tensor) -> Curve:
        """The loss of a new row of the shared network, by steps."""
        network, objective = shared.model.network, self.objective([painting])
        row = nearest_mix(network, objective, self.judges[:SOLVE_PHOTOS]) @ network.table
        batches = Batches(self.lessons, self.config.batch, self.config.crop, self.config.seed)
        found = learn(RowTrainer(self.config, network, row, objective), batches, self.judges, self.config.steps)
        return {evaluation.steps: evaluation.total for evaluation in found}
