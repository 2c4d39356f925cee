import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import multistyle
from multistyle.cartridge import (
    append_style,
    export_style,
    import_style,
    load_cartridge,
    network_fingerprint,
    remove_style,
    rename_style,
    save_cartridge,
)
from multistyle.cli import app
from multistyle.errors import WeightsError
from multistyle.image import read_image, write_image
from multistyle.stylizer import Stylizer, load_stylizer
from multistyle.weights import Model, Style, load_weights, save_weights


def names(model: Model) -> list[str]:
    return [style.name for style in model.catalogue]


@pytest.fixture
def cartridge_file(model, tmp_path):
    """The style "scream" of the model, under another name so that the model can take it in again."""
    cartridge = export_style(model, "scream")
    file = tmp_path / "munch.safetensors"
    save_cartridge(file, replace(cartridge, style=Style("munch", artist="Edvard Munch"), training={"style": 0.5}))
    return file


def test_an_appended_style_leaves_the_old_ones_bit_identical(model):
    row, photo = torch.randn_like(model.network.table[0]), torch.rand(3, 12, 16)
    grown = append_style(model, Style("new"), row, {"style": 0.25})
    assert names(grown) == [*names(model), "new"] and grown.training["painters"]["new"] == {"style": 0.25}
    assert torch.equal(grown.network.table, torch.cat([model.network.table, row[None]]))
    before, after = Stylizer(model, "cpu"), Stylizer(grown, "cpu")
    for name in names(model):
        assert torch.equal(before(photo, name), after(photo, name)), name
    assert not torch.equal(after(photo, "new"), after(photo, "starry")) and names(model) == before.names


def test_a_style_comes_back_from_its_file_bit_for_bit(model, tmp_path):
    cartridge = export_style(model, "starry")
    save_cartridge(tmp_path / "s.safetensors", cartridge)
    back = load_cartridge(tmp_path / "s.safetensors")
    assert back.style == model.catalogue[1] and back.fingerprint == network_fingerprint(model.network)
    restored = import_style(remove_style(model, "starry"), back)
    assert names(restored) == ["photo", "scream", "wave", "starry"]
    photo = torch.rand(3, 12, 16)
    assert torch.equal(Stylizer(restored, "cpu")(photo, "starry"), Stylizer(model, "cpu")(photo, "starry"))


def test_facts_of_a_painter_move_with_it(model, cartridge_file):
    grown = import_style(model, load_cartridge(cartridge_file))
    assert grown.training == {"steps": 1, "painters": {"munch": {"style": 0.5}}}
    renamed = rename_style(grown, "munch", "edvard")
    assert names(renamed)[-1] == "edvard" and renamed.catalogue[-1].artist == "Edvard Munch"
    assert renamed.training["painters"] == {"edvard": {"style": 0.5}}
    assert torch.equal(renamed.network.table, grown.network.table)
    assert remove_style(renamed, "edvard").training["painters"] == {}
    assert torch.equal(remove_style(grown, "scream").network.table[2:], grown.network.table[3:])


def test_a_fingerprint_tells_networks_apart_and_not_tables(model):
    before = network_fingerprint(model.network)
    assert network_fingerprint(remove_style(model, "wave").network) == before
    other = remove_style(model, "wave").network
    other.blocks[0].weight.data[0, 0, 0, 0] += 1e-3
    assert network_fingerprint(other) != before
    other = rename_style(model, "wave", "sea").network
    other.config = replace(other.config, upsampling="nearest")
    assert network_fingerprint(other) != before


def test_a_cartridge_of_another_network_is_refused(model, cartridge_file, tmp_path):
    model.network.down[0].weight.data.mul_(2)
    save_weights(tmp_path / "other.safetensors", model)
    with pytest.raises(WeightsError, match="munch.safetensors: the style munch was made for another network"):
        load_stylizer(tmp_path / "other.safetensors", "cpu", style_files=[cartridge_file])


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda model: append_style(model, Style("wave"), model.network.table[1]), "a style named wave already"),
        (lambda model: append_style(model, Style("new"), torch.ones(3)), "has .* numbers"),
        (lambda model: rename_style(model, "wave", "scream"), "a style named scream already"),
        (lambda model: rename_style(model, "wave", "photo"), "choose another name"),
        (lambda model: rename_style(model, "wave", "a=b"), "is not a style name"),
        (lambda model: rename_style(model, "photo", "new"), "cannot be removed, renamed or exported"),
        (lambda model: rename_style(model, "scram", "new"), "unknown style 'scram'; did you mean scream"),
        (lambda model: remove_style(model, "photo"), "cannot be removed"),
        (lambda model: remove_style(model, "wav"), "did you mean wave"),
        (lambda model: export_style(model, "photo"), "cannot be removed, renamed or exported"),
        (lambda model: export_style(model, "stary"), "did you mean starry"),
        (lambda model: remove_style(remove_style(remove_style(model, "wave"), "scream"), "starry"), "the only painter"),
    ],
)
def test_edits_that_make_no_sense_are_refused(model, edit, message):
    with pytest.raises(WeightsError, match=message) as raised:
        edit(model)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "changes, tensors, message",
    [
        ({"format_version": "2"}, {}, "upgrade multistyle"),
        ({"format": "other"}, {}, "not a style file of multistyle"),
        ({"format": "multistyle"}, {}, "not a style file"),
        ({"style": json.dumps({"name": "a=b"})}, {}, "not a style name"),
        ({"style": json.dumps({"name": "photo"})}, {}, "cannot be a style's name"),
        ({"style": json.dumps({"name": "a", "title": "x" * 501})}, {}, "at most 500 characters"),
        ({"style": json.dumps({"name": "a", "title": "one\ntwo"})}, {}, "one line"),
        ({"style": json.dumps({"name": "a", "year": 1889})}, {}, "year of a style is text, not int"),
        ({"style": json.dumps(["a"])}, {}, "should be a JSON object"),
        ({"style": "[" * 100_000}, {}, "not JSON"),
        ({"training": "[]"}, {}, "should be a JSON object"),
        ({"fingerprint": None}, {}, "no entry 'fingerprint'"),
        ({"fingerprint": '"12"'}, {}, "64 hexadecimal digits"),
        ({"fingerprint": "12"}, {}, "should be a text"),
        ({}, {"row": torch.tensor([1.0, float("nan")])}, "NaN"),
        ({}, {"row": torch.tensor([1.0, float("-inf")])}, "NaN or infinite"),
        ({}, {"row": torch.ones(2, dtype=torch.int32)}, "type I32"),
        ({}, {"row": torch.ones(2, dtype=torch.bool)}, "type BOOL"),
        ({}, {"row": torch.ones(2, 2)}, "of one dimension"),
        ({}, {"more": torch.ones(2)}, "one tensor"),
    ],
)
def test_wrong_style_files_are_told_apart(cartridge_file, changes, tensors, message):
    with safe_open(cartridge_file, framework="pt") as opened:
        header = {key: value for key, value in {**opened.metadata(), **changes}.items() if value is not None}
    save_file({**load_file(cartridge_file), **tensors}, cartridge_file, header)
    with pytest.raises(WeightsError, match=message) as raised:
        load_cartridge(cartridge_file)
    assert str(cartridge_file) in str(raised.value) and "\n" not in str(raised.value)


def test_damaged_and_missing_style_files_are_named(cartridge_file, weight_file):
    with pytest.raises(WeightsError, match="cannot read .*none.safetensors"):
        load_cartridge(cartridge_file.with_name("none.safetensors"))
    with pytest.raises(WeightsError, match="another kind of multistyle file .*, not a style file"):
        load_cartridge(weight_file)
    with pytest.raises(WeightsError, match="another kind of multistyle file .*, not a weight file"):
        load_weights(cartridge_file)
    cartridge_file.write_bytes(cartridge_file.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="is truncated or damaged"):
        load_cartridge(cartridge_file)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"row": torch.tensor([1.0, float("nan")])}, "NaN"),
        ({"row": torch.ones(2, dtype=torch.int64)}, "floating-point tensor of one dimension, not torch.int64"),
        ({"row": torch.ones(2, dtype=torch.complex64)}, "not torch.complex64"),
        ({"row": [1.0, 2.0]}, "not list"),
        ({"fingerprint": "abc"}, "64 hexadecimal digits"),
        ({"training": []}, "JSON object, not list"),
        ({"style": Style("photo")}, "cannot be a style's name"),
    ],
)
def test_a_cartridge_is_checked_when_it_is_made(model, changes, message):
    cartridge = export_style(model, "wave")
    with pytest.raises(WeightsError, match=message):
        replace(cartridge, **changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_is_not_appended(model, value):
    with pytest.raises(WeightsError, match="NaN or infinite"):
        append_style(model, Style("new"), torch.full_like(model.network.table[1], value))


def test_stylize_paints_with_a_style_file_in_passing(weight_file, cartridge_file, tmp_path):
    write_image(tmp_path / "photo.png", torch.rand(3, 12, 16))
    common = ["stylize", tmp_path / "photo.png", "--weights", weight_file, "--device", "cpu"]

    def painted(*options) -> torch.Tensor:
        result = CliRunner().invoke(app, [*map(str, [*common, "-o", tmp_path / "o.png", *options])])
        assert result.exit_code == 0, result.output
        return read_image(tmp_path / "o.png")

    scream = painted("--mix", "scream")
    assert torch.equal(painted("--style-file", cartridge_file), scream)
    mixed = painted("--style-file", cartridge_file, "--mix", "munch=1,scream=1")
    assert (mixed - scream).abs().max() <= 1.1 / 255, "the same style twice is that style"
    assert not torch.equal(painted("--style-file", cartridge_file, "--mix", "wave"), scream)


def test_a_wrong_style_file_ends_the_command_in_one_line(weight_file, tmp_path):
    write_image(tmp_path / "photo.png", torch.rand(3, 12, 16))
    arguments = ["stylize", tmp_path / "photo.png", "-o", tmp_path / "o.png", "--weights", weight_file]
    result = CliRunner().invoke(app, [*map(str, [*arguments, "--style-file", weight_file])])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and "not a style file" in result.stderr


def test_the_python_door_takes_style_files_too(weight_file, cartridge_file):
    stylizer = multistyle.load_stylizer(weight_file, "cpu", style_files=[cartridge_file])
    photo = torch.rand(3, 12, 16)
    assert stylizer.one_pass.default == "munch" and stylizer.names[-1] == "munch"
    assert torch.equal(stylizer(photo), stylizer(photo, "scream"))
