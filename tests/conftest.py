"""Fixtures for all tests: tiny models and pictures, and ways to run a command or a program.

Every test starts from the same seed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from safetensors.torch import save_file
from typer.testing import CliRunner

from multistyle.cli import app
from multistyle.image import write_image
from multistyle.network import NetworkConfig, StyleNetwork
from multistyle.onnx import export_onnx
from multistyle.stylizer import Stylizer
from multistyle.weights import PHOTO_STYLE, Model, Style, save_weights

ROOT = Path(__file__).parents[1]
ASSETS = Path(__file__).parent / "assets"
PROGRAMS = Path(__file__).parent / "programs"
TINY = NetworkConfig(widths=(4, 6, 8), blocks=1, stem=3, head=3, upsampling="bilinear")
VGG = (4, 6, 8, 8, 8)  # channels of the random loss network, block by block


def needs(condition: object, reason: str) -> None:
    """Skip the test unless `condition` holds; with MULTISTYLE_REQUIRE_ALL=1 in the environment, fail instead."""
    if not condition:
        (pytest.fail if os.environ.get("MULTISTYLE_REQUIRE_ALL") else pytest.skip)(reason)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def tiny_model() -> Model:
    """Three painters and photo. All rows and filters are random, so that no two styles agree."""
    network = StyleNetwork(TINY, 4).eval()
    with torch.no_grad():
        network.table.add_(torch.randn_like(network.table))
    painters = [Style("starry", "The Starry Night", "Vincent van Gogh", "1889"), Style("scream"), Style("wave")]
    return Model(network.requires_grad_(False), [PHOTO_STYLE, *painters], {"steps": 1})


@pytest.fixture
def model() -> Model:
    return tiny_model()


@pytest.fixture
def network(model: Model) -> StyleNetwork:
    return model.network


@pytest.fixture
def stylizer(model: Model) -> Stylizer:
    return Stylizer(model, "cpu")


@pytest.fixture
def weight_file(model: Model, tmp_path: Path) -> Path:
    file = tmp_path / "tiny.safetensors"
    save_weights(file, model)
    return file


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as an ONNX file, exported once for all tests, which takes seconds."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="the extra onnx is not installed")
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    export_onnx(tiny_model(), file)
    return file


@pytest.fixture
def sample() -> Path:
    """The photograph of a cat that the README paints."""
    return ASSETS / "chelsea.jpg"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small picture of noise, as a PNG file."""
    write_image(tmp_path / "photo.png", torch.rand(3, 20, 30))
    return tmp_path / "photo.png"


@pytest.fixture
def random_vgg() -> Callable[..., dict[str, torch.Tensor]]:
    """A function that makes random loss-network weights by the names of the papers."""

    def make(channels: tuple[int, ...] = VGG, depth: tuple[int, ...] = (2, 2, 4, 4, 1)) -> dict[str, torch.Tensor]:
        tensors, inputs = {}, 3
        for block, (outputs, count) in enumerate(zip(channels, depth), start=1):
            for index in range(1, count + 1):
                tensors[f"conv{block}_{index}.weight"] = torch.randn(outputs, inputs, 3, 3) / (3 * inputs**0.5)
                tensors[f"conv{block}_{index}.bias"] = torch.randn(outputs) / 10
                inputs = outputs
        return tensors

    return make


@pytest.fixture
def vgg(tmp_path: Path, random_vgg: Callable[..., dict[str, torch.Tensor]]) -> Path:
    """A small random loss network, as a file."""
    save_file(random_vgg(), tmp_path / "vgg.safetensors")
    return tmp_path / "vgg.safetensors"


@pytest.fixture
def make_pictures(tmp_path: Path) -> Callable[..., Path]:
    """A function that fills a new folder of `tmp_path` with pictures of noise, NAME.png each, of height x width px."""

    def make(folder: str, names: Iterable[str], height: int, width: int) -> Path:
        (tmp_path / folder).mkdir()
        for name in names:
            write_image(tmp_path / folder / f"{name}.png", torch.rand(3, height, width))
        return tmp_path / folder

    return make


@pytest.fixture
def material(
    tmp_path: Path, make_pictures: Callable[..., Path], random_vgg: Callable[..., dict[str, torch.Tensor]]
) -> Path:
    """A folder with two paintings (styles/), three photos (photos/) and a small random loss network."""
    make_pictures("styles", ("dots", "lines"), 48, 56)
    make_pictures("photos", ("a", "b", "c"), 48, 56)
    save_file(random_vgg(), tmp_path / "vgg.safetensors")
    return tmp_path


@pytest.fixture
def run(weight_file: Path) -> Callable[..., Any]:
    """A function that runs a command of `multistyle` with the tiny model."""

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, [*map(str, arguments), "--weights", str(weight_file)], catch_exceptions=False)

    return run


@pytest.fixture
def invoke() -> Callable[..., Any]:
    """A function that runs one function as a command; the result holds its exception."""

    def invoke(command: Callable[..., None], *arguments: object) -> Any:
        alone = typer.Typer()
        alone.command()(command)
        return CliRunner().invoke(alone, [*map(str, arguments)])

    return invoke


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs tests/programs/NAME.py in another process, which imports from this checkout.

    redirection: of the program's streams, as bash has it.
    """

    def run(name: str, *arguments: object, redirection: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)]
        if redirection:
            command = ["bash", "-c", f"set -o pipefail; {shlex.join(command)} {redirection}"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    return run
