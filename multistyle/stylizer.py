"""Image tensor + blend -> image tensor: the one place that knows how to run the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .blend import Blend, blend_vector, is_constant, with_strength
from .cartridge import import_files
from .device import choose_device, choose_precision, keep_freed_memory
from .errors import MultistyleError
from .fast_network import FastNetwork
from .image import check_image
from .network import PHOTO, cut_from_grid, pad_to_grid
from .weights import Model, Style, load_weights


@dataclass
class Carry:
    """The statistics of all normalizations (1, 2, N), handed on from one painting to the next.

    share: of the next picture's own, in [0, 1], in what it is painted with; the first is painted with its own.
    """

    share: float = 1.0
    statistics: Tensor | None = None


class Stylizer:
    """Paints photos with one model.

    model: from `load_weights`, used as it is and moved to the device. device: "auto", "cpu", "cuda", "cuda:N" or "mps".
    precision: "auto" (bfloat16 on a GPU that has it, float32 elsewhere), "float32", "bfloat16" or "float16"; the
    normalizations' statistics and the output are float32 in each. compile: paint by `torch.compile`, faster from the
    second picture on; the first takes up to a minute, and so does the first of another size; on a CPU the process
    keeps the memory that it frees (`keep_freed_memory`). default: the style painted
    where no blend is given; None is the catalogue's first painter. Raises `DeviceError`.
    """

    def __init__(
        self,
        model: Model,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        default: str | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.model = model
        self.default = default or model.catalogue[PHOTO + 1].name
        self.network = model.network.eval().to(self.device, memory_format=torch.channels_last)
        self.inference = FastNetwork(self.network)
        self.compiled = compile
        if compile:
            self.inference.compile()
            if self.device.type == "cpu":
                keep_freed_memory()

    @property
    def styles(self) -> list[Style]:
        """The catalogue, in the order of a blend's weights; the first is photo, the picture as it is."""
        return list(self.model.catalogue)

    @property
    def names(self) -> list[str]:
        return [style.name for style in self.model.catalogue]

    def default_blend(self) -> Tensor:
        """The blend (S,) used where none is given: the style `default` alone."""
        return blend_vector(self.default, self.names)

    def blend(self, blend: Blend | None = None, strength: float = 1.0) -> Tensor:
        """The weights (S,), (B, S) or (S, h, w) that `blend` at `strength` comes to. Raises `BlendError`."""
        weights = self.default_blend() if blend is None else blend_vector(blend, self.names)
        return with_strength(weights, strength)

    @torch.inference_mode()
    def __call__(
        self, photo: Tensor, blend: Blend | None = None, strength: float = 1.0, carry: Carry | None = None
    ) -> Tensor:
        """Paint `photo` in `blend`, float32 in [0, 1] and on the photo's device.

        photo: float, sRGB in [0, 1], (3, H, W) or a batch (B, 3, H, W). blend: "starry=0.7,scream=0.3", a mapping, S
        numbers, a tensor (S,) or (B, S), or a blend field (S, h, w), a blend for every pixel, fitted to the photo's
        size; None is the style `default`. strength: in [0, 1], the rest is photo's. carry: takes part in this painting
        and is brought up to date, for one photo. One photo with one blend gives (3, H, W); otherwise the result is
        (B, 3, H, W), one photo being painted in each of B blends, or each of B photos in one blend or in its own.

        Raises `ImageError` and `BlendError` for a photo or a blend that is none, `MultistyleError` where memory ends
        or nothing can be compiled.
        """
        check_image(photo)
        weights = self.blend(blend, strength)
        if weights.ndim == 3:
            weights = weights[:, 0, 0] if is_constant(weights) else fit_field(weights, *photo.shape[-2:])
        single = photo.ndim == 3 and weights.ndim != 2
        images, weights = photo.reshape(-1, *photo.shape[-3:]), weights if weights.ndim == 2 else weights[None]
        if len(images) != len(weights) and 1 not in (len(images), len(weights)):
            raise MultistyleError(f"{len(images)} photos and {len(weights)} blends; give one of either, or as many")
        count = max(len(images), len(weights))
        painted = self._run(images.expand(count, -1, -1, -1), weights.expand(count, *weights.shape[1:]), carry)
        painted = painted.to(photo.device)
        return painted[0] if single else painted

    def _run(self, images: Tensor, weights: Tensor, carry: Carry | None) -> Tensor:
        height, width = images.shape[2:]
        images = pad_to_grid(images.to(self.device, torch.float32)).contiguous(memory_format=torch.channels_last)
        weights = pad_to_grid(weights) if weights.ndim == 4 else weights
        half = self.precision != torch.float32 and not _any_flat(images)  # in half precision rounding would be seen
        try:
            with torch.autocast(self.device.type, self.precision if half else None, enabled=half):
                painted, statistics = self.inference(images, weights.to(self.device), *self._carried(carry))
        except RuntimeError as error:
            raise self._explain(error, height, width) from error
        if carry is not None:
            carry.statistics = statistics
        return cut_from_grid(painted, height, width).clamp(0, 1)

    def _carried(self, carry: Carry | None) -> tuple[Tensor, Tensor] | tuple[()]:
        if carry is None:
            return ()
        first = carry.statistics is None  # nothing to carry has the same shape, so that one compiled graph does both
        before = torch.zeros(1, 2, sum(self.network.channels), device=self.device) if first else carry.statistics
        return before, torch.tensor(1.0 if first else carry.share, device=self.device)

    def _explain(self, error: Exception, height: int, width: int) -> Exception:
        if isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error):
            return MultistyleError(
                f"{width} x {height} px do not fit in the memory of {self.device}; ask for a smaller size"
            )
        if self.compiled and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            return MultistyleError(f"nothing can be compiled on this machine ({_first_line(error)}); leave compile out")
        return error

    def send(self, images: Tensor) -> Tensor:
        """`images`, of any dtype, on the stylizer's device: to a GPU while it still works on what came before.

        Through page-locked memory, on a stream of its own; what is started afterwards waits for it.
        """
        if self.device.type != "cuda" or images.device.type != "cpu":
            return images.to(self.device)
        working = torch.cuda.current_stream(self.device)
        copying = torch.cuda.Stream(self.device)
        with torch.cuda.stream(copying):
            sent = images.pin_memory().to(self.device, non_blocking=True)
        working.wait_stream(copying)
        sent.record_stream(working)
        return sent

    def interpolate(self, photo: Tensor, a: Blend, b: Blend, steps: int) -> Iterator[Tensor]:
        """Paint `photo` (3, H, W) `steps` times, from blend `a` to blend `b`, both included, in equal steps.

        Yields (3, H, W) one by one; one step is `a` alone. Raises as a call does, before the first picture, and
        `MultistyleError` for fewer than one step.
        """
        if steps < 1:
            raise MultistyleError(f"an interpolation has at least 1 step, not {steps}")
        start, end = self.blend(a), self.blend(b)
        shares = torch.linspace(0, 1, steps).tolist()
        return (self(photo, (1 - share) * start + share * end) for share in shares)


def _any_flat(images: Tensor) -> bool:
    """Whether one of the images (B, 3, H, W) is of one colour."""
    return bool((images == images[..., :1, :1]).flatten(1).all(1).any())


def fit_field(field: Tensor, height: int, width: int) -> Tensor:
    """A blend field (S, h, w) interpolated to (S, height, width); still summing to 1 at every pixel."""
    if field.shape[1:] == (height, width):
        return field
    return F.interpolate(field[None], (height, width), mode="bilinear", antialias=True)[0]


def load_stylizer(
    weights: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    compile: bool = False,
    style_files: Sequence[str | Path] = (),
) -> Stylizer:
    """A `Stylizer` for the weight file `weights` (None: the shipped one), with the styles of cartridges appended.

    The first style of `style_files`, where there are any, is what it paints by default. Raises `WeightsError`,
    `DeviceError`.
    """
    choose_precision(precision, choose_device(device))  # what is not there should be said before a file is read
    model = load_weights(weights)
    painters = len(model.catalogue)
    model = import_files(model, style_files)
    return Stylizer(model, device, precision, compile, model.catalogue[painters].name if style_files else None)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
