"""python -m train: the commands that make a weight file. Run from a checkout."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from multistyle.device import choose_device
from multistyle.errors import MultistyleError
from multistyle.image import check_output, read_image, resize_image, write_image
from multistyle.weights import load_weights

from . import catalogue
from .config import read_config
from .data import Photos, read_paintings
from .features import load_loss_network
from .gatys import optimise
from .loop import Trainer
from .loop import fit as run_fit
from .objective import Objective
from .progress import SECONDS, say

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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Train one network on all paintings of a folder; goes on from OUTPUT.state where there is one."""
    recipe, place = read_config(config), choose_device(device)
    if not output.parent.is_dir() or output.is_dir():
        raise MultistyleError(f"cannot write {output}: it should be a file in a folder that is there")
    entries, paintings = read_paintings(styles, recipe.styles, recipe.style_size)
    pictures = Photos(photos, recipe.photo_size)
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    loss_network = load_loss_network(features or []).to(place, memory_format=memory_format)
    say(f"{len(entries)} painters, {len(pictures)} photos, on {place}")
    objective = Objective(recipe, loss_network, [painting.to(place) for painting in paintings])
    trainer = Trainer(recipe, entries, objective, place)
    loss_names = [file.name for file in features or []] or "torchvision VGG-19"
    facts = {"loss_network": loss_names, "torch": torch.__version__, "photos": len(pictures)}
    if start is not None:
        model = load_weights(start)
        trainer.start_from(model)
        facts["start"] = model.training
    try:
        run_fit(trainer, pictures, output, facts)
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        raise typer.Exit(130) from None


@app.command()
def gatys(
    photo: Annotated[Path, typer.Argument(help="Picture to paint.")],
    painting: Annotated[Path, typer.Argument(help="Picture to take the style of.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")],
    steps: Annotated[int, typer.Option(min=1, help="Iterations of L-BFGS.")] = 300,
    size: Annotated[int, typer.Option(min=32, help="Longer side of the result in pixels.")] = 512,
    config: Annotated[Path | None, typer.Option(help="TOML recipe, for its losses and style_size.")] = None,
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Paint one photo by optimising its pixels (Gatys et al. 2016): slow, and without any trained network."""
    check_output(output)
    recipe, place = read_config(config), choose_device(device)
    image = resize_image(read_image(photo), size)[None].to(place)
    style = resize_image(read_image(painting), recipe.style_size).to(place)
    objective = Objective(recipe, load_loss_network(features or []).to(place), [style])
    started = time.monotonic()
    for step, (picture, losses) in enumerate(
        optimise(objective, image, torch.tensor([[0.0, 1.0]], device=place), steps), start=1
    ):
        if time.monotonic() - started > SECONDS or step == steps:
            total, content, style_loss, _ = (loss.item() for loss in losses)
            say(f"step {step}/{steps}  loss {total:.3f}  content {content:.3f}  style {style_loss:.3f}")
            started = time.monotonic()
    write_image(output, picture[0])


if __name__ == "__main__":
    try:
        app()
    except MultistyleError as error:
        say(f"error: {error}")
        raise SystemExit(1) from error
