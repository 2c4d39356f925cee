import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from multistyle.errors import WeightsError
from multistyle.weights import Model, Style, load_weights, save_weights


def test_a_file_alone_rebuilds_its_network_bit_for_bit(model, weight_file):
    loaded = load_weights(weight_file)
    assert loaded.catalogue == model.catalogue and loaded.training == model.training
    assert loaded.network.config == model.network.config and not loaded.network.training
    image, blend = torch.rand(1, 3, 11, 13), torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    assert torch.equal(loaded.network(image, blend), model.network(image, blend))


def test_half_precision_storage_loads_as_float32(model, tmp_path):
    model.network.half()
    save_weights(tmp_path / "half.safetensors", model)
    assert load_weights(tmp_path / "half.safetensors").network.table.dtype == torch.float32


def rewrite(file, **changes):
    """The same tensors under a changed header."""
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    metadata.update(changes)
    save_file(load_file(file), file, {key: value for key, value in metadata.items() if value is not None})


def message(file) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(WeightsError) as raised:
        load_weights(file)
    text = str(raised.value)
    assert str(file) in text and "\n" not in text and len(text) < 1000
    return text


def test_wrong_files_are_told_apart(weight_file, tmp_path):
    whole = weight_file.read_bytes()
    assert "cannot read" in message(tmp_path / "missing.safetensors")
    assert "it is a folder" in message(tmp_path)
    for length in (9, 200, len(whole) - 1):
        weight_file.write_bytes(whole[:length])
        assert "is truncated" in message(weight_file)
    for text in (b"", b"PK", b"this is a text file, not a weight file, whatever its name"):
        weight_file.write_bytes(text)
        assert "is not a safetensors file" in message(weight_file)
    save_file({"x": torch.zeros(2)}, weight_file)
    assert "not a weight file of multistyle" in message(weight_file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes by name")
def test_a_pipe_or_a_device_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe or a device" in message(tmp_path / "pipe") and "a pipe or a device" in message("/dev/zero")


NETWORK = {"widths": [4, 6, 8], "blocks": 1, "stem": 3, "head": 3, "upsampling": "bilinear"}
CATALOGUE = [{"name": name} for name in ("photo", "starry", "scream", "wave")]


def catalogue(**changes) -> str:
    return json.dumps([*CATALOGUE[:3], {"name": "wave", **changes}])


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"format_version": "2"}, "upgrade multistyle"),
        ({"format_version": "9" * 5000}, "upgrade multistyle"),
        ({"format_version": "0"}, "this version reads 1"),
        ({"format_version": "x\ny"}, "this version reads 1"),
        ({"format_version": None}, "(none)"),
        ({"format": "multistyle\n" * 1000}, "another kind"),
        ({"network": json.dumps({**NETWORK, "widths": [4, 6, 10]})}, "its header implies"),
        ({"network": json.dumps({**NETWORK, "widths": [4, 6]})}, "widths"),
        ({"network": json.dumps({**NETWORK, "widths": [4] * 100_000})}, "widths"),
        ({"network": json.dumps({**NETWORK, "blocks": 10**4000})}, "cannot use the weight file"),
        ({"network": json.dumps({**NETWORK, "widths": 4})}, "widths of the network"),
        ({"network": json.dumps({**NETWORK, "widths": ["4", 6, 8]})}, "widths of the network"),
        ({"network": json.dumps({**NETWORK, "widths": [4.0, 6, 8]})}, "widths of the network"),
        ({"network": json.dumps({**NETWORK, "widths": [[4], 6, 8]})}, "widths of the network"),
        ({"network": json.dumps({**NETWORK, "blocks": True})}, "blocks of the network"),
        ({"network": json.dumps({**NETWORK, "blocks": 1e9})}, "blocks of the network"),
        ({"network": json.dumps({**NETWORK, "blocks": None})}, "blocks of the network"),
        ({"network": json.dumps({**NETWORK, "upsampling": ["bilinear"]})}, "upsampling of the network"),
        ({"network": json.dumps({**NETWORK, "depth\n": 3})}, "unknown field"),
        ({"network": json.dumps([4, 6, 8])}, "should be a JSON object"),
        ({"network": "{"}, "is not JSON"),
        ({"network": '{"a":' * 100_000}, "is not JSON"),
        ({"network": None}, "no entry 'network'"),
        ({"catalogue": json.dumps(CATALOGUE[:2])}, "the tensor table has the shape (4, "),
        ({"catalogue": json.dumps(CATALOGUE[:1])}, "at least one painter"),
        ({"catalogue": json.dumps(CATALOGUE[1:])}, "starts with photo, not with starry"),
        ({"catalogue": "[]"}, "starts with photo, not with nothing"),
        ({"catalogue": json.dumps([*CATALOGUE[:3], CATALOGUE[1]])}, "starry is in the catalogue 2 times"),
        ({"catalogue": json.dumps({"photo": 1})}, "should be a JSON list"),
        ({"catalogue": json.dumps([*CATALOGUE[:3], "wave"])}, "a style in its header"),
        ({"catalogue": "[" * 100_000}, "is not JSON"),
        ({"catalogue": None}, "no entry 'catalogue'"),
        ({"catalogue": catalogue(name=3)}, "name of a style is text, not int"),
        ({"catalogue": catalogue(name="")}, "not a style name"),
        ({"catalogue": catalogue(name="w" * 501)}, "at most 500 characters"),
        ({"catalogue": catalogue(title=None)}, "title of a style is text, not NoneType"),
        ({"catalogue": catalogue(title="x" * 5_000_000)}, "at most 500 characters"),
        ({"catalogue": catalogue(artist="one\ntwo")}, "one line"),
        ({"catalogue": catalogue(artist="\x1b[31mred")}, "control characters"),
        ({"catalogue": catalogue(year="\u2028")}, "one line"),
        ({"catalogue": catalogue(year="\ud800")}, "control characters"),
        ({"catalogue": catalogue(year=1889)}, "year of a style is text, not int"),
        ({"catalogue": catalogue(price="1")}, "a style in its header"),
        ({"training": "[]"}, "should be a JSON object"),
        ({"training": "1" * 5000}, "is not JSON"),
        ({"training": json.dumps({"painters": []})}, "`painters`"),
        ({"training": json.dumps({"painters": {"starry": 3}})}, "`painters`"),
        ({"training": None}, "no entry 'training'"),
    ],
)
def test_headers_that_do_not_fit_are_refused(weight_file, changes, expected):
    rewrite(weight_file, **changes)
    assert expected in message(weight_file)


@pytest.mark.parametrize(
    "changes",
    [{"blocks": 10**9}, {"blocks": 10**30}, {"widths": [20000, 20000, 20000]}, {"widths": [4, 6, 2**62]}],
)
def test_a_header_of_a_huge_network_is_refused_before_anything_is_built(weight_file, changes, monkeypatch):
    """The only network that is made is on the meta device, where tensors have no memory."""
    rewrite(weight_file, network=json.dumps({**NETWORK, **changes}))
    made = []
    convolution = torch.nn.Conv2d.__init__

    def build(self, *args, **kwargs) -> None:
        convolution(self, *args, **kwargs)
        made.append(self.weight.device.type)

    monkeypatch.setattr(torch.nn.Conv2d, "__init__", build)
    message(weight_file)
    assert set(made) <= {"meta"} and len(made) < 20


def test_entries_of_other_programs_do_not_matter(weight_file, model):
    rewrite(weight_file, comment="not JSON")
    assert load_weights(weight_file).catalogue == model.catalogue


def replace_tensor(file, name: str, tensor: torch.Tensor) -> None:
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    save_file({**load_file(file), name: tensor}, file, metadata)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["table", "down.0.weight", "up.2.weight"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_one_number_that_is_none_is_refused(weight_file, name, value, dtype):
    tensor = load_file(weight_file)[name].to(dtype)
    tensor.view(-1)[-1] = value
    replace_tensor(weight_file, name, tensor)
    assert f"the tensor {name} holds NaN or infinite numbers" in message(weight_file)


def test_a_double_that_no_float_holds_is_refused(weight_file):
    replace_tensor(weight_file, "table", load_file(weight_file)["table"].double() * 1e300)
    assert "infinite" in message(weight_file)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_tensors_of_another_type_are_refused(weight_file, dtype):
    replace_tensor(weight_file, "table", torch.ones_like(load_file(weight_file)["table"]).to(dtype))
    assert "not a floating-point one" in message(weight_file)


def test_extra_missing_and_misshapen_tensors_are_refused(weight_file):
    with safe_open(weight_file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(weight_file)
    save_file({**tensors, "extra": torch.zeros(1)}, weight_file, metadata)
    assert "the tensor 'extra' does not belong" in message(weight_file)
    save_file({name: value for name, value in tensors.items() if name != "table"}, weight_file, metadata)
    assert "the tensor table is missing" in message(weight_file)
    save_file({**tensors, "table": tensors["table"].T.contiguous()}, weight_file, metadata)
    assert "the tensor table has the shape" in message(weight_file)
    save_file({**tensors, "table": torch.zeros(4, 0)}, weight_file, metadata)
    assert "the tensor table has the shape (4, 0)" in message(weight_file)


@pytest.mark.parametrize(
    "spoil, expected",
    [
        (lambda model: model.network.table.data[2].fill_(float("nan")), "the tensor table holds NaN"),
        (lambda model: model.catalogue.append(Style("new")), "its header implies"),
        (lambda model: model.catalogue.reverse(), "starts with photo"),
        (lambda model: model.training.update(painters=[]), "`painters`"),
        (lambda model: model.training.update(file=Path("a")), "cannot be JSON"),
        (lambda model: model.training.update(me=model.training), "cannot be JSON"),
        (lambda model: model.training.update(text="\ud800"), "cannot be JSON"),
        (lambda model: model.network.table.__setattr__("data", torch.ones(4, 94).long()), "not a floating-point one"),
    ],
)
def test_what_could_not_be_loaded_is_not_written(model, tmp_path, spoil, expected):
    spoil(model)
    with pytest.raises(WeightsError) as raised:
        save_weights(tmp_path / "out.safetensors", model)
    assert expected in str(raised.value) and "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"cannot write {tmp_path / 'out.safetensors'}") and not list(tmp_path.iterdir())


def test_a_file_that_does_not_fit_in_memory_is_one_line(weight_file, monkeypatch):
    def ask_for_too_much(name, tensor):
        torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr("multistyle.tensor_file._as_float32", ask_for_too_much)
    assert "does not fit in memory" in message(weight_file)


def test_paths_may_be_text(model, tmp_path):
    save_weights(str(tmp_path / "out.safetensors"), model)
    assert load_weights(str(tmp_path / "out.safetensors")).catalogue == model.catalogue


@pytest.mark.parametrize("names", [["starry", "photo"], ["photo", "starry", "starry"], ["photo"], []])
def test_a_catalogue_starts_with_photo_and_names_each_row_once(network, names):
    with pytest.raises(WeightsError):
        Model(network, [Style(name) for name in names])


@pytest.mark.parametrize("training", [None, [], {"painters": None}, {"painters": {"starry": []}}])
def test_facts_are_objects(network, training):
    with pytest.raises(WeightsError, match="JSON object"):
        Model(network, [Style(name) for name in ("photo", "starry", "scream", "wave")], training)


def test_a_name_with_signs_of_a_mix_is_no_style_name():
    with pytest.raises(WeightsError, match="not a style name"):
        Style("starry=1")
