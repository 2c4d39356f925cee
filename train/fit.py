"""A whole training run: what it reads, its steps, and the files it writes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from multistyle.errors import MultistyleError
from multistyle.files import check_place, remove_stale
from multistyle.image import write_image
from multistyle.messages import say
from multistyle.stopping import stop_signals
from multistyle.weights import load_weights, save_weights

from .checkpoint import as_lists, save_checkpoint
from .config import TrainConfig
from .data import Batches, PhotoSet, read_paintings
from .listing import pictures_in
from .losses.loss_network import load_loss_network
from .losses.objective import Losses, Objective
from .parallel import Team
from .progress import ProgressLine
from .tensorboard import TensorBoardLog
from .trainer import Trainer

PREVIEW_PHOTOS = 3


def state_of(output: Path) -> Path:
    """The file that holds the state of the run that writes its weights to `output`."""
    return output.with_name(output.name + ".state")


def preview_of(output: Path) -> Path:
    """The file that holds the previews of the run that writes its weights to `output`."""
    return output.with_name(output.stem + ".preview.png")


def check_outputs(output: Path, styles: Path, photos: Sequence[Path], inputs: Iterable[Path]) -> None:
    """Raise `MultistyleError` unless all files of a run can be written.

    None of them may be one of its inputs, or lie in a folder of its pictures, where the next run would read the
    previews as a picture. output: the weight file; styles, photos: the sources of pictures; inputs: all other files
    that the run reads.
    """
    paintings = [*pictures_in(styles), styles / "catalogue.tsv"] if styles.is_dir() else []
    read = [*paintings, *photos, *inputs]
    check_place(output, inputs=read)  # first: a folder such as "." has no name to put .state after
    for file in (output, state_of(output), preview_of(output)):
        check_place(file, inputs=read)
        folder = file.resolve().parent
        among = [source for source in photos if source.is_dir() and folder.is_relative_to(source.resolve())]
        if among or folder == styles.resolve():
            raise MultistyleError(
                f"cannot write {file}: {(among or [styles])[0]} holds the pictures to train with, and previews written "
                f"there would count as such; choose another folder"
            )


def build_trainer(
    recipe: TrainConfig, styles: Path, features: Sequence[Path], device: torch.device, team: Team
) -> Trainer:
    """A trainer for the paintings in the folder `styles`, with the loss network in `features` on `device`."""
    entries, paintings = read_paintings(styles, recipe.styles, recipe.style_size)
    loss_network = load_loss_network(features, recipe.loss_network, recipe.pooling).to(device)
    if recipe.channels_last:
        loss_network.to(memory_format=torch.channels_last)
    objective = Objective(recipe, loss_network, [painting.to(device) for painting in paintings])
    return Trainer(recipe, entries, objective, device, team)


def facts_of_run(trainer: Trainer, photos: PhotoSet, features: Sequence[Path]) -> dict[str, Any]:
    """What the header of the weight file says about how it was trained, apart from the recipe and the losses."""
    return {
        "loss_network": [file.name for file in features] or f"torchvision {trainer.config.loss_network}",
        "torch": torch.__version__,
        "photos": len(photos),
        "processes": trainer.team.size,
    }


class RunFiles:
    """The files, lines and curves of a run, written by the process that leads.

    trainer: the run; photos: for the previews; output: the weight file; facts: for its header; log: for TensorBoard.
    """

    def __init__(
        self, trainer: Trainer, photos: PhotoSet, output: Path, facts: dict[str, Any], log: TensorBoardLog | None
    ) -> None:
        self.trainer, self.output, self.facts, self.log = trainer, output, dict(facts), log
        self.examples = Batches(photos, PREVIEW_PHOTOS, trainer.config.crop, trainer.config.seed)[0]
        self.progress, self.saved = ProgressLine(trainer.config, log), time.monotonic()
        remove_stale(output.parent)
        if log is not None:
            log.start(trainer.done)

    def add(self, losses: Losses) -> None:
        """Count a step in, and save or draw previews if it is time. Raises `MultistyleError` as `save` does."""
        config, done = self.trainer.config, self.trainer.done
        self.progress.add(done, losses, self.trainer.optimizer.param_groups[0]["lr"])
        if done % config.preview_steps == 0 or done == config.steps:
            sheet = self.trainer.preview_sheet(self.examples)
            write_image(preview_of(self.output), sheet)
            if self.log is not None:
                self.log.picture(done, sheet)
        if time.monotonic() - self.saved > 60 * config.checkpoint_minutes:
            self.save()

    def complete(self) -> bool:
        """Whether the weight file is that of the whole run already, and not missing or another file."""
        try:
            found = load_weights(self.output).training
        except MultistyleError:
            return False
        config = as_lists(self.trainer.config.as_dict())
        return "painters" in found and (found.get("steps"), found.get("config")) == (config["steps"], config)

    def save(self) -> None:
        """Write the weights, then the state: after a stop between the two, the older state makes the same weights.

        Raises `MultistyleError` if a loss or the network is no longer finite, or a file cannot be written.
        """
        self.progress.check()
        self.trainer.check_finite()
        model, config = self.trainer.model, self.trainer.config
        model.training = {**self.facts, "steps": self.trainer.done, "config": config.as_dict()}
        model.training |= self.progress.losses()
        save_weights(self.output, model)
        save_checkpoint(state_of(self.output), self.trainer.state())
        self.saved = time.monotonic()


def train_network(
    trainer: Trainer,
    photos: PhotoSet,
    output: Path,
    facts: dict[str, Any],
    workers: int = 0,
    log: TensorBoardLog | None = None,
) -> None:
    """Train until `config.steps`. Write the weights to `output`, and the run's state and previews beside it.

    A run that finds its state continues from there. Ctrl-C or a termination signal lets the current step end, saves,
    and raises KeyboardInterrupt.

    trainer: the run; photos: what it learns from; output: the weight file; facts: for its header; workers: processes
    that decode photos, 0 for a thread of this one; log: for TensorBoard.
    Raises `MultistyleError` when the loss is no longer finite; what was saved before is kept.
    """
    config, team = trainer.config, trainer.team
    with team.together():
        resumed = trainer.resume(state_of(output))
    steps = team.gather(trainer.done)
    with team.together():
        if len(set(steps)) > 1:
            raise MultistyleError(f"not all processes see {state_of(output)}; write to a folder that they share")
        files = RunFiles(trainer, photos, output, facts, log) if team.leads else None
    if resumed and team.leads:
        say(f"continuing from step {trainer.done} in {state_of(output)}")
    first = trainer.done
    batches, halt = Batches(photos, config.batch, config.crop, config.seed, trainer.rows), False
    with stop_signals() as stopped:
        for batch in batches.from_step(trainer.done, workers):
            if trainer.done >= config.steps:
                break
            halt = team.any(bool(stopped))
            if halt:
                break
            losses = trainer.step(batch)
            if files:
                files.add(losses)
        if files and (trainer.done > first or not (halt or files.complete())):
            if trainer.done >= config.steps:
                files.facts["painters"] = trainer.painter_losses(photos)
            files.save()
    if halt:
        raise KeyboardInterrupt
