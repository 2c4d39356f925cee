"""python -m train: the commands that make a weight file. Run from a checkout."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from multistyle.cli.running import run
from multistyle.device import choose_device
from multistyle.errors import MultistyleError, suggestion
from multistyle.files import check_place
from multistyle.image import check_output, read_image, resize_image, write_image
from multistyle.messages import say
from multistyle.weights import load_weights

from . import style_commands as catalogue
from .config import TrainConfig, read_config
from .data import Photos, read_painting, read_paintings
from .fit import fit as run_fit
from .gatys import OPTIMIZERS, optimise, parse_paintings
from .losses.loss_network import load_loss_network
from .losses.objective import Losses, Objective
from .parallel import Team, choose_share, spare_cores, team_up
from .progress import SECONDS
from .tensorboard import Board
from .trainer import Trainer

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
for command in (
    catalogue.add_style,
    catalogue.export_style,
    catalogue.import_style,
    catalogue.remove_style,
    catalogue.rename_style,
):
    app.command()(command)


@app.callback()
def main() -> None:
    """Train multistyle's networks."""


@app.command()
def fit(
    styles: Annotated[Path, typer.Option(help="Folder of paintings, NAME.jpg each; catalogue.tsv may describe them.")],
    photos: Annotated[list[Path], typer.Option(help="Folder (nested) or .tar of photos; repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weight file to write.")],
    config: Annotated[Path | None, typer.Option(help="TOML recipe; see train/configs.")] = None,
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="Weight file of the same network's shape to start a new run from.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode photos; by default none for a set kept in memory.")
    ] = None,
    log_dir: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's curves and previews.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Train one network on all paintings of a folder; goes on from OUTPUT.state where there is one."""
    with team_up() as team:
        with team.together():
            recipe = read_config(config)
            team.rows(recipe.batch, recipe.accumulate)
            check_place(output)
            board = Board(log_dir) if log_dir and team.leads else None
            trainer, pictures = prepare(recipe, styles, photos, features or [], choose_share(device, team), team)
            facts = describe(trainer, pictures, features or [])
            if start is not None:
                model = load_weights(start)
                trainer.start_from(model)
                facts["start"] = model.training
        if workers is None:
            workers = 0 if pictures.small else min(8, spare_cores())
        try:
            run_fit(trainer, pictures, output, facts, workers, board)
        except KeyboardInterrupt:
            if team.leads:
                say("stopped; the same command goes on from here")
            raise typer.Exit(130) from None


def prepare(
    recipe: TrainConfig, styles: Path, photos: list[Path], features: list[Path], place: torch.device, team: Team
) -> tuple[Trainer, Photos]:
    """All that a run needs, read and checked."""
    entries, paintings = read_paintings(styles, recipe.styles, recipe.style_size)
    pictures = Photos(photos, recipe.photo_size)
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    loss_network = load_loss_network(features, recipe.loss_network, recipe.pooling)
    loss_network = loss_network.to(place, memory_format=memory_format)
    objective = Objective(recipe, loss_network, [painting.to(place) for painting in paintings])
    if team.leads:
        others = f", {team.size} processes" if team.size > 1 else ""
        say(f"{len(entries)} painters, {len(pictures)} photos, on {place}{others}")
    return Trainer(recipe, entries, objective, place, team), pictures


def describe(trainer: Trainer, pictures: Photos, features: list[Path]) -> dict[str, Any]:
    """The facts for the weight file's header."""
    return {
        "loss_network": [file.name for file in features] or f"torchvision {trainer.config.loss_network}",
        "torch": torch.__version__,
        "photos": len(pictures),
        "processes": trainer.team.size,
    }


@app.command()
def gatys(
    photo: Annotated[Path, typer.Argument(help="Picture to paint.")],
    paintings: Annotated[list[str], typer.Argument(help="Pictures to take the style of: FILE or FILE=WEIGHT.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")],
    steps: Annotated[int, typer.Option(min=1, help="Iterations of the optimizer.")] = 300,
    size: Annotated[int, typer.Option(min=32, help="Longer side of the result in pixels.")] = 512,
    optimizer: Annotated[str, typer.Option(help="lbfgs, or adam, which needs more steps.")] = "lbfgs",
    preview_steps: Annotated[int, typer.Option(min=0, help="Write OUTPUT every so many steps; 0: at the end.")] = 0,
    config: Annotated[Path | None, typer.Option(help="TOML recipe, for its losses and style_size.")] = None,
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Paint one photo by optimising its pixels (Gatys et al. 2016): slow, and without any trained network."""
    check_output(output)
    if optimizer not in OPTIMIZERS:
        raise MultistyleError(f"unknown optimizer {optimizer!r}; {suggestion(optimizer, OPTIMIZERS)}")
    recipe, place = read_config(config), choose_device(device)
    files, blend = parse_paintings(paintings)
    image = resize_image(read_image(photo), size)[None].to(place)
    styles = [read_painting(file, recipe.style_size).to(place) for file in files]
    objective = Objective(
        recipe, load_loss_network(features or [], recipe.loss_network, recipe.pooling).to(place), styles
    )
    picture, step = image, 0
    started = said = time.monotonic()
    for step, (picture, losses) in enumerate(optimise(objective, image, blend.to(place), steps, optimizer), start=1):
        if preview_steps and step % preview_steps == 0:
            write_image(output, picture[0])
        if time.monotonic() - said > SECONDS:
            say(describe_step(step, steps, losses))
            said = time.monotonic()
    if step:
        say(describe_step(step, steps, losses))
    write_image(output, picture[0])
    say(f"{output}: {step} steps in {time.monotonic() - started:.1f} s")


def describe_step(step: int, steps: int, losses: Losses) -> str:
    total, content, style, _ = (loss.item() for loss in losses)
    return f"step {step}/{steps}  loss {total:.3f}  content {content:.3f}  style {style:.3f}"


if __name__ == "__main__":
    run(app)
