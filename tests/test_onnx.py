"""Export to ONNX, checked by painting in ONNX Runtime."""

import importlib.util
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from multistyle.cli import app
from multistyle.errors import MultistyleError
from multistyle.onnx import OnnxNetwork, compare, export_onnx
from multistyle.stylizer import Stylizer
from multistyle.weights import load_weights

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra onnx is not installed",
)


@needs_onnx
def test_the_command_writes_the_file(weight_file, onnx_file, tmp_path):
    target = tmp_path / "tiny.onnx"
    done = CliRunner().invoke(app, ["export", str(target), "--weights", str(weight_file)])
    assert done.exit_code == 0 and "tiny.onnx" in done.stdout and [*tmp_path.glob(".*")] == [], done.output
    assert target.stat().st_size == onnx_file.stat().st_size


def test_a_file_paints_any_size_batch_and_blend_and_names_its_styles(model, onnx_file):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    catalogue = json.loads(session.get_modelmeta().custom_metadata_map["catalogue"])
    assert [style["name"] for style in catalogue] == ["photo", "starry", "scream", "wave"]
    stylizer = Stylizer(model, "cpu")
    for batch, *size in ((1, 5, 7), (3, 40, 26), (1, 1, 1)):
        photos, blends = torch.rand(batch, 3, *size), torch.rand(batch, 4).softmax(1)
        (painted,) = session.run(None, {"picture": photos.numpy(), "blend": blends.numpy()})
        assert (torch.from_numpy(painted) - stylizer(photos, blends)).abs().max() <= 1 / 255
    other = OnnxNetwork(model.network, torch.float32)
    other.inference.network.table.data[1] += 0.5
    assert compare(other, onnx_file) > 1, "the check before a file is written can fail"


def test_no_operator_has_more_than_eight_outputs(onnx_file):
    """WebGPU gives a shader ten buffers; one operator that splits the table for all layers would need 32 and more."""
    import onnx

    assert max(len(node.output) for node in onnx.load(onnx_file).graph.node) <= 8


@needs_onnx
def test_the_shipped_file_in_half_precision_is_within_a_grey_level(tmp_path):
    """By a name that is text, with progress."""
    seen = []
    assert export_onnx(load_weights(), str(tmp_path / "half.onnx"), "float16", lambda *at: seen.append(at)) <= 1
    assert seen == [(0, 2), (1, 2), (2, 2)] and (tmp_path / "half.onnx").stat().st_size > 1000


@needs_onnx
def test_a_file_that_paints_otherwise_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr("multistyle.onnx._translate", lambda network: Wrong())
    monkeypatch.setattr("multistyle.onnx.compare", lambda network, file: 1.5)
    with pytest.raises(MultistyleError, match="off by up to 1.5 grey levels"):
        export_onnx(model, tmp_path / "wrong.onnx")
    monkeypatch.setattr("multistyle.onnx.compare", lambda network, file: float("nan"))
    with pytest.raises(MultistyleError, match="hold NaN"):
        export_onnx(model, tmp_path / "wrong.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_check_sees_a_nan_in_any_of_its_paintings(model, monkeypatch):
    """On either side: of the network, or of the file."""
    runtime = pytest.importorskip("onnxruntime")
    network = OnnxNetwork(model.network, torch.float32)

    class Session:
        broken = 0

        def __init__(self, file: str, providers: list[str]) -> None:
            self.calls = 0

        def run(self, outputs, inputs):
            self.calls += 1
            painted = network(torch.from_numpy(inputs["picture"]), torch.from_numpy(inputs["blend"])).numpy()
            if self.calls == Session.broken:
                painted[0, 0, 0, 0] = float("nan")
            return [painted]

    monkeypatch.setattr(runtime, "InferenceSession", Session)
    assert compare(network, "any.onnx") == 0
    for Session.broken in (1, 2, 3):
        assert math.isnan(compare(network, "any.onnx")), Session.broken


class Wrong:
    """In place of a translated network."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(metadata_props={})

    def save(self, file: Path, external_data: bool) -> None:
        file.write_bytes(b"")


@pytest.mark.parametrize(
    "options, message",
    [
        (["out.onnx", "--precision", "int8"], "use float32 or float16"),
        (["out.pt"], "ends in .onnx"),
        (["nowhere/out.onnx"], "there is no folder nowhere"),
    ],
)
def test_wrong_usage_is_one_line(options, message):
    done = CliRunner().invoke(app, ["export", *options])
    assert done.exit_code == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_the_weight_file_is_never_replaced(weight_file):
    weights = weight_file.rename(weight_file.with_suffix(".onnx"))
    before = weights.read_bytes()
    done = CliRunner().invoke(app, ["export", str(weights), "--weights", str(weights)])
    assert done.exit_code == 2 and "it is an input" in done.stderr and weights.read_bytes() == before


def test_missing_packages_are_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr("multistyle.onnx.find_spec", lambda name: None)
    with pytest.raises(MultistyleError, match=r"export needs onnx: pip install 'multistyle\[onnx\]'"):
        export_onnx(model, tmp_path / "out.onnx")
