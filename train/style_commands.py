"""The commands that change which styles a weight file holds: add-style, export-, import-, remove-, rename-style."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from torch import Tensor

from multistyle import cartridge
from multistyle.blend import mix_text
from multistyle.cartridge import append_style, check_new_name, import_files, save_cartridge
from multistyle.device import choose_device
from multistyle.errors import WeightsError
from multistyle.files import check_place
from multistyle.messages import say
from multistyle.network import PHOTO
from multistyle.weights import Model, Style, default_weights, load_weights, save_weights

from .add_style import SOLVE_PHOTOS, Evaluation, RowTrainer, learn, nearest_mix, one_style, read_artist
from .config import TrainConfig
from .data import PICTURES, Batches, DataError, Photos, read_paintings
from .evaluation import painter_losses, set_apart
from .fit import stop_signals
from .losses.loss_network import LossNetwork, load_loss_network
from .losses.objective import Objective

Weights = Annotated[Path | None, typer.Option(help="Weight file to start from; default: the shipped one.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Weight file to write; may be the same.")]


def add_style(
    paintings: Annotated[list[Path], typer.Argument(metavar="PAINTING...", help="Of one painter; or folders of them.")],
    name: Annotated[str, typer.Option(help="Of the new style: letters, digits, _ and -.")],
    photos: Annotated[list[Path], typer.Option(help="Folder (nested) or .tar of photos; repeatable.")],
    output: Output,
    weights: Weights = None,
    title: Annotated[str, typer.Option(help="For people, as artist and year.")] = "",
    artist: str = "",
    year: str = "",
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    styles: Annotated[
        Path | None, typer.Option(help="Folder of the old painters' paintings, to compare with on the same photos.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="At most; it stops by itself before.")] = 1000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
) -> None:
    """Add a painter to a weight file; its network and its other painters stay as they are, to the bit."""
    check_place(output, WeightsError)
    place, file = choose_device(device), weights or default_weights()
    model, style = load_weights(file), Style(name, title, artist, year)
    check_new_name(model, name)
    config = TrainConfig.from_header(model.training, file)
    works = read_artist(paintings, config.style_size)
    lessons, judges = set_apart(Photos(photos, config.photo_size), config.crop)
    judges = judges.to(place, memory_format=torch.channels_last)
    loss_network = load_loss_network(features or [], config.loss_network, config.pooling)
    loss_network = loss_network.to(place, memory_format=torch.channels_last)
    network = model.network.to(place, memory_format=torch.channels_last)
    say(f"paintings: {len(works)}; photos: {len(lessons)} to learn from, {len(judges)} to judge by; on {place}")
    compared = known_median(model) if styles is None else measured_median(model, judges, config, loss_network, styles)
    objective = one_style(Objective(config, loss_network, [work.to(place) for work in works]))
    mix = nearest_mix(network, objective, judges[:SOLVE_PHOTOS])
    say(f"starts from {mix_text((mix * (mix > 0.01)).cpu(), [style.name for style in model.catalogue])}")
    trainer = RowTrainer(config, network, mix @ network.table, objective)
    with stop_signals() as stopped:
        for found in learn(trainer, Batches(lessons, config.batch, config.crop, config.seed), judges, steps, stopped):
            say(describe(found, compared))
    facts = {**asdict(trainer.record), "photos": len(lessons), "paintings": len(works)}
    save_weights(output, append_style(model, style, trainer.best, facts))
    say(f"{output}  {name} as of step {trainer.record.steps}, style {trainer.record.style:.3f}")
    if stopped:
        raise typer.Exit(130)


def describe(found: Evaluation, compared: float | None) -> str:
    """One line of an evaluation; compared: the median style loss of the old painters."""
    ratio = "" if compared is None else f", {found.style / compared:.2f} x the catalogue's median"
    losses = f"loss {found.total:.3f}  content {found.content:.3f}  style {found.style:.3f}"
    return f"step {found.steps}  {found.seconds:.0f} s  {losses}{ratio}"


def known_median(model: Model) -> float | None:
    """The median of the painters' style losses by the header, on photos of its training; None where it tells none."""
    painters = model.training.get("painters", {}).values()
    found = [facts["style"] for facts in painters if "style" in facts]
    if not found:
        say("the weight file does not tell its painters' style losses; --styles DIR would measure them")
        return None
    say(f"the catalogue's median style loss is {median(found):.3f}, by the weight file")
    return median(found)


def measured_median(
    model: Model, judges: Tensor, config: TrainConfig, loss_network: LossNetwork, folder: Path
) -> float:
    """The median style loss, on the judges (N, 3, H, W), of the painters whose paintings are in `folder`."""
    there = {file.stem for file in folder.glob("*") if file.suffix.lower() in PICTURES}
    rows = [row for row, style in enumerate(model.catalogue) if row != PHOTO and style.name in there]
    if not rows:
        raise DataError(f"no painting in {folder} is named after a style of the weight file")
    names = [model.catalogue[row].name for row in rows]
    _, works = read_paintings(folder, names, config.style_size)
    objective = Objective(config, loss_network, [work.to(judges.device) for work in works])
    chosen = torch.eye(len(model.catalogue), device=judges.device)[[PHOTO, *rows]]
    found = painter_losses(lambda photos, blend: model.network(photos, blend @ chosen), objective, judges, names)
    middle = median(losses["style"] for losses in found.values())
    say(f"the catalogue's median style loss is {middle:.3f}, of {len(names)} painters on the photos to judge by")
    return middle


def export_style(
    name: Annotated[str, typer.Argument(help="Style of the weight file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Style file to write.")],
    weights: Weights = None,
) -> None:
    """Write one style to a small file, a cartridge, for import-style and multistyle stylize --style-file."""
    check_place(output, WeightsError)
    save_cartridge(output, cartridge.export_style(load_weights(weights), name))


def import_style(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Style files, as export-style writes them.")],
    output: Output,
    weights: Weights = None,
) -> None:
    """Add the styles of style files to a weight file of the same network."""
    change(weights, output, lambda model: import_files(model, files))


def remove_style(
    name: Annotated[str, typer.Argument(help="Style of the weight file.")], output: Output, weights: Weights = None
) -> None:
    """Take a style out of a weight file."""
    change(weights, output, lambda model: cartridge.remove_style(model, name))


def rename_style(
    old: Annotated[str, typer.Argument(help="Style of the weight file.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    output: Output,
    weights: Weights = None,
) -> None:
    """Give a style of a weight file another name."""
    change(weights, output, lambda model: cartridge.rename_style(model, old, new))


def change(weights: Path | None, output: Path, edit: Callable[[Model], Model]) -> None:
    """Write the edited model of `weights` to `output`."""
    check_place(output, WeightsError)
    model = edit(load_weights(weights))
    save_weights(output, model)
    say(f"{output}  {', '.join(style.name for style in model.catalogue)}")
