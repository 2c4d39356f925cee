import json

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


def test_wrong_files_are_told_apart(weight_file, tmp_path):
    whole = weight_file.read_bytes()

    def message(file) -> str:
        with pytest.raises(WeightsError) as raised:
            load_weights(file)
        assert str(file) in str(raised.value) and "\n" not in str(raised.value)
        return str(raised.value)

    assert "cannot read" in message(tmp_path / "missing.safetensors")
    assert "cannot read" in message(tmp_path)
    for length in (9, 200, len(whole) - 1):
        weight_file.write_bytes(whole[:length])
        assert "is truncated" in message(weight_file)
    for text in (b"", b"PK", b"this is a text file, not a weight file, whatever its name"):
        weight_file.write_bytes(text)
        assert "is no safetensors file" in message(weight_file)
    save_file({"x": torch.zeros(2)}, weight_file)
    assert "not one of multistyle's" in message(weight_file)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"format_version": "2"}, "upgrade multistyle"),
        ({"format_version": "0"}, "cannot be read"),
        ({"format_version": None}, r"\(none\)"),
        ({"network": json.dumps({"widths": [4, 6, 10]})}, "inconsistent"),
        ({"network": json.dumps({"widths": [4, 6, 8], "depth": 3})}, "inconsistent"),
        ({"network": "{"}, "inconsistent"),
        ({"catalogue": json.dumps([{"name": "photo"}, {"name": "starry"}])}, "inconsistent"),
        ({"catalogue": None}, "inconsistent"),
    ],
)
def test_headers_that_do_not_fit_are_refused(weight_file, changes, expected):
    rewrite(weight_file, **changes)
    with pytest.raises(WeightsError, match=expected) as raised:
        load_weights(weight_file)
    assert "\n" not in str(raised.value)


def test_extra_or_missing_tensors_are_refused(weight_file):
    with safe_open(weight_file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(weight_file)
    save_file({**tensors, "extra": torch.zeros(1)}, weight_file, metadata)
    with pytest.raises(WeightsError, match="inconsistent"):
        load_weights(weight_file)
    save_file({name: value for name, value in tensors.items() if name != "table"}, weight_file, metadata)
    with pytest.raises(WeightsError, match="inconsistent"):
        load_weights(weight_file)


@pytest.mark.parametrize("names", [["starry", "photo"], ["photo", "starry", "starry"], ["photo"]])
def test_a_catalogue_starts_with_photo_and_names_each_row_once(network, names):
    with pytest.raises(WeightsError):
        Model(network, [Style(name) for name in names])


def test_a_name_with_signs_of_a_mix_is_no_style_name():
    with pytest.raises(WeightsError, match="no style name"):
        Style("starry=1")
