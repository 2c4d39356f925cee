"""The loss networks: VGG features of images, by layer name, from torchvision or from local safetensors files.

A layer is named as in the papers: "relu3_1" is the output of the first convolution of the third block, after its ReLU.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from multistyle.errors import MultistyleError
from multistyle.files import check_input

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation torchvision trained with
CAFFE = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3)  # 0..255 minus the mean, RGB order here
TORCHVISIONS = {"vgg19": IMAGENET, "vgg16": CAFFE}  # of torchvision's IMAGENET1K_V1 and IMAGENET1K_FEATURES
SMALLEST = 16  # px; a smaller picture has nothing left after four poolings
RAW = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
BLOCKS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}  # convolutions before each pooling


class FeatureError(MultistyleError):
    """A loss network that cannot be read or downloaded, or lacks a layer."""


class Vgg(nn.Module):
    """One VGG, as deep as its weights reach; frozen.

    tensors: "convB_I.weight" (out, in, 3, 3) and "convB_I.bias", and for some layers "convB_I.to_vgg19.weight" and
    ".bias", a 1x1 convolution and ReLU from this network's channels to those of the channel-normalized VGG-19: such a
    layer is always seen through it. normalization: mean and deviation, per channel, of an RGB image in [0, 1].
    padding: "zeros" or "reflect". pooling: "max", or "average" as Gatys et al. suggest (section 2).
    """

    def __init__(
        self, tensors: dict[str, Tensor], normalization: tuple[Sequence[float], ...], padding: str, pooling: str
    ) -> None:
        super().__init__()
        self.padding = padding
        self.pool: Callable[[Tensor, int], Tensor] = F.avg_pool2d if pooling == "average" else F.max_pool2d
        self.names = sorted(name[:-7] for name in tensors if re.fullmatch(r"conv\d_\d\.weight", name))
        for name, tensor in tensors.items():
            self.register_buffer(name.replace(".", "-"), tensor.float(), persistent=False)
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in normalization)
        self.mean: Tensor
        self.deviation: Tensor
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
        return F.conv2d(x, self.get_buffer(f"{name}-weight"), self.get_buffer(f"{name}-bias"), padding=padding)


class LossNetwork(nn.Module):
    """One or several VGGs; each layer is taken from the first of them that has it."""

    def __init__(self, networks: Sequence[Vgg]) -> None:
        super().__init__()
        self.networks: Iterable[Vgg] = nn.ModuleList(networks)  # type: ignore[assignment]  # its own type forgets theirs

    def require(self, layers: Sequence[str]) -> None:
        """Raise `FeatureError` if no network has one of `layers`."""
        known = {layer for network in self.networks for layer in network.layers}
        for layer in layers:
            if layer not in known:
                raise FeatureError(f"the loss network has no layer {layer}; it has {', '.join(sorted(known))}")

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """image: (B, 3, H, W) in [0, 1]. Returns each layer's (B, C, h, w); no network runs deeper than needed."""
        found: dict[str, Tensor] = {}
        for network in self.networks:
            wanted = [layer for layer in layers if layer in network.layers and layer not in found]
            if wanted:
                found |= network(image, wanted)
        return found


def load_loss_network(files: Sequence[Path], architecture: str = "vgg19", pooling: str = "max") -> LossNetwork:
    """The loss network in `files`, or torchvision's, downloaded once, if there are none.

    architecture: "vgg19" (torchvision's IMAGENET1K_V1) or "vgg16" (IMAGENET1K_FEATURES: the original Caffe weights,
    on whose scale published loss weights rest). pooling: "max" or "average". A file is safetensors in one of three
    forms, recognized by its keys: those of torchvision ("features.0.weight", ...); "convB_I.weight" with 64 channels
    first, the original Caffe weights; or with "to_vgg19" maps, a slimmed VGG-19 that takes [0, 1] directly. It may hold
    only the first layers. Raises `FeatureError`, also if a file has another architecture.
    """
    read = [_read_vgg(Path(file), architecture) for file in files] or [_torchvision_vgg(architecture)]
    return LossNetwork([Vgg(*parts, pooling) for parts in read]).requires_grad_(False).eval()


Parts = tuple[dict[str, Tensor], tuple[Sequence[float], ...], str]  # tensors, normalization and padding of a `Vgg`


def _read_vgg(file: Path, architecture: str) -> Parts:
    check_input(file, FeatureError)
    try:
        with safe_open(file, framework="pt") as opened:
            keys = list(opened.keys())
            names = _layer_names(file, keys, architecture)
            tensors = {new: opened.get_tensor(old) for old, new in names.items()}
    except (OSError, SafetensorError) as error:
        raise FeatureError(f"cannot read the loss network {file}: {error}") from error
    _check_tensors(file, tensors, architecture)
    if "features.0.weight" in keys:
        return tensors, TORCHVISIONS[architecture], "zeros"
    slim = any("to_vgg19" in name for name in tensors)
    return (tensors, RAW, "reflect") if slim else (tensors, CAFFE, "zeros")


def _layer_names(file: Path, keys: Sequence[str], architecture: str) -> dict[str, str]:
    """The keys of a file that are used, and their names in a `Vgg`. Raises `FeatureError` for another architecture."""
    torchvisions = "features.0.weight" in keys
    if not torchvisions and "conv1_1.weight" not in keys:
        raise FeatureError(f"{file} is not a loss network: it has neither conv1_1.weight nor features.0.weight")
    order = _convolutions(architecture)
    known = _torchvision_names(architecture) if torchvisions else {f"{name}.weight": name for name in order}
    there = {key for key in keys if re.fullmatch(r"(features\.\d+|conv\d_\d)\.weight", key)}
    if there != set(list(known)[: len(there)]):
        raise FeatureError(f"{file} does not have the layers of {architecture}; the recipe's loss_network has to match")
    found = {key: f"{known[key]}.weight" for key in known if key in there}
    found |= {key.replace("weight", "bias"): name.replace("weight", "bias") for key, name in found.items()}
    for key in found:
        if key not in keys:
            raise FeatureError(f"{file} is not a loss network: it lacks {key}")
    return found | {key: key for key in keys if re.fullmatch(r"conv\d_\d\.to_vgg19\.(weight|bias)", key)}


def _check_tensors(file: Path, tensors: dict[str, Tensor], architecture: str) -> None:
    """Raise `FeatureError` unless every layer continues the one before it, in finite numbers."""
    channels = 3
    for name in (name for name in _convolutions(architecture) if f"{name}.weight" in tensors):
        channels = _check_layer(file, tensors, name, channels, 3)
        if any(key.startswith(f"{name}.to_vgg19") for key in tensors):
            _check_layer(file, tensors, f"{name}.to_vgg19", channels, 1)
    for key, tensor in tensors.items():
        if key.split(".")[0] + ".weight" not in tensors:
            raise FeatureError(f"{file} is not a loss network: it has {key} without its layer")
        if not tensor.is_floating_point() or not bool(tensor.float().isfinite().all()):
            raise FeatureError(f"{file} is not a loss network: {key} holds other values than finite real numbers")


def _check_layer(file: Path, tensors: dict[str, Tensor], name: str, inputs: int, kernel: int) -> int:
    """Raise `FeatureError` unless the layer takes `inputs` channels; returns how many it gives."""
    for key in (f"{name}.weight", f"{name}.bias"):
        if key not in tensors:
            raise FeatureError(f"{file} is not a loss network: it lacks {key}")
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    if weight.ndim != 4 or not len(weight) or weight.shape[1:] != (inputs, kernel, kernel):
        expected = f"(channels, {inputs}, {kernel}, {kernel})"
        raise FeatureError(f"{file}: the weights of {name} should have the shape {expected}, not {tuple(weight.shape)}")
    if bias.shape != weight.shape[:1]:
        raise FeatureError(f"{file}: {name} should have {len(weight)} biases, not the shape {tuple(bias.shape)}")
    return len(weight)


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
            f"cannot download torchvision's {architecture} ({error}); give a local file with --features"
        ) from error
    return _rename_torchvision(model.state_dict(), architecture), TORCHVISIONS[architecture], "zeros"


def _convolutions(architecture: str) -> list[str]:
    blocks = enumerate(BLOCKS[architecture], start=1)
    return [f"conv{block}_{position}" for block, count in blocks for position in range(1, count + 1)]


def _torchvision_names(architecture: str) -> dict[str, str]:
    """ "features.N.weight" -> "convB_I": N counts convolutions, ReLUs and poolings."""
    names = _convolutions(architecture)
    return {f"features.{2 * i + int(name[4]) - 1}.weight": name for i, name in enumerate(names)}


def _rename_torchvision(tensors: dict[str, Tensor], architecture: str) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for key, name in _torchvision_names(architecture).items():
        if key in tensors:
            bias = key.replace("weight", "bias")
            renamed |= {f"{name}.weight": tensors[key], f"{name}.bias": tensors[bias]}
    return renamed
