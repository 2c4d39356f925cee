"""Export a weight file to ONNX: one file that takes a picture and a blend. Needs the extra `onnx`."""

from __future__ import annotations

import copy
import json
import logging
import math
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .errors import MultistyleError
from .fast_network import FastNetwork
from .files import atomic_write, check_place
from .grid import cut_from_grid, grid_index
from .messages import Progress, no_progress
from .network import StyleNetwork, photo_share
from .weights import Model

if TYPE_CHECKING:
    from torch.onnx import ONNXProgram

DTYPES = {"float32": torch.float32, "float16": torch.float16}
SIZES = ((1, 61, 94), (2, 133, 50), (1, 200, 7))  # (batch, height, width) that a file is checked on


class OnnxNetwork(nn.Module):
    """The network in the file: paints pictures (B, 3, H, W) in blends (B, S); all float32.

    Pictures and paintings are sRGB in [0, 1], of any size; each blend sums to 1. The convolutions are in `dtype`. Means
    and variances are computed explicitly in float32, because InstanceNormalization overflows in half precision.
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
    model: Model,
    target: str | Path,
    precision: str = "float32",
    progress: Progress = no_progress,
) -> float:
    """Write `model` as ONNX to `target`, after checking in ONNX Runtime that the file paints as PyTorch does.

    Inputs `picture` (batch, 3, height, width) and `blend` (batch, styles), output `painting`: see `OnnxNetwork`. The
    catalogue, in the order of the blend's weights, is JSON in the file's metadata under `catalogue`.

    target: a name that ends in .onnx.
    precision: of the convolutions, "float32" or "float16".
    progress: called with steps done and total steps.

    Returns the largest difference between the two paintings, in grey levels. Raises `MultistyleError` as
    `check_export` does, and if the difference is more than one grey level or NaN; then nothing is written.
    """
    target = Path(target)
    check_export(target, precision)
    progress(0, 2)
    network = OnnxNetwork(model.network, DTYPES[precision])
    program = _translate(network)
    program.model.metadata_props["catalogue"] = json.dumps(
        [asdict(style) for style in model.catalogue], ensure_ascii=False
    )
    program.model.producer_name = "multistyle"
    with atomic_write(target) as temporary:
        program.save(temporary, external_data=False)
        progress(1, 2)
        worst = compare(OnnxNetwork(model.network, torch.float32), temporary)
        if math.isnan(worst):
            raise MultistyleError(f"{target} is not written: its paintings hold NaN; use another model or float32")
        if worst > 1:
            raise MultistyleError(f"{target} is not written: its paintings are off by up to {worst:.1f} grey levels")
    progress(2, 2)
    return worst


def check_export(target: str | Path, precision: str, inputs: Iterable[str | Path] = ()) -> None:
    """Raise `MultistyleError` for an unknown precision, an unusable target, or a package that is not installed.

    inputs: files that are read; they must not be replaced.
    """
    target = Path(target)
    if precision not in DTYPES:
        raise MultistyleError(f"unknown precision {precision!r} for ONNX; use float32 or float16")
    if target.suffix.lower() != ".onnx":
        raise MultistyleError(f"the name of an ONNX file ends in .onnx; {target} does not")
    check_place(target, inputs=inputs)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise MultistyleError(f"export needs {package}: pip install 'multistyle[onnx]'")


def _translate(network: OnnxNetwork) -> ONNXProgram:
    batch, height, width = (torch.export.Dim(name, min=1) for name in ("batch", "height", "width"))
    styles = len(network.inference.network.table)
    example = torch.rand(2, 3, 37, 46), torch.full((2, styles), 1 / styles)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                example,
                input_names=["picture", "blend"],
                output_names=["painting"],
                dynamic_shapes=({0: batch, 2: height, 3: width}, {0: batch}),
                dynamo=True,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None  # it is None only without dynamo
    return program


@torch.no_grad()
def compare(network: OnnxNetwork, file: str | Path) -> float:
    """The largest difference, in grey levels, between paintings by `network` (float32) and by the file in ONNX Runtime.

    The pictures are smooth and random, of odd sizes; the blends are random. Returns NaN if a painting has a NaN.
    """
    from onnxruntime import InferenceSession

    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
    draws, worst = torch.Generator().manual_seed(0), torch.zeros(())
    for batch, height, width in SIZES:
        rough = torch.rand(batch, 3, 1 + height // 8, 1 + width // 8, generator=draws)
        picture = nn.functional.interpolate(rough, (height, width), mode="bilinear")
        blend = torch.rand(batch, len(network.inference.network.table), generator=draws).pow(8)
        blend = blend / blend.sum(1, keepdim=True)
        (painted,) = session.run(None, {"picture": picture.numpy(), "blend": blend.numpy()})
        difference = torch.from_numpy(painted) - network(picture, blend)
        worst = torch.maximum(worst, difference.abs().max() * 255)  # which keeps NaN, unlike Python's max
    return float(worst)
