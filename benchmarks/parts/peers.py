"""The networks that ours is compared with. Their weights are random, which does not change the speed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multistyle.network import NetworkConfig, StyleNetwork
from multistyle.weights import PHOTO_STYLE, Model, Style


class _Convolution(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, upsample: bool = False) -> None:
        steps = [nn.Upsample(scale_factor=2, mode="nearest")] if upsample else []
        super().__init__(*steps, nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel, stride))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        norms = [nn.InstanceNorm2d(width, affine=True) for _ in range(2)]
        first, second = (_Convolution(width, width, 3) for _ in range(2))
        self.body = nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x


def johnson() -> nn.Module:
    """The transformer of Johnson et al. 2016 with instance normalization, in the shape of PyTorch's examples.

    One network for one style: (B, 3, H, W) to (B, 3, H, W), H and W multiples of 4.
    """
    down = [(3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)]
    up = [(128, 64), (64, 32)]
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in down:
        layers += [
            _Convolution(inputs, outputs, kernel, stride),
            nn.InstanceNorm2d(outputs, affine=True),
            nn.ReLU(),
        ]
    layers += [_Residual(128) for _ in range(5)]
    for inputs, outputs in up:
        layers += [
            _Convolution(inputs, outputs, 3, upsample=True),
            nn.InstanceNorm2d(outputs, affine=True),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, _Convolution(32, 3, 9)).eval().requires_grad_(False)


def random_model(config: NetworkConfig, painters: int) -> Model:
    """One of our models with random weights of the size of trained ones."""
    draws = torch.Generator().manual_seed(0)
    network = StyleNetwork(config, 1 + painters)
    with torch.no_grad():
        for layer in (*network.down, *network.blocks, *network.up):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=draws) / layer.weight[0].numel() ** 0.5)
        network.table.add_(0.2 * torch.randn(network.table.shape, generator=draws))
    styles = [PHOTO_STYLE, *(Style(f"painter{index}") for index in range(painters))]
    return Model(network.eval().requires_grad_(False), styles)


def with_rows(model: Model, rows: int) -> Model:
    """`model` with its rows repeated, under new names, until there are `rows`."""
    network = StyleNetwork(model.network.config, rows)
    table = model.network.table.repeat(-(-rows // len(model.network.table)), 1)[:rows]
    network.load_state_dict({**model.network.state_dict(), "table": table})
    styles = [*model.catalogue, *(Style(f"row{index}") for index in range(len(model.catalogue), rows))]
    return Model(network.eval().requires_grad_(False), styles[:rows])
