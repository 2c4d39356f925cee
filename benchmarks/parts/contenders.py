"""What takes turns in the throughput benchmark: networks, blends, and files, each as a call without arguments."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
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
from .peers import johnson, random_model, with_rows

PEER = "johnson"
CALLS = 3
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 4 / 255, torch.float16: 2 / 255}  # mean where half, else largest


@dataclass
class Contender:
    """name; run: paints `pictures` pictures and returns them."""

    name: str
    run: Callable[[], Any]
    pictures: int = 1

    def turn(self, device: torch.device) -> float:
        """The median time of some calls in a row, in seconds a picture, after one that does not count."""
        self.run()
        return median(seconds(self.run, device) for _ in range(CALLS)) / self.pictures


def pictures(size: int, batch: int, device: torch.device) -> Tensor:
    """Smooth random pictures (B, 3, size, size) on the device, channels last."""
    rough = torch.rand(batch, 3, size // 8, size // 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(rough, (size, size), mode="bilinear")
    return smooth.to(device).contiguous(memory_format=torch.channels_last)


def names(device: torch.device) -> list[str]:
    """Who takes part on a device, the peer first."""
    half = [f"{PEER} float16"] if device.type == "cuda" else []
    return [PEER, *half, "multistyle", "multistyle compiled", "multistyle width 1"]


def build(name: str, device: str, size: int, batch: int, weights: str, precision: str) -> Contender:
    """One of `names`, having painted once."""
    place = torch.device(device)
    photos = pictures(size, batch, place)
    if name in peers(place):
        run = peers(place)[name]
        return check(Contender(name, lambda: run(photos), batch))
    model = random_model(NetworkConfig(), 32) if name.endswith("width 1") else load_weights(weights)
    stylizer = Stylizer(model, device, precision, compile=name.endswith("compiled"))
    blend = mix(stylizer, 2)
    return check(Contender(name, lambda: stylizer(photos, blend), batch), stylizer)


def peers(device: torch.device) -> dict[str, Callable[[Tensor], Tensor]]:
    """Johnson's network in float32 and its usual memory format; on a GPU also as fast as it goes in half precision."""
    network = johnson().to(device)

    @torch.inference_mode()
    def plain(photos: Tensor) -> Tensor:
        return network(photos.contiguous())

    @torch.inference_mode()
    def half(photos: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.float16):
            return network(photos)

    return {PEER: plain} | ({f"{PEER} float16": half} if device.type == "cuda" else {})


def check(contender: Contender, stylizer: Stylizer | None = None) -> Contender:
    """The contender, whose paintings have to be finite, and a stylizer's those of its plain network in float32."""
    painted = contender.run()
    assert painted.isfinite().all(), f"{contender.name} paints what is no number"
    if stylizer is not None:
        photos = pictures(painted.shape[2], len(painted), stylizer.device)
        blend = mix(stylizer, 2).expand(len(photos), -1).to(stylizer.device)
        with torch.inference_mode():
            difference = (painted - stylizer.one_pass.network(photos, blend)).abs()
        error = difference.max() if stylizer.one_pass.precision == torch.float32 else difference.mean()
        assert error <= TOLERANCE[stylizer.one_pass.precision], f"{contender.name} is off by {float(error):.2g}"
    return contender


def mix(stylizer: Stylizer, styles: int) -> Tensor:
    """A blend (S,) of the first so many painters in equal parts."""
    weights = torch.zeros(len(stylizer.names))
    weights[1 : 1 + styles] = 1 / styles
    return weights


def blends(stylizer: Stylizer, device: torch.device, size: int) -> list[Contender]:
    """One style, two, all; and the same in a table of 32 and of 1,024 rows."""
    photo = pictures(size, 1, device)
    group = []
    for title, styles in (("1 style", 1), ("2 styles", 2), ("all styles", len(stylizer.names) - 1)):
        weights = mix(stylizer, styles)
        group.append(Contender(title, lambda weights=weights: stylizer(photo, weights)))
    for rows in (32, 1024):
        each = Stylizer(with_rows(stylizer.one_pass.model, rows), str(device), _name(stylizer))
        weights = mix(each, 2)
        group.append(Contender(f"{rows} rows", lambda each=each, weights=weights: each(photo, weights)))
    return group


def disk(stylizer: Stylizer, device: torch.device, size: int) -> list[Contender]:
    """A picture in memory, and from a JPEG file to a JPEG file."""
    photo = pictures(size, 1, torch.device("cpu"))[0]
    folder = tempfile.TemporaryDirectory()
    source, target = Path(folder.name, "photo.jpg"), Path(folder.name, "painting.jpg")
    write_image(source, photo)

    def through_files(folder: tempfile.TemporaryDirectory = folder) -> None:  # which keeps the folder there
        write_image(target, stylizer(read_image(source)))

    return [Contender("in memory", lambda: stylizer(photo)), Contender("file to file", through_files)]


def _name(stylizer: Stylizer) -> str:
    return str(stylizer.one_pass.precision).split(".")[-1]
