"""Tiny models and pictures; every test starts from the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from multistyle.image import write_image
from multistyle.network import NetworkConfig, StyleNetwork
from multistyle.weights import PHOTO_STYLE, Model, Style, save_weights

ASSETS = Path(__file__).parent / "assets"
TINY = NetworkConfig(widths=(4, 6, 8), blocks=1, stem=3, head=3, upsampling="bilinear")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def network() -> StyleNetwork:
    """Three painters and photo; every row and filter random, so that no two styles agree."""
    network = StyleNetwork(TINY, 4).eval()
    with torch.no_grad():
        network.table.add_(torch.randn_like(network.table))
    return network.requires_grad_(False)


@pytest.fixture
def model(network: StyleNetwork) -> Model:
    painters = [Style("starry", "The Starry Night", "Vincent van Gogh", "1889"), Style("scream"), Style("wave")]
    return Model(network, [PHOTO_STYLE, *painters], {"steps": 1})


@pytest.fixture
def weight_file(model: Model, tmp_path: Path) -> Path:
    file = tmp_path / "tiny.safetensors"
    save_weights(file, model)
    return file


@pytest.fixture
def sample() -> Path:
    return ASSETS / "chelsea.jpg"


@pytest.fixture
def random_vgg():
    """A function that makes random loss-network weights by the names of the papers."""

    def make(channels: tuple[int, ...], depth: tuple[int, ...] = (2, 2, 4, 4, 1)) -> dict[str, torch.Tensor]:
        tensors, inputs = {}, 3
        for block, (outputs, count) in enumerate(zip(channels, depth), start=1):
            for index in range(1, count + 1):
                tensors[f"conv{block}_{index}.weight"] = torch.randn(outputs, inputs, 3, 3) / (3 * inputs**0.5)
                tensors[f"conv{block}_{index}.bias"] = torch.randn(outputs) / 10
                inputs = outputs
        return tensors

    return make


@pytest.fixture
def material(tmp_path, random_vgg) -> Path:
    """Two paintings, three photos and a small random loss network."""
    for folder, names in {"styles": ("dots", "lines"), "photos": ("a", "b", "c")}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            write_image(tmp_path / folder / f"{name}.png", torch.rand(3, 48, 56))
    save_file(random_vgg((4, 6, 8, 8, 8)), tmp_path / "vgg.safetensors")
    return tmp_path
