"""Image tensor and blend to painting, in one pass: the one place that knows how to run the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .blend import Blend, blend_vector, is_constant, with_strength
from .device import choose_device, choose_precision, is_out_of_memory, keep_freed_memory
from .errors import MultistyleError, first_line
from .fast_network import FastNetwork
from .grid import cut_from_grid, pad_to_grid
from .image import check_image
from .network import photo_share
from .weights import Model


@dataclass
class Carry:
    """What is passed on from one painting to the next: the statistics of all normalizations.

    share: how much of the next painting's statistics comes from its own picture, in [0, 1]. The first painting always
    uses those of its picture.
    statistics: (1, 2, N), means and variances of the N normalized channels; None before the first painting.
    settle: what is done with the painting of a level before the next finer one is painted; see `strokes`.
    """

    share: float = 1.0
    statistics: Tensor | None = None
    settle: Callable[[Tensor], Tensor] | None = None


Paint = Callable[[Tensor, Tensor], Tensor]


class OnePass:
    """A model on a device, ready to paint.

    model: from `load_weights`; it is moved to the device, not copied.
    device: "auto", "cpu", "cuda", "cuda:N" or "mps".
    precision: "auto" (bfloat16 on a GPU that has it, float32 elsewhere), "float32", "bfloat16" or "float16". Statistics
    and output are always float32.
    compile: use `torch.compile`. The first picture of each size takes up to a minute longer; the others are faster.
    On a CPU the process then keeps the memory that it frees (`keep_freed_memory`).
    default: the style that is painted if no blend is given; None: the catalogue's first painter.

    Raises `DeviceError`.
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
        self.default = default or model.painters[0]
        self.network = model.network.eval().to(self.device).to(memory_format=torch.channels_last)
        self.fast = FastNetwork(self.network)
        self.compiled = compile
        if compile:
            self.fast.compile()
            if self.device.type == "cpu":
                keep_freed_memory()

    @property
    def names(self) -> list[str]:
        """The names of the styles, in the order of a blend's numbers; the first is photo."""
        return [style.name for style in self.model.catalogue]

    def blend(self, blend: Blend | None = None, strength: float = 1.0) -> Tensor:
        """`blend` at `strength` as numbers: (S,), (B, S), or (S, h, w) for a field; None: the style `default`.

        Raises `BlendError`.
        """
        return with_strength(blend_vector(self.default if blend is None else blend, self.names), strength)

    @torch.no_grad()
    def __call__(self, photos: Tensor, blend: Tensor, paint: Paint | None = None) -> Tensor:
        """Paint `photos` in `blend`, float32 in [0, 1] and on the photos' device.

        photos: float, sRGB in [0, 1], (3, H, W) or (B, 3, H, W).
        blend: (S,), (B, S) or a field (S, h, w), as `blend` returns it. A field is fitted to the photo's size.
        paint: called with photos and blends on the device, instead of the method `paint`.

        One photo with one blend gives (3, H, W). Otherwise the result is (B, 3, H, W): one photo in each of B blends,
        or each of B photos in one blend or in its own. Raises `ImageError` for an invalid photo, and `MultistyleError`
        if the numbers of photos and blends do not match, if memory runs out, or if the network cannot be compiled.
        """
        check_image(photos)
        if blend.ndim == 3:
            blend = fit_blend(blend, *photos.shape[-2:])
        single = photos.ndim == 3 and blend.ndim != 2
        images, blend = photos.reshape(-1, *photos.shape[-3:]), blend if blend.ndim == 2 else blend[None]
        if len(images) != len(blend) and 1 not in (len(images), len(blend)):
            raise MultistyleError(
                f"{len(images)} photos do not go with {len(blend)} blends; give one of either, or as many"
            )
        count = max(len(images), len(blend))
        images = images.expand(count, -1, -1, -1).to(self.device, torch.float32)
        blend = blend.expand(count, *blend.shape[1:]).to(self.device)
        share = photo_share(blend)
        painted = (share * images + (1 - share) * (paint or self.paint)(images, blend)).clamp(0, 1).to(photos.device)
        return painted[0] if single else painted

    def paint(self, images: Tensor, blend: Tensor, carry: Carry | None = None) -> Tensor:
        """Run the network on images (B, 3, H, W) in blend (B, S) or (B, S, H, W), without adding photo's share.

        carry: its statistics are mixed in, and it is updated; for one image.

        Everything is on the device. Returns (B, 3, H, W), float32 in [0, 1]. Raises as a call does.
        """
        height, width = images.shape[2:]
        padded = pad_to_grid(images).contiguous(memory_format=torch.channels_last)
        padded_blend = pad_to_grid(blend) if blend.ndim == 4 else blend
        half = self.precision != torch.float32 and not _any_flat(padded)  # half precision would show rounding
        try:
            with torch.autocast(self.device.type, self.precision if half else None, enabled=half):
                painted, statistics = self.fast(padded, padded_blend, *self._carried(carry))
        except (RuntimeError, MemoryError) as error:
            raise self._explain(error, height, width) from error
        check_painted(painted)
        if carry is not None:
            carry.statistics = statistics
        return cut_from_grid(painted, height, width)

    def _carried(self, carry: Carry | None) -> tuple[Tensor, Tensor] | tuple[()]:
        if carry is None:
            return ()
        before, share = carry.statistics, carry.share
        if before is None:  # zeros of the same shape, so that one compiled graph does both
            before, share = torch.zeros(1, 2, sum(self.network.channels), device=self.device), 1.0
        return before, torch.tensor(share, device=self.device)

    def _explain(self, error: Exception, height: int, width: int) -> Exception:
        if is_out_of_memory(error):
            return MultistyleError(
                f"{width} x {height} px do not fit in the memory of {self.device}; ask for a smaller size"
            )
        if self.compiled and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            return MultistyleError(f"this machine cannot compile ({first_line(error)}); leave compile out")
        return error

    def send(self, images: Tensor) -> Tensor:
        """`images`, of any dtype, on the device; a GPU continues earlier work meanwhile.

        Through page-locked memory, on a second stream. Work started afterwards waits for the copy.
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


def check_painted(painted: Tensor) -> None:
    """Raise `MultistyleError` where a painting, in [0, 1], holds NaN, which bytes would make black."""
    if not bool(torch.isfinite(painted.sum(dtype=torch.float32))):
        raise MultistyleError(
            "the painting holds NaN: the numbers of the weights or the style are too large for the precision"
        )


def _any_flat(images: Tensor) -> bool:
    """Whether one of the images (B, 3, H, W) is of one colour."""
    return bool((images == images[..., :1, :1]).flatten(1).all(1).any())


def fit_blend(blend: Tensor, height: int, width: int) -> Tensor:
    """A blend (S,), or a blend field (S, h, w) fitted to (S, height, width); where it is one blend everywhere, (S,)."""
    if blend.ndim == 1:
        return blend
    return blend[:, 0, 0] if is_constant(blend) else fit_field(blend, height, width)


def fit_field(field: Tensor, height: int, width: int) -> Tensor:
    """A blend field (S, h, w) interpolated to (S, height, width); it still sums to 1 at every pixel."""
    if field.shape[1:] == (height, width):
        return field
    return F.interpolate(field[None], (height, width), mode="bilinear", antialias=True)[0]
