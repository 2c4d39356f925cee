"""The commands that change which styles a weight file holds: add-style, export-, import-, remove-, rename-style."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from multistyle import cartridge
from multistyle.blend import mix_text
from multistyle.cartridge import append_style, check_new_name, import_files, save_cartridge
from multistyle.device import choose_device
from multistyle.errors import MultistyleError, WeightsError
from multistyle.files import check_place
from multistyle.messages import say
from multistyle.network import PHOTO
from multistyle.stopping import stop_signals
from multistyle.weights import Model, Style, default_weights, load_weights, save_weights

from .add_style import (
    SOLVE_PHOTOS,
    Evaluation,
    RowTrainer,
    learn,
    nearest_mix,
    one_style,
    painting_files,
    read_artist,
)
from .config import TrainConfig
from .data import Batches, Photos, read_paintings
from .evaluation import painter_losses, set_apart
from .listing import DataError, pictures_in
from .losses.loss_network import LossNetwork, load_loss_network
from .losses.objective import Objective

Weights = Annotated[Path | None, typer.Option(help="Weight file to read; default: the shipped one.", metavar="FILE")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Weight file to write. It may be the one that is read.", metavar="FILE")
]
Features = Annotated[
    list[Path] | None,
    typer.Option(help="VGG weights (safetensors), in place of torchvision's; repeatable.", metavar="FILE"),
]
PhotoSources = Annotated[
    list[Path], typer.Option(help="Folder of photos, with its sub-folders, or .tar; repeatable.", metavar="DIR_OR_TAR")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


def add_style(
    paintings: Annotated[
        list[Path], typer.Argument(metavar="PAINTING...", help="Paintings of one painter, or folders of them.")
    ],
    name: Annotated[str, typer.Option(help="Name of the new style: letters, digits, _ and -.")],
    photos: PhotoSources,
    output: Output,
    weights: Weights = None,
    title: Annotated[str, typer.Option(help="Title of the painting, for the catalogue.")] = "",
    artist: Annotated[str, typer.Option(help="Name of the painter, for the catalogue.")] = "",
    year: Annotated[str, typer.Option(help="Year of the painting, for the catalogue.")] = "",
    features: Features = None,
    styles: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the other painters' paintings, to compare losses on the same photos.", metavar="DIR"
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Largest number of steps; it usually stops earlier.")] = 1000,
    device: Device = "auto",
) -> None:
    """Add a painter to a weight file. The network and the other painters stay the same to the bit."""
    features, files = features or [], painting_files(paintings)
    old = pictures_in(styles) if styles is not None else []
    check_place(output, WeightsError, inputs=[*files, *photos, *features, *old])
    place, source = choose_device(device), weights or default_weights()
    model, style = load_weights(source), Style(name, title, artist, year)
    check_new_name(model, name)
    config = TrainConfig.from_header(model.training, source)
    works, pictures = read_artist(files, config.style_size), Photos(photos, config.photo_size)
    check_place(output, WeightsError, inputs=pictures.files)
    lessons, judges = set_apart(pictures, config.crop)
    judges = judges.to(place, memory_format=torch.channels_last)
    loss_network = load_loss_network(features, config.loss_network, config.pooling)
    loss_network = loss_network.to(place).to(memory_format=torch.channels_last)
    network = model.network.to(place).to(memory_format=torch.channels_last)
    say(f"paintings: {len(works)}; photos: {len(lessons)} to learn from, {len(judges)} to evaluate on; device: {place}")
    compared = known_median(model) if styles is None else measured_median(model, judges, config, loss_network, styles)
    objective = one_style(Objective(config, loss_network, [work.to(place) for work in works]))
    mix = nearest_mix(network, objective, judges[:SOLVE_PHOTOS])
    say(f"starts from {mix_text((mix * (mix > 0.01)).cpu(), [entry.name for entry in model.catalogue])}")
    trainer = RowTrainer(config, network, mix @ network.table, objective)
    with stop_signals() as stopped:
        for found in learn(trainer, Batches(lessons, config.batch, config.crop, config.seed), judges, steps, stopped):
            say(evaluation_line(found, compared))
        best = trainer.best_evaluation
        if not math.isfinite(best.total):
            raise MultistyleError("no evaluation gave a finite loss; nothing was written")
        facts = {**asdict(best), "photos": len(lessons), "paintings": len(works)}
        save_weights(output, append_style(model, style, trainer.best, facts))
    say(f"{output}  {name} after step {best.steps}, style {best.style:.3f}")
    if stopped:
        raise typer.Exit(130)


def evaluation_line(found: Evaluation, compared: float | None) -> str:
    """One line for an evaluation. compared: the median style loss of the other painters, if known."""
    ratio = "" if not compared else f", {found.style / compared:.2f} x the catalogue's median"
    losses = f"loss {found.total:.3f}  content {found.content:.3f}  style {found.style:.3f}"
    return f"step {found.steps}  {found.seconds:.0f} s  {losses}{ratio}"


def known_median(model: Model) -> float | None:
    """The median of the painters' style losses in the header, measured on other photos; None if it has none."""
    found = list(_style_losses(model.training))
    if not found:
        say("the weight file does not contain its painters' style losses; measure them with --styles DIR")
        return None
    say(f"the catalogue's median style loss is {median(found):.3f}, according to the weight file")
    return median(found)


def _style_losses(training: dict[str, Any]) -> Iterable[float]:
    """The painters' style losses in the facts of a training, which anybody may have edited."""
    painters = training.get("painters")
    for facts in painters.values() if isinstance(painters, dict) else ():
        loss = facts.get("style") if isinstance(facts, dict) else None
        if isinstance(loss, (int, float)) and not isinstance(loss, bool) and 0 <= loss < math.inf:
            yield float(loss)


def measured_median(
    model: Model, judges: Tensor, config: TrainConfig, loss_network: LossNetwork, folder: Path
) -> float:
    """The median style loss, on `judges` (N, 3, H, W), of the painters whose paintings are in `folder`."""
    there = {file.stem for file in pictures_in(folder)}
    names = [name for name in model.painters if name in there]
    if not names:
        raise DataError(f"no painting in {folder} is named after a style of the weight file")
    rows = [PHOTO + 1 + model.painters.index(name) for name in names]
    _, works = read_paintings(folder, names, config.style_size)
    objective = Objective(config, loss_network, [work.to(judges.device) for work in works])
    chosen = torch.eye(len(model.catalogue), device=judges.device)[[PHOTO, *rows]]
    found = painter_losses(lambda photos, blend: model.network(photos, blend @ chosen), objective, judges, names)
    middle = median(losses["style"] for losses in found.values())
    say(f"the catalogue's median style loss is {middle:.3f}, of {len(names)} painters, on the photos to evaluate on")
    return middle


def export_style(
    name: Annotated[str, typer.Argument(help="Style of the weight file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Style file to write.", metavar="FILE")],
    weights: Weights = None,
) -> None:
    """Write one style to a small file, a cartridge, for import-style and multistyle stylize --style-file."""
    source = weights or default_weights()
    check_place(output, WeightsError, inputs=[source])
    save_cartridge(output, cartridge.export_style(load_weights(source), name))


def import_style(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Style files, as export-style writes them.")],
    output: Output,
    weights: Weights = None,
) -> None:
    """Add the styles of style files to a weight file of the same network."""
    edit_weights(weights, output, lambda model: import_files(model, files), inputs=files)


def remove_style(
    name: Annotated[str, typer.Argument(help="Style of the weight file.")], output: Output, weights: Weights = None
) -> None:
    """Remove a style from a weight file."""
    edit_weights(weights, output, lambda model: cartridge.remove_style(model, name))


def rename_style(
    old: Annotated[str, typer.Argument(help="Style of the weight file.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    output: Output,
    weights: Weights = None,
) -> None:
    """Give a style of a weight file another name."""
    edit_weights(weights, output, lambda model: cartridge.rename_style(model, old, new))


def edit_weights(
    weights: Path | None, output: Path, edit: Callable[[Model], Model], inputs: Iterable[Path] = ()
) -> None:
    """Write the edited model of `weights` to `output`: the same file, or another one that is not among `inputs`."""
    check_place(output, WeightsError, inputs=inputs)
    model = edit(load_weights(weights))
    save_weights(output, model)
    say(f"{output}  {', '.join(style.name for style in model.catalogue)}")
