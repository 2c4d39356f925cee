"""Paint pictures at random while they are loaded for training: a transform for torchvision's pipelines."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import prod
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import get_worker_info
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from ..blend import check_strength, parse_mix
from ..errors import ImageError, MultistyleError, suggestion
from ..folder_mixes import draw_mix
from ..image import FLOATS
from ..network import PHOTO
from ..pixels import as_dtype, as_float
from ..resize import check_size, fitted_size, interpolate
from ..stylizer import Stylizer, load_stylizer


class RandomStyle(v2.Transform):
    """Paint images in random mixes at random strengths.

    p: probability that an image is painted; all others are returned unchanged.
    styles: names of the painters to draw from; None: all.
    mixed: how many of them, at most, are mixed for one image.
    strength: the range that the strength is drawn from, in [0, 1]; or one number.
    size: the longer side in px at which images are painted; they are then scaled back. None: their own size.
    generator: source of the random numbers; None: PyTorch's global one. In a worker of a DataLoader, a generator is
    seeded anew from its seed and the worker's, so that no two workers draw the same mixes.
    weights, style_files: as in `load_stylizer`.

    Takes what torchvision's transforms take: an image, or a structure with images, boxes, masks and labels in it. Only
    images are painted, and sizes do not change. An image is a PIL image (RGB), or a tensor (..., 3, H, W), uint8 or
    float in [0, 1]; paint before `Normalize`. Each image of a batch has its own mix; they are painted together, on the
    device of the batch. Images side by side in a structure share one mix, and so do the frames of a video. Results
    carry no gradients.

    The network is loaded when an image is first painted, once in each process and for each device. It is not pickled:
    workers receive the names of the files.

    Raises `MultistyleError` for invalid arguments, and `ImageError` for other images.
    """

    _transformed_types = (v2.functional.is_pure_tensor, Image.Image, tv_tensors.Image, tv_tensors.Video)

    def __init__(
        self,
        p: float = 0.5,
        styles: Sequence[str] | None = None,
        mixed: int = 3,
        strength: float | tuple[float, float] = (0.3, 1.0),
        size: int | None = None,
        generator: torch.Generator | None = None,
        weights: str | Path | None = None,
        style_files: Sequence[str | Path] = (),
    ) -> None:
        super().__init__()
        self.p, self.mixed, self.strength = _probability(p), _count(mixed), _range(strength)
        check_size(size)
        self.size, self.generator, self.weights, self.style_files = size, generator, weights, list(style_files)
        stylizer = load_stylizer(weights, "cpu", style_files=style_files)  # so that errors show before workers start
        self.styles = _chosen(styles, stylizer.painters)
        self._names = stylizer.names
        self._stylizers: dict[torch.device, Stylizer] = {}
        self._worker_seed: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        state, generator = {**self.__dict__, "_stylizers": {}}, self.generator
        if generator is not None:  # as bytes: a spawned worker cannot receive a generator (seen in torch 2.14)
            numbers = generator.get_state().numpy().tobytes()
            state["generator"] = (generator.device, generator.initial_seed(), numbers)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["generator"] is not None:
            device, seed, numbers = state["generator"]
            generator = torch.Generator(device).manual_seed(seed)
            generator.set_state(torch.frombuffer(bytearray(numbers), dtype=torch.uint8))
            state = {**state, "generator": generator}
        super().__setstate__(state)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw for each sample: `chosen` (N,), whether it is painted, and `blends` (N, S)."""
        for image in flat_inputs:
            _check(image)
        rows = [self._draw(seed) for seed in self._seeds(max(map(_samples, flat_inputs), default=0))]
        blends = [[row.get(name, 0.0) for name in self._names] for row in rows]
        return {"chosen": torch.tensor([bool(row) for row in rows]), "blends": torch.tensor(blends)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Paint the samples of one image, batch or video that `make_params` has chosen."""
        count = _samples(inpt)
        chosen = params["chosen"][:count]
        if not chosen.any():
            return inpt
        blends = params["blends"][:count][chosen]
        if isinstance(inpt, Image.Image):
            return F.to_pil_image(self._paint(F.pil_to_tensor(inpt)[None], blends)[0])
        samples = inpt.detach().as_subclass(Tensor).reshape(count, -1, *inpt.shape[-3:])
        painted, places = samples.clone(), chosen.to(samples.device)
        images = samples[places]
        frames = images.shape[1]
        painted[places] = self._paint(images.flatten(0, 1), blends.repeat_interleave(frames, 0)).reshape(images.shape)
        return tv_tensors.wrap(painted.reshape(inpt.shape), like=inpt)

    def _seeds(self, count: int) -> list[int]:
        """A seed for each of `count` samples."""
        worker, generator = get_worker_info(), self.generator
        if generator is None:
            return torch.randint(2**62, (count,)).tolist()
        if worker is not None and worker.seed != self._worker_seed:  # every worker has a copy of the same generator
            self._worker_seed = worker.seed
            generator.manual_seed((generator.initial_seed() + worker.seed) % 2**63)
        return torch.randint(2**62, (count,), generator=generator, device=generator.device).tolist()

    def _draw(self, seed: int) -> dict[str, float]:
        """The shares of styles for one sample; empty if it is not painted."""
        draws = random.Random(seed)
        if draws.random() >= self.p:
            return {}
        strength = draws.uniform(*self.strength)
        mix = parse_mix(draw_mix(draws.sample(self.styles, min(self.mixed, len(self.styles))), seed, "sample"))
        shares = {name: strength * weight / sum(mix.values()) for name, weight in mix.items()}
        return shares | {self._names[PHOTO]: 1 - strength}

    def _paint(self, images: Tensor, blends: Tensor) -> Tensor:
        """Paint images (N, 3, H, W) in blends (N, S); of the same dtype, shape and device."""
        if images.device not in self._stylizers:
            self._stylizers[images.device] = load_stylizer(
                self.weights, str(images.device), style_files=self.style_files
            )
        height, width = images.shape[2:]
        photos = as_float(images)
        if self.size is not None:
            photos = _resized(photos, fitted_size(height, width, self.size))
        painted = self._stylizers[images.device](photos, blends)
        return as_dtype(_resized(painted, (height, width)), images.dtype)


def _resized(images: Tensor, shape: tuple[int, int]) -> Tensor:
    return interpolate(images.flatten(0, 1), shape).unflatten(0, images.shape[:2])


def _samples(image: Any) -> int:
    """How many samples an image, a batch or a video holds, each with its own mix."""
    own = 4 if isinstance(image, tv_tensors.Video) else 3
    return 1 if isinstance(image, Image.Image) else prod(image.shape[:-own])


def _check(image: Any) -> None:
    if isinstance(image, Image.Image):
        if image.mode != "RGB":
            raise ImageError(f"RandomStyle paints PIL images of mode RGB, not {image.mode}; put v2.RGB() before it")
    elif image.ndim < 3 or image.shape[-3] != 3:
        raise ImageError(f"RandomStyle paints tensors (..., 3, H, W), not {tuple(image.shape)}")
    elif image.dtype != torch.uint8 and image.dtype not in FLOATS:
        raise ImageError(f"RandomStyle paints tensors of uint8, or of float in [0, 1], not {image.dtype}")


def _probability(p: float) -> float:
    if not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise MultistyleError(f"p is a probability between 0 and 1, not {p!r}")
    return float(p)


def _count(mixed: int) -> int:
    if not isinstance(mixed, Integral) or mixed < 1:
        raise MultistyleError(f"mixed is a number of styles, at least 1, not {mixed!r}")
    return int(mixed)


def _range(strength: float | tuple[float, float]) -> tuple[float, float]:
    ends = tuple(strength) if isinstance(strength, Sequence) and not isinstance(strength, str) else (strength, strength)
    if len(ends) != 2:
        raise MultistyleError(f"strength is a number or a range (low, high), not {strength!r}")
    low, high = map(check_strength, ends)
    if low > high:
        raise MultistyleError(f"a range of strengths is (low, high), not ({low:g}, {high:g})")
    return low, high


def _chosen(styles: Sequence[str] | None, painters: list[str]) -> list[str]:
    """The names to draw from. Raises `MultistyleError` for an unknown one."""
    if isinstance(styles, str) or (styles is not None and not styles):
        raise MultistyleError(f"styles is a list of names, like ['starry', 'wave'], not {styles!r}")
    for name in styles or ():
        if name not in painters:
            raise MultistyleError(f"unknown style {name!r}; {suggestion(str(name), painters)}")
    return list(dict.fromkeys(styles or painters))
