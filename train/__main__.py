"""python -m train: the commands that make and change weight files. Run them from a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multistyle.cli.running import run
from multistyle.device import choose_device
from multistyle.errors import ImageError, MultistyleError, WeightsError, suggestion
from multistyle.files import check_input, check_place
from multistyle.image import check_output, read_image, resize_image
from multistyle.messages import say
from multistyle.weights import load_weights, save_weights

from . import style_commands
from .average import average_models
from .config import read_config
from .data import Photos, read_painting
from .fit import build_trainer, check_outputs, facts_of_run, train_network
from .gatys import OPTIMIZERS, check_size, paint_photo, parse_paintings
from .losses.loss_network import load_loss_network
from .losses.objective import Objective
from .parallel import choose_share, spare_cores, team_up
from .style_commands import Device, Features, PhotoSources
from .tensorboard import TensorBoardLog

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
for command in (
    style_commands.add_style,
    style_commands.export_style,
    style_commands.import_style,
    style_commands.remove_style,
    style_commands.rename_style,
):
    app.command()(command)


@app.callback()
def main() -> None:
    """Train multistyle's networks."""


@app.command()
def fit(
    styles: Annotated[
        Path, typer.Option(help="Folder of paintings NAME.jpg; catalogue.tsv may describe them.", metavar="DIR")
    ],
    photos: PhotoSources,
    output: Annotated[Path, typer.Option("--output", "-o", help="Weight file to write.", metavar="FILE")],
    config: Annotated[Path | None, typer.Option(help="Recipe (TOML); see train/configs.", metavar="FILE")] = None,
    features: Features = None,
    start: Annotated[
        Path | None, typer.Option(help="Weight file of the same network to start a new run from.", metavar="FILE")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Processes that decode photos; default: none if all photos fit in memory, else up to 8."
        ),
    ] = None,
    log_dir: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard's curves and previews.", metavar="DIR")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train one network on all paintings of a folder, or continue from OUTPUT.state if it exists."""
    features = features or []
    with team_up() as team:
        with team.together():
            recipe, place = read_config(config), choose_share(device, team)
            team.rows(recipe.batch, recipe.accumulate)
            pictures = Photos(photos, recipe.photo_size)
            named = [file for file in (config, start) if file is not None]
            check_outputs(output, styles, photos, [*named, *features, *pictures.files])
            log = TensorBoardLog(log_dir) if log_dir and team.leads else None
            trainer = build_trainer(recipe, styles, features, place, team)
            facts = facts_of_run(trainer, pictures, features)
            if start is not None:
                model = load_weights(start)
                trainer.start_from(model)
                facts["start"] = model.training
        if team.leads:
            processes = f"; processes: {team.size}" if team.size > 1 else ""
            say(f"painters: {len(trainer.model.catalogue) - 1}; photos: {len(pictures)}; device: {place}{processes}")
        if workers is None:
            workers = 0 if pictures.small else min(8, spare_cores())
        try:
            train_network(trainer, pictures, output, facts, workers, log)
        except KeyboardInterrupt:
            if team.leads:
                say("stopped; the same command continues from here")
            raise typer.Exit(130) from None


@app.command()
def average(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Weight files of runs with the same --start.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weight file to write.", metavar="FILE")],
) -> None:
    """Write the mean of the weights of runs that started from one file: often better than each of them."""
    check_place(output, WeightsError, inputs=files)
    save_weights(output, average_models([load_weights(file) for file in files]))


@app.command()
def gatys(
    photo: Annotated[Path, typer.Argument(help="Photo to paint.")],
    paintings: Annotated[
        list[str], typer.Argument(metavar="PAINTING[=WEIGHT]...", help="Paintings whose style to take.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.", metavar="FILE")],
    steps: Annotated[int, typer.Option(min=1, help="Iterations of the optimizer.")] = 300,
    size: Annotated[int, typer.Option(min=32, help="Longer side of the painting in pixels.")] = 512,
    optimizer: Annotated[str, typer.Option(help="lbfgs, or adam, which needs more steps.")] = "lbfgs",
    preview_steps: Annotated[
        int, typer.Option(min=0, help="Steps between two previews, written to the same file; 0: none.")
    ] = 0,
    config: Annotated[
        Path | None, typer.Option(help="Recipe (TOML); its losses and style_size are used.", metavar="FILE")
    ] = None,
    features: Features = None,
    device: Device = "auto",
) -> None:
    """Paint one photo by optimizing its pixels (Gatys et al. 2016). It is slow and needs no trained network."""
    features, (files, blend) = features or [], parse_paintings(paintings)
    check_output(output, [photo, *files, *features, *([config] if config is not None else [])])
    if optimizer not in OPTIMIZERS:
        raise MultistyleError(f"unknown optimizer {optimizer!r}; {suggestion(optimizer, OPTIMIZERS)}")
    recipe, place = read_config(config), choose_device(device)
    check_input(photo, ImageError)
    image = read_image(photo)
    styles = [read_painting(file, recipe.style_size).to(place) for file in files]
    objective = Objective(recipe, load_loss_network(features, recipe.loss_network, recipe.pooling).to(place), styles)
    height, width = (max(1, round(side * size / max(image.shape[1:]))) for side in image.shape[1:])
    check_size(objective, height, width, place)
    image = resize_image(image, size)[None].to(place)
    if paint_photo(objective, image, blend.to(place), output, steps, optimizer, preview_steps):
        raise typer.Exit(130)


if __name__ == "__main__":
    run(app)
