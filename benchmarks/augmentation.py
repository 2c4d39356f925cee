"""How fast `RandomStyle` is in a training pipeline: python -m benchmarks.augmentation [--workers N] [--device cuda]

Loads JPEG files of 500 px as torchvision's ImageFolder does, in random crops of 224 px, in batches. Compares plain
loading with loaders whose workers paint on the CPU, and with loaders whose batches are painted on the device. The
loaders take turns. Prints images per second relative to plain loading.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from os import cpu_count
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import v2

from multistyle.datasets.transform import RandomStyle
from multistyle.device import choose_device
from multistyle.image import read_image, resize_image, write_image
from multistyle.messages import tell

from .parts.command import run
from .parts.contenders import Contender
from .parts.turns import take_turns

STORED, CROP = 500, 224  # px: longer side of the files, side of the crops
PHOTO = Path(__file__).parents[1] / "tests" / "assets" / "chelsea.jpg"


class Crops(Dataset[Tensor]):
    """One file, loaded `count` times in random crops."""

    def __init__(self, file: Path, count: int, style: RandomStyle | None = None) -> None:
        self.file, self.count, self.style = str(file), count, style
        self.crop = v2.Compose([v2.RandomResizedCrop(CROP), v2.ToImage()])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        image = self.crop(pil_loader(self.file))
        return image if self.style is None else self.style(image)


def main(
    count: Annotated[int, typer.Option(min=1, help="Images that a loader loads in one call.")] = 32,
    batch: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 16,
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes of each loader. Default: one for each core.")
    ] = (cpu_count() or 1),
    device: Annotated[str, typer.Option(help="Where batches are painted: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
) -> None:
    """Measure loading with and without RandomStyle."""
    place = choose_device(device)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo.jpg"
        write_image(file, resize_image(read_image(PHOTO), STORED))
        load = partial(DataLoader, batch_size=batch, num_workers=workers, persistent_workers=workers > 0)
        group = [contender("plain loading", load(Crops(file, count)), place)]
        for p in (0.5, 1.0):
            style = RandomStyle(p, weights=weights)
            group.append(contender(f"p={p:g}, in the workers", load(Crops(file, count, style)), place))
            group.append(contender(f"p={p:g}, batches on {place}", load(Crops(file, count)), place, style))
        found = take_turns(group, place)
    for name, row in found.items():
        tell(f"{name:32} {row['speed']:.2f}")


def contender(
    name: str,
    loader: DataLoader[Tensor],
    place: torch.device,
    paint: Callable[[Tensor], Tensor] = lambda images: images,
) -> Contender:
    """One pass over `loader`, whose batches go to the device and are painted there."""

    def run() -> None:
        for images in loader:
            paint(images.to(place))

    return Contender(name, run, len(loader.dataset))  # type: ignore[arg-type]  # torch gives a Dataset no length


if __name__ == "__main__":
    run(main)
