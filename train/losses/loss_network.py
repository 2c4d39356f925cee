"""The loss networks: VGG features of images, by layer name, from torchvision or from local safetensors files.

A layer is named as in the papers: "relu3_1" is the output of the first convolution of the third block, after its ReLU.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from multistyle.errors import MultistyleError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation torchvision trained with
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3)  # 0..255 minus the mean, RGB order here
RAW = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
BLOCKS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}  # convolutions before each pooling


class FeatureError(MultistyleError):
    """A loss network cannot be had, or lacks a layer."""


class Vgg(nn.Module):
    """One VGG, as deep as its weights reach; frozen.

    tensors: "convB_I.weight" (out, in, 3, 3) and "convB_I.bias", and for some layers "convB_I.to_vgg19.weight" and
    ".bias", a 1x1 convolution and ReLU from this network's channels to those of the channel-normalised VGG-19: such a
    layer is always seen through it. normalization: mean and deviation, per channel, of an RGB image in [0, 1].
    padding: "zeros" or "reflect". pooling: "max", or "average" as Gatys et al. suggest (section 2).
    """

    def __init__(
        self, tensors: dict[str, Tensor], normalization: tuple[Sequence[float], ...], padding: str, pooling: str
    ) -> None:
        super().__init__()
        self.padding, self.pool = padding, F.avg_pool2d if pooling == "average" else F.max_pool2d
        self.names = sorted(name[:-7] for name in tensors if re.fullmatch(r"conv\d_\d\.weight", name))
        for name, tensor in tensors.items():
            self.register_buffer(name.replace(".", "-"), tensor.float(), persistent=False)
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in normalization)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    @property
    def layers(self) -> list[str]:
        return [name.replace("conv", "relu") for name in self.names]

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """image: (B, 3, H, W) in [0, 1], sides of at least 16 px for relu5_1. Returns each layer's (B, C, h, w)."""
        x, block, found = (image - self.mean) / self.deviation, "1", {}
        for name in self.names[: 1 + max(self.layers.index(layer) for layer in layers)]:
            if name[4] != block:
                x, block = self.pool(x, 2), name[4]
            if self.padding == "reflect":
                x = F.pad(x, (1, 1, 1, 1), mode="reflect")
            x = F.relu_(self._convolve(x, name, padding=int(self.padding == "zeros")))
            if (layer := name.replace("conv", "relu")) in layers:
                mapped = f"{name}-to_vgg19-weight" in self._buffers
                found[layer] = F.relu(self._convolve(x, f"{name}-to_vgg19")) if mapped else x
        return found

    def _convolve(self, x: Tensor, name: str, padding: int = 0) -> Tensor:
        return F.conv2d(x, self._buffers[f"{name}-weight"], self._buffers[f"{name}-bias"], padding=padding)


class LossNetwork(nn.Module):
    """One or several VGGs; each layer is taken from the first of them that has it."""

    def __init__(self, networks: Sequence[Vgg]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def require(self, layers: Sequence[str]) -> None:
        """Raise `FeatureError` where one of `layers` is in none of the networks."""
        known = {layer for network in self.networks for layer in network.layers}
        for layer in layers:
            if layer not in known:
                raise FeatureError(f"the loss network has no layer {layer}; it has {', '.join(sorted(known))}")

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """image: (B, 3, H, W) in [0, 1]. Returns layer name -> (B, C, h, w), each network run no deeper than asked."""
        found: dict[str, Tensor] = {}
        for network in self.networks:
            wanted = [layer for layer in layers if layer in network.layers and layer not in found]
            if wanted:
                found |= network(image, wanted)
        return found


def load_loss_network(files: Sequence[Path], architecture: str = "vgg19", pooling: str = "max") -> LossNetwork:
    """The loss network of `files`, or torchvision's, downloaded once, where there are none.

    architecture: "vgg19" (torchvision's IMAGENET1K_V1) or "vgg16" (IMAGENET1K_FEATURES: the original Caffe weights,
    on whose scale published loss weights rest). pooling: "max" or "average". A file is safetensors in one of three
    forms, told apart by its keys: torchvision's ("features.0.weight", ...); "convB_I.weight" with 64 channels first,
    the original Caffe weights; or with "to_vgg19" maps, a slimmed VGG-19 that sees [0, 1] directly. It may end early.
    Raises `FeatureError`, also where a file is not of that architecture.
    """
    read = [_read_vgg(Path(file), architecture) for file in files] or [_torchvision_vgg(architecture)]
    return LossNetwork([Vgg(*parts, pooling) for parts in read]).requires_grad_(False).eval()


Parts = tuple[dict[str, Tensor], tuple[Sequence[float], ...], str]  # tensors, normalization and padding of a `Vgg`


def _read_vgg(file: Path, architecture: str) -> Parts:
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}
    except (OSError, SafetensorError) as error:
        raise FeatureError(f"cannot read the loss network {file}: {error}") from error
    torchvisions = "features.0.weight" in tensors
    if not torchvisions and "conv1_1.weight" not in tensors:
        raise FeatureError(f"{file} is no loss network: it has neither conv1_1.weight nor features.0.weight")
    names = [f"{name}.weight" for name in _convolutions(architecture)]
    known = list(_torchvision_names(architecture)) if torchvisions else names
    there = {key for key in tensors if re.fullmatch(r"(features\.\d+|conv\d_\d)\.weight", key)}
    if there != set(known[: len(there)]):
        raise FeatureError(f"{file} is not of the shape of {architecture}; the recipe's loss_network has to fit it")
    if torchvisions:
        return _rename_torchvision(tensors, architecture), IMAGENET, "zeros"
    slim = any("to_vgg19" in name for name in tensors)
    return (tensors, RAW, "reflect") if slim else (tensors, CAFFE, "zeros")


def _torchvision_vgg(architecture: str) -> Parts:
    from torchvision import models  # slow to import, and not needed with local files

    build, weights = {
        "vgg19": (models.vgg19, models.VGG19_Weights.IMAGENET1K_V1),
        "vgg16": (models.vgg16, models.VGG16_Weights.IMAGENET1K_FEATURES),
    }[architecture]
    try:
        model = build(weights=weights, progress=True)
    except OSError as error:
        raise FeatureError(
            f"cannot download torchvision's {architecture} ({error}); give local weights by --features"
        ) from error
    normalization = IMAGENET if architecture == "vgg19" else CAFFE
    return _rename_torchvision(model.state_dict(), architecture), normalization, "zeros"


def _convolutions(architecture: str) -> list[str]:
    blocks = enumerate(BLOCKS[architecture], start=1)
    return [f"conv{block}_{position}" for block, count in blocks for position in range(1, count + 1)]


def _torchvision_names(architecture: str) -> dict[str, str]:
    """ "features.N.weight" -> "convB_I": N counts convolutions, ReLUs and poolings."""
    names = _convolutions(architecture)
    return {f"features.{2 * i + int(name[4]) - 1}.weight": name for i, name in enumerate(names)}


def _rename_torchvision(tensors: dict[str, Tensor], architecture: str) -> dict[str, Tensor]:
    renamed = {}
    for key, name in _torchvision_names(architecture).items():
        if key in tensors:
            bias = key.replace("weight", "bias")
            renamed |= {f"{name}.weight": tensors[key], f"{name}.bias": tensors[bias]}
    return renamed
