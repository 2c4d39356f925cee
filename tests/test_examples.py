"""The programs in examples/: each does what it says, and what documents print of them is what they contain."""

import ast
import importlib.util
import inspect
import os
import re
import sys
import tomllib
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from multistyle.image import read_image, write_image
from multistyle.stylizer import Stylizer

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def load(name: str):
    """The module of an example."""
    specification = importlib.util.spec_from_file_location(name.replace("/", "_"), EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_readme_lists_every_example_with_its_line():
    listed = re.findall(r"^\| \[([\w./]+)\]", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    there = [path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*") if path.is_file()]
    assert sorted(listed) == sorted(name for name in there if name != "README.md" and "__pycache__" not in name)


def smooth(height: int, width: int) -> torch.Tensor:
    rough = torch.rand(1, 3, max(2, height // 40), max(2, width // 40))
    return F.interpolate(rough, (height, width), mode="bicubic")[0].clamp(0, 1)


PAINTED = [
    (601, 905, "auto", "starry=0.5,wave=0.3,photo=0.2"),
    (203, 317, "8", "starry=0.5,scream=0.5"),
    (120, 90, "auto", "scream"),
    (301, 807, "2", "wave=0.9,photo=0.1"),
    (90, 810, "off", "starry"),
    (90, 810, "2", "photo"),
]


def test_the_onnx_loop_paints_what_stylizer_paints(model, onnx_file, tmp_path):
    paint, stylizer = load("onnx_loop").main, Stylizer(model, "cpu")
    for height, width, stroke, mix in PAINTED:
        write_image(tmp_path / "photo.png", smooth(height, width))
        files = [str(onnx_file), str(tmp_path / "photo.png"), str(tmp_path / "out.png")]
        paint(*files, mix, *([stroke] if stroke != "auto" else []))
        expected = stylizer(read_image(tmp_path / "photo.png"), mix, stroke=stroke)
        assert (read_image(tmp_path / "out.png") - expected).abs().max() * 255 <= 1, (height, width, stroke, mix)


def test_the_onnx_loop_names_an_unknown_style():
    with pytest.raises(SystemExit, match="unknown styles: stary; known: photo, starry"):
        load("onnx_loop").blend_of("stary=0.5,photo", ["photo", "starry"])


def test_the_onnx_loop_imports_neither_torch_nor_multistyle():
    tree = ast.parse((EXAMPLES / "onnx_loop.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"json", "sys", "numpy", "onnxruntime"}


def test_the_loop_printed_in_the_documents_is_that_of_the_example():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (printed,) = re.findall(r"^```python\n(def paint_scales.*?)^```", readme, re.M | re.S)
    assert printed in (EXAMPLES / "onnx_loop.py").read_text(encoding="utf-8")


@pytest.fixture
def classes(tmp_path, monkeypatch) -> Path:
    """A working folder with photos/: two classes of two small photos."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/1", "a/2", "b/3", "b/4"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "photos" / f"{name}.png", smooth(64, 64))
    return tmp_path


def test_the_data_loader_trains_and_shows_a_batch(classes, monkeypatch, capsys):
    example = load("data_loader")
    monkeypatch.setattr(example, "SIZE", 48)
    example.main("photos", "0")  # no workers
    assert capsys.readouterr().out.startswith("step 0: loss ")
    assert read_image(classes / "batch.png").shape[1] > 48


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_the_guide_to_augmentation_runs_as_printed(classes):
    names: dict = {}
    for printed in re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "augmentation.md").read_text("utf-8"), re.M | re.S
    ):
        exec(printed.replace("RandomResizedCrop(224)", "RandomResizedCrop(48)"), names)
    assert names["images"].shape == (4, 3, 48, 48) and names["images"].dtype == torch.uint8
    assert names["image"].shape == (3, 240, 320) and names["target"]["boxes"] is names["boxes"]


def test_the_space_paints_and_shows_every_painter(monkeypatch):
    """With a stand-in for Gradio, which is large."""
    gradio = MagicMock(Error=type("Error", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    space = load("space/app")
    space.page()
    painters = gradio.Dropdown.call_args_list[0].args[0]
    assert ("Vincent van Gogh: The Starry Night", "starry") in painters and len(painters) == len(
        space.stylizer.painters
    )
    function, inputs, _ = gradio.Interface.call_args.args
    assert function is space.paint and len(inputs) == len(inspect.signature(space.paint).parameters)
    photo = Image.new("RGB", (64, 48), (200, 90, 20))
    painted = space.paint(photo, "starry", "wave", 0.25, 0.8, 1)
    assert painted.size == photo.size
    assert painted.tobytes() == space.stylizer.paint(photo, "starry=3,wave=1", strength=0.8).tobytes()
    space.paint(photo, "starry", "starry", 0.25, 0.8, 1)
    for arguments in ((None, "starry", "wave", 0, 1, 1), (photo, "stary", "wave", 0, 1, 1)):
        with pytest.raises(gradio.Error):
            space.paint(*arguments)


def test_the_dockerfile_copies_what_is_there_and_installs_what_the_package_needs():
    text = (EXAMPLES / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()]
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "multistyle", project["project"]["readme"], *project["project"]["license-files"]} <= {
        *copied
    }
    assert project["tool"]["setuptools"]["package-dir"]["multistyle.shipped"] in copied
    (extras,) = re.findall(r"pip install .* \.\[(.*)\]", text)
    assert set(extras.split(",")) <= project["project"]["optional-dependencies"].keys()
