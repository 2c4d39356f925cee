"""What the throughput benchmark compares: networks, blends and files, each as a call without arguments."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from multistyle.image import read_image, write_image
from multistyle.network import NetworkConfig
from multistyle.stylizer import Stylizer
from multistyle.weights import load_weights

from .machine import seconds
from .painters import equal_mix
from .peers import johnson, random_model, with_rows

PEER = "johnson"
CALLS = 3
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 4 / 255, torch.float16: 2 / 255}  # mean where half, else largest
TF32 = 5e-3  # tolerance in float32 on a GPU, whose convolutions may use TF32


@dataclass
class Contender:
    """Something whose speed is measured."""

    name: str
    run: Callable[[], Any]  # paints, and returns what it painted
    pictures: int = 1  # painted by one `run`

    def turn(self, device: torch.device) -> float:
        """Seconds per picture: the median of several calls after a warm-up call."""
        self.run()
        return median(seconds(self.run, device) for _ in range(CALLS)) / self.pictures


def pictures(size: int, batch: int, device: torch.device) -> Tensor:
    """Smooth random pictures (B, 3, size, size) on the device, channels last."""
    rough = torch.rand(batch, 3, size // 8, size // 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(rough, (size, size), mode="bilinear")
    return smooth.to(device).contiguous(memory_format=torch.channels_last)


def names(device: torch.device) -> list[str]:
    """The names of the networks compared on a device, the peer first."""
    half = [f"{PEER} float16"] if device.type == "cuda" else []
    return [PEER, *half, "multistyle", "multistyle compiled", "multistyle width 1"]


def build(name: str, device: str, size: int, batch: int, weights: str, precision: str) -> Contender:
    """Build the contender `name`, checked by a first painting.

    name: one of `names`.
    device: where it paints.
    size, batch: side of the square pictures in px, and how many at once.
    weights: weight file of our network.
    precision: of our network.
    """
    place = torch.device(device)
    photos = pictures(size, batch, place)
    if name in peers(place):
        run = peers(place)[name]
        return check(Contender(name, lambda: run(photos), batch))
    model = random_model(NetworkConfig(), 32) if name.endswith("width 1") else load_weights(weights)
    stylizer = Stylizer(model, device, precision, compile=name.endswith("compiled"))
    blend = equal_mix(stylizer, 2)
    return check(Contender(name, lambda: stylizer(photos, blend, stroke="off"), batch), stylizer)


def peers(device: torch.device) -> dict[str, Callable[[Tensor], Tensor]]:
    """Johnson's network in float32 and its usual memory format; on a GPU also in float16, where it is fastest."""
    network = johnson().to(device)

    @torch.inference_mode()
    def plain(photos: Tensor) -> Tensor:
        return network(photos.contiguous())

    @torch.inference_mode()
    def half(photos: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.float16):
            return network(photos)

    found: dict[str, Callable[[Tensor], Tensor]] = {PEER: plain}
    return found | ({f"{PEER} float16": half} if device.type == "cuda" else {})


def check(contender: Contender, stylizer: Stylizer | None = None) -> Contender:
    """Return `contender` if its paintings are right; raise `AssertionError` otherwise.

    They must be finite and, for a stylizer, equal to those of its plain network in float32.
    """
    painted = contender.run()
    assert painted.isfinite().all(), f"{contender.name} paints values that are not finite"
    if stylizer is not None:
        photos = pictures(painted.shape[2], len(painted), stylizer.device)
        blend = equal_mix(stylizer, 2).expand(len(photos), -1).to(stylizer.device)
        with torch.inference_mode():
            difference = (painted - stylizer.one_pass.network(photos, blend)).abs()
        error = difference.max() if stylizer.one_pass.precision == torch.float32 else difference.mean()
        float32 = TF32 if stylizer.device.type == "cuda" else TOLERANCE[torch.float32]
        tolerance = {**TOLERANCE, torch.float32: float32}[stylizer.one_pass.precision]
        assert error <= tolerance, f"{contender.name} is off by {float(error):.2g}"
    return contender


def blends(stylizer: Stylizer, device: torch.device, size: int) -> list[Contender]:
    """Blends of one style, two and all; and a blend of two from tables of 32 and of 1,024 rows."""
    photo = pictures(size, 1, device)
    group = []
    for title, styles in (("1 style", 1), ("2 styles", 2), ("all styles", len(stylizer.painters))):
        blend = equal_mix(stylizer, styles)
        group.append(Contender(title, partial(stylizer, photo, blend)))
    for rows in (32, 1024):
        each = Stylizer(with_rows(stylizer.one_pass.model, rows), str(device), precision_name(stylizer))
        blend = equal_mix(each, 2)
        group.append(Contender(f"{rows} rows", partial(each, photo, blend)))
    return group


def disk(stylizer: Stylizer, device: torch.device, size: int) -> list[Contender]:
    """Painting a picture in memory, and from JPEG file to JPEG file."""
    photo = pictures(size, 1, torch.device("cpu"))[0]
    folder = tempfile.TemporaryDirectory()
    source, target = Path(folder.name, "photo.jpg"), Path(folder.name, "painting.jpg")
    write_image(source, photo)

    def through_files(folder: tempfile.TemporaryDirectory = folder) -> None:  # the argument keeps the folder alive
        write_image(target, stylizer(read_image(source), stroke="off"))

    return [Contender("in memory", partial(stylizer, photo, stroke="off")), Contender("file to file", through_files)]


def precision_name(stylizer: Stylizer) -> str:
    """Its precision, as on the command line."""
    return str(stylizer.one_pass.precision).split(".")[-1]
