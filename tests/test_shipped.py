"""The shipped weight file, without a loss network: where it is found, and that every row paints its own painter."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from fingerprint import fingerprint, nearest

import multistyle
from multistyle.image import read_image, resize_image, write_image
from multistyle.stylizer import Stylizer
from multistyle.weights import default_weights, load_weights

ROOT = Path(__file__).parents[1]
REQUIRED = {"starry", "scream", "wave"}


@pytest.fixture(scope="module")
def targets() -> dict[str, list[float]]:
    return json.loads((Path(__file__).parent / "assets" / "fingerprints.json").read_text())


def separation(stylizer: Stylizer, photo: torch.Tensor, targets: dict[str, list[float]]) -> float:
    """The share of painters whose paintings of two sizes of the photo are nearest to their own fingerprint."""
    names = stylizer.painters
    prints = [fingerprint(stylizer(resize_image(photo, size), name)) for size in (192, 256) for name in names]
    found = nearest(torch.stack(prints), torch.tensor([targets[name] for name in names]))
    return float((found == torch.arange(len(names)).repeat(2)).float().mean())


def test_the_shipped_catalogue_has_its_painters_and_their_facts(targets):
    model = load_weights()
    photo, *painters = model.catalogue
    assert photo.name == "photo" and len(painters) >= 12 and set(model.painters) > REQUIRED
    assert set(targets) == set(model.painters)
    assert all(style.artist and style.title and style.year for style in painters)
    assert default_weights().stat().st_size < 7_000_000


def test_styles_paint_their_own_painter_and_exchanged_rows_are_noticed(sample, targets):
    """Three of four painters: a fingerprint is too coarse to tell five van Goghs apart; the benchmark is not."""
    stylizer, photo = Stylizer(load_weights(), "cpu"), read_image(sample)
    assert separation(stylizer, photo, targets) >= 0.7
    table = stylizer.one_pass.network.table
    table[1:] = table[1:].roll(1, 0)
    assert separation(stylizer, photo, targets) < 0.2


def test_photo_is_the_photo_within_a_grey_level(sample, tmp_path):
    photo = read_image(sample)
    write_image(tmp_path / "out.png", multistyle.load_stylizer(device="cpu")(photo, "photo"))
    assert (read_image(tmp_path / "out.png") - photo).abs().max() <= 1 / 255


@pytest.mark.parametrize("weights", ["multistyle/shipped", "weights"], ids=["as in a wheel", "as in a checkout"])
def test_the_file_is_found_beside_the_module_and_in_a_checkout(program, tmp_path, weights):
    shutil.copytree(ROOT / "multistyle", tmp_path / "multistyle", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / weights).mkdir()
    shutil.copy(default_weights(), tmp_path / weights)
    found = program("default_weights", tmp_path)
    assert found.stdout.strip() == str(tmp_path / weights / "multistyle.safetensors"), found.stderr


def test_the_wheel_holds_the_file_where_it_is_looked_for():
    """`multistyle.shipped` is the folder weights/, and its package data the file."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "multistyle.shipped" in setuptools["packages"]
    assert default_weights().parent == ROOT / setuptools["package-dir"]["multistyle.shipped"]
    patterns = setuptools["package-data"]["multistyle.shipped"]
    assert any(default_weights().match(pattern) for pattern in patterns)
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "multistyle").rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} == set(setuptools["packages"]) - {"multistyle.shipped"}


def test_no_shipped_file_is_one_line(tmp_path):
    shutil.copytree(ROOT / "multistyle", tmp_path / "multistyle", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-m", "multistyle", "styles"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "the shipped weights are missing" in done.stderr and done.stderr.count("\n") == 1
