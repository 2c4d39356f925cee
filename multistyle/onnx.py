"""Weight file -> ONNX: one file with the picture and the blend as its inputs. Needs the extra `onnx`."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .errors import MultistyleError
from .fast_network import FastNetwork
from .files import atomic_write, check_place
from .network import StyleNetwork, cut_from_grid, grid_index, photo_share
from .weights import Model

if TYPE_CHECKING:
    from torch.onnx import ONNXProgram

DTYPES = {"float32": torch.float32, "float16": torch.float16}
SIZES = ((1, 61, 94), (2, 133, 50), (1, 200, 7))  # (batch, height, width) that a file is checked on


class OnnxNetwork(nn.Module):
    """What the file computes: paintings (B, 3, H, W) of pictures (B, 3, H, W) in blends (B, S), all float32.

    Pictures and paintings are sRGB in [0, 1], of any size; each blend sums to 1. The convolutions are in `dtype`. Means
    and variances are taken explicitly, and in float32: an InstanceNormalization in half precision overflows.
    """

    def __init__(self, network: StyleNetwork, dtype: torch.dtype) -> None:
        super().__init__()
        self.inference = FastNetwork(copy.deepcopy(network).cpu()).to(dtype).requires_grad_(False)
        self.inference.network.table = nn.Parameter(network.table.detach().cpu().clone(), requires_grad=False)

    def forward(self, picture: Tensor, blend: Tensor) -> Tensor:
        height, width = picture.shape[2:]
        padded = picture.index_select(2, grid_index(height)).index_select(3, grid_index(width))
        painted, share = cut_from_grid(self.inference(padded, blend)[0], height, width), photo_share(blend)
        return (share * picture + (1 - share) * painted).clamp(0, 1)


def export_onnx(
    model: Model, target: Path, precision: str = "float32", progress: Callable[[str], None] = lambda step: None
) -> float:
    """Write `model` as ONNX to `target`, having painted with the file in ONNX Runtime what PyTorch paints.

    Inputs `picture` (batch, 3, height, width) and `blend` (batch, styles), output `painting`: see `OnnxNetwork`. The
    catalogue, in the order of the blend's weights, is JSON in the file's metadata under `catalogue`. precision: of the
    convolutions, "float32" or "float16". progress: told what is done next. Returns the largest difference found, in
    grey levels.

    Raises `MultistyleError` as `check_export` does, and for a file that paints anything by more than one grey level
    otherwise; then nothing is written.
    """
    check_export(target, precision)
    network = OnnxNetwork(model.network, DTYPES[precision])
    progress("translating the network")
    program = _translate(network)
    program.model.metadata_props["catalogue"] = json.dumps(
        [asdict(style) for style in model.catalogue], ensure_ascii=False
    )
    program.model.producer_name = "multistyle"
    with atomic_write(target) as temporary:
        program.save(temporary, external_data=False)
        progress("checking it in ONNX Runtime")
        worst = compare(OnnxNetwork(model.network, torch.float32), temporary)
        if worst > 1:
            raise MultistyleError(f"{target} is not written: its paintings are off by up to {worst:.1f} grey levels")
    return worst


def check_export(target: Path, precision: str) -> None:
    """Raise `MultistyleError` for a precision or a target that cannot be, or where a package is not installed."""
    if precision not in DTYPES:
        raise MultistyleError(f"unknown precision {precision!r} for ONNX; use float32 or float16")
    if target.suffix.lower() != ".onnx":
        raise MultistyleError(f"an ONNX file's name ends in .onnx, unlike {target}")
    check_place(target)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise MultistyleError(f"export needs {package}: pip install 'multistyle[onnx]'")


def _translate(network: OnnxNetwork) -> ONNXProgram:
    batch, height, width = (torch.export.Dim(name, min=1) for name in ("batch", "height", "width"))
    styles = len(network.inference.network.table)
    example = torch.rand(2, 3, 37, 46), torch.full((2, styles), 1 / styles)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.onnx.export(
            network,
            example,
            input_names=["picture", "blend"],
            output_names=["painting"],
            dynamic_shapes=({0: batch, 2: height, 3: width}, {0: batch}),
            dynamo=True,
            verbose=False,
        )


@torch.inference_mode()
def compare(network: OnnxNetwork, file: Path) -> float:
    """The largest difference, in grey levels, between paintings by `network` (float32) and by the file in ONNX Runtime.

    On smooth random pictures of odd sizes, in random blends.
    """
    from onnxruntime import InferenceSession

    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
    draws, worst = torch.Generator().manual_seed(0), 0.0
    for batch, height, width in SIZES:
        rough = torch.rand(batch, 3, 1 + height // 8, 1 + width // 8, generator=draws)
        picture = nn.functional.interpolate(rough, (height, width), mode="bilinear")
        blend = torch.rand(batch, len(network.inference.network.table), generator=draws).pow(8)
        blend = blend / blend.sum(1, keepdim=True)
        (painted,) = session.run(None, {"picture": picture.numpy(), "blend": blend.numpy()})
        difference = torch.from_numpy(painted) - network(picture, blend)
        worst = max(worst, float(difference.abs().max()) * 255)
    return worst
