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
VGG19_BLOCKS = (2, 2, 4, 4, 4)


class FeatureError(MultistyleError):
    """A loss network cannot be had, or lacks a layer."""


class Vgg(nn.Module):
    """One VGG, as deep as its weights reach; frozen.

    tensors: "convB_I.weight" (out, in, 3, 3) and "convB_I.bias", and for some layers "convB_I.to_vgg19.weight" and
    ".bias", a 1x1 convolution and ReLU from this network's channels to those of the channel-normalised VGG-19: such a
    layer is always seen through it. normalization: mean and deviation, per channel, of an RGB image in [0, 1].
    padding: "zeros" or "reflect".
    """

    def __init__(self, tensors: dict[str, Tensor], normalization: tuple[Sequence[float], ...], padding: str) -> None:
        super().__init__()
        self.padding = padding
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
                x, block = F.max_pool2d(x, 2), name[4]
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


def load_loss_network(files: Sequence[Path]) -> LossNetwork:
    """The loss network of `files`, or torchvision's VGG-19 (IMAGENET1K_V1, downloaded once) where there are none.

    A file is safetensors in one of three forms, told apart by its keys: torchvision's ("features.0.weight", ...);
    "convB_I.weight" with 64 channels first, the original Caffe weights; or with "to_vgg19" maps, a slimmed VGG-19 that
    sees [0, 1] directly. Raises `FeatureError`.
    """
    networks = [_read_vgg(Path(file)) for file in files] or [_torchvision_vgg19()]
    return LossNetwork(networks).requires_grad_(False).eval()


def _read_vgg(file: Path) -> Vgg:
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}
    except (OSError, SafetensorError) as error:
        raise FeatureError(f"cannot read the loss network {file}: {error}") from error
    if "features.0.weight" in tensors:
        return Vgg(_rename_torchvision(tensors), IMAGENET, "zeros")
    if "conv1_1.weight" not in tensors:
        raise FeatureError(f"{file} is no loss network: it has neither conv1_1.weight nor features.0.weight")
    slim = any("to_vgg19" in name for name in tensors)
    return Vgg(tensors, RAW, "reflect") if slim else Vgg(tensors, CAFFE, "zeros")


def _torchvision_vgg19() -> Vgg:
    from torchvision.models import VGG19_Weights, vgg19  # slow to import, and not needed with local files

    try:
        model = vgg19(weights=VGG19_Weights.IMAGENET1K_V1, progress=True)
    except OSError as error:
        raise FeatureError(
            f"cannot download torchvision's VGG-19 ({error}); give local weights by --features"
        ) from error
    return Vgg(_rename_torchvision(model.state_dict()), IMAGENET, "zeros")


def _rename_torchvision(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """ "features.N.weight" -> "convB_I.weight": N counts convolutions, ReLUs and poolings."""
    renamed, index = {}, 0
    for block, count in enumerate(VGG19_BLOCKS, start=1):
        for position in range(1, count + 1):
            for kind in ("weight", "bias"):
                if (key := f"features.{index}.{kind}") in tensors:
                    renamed[f"conv{block}_{position}.{kind}"] = tensors[key]
            index += 2
        index += 1
    return renamed
