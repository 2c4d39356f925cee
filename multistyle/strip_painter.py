"""Paint a picture strip by strip, each with the statistics of the whole picture.

Instance statistics belong to the whole picture, so strips painted independently would change colour at their seams.
Here the statistics are computed first, and then every strip is painted with the same ones:

- exactly, layer by layer: a layer's statistics are summed over strips of the picture, each computed with the frozen
  statistics of the layers before it. Only the photo, the painting (both as bytes) and the features of quarter size are
  kept for the whole picture; for a large picture, these features are in half precision;
- or estimated, from one pass over a reduced picture: faster, and approximate.

A strip is a band of full rows on the stride's grid. It is computed with enough rows around it that padding at its edges
does not reach it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import FRAME, STRIDE, grid_index
from .network import StyleNetwork, modulate, moments
from .one_pass import check_painted
from .pixels import put
from .strip_source import Source

MARGIN = 4  # rows of quarter size; stem, head (15 px at most) and the convolutions between reach no further
ESTIMATE_SIZE = 1024  # px, longer side of the reduced picture
FULL_PRECISION = 2**26  # numbers; above it, features of quarter size are kept in half precision
Statistics = list[tuple[Tensor, Tensor]]  # mean and variance (1, C) of each layer


class StripPainter:
    """Paints one picture, strip by strip.

    source: what is painted.
    pixels: the approximate number of pixels of a strip.
    """

    def __init__(self, network: StyleNetwork, device: torch.device, source: Source, pixels: int) -> None:
        self.network, self.device, self.source = network, device, source
        self.rows, self.columns = (grid_index(side) for side in source.picture.shape[1:])
        self.quarter_rows = len(self.rows) // STRIDE
        height = max(2 * MARGIN, pixels // len(self.columns) // STRIDE)
        self.strips = [(a, min(a + height, self.quarter_rows)) for a in range(0, self.quarter_rows, height)]
        self.layers = [*network.down, *network.blocks, *network.up]
        self.statistics: Statistics = []

    def around(self, start: int, stop: int, margin: int = MARGIN) -> tuple[int, int]:
        """The strip with its margin, as far as the picture reaches."""
        return max(0, start - margin), min(self.quarter_rows, stop + margin)

    def photo(self, start: int, stop: int) -> Tensor:
        """Rows of quarter size `start` to `stop` of the padded picture, as (1, 3, h, w) in [0, 1]."""
        strip = self.source.image(self.rows[STRIDE * start : STRIDE * stop], self.columns).to(self.device)
        return strip.contiguous(memory_format=torch.channels_last)

    def field(self, start: int, stop: int) -> Tensor:
        """The blend of those rows: (1, S), or (1, S, h, w)."""
        return self.source.field(self.rows[STRIDE * start : STRIDE * stop], self.columns).to(self.device)

    def normalize(self, layer: int, x: Tensor, modulation: tuple[Tensor, Tensor]) -> Tensor:
        return modulate(x, *self.statistics[layer], *modulation)

    def down(self, start: int, stop: int, depth: int) -> Tensor:
        """Convolution `depth` of the way down on a strip, before its normalization."""
        return self._run(self.photo(*self.around(start, stop)), start, stop, 0, depth, STRIDE >> depth)

    def up(self, features: Tensor, start: int, stop: int, depth: int) -> Tensor:
        """Convolution `depth` of the way up on a strip, from the features (1, C, h, w) of quarter size."""
        first, last = self.around(start, stop)
        strip = features[:, :, first:last].to(self.device, torch.float32)
        return self._run(strip, start, stop, len(self.layers) - 3, depth, (2, 4, 4)[depth])

    def _run(self, x: Tensor, start: int, stop: int, base: int, depth: int, scale: int) -> Tensor:
        first, last = self.around(start, stop)
        modulation = self.network.modulator(self.field(first, last))
        for layer in range(base, base + depth):
            x = F.relu(self.normalize(layer, self.layers[layer](x), modulation(layer)))
        x = self.layers[base + depth](x)
        return x[:, :, scale * (start - first) : scale * (stop - first)]

    def measure(self, compute: Callable[[int, int], Tensor]) -> Iterator[None]:
        """Append the next layer's statistics: those of `compute` over all strips; yields after each strip."""
        count, mean, spread = 0.0, torch.zeros(1), torch.zeros(1)
        for start, stop in self.strips:
            x = compute(start, stop)
            part_mean, part_variance = (value.cpu().double() for value in moments(x))  # MPS has no doubles
            part = x.shape[2] * x.shape[3]
            delta, total = part_mean - mean, count + part  # Chan et al. 1979: joining two samples
            spread = spread + part_variance * part + delta.square() * (count * part / total)
            mean = mean + delta * (part / total)
            count = total
            yield
        self.statistics.append((mean.float().to(self.device), (spread / count).float().to(self.device)))

    def quarter_features(self) -> Generator[None, None, Tensor]:
        """The features after the residual blocks, returned in the end; yields after each strip of work."""
        shape = (1, self.network.config.widths[2], self.quarter_rows, len(self.columns) // STRIDE)
        dtype = torch.float32 if math.prod(shape) <= FULL_PRECISION else torch.float16
        features = torch.empty(shape, dtype=dtype, device=self.device)

        def first(start: int, stop: int) -> Tensor:
            x = self.down(start, stop, 2)
            features[:, :, start:stop] = x / self.unit(2)
            return x

        yield from self.measure(partial(self.down, depth=0))
        yield from self.measure(partial(self.down, depth=1))
        yield from self.measure(first)
        self._apply(features, None, 2)
        inner = torch.empty_like(features) if len(self.network.blocks) else features
        for layer in range(3, 3 + len(self.network.blocks), 2):
            yield from self.measure(partial(self._block, features, inner, layer))
            self._apply(inner, None, layer)
            yield from self.measure(self._in_place(inner, layer + 1))
            self._apply(features, inner, layer + 1)
        return features

    def _block(self, source: Tensor, target: Tensor, layer: int, start: int, stop: int) -> Tensor:
        first, last = self.around(start, stop)
        x = self.layers[layer](source[:, :, first:last].float())[:, :, start - first : stop - first]
        target[:, :, start:stop] = x / self.unit(layer)
        return x

    def _in_place(self, features: Tensor, layer: int) -> Callable[[int, int], Tensor]:
        """As `_block` onto itself, keeping a copy of the rows above a strip, which are overwritten by then."""
        above = features[:, :, :0].clone()

        def compute(start: int, stop: int) -> Tensor:
            nonlocal above
            last = min(self.quarter_rows, stop + MARGIN)
            strip = torch.cat([above, features[:, :, start:last]], dim=2).float()
            x = self.layers[layer](strip)[:, :, above.shape[2] : above.shape[2] + stop - start]
            above = features[:, :, max(0, stop - MARGIN) : stop].clone()
            features[:, :, start:stop] = x / self.unit(layer)
            return x

        return compute

    def unit(self, layer: int) -> Tensor:
        """About the deviation (C, 1, 1) of a layer's output; in this unit, half precision does not underflow."""
        return self.layers[layer].weight.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]

    def _apply(self, features: Tensor, addend: Tensor | None, layer: int) -> None:
        """Normalize a layer's output in place: features = relu(norm(features)), or features += norm(addend)."""
        for start, stop in self.strips:
            modulation = self.network.modulator(self.field(start, stop))(layer)
            rows = features[:, :, start:stop]
            if addend is None:
                rows.copy_(F.relu(self.normalize(layer, rows.float() * self.unit(layer), modulation)))
            else:
                x = self.normalize(layer, addend[:, :, start:stop].float() * self.unit(layer), modulation)
                rows.copy_(rows.float() + x)

    def paint(self, features: Tensor, output: Tensor) -> Iterator[None]:
        """Fill `output` (3, H, W) strip by strip from the features of quarter size; yields after each."""
        last = len(self.layers) - 1
        for start, stop in self.strips:
            field = self.field(start, stop)
            x = self.normalize(last, self.up(features, start, stop, 2), self.network.modulator(field)(last))
            self._put(output, torch.sigmoid(x), start, stop)
            yield

    def paint_whole_network(self, output: Tensor) -> Iterator[None]:
        """As `paint`, each strip through all layers at once, with as many rows around it as the network can see."""
        reach = _reach(self.network)
        frozen = iter(self.statistics)

        def norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
            mean, variance = next(frozen)
            return modulate(x, mean, variance, scale, shift)

        for start, stop in self.strips:
            first, last = self.around(start, stop, reach)
            frozen = iter(self.statistics)
            x = self.network.paint(self.photo(first, last), self.field(first, last), norm)
            x = x[:, :, STRIDE * (start - first) : STRIDE * (stop - first)]
            self._put(output, x, start, stop)
            yield

    def _put(self, output: Tensor, painted: Tensor, start: int, stop: int) -> None:
        kept = self.source.kept(self.rows[STRIDE * start : STRIDE * stop], self.columns).to(self.device)
        mixed = (kept * self.photo(start, stop) + (1 - kept) * painted).clamp_(0, 1)[0]
        check_painted(mixed)
        top = STRIDE * start - FRAME
        rows = output[:, max(0, top) : max(0, STRIDE * stop - FRAME)]
        mixed = mixed[:, max(0, -top) :][:, : rows.shape[1], FRAME : FRAME + rows.shape[2]]
        put(rows, mixed)

    def exact(self, output: Tensor) -> Iterator[None]:
        """Statistics, then painting; yields after each strip of each pass, `exact_steps` times in total."""
        features = yield from self.quarter_features()
        for depth in range(3):
            yield from self.measure(partial(self.up, features, depth=depth))
        yield from self.paint(features, output)

    @property
    def exact_steps(self) -> int:
        return len(self.strips) * (len(self.layers) + 1)

    def estimate(self) -> None:
        """Take the statistics from one pass over the picture reduced to `ESTIMATE_SIZE`."""
        sides = self.source.picture.shape[1:]
        height, width = (max(1, round(side * min(1.0, ESTIMATE_SIZE / max(sides)))) for side in sides)
        reduced = StripPainter(self.network, self.device, self.source.reduced(height, width), height * width)

        def norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
            self.statistics.append(moments(x))
            return modulate(x, *self.statistics[-1], scale, shift)

        self.network.paint(reduced.photo(0, reduced.quarter_rows), reduced.field(0, reduced.quarter_rows), norm)


def _reach(network: StyleNetwork) -> int:
    """How far, in rows of quarter size, a pixel of the painting sees: half the receptive field, rounded up."""
    pixels = network.config.stem // 2 + 1 + 2 + STRIDE * len(network.blocks) + 4 + 2 + network.config.head // 2
    return -(-pixels // STRIDE) + 1
