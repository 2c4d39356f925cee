import json
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from multistyle.cli import app
from multistyle.image import read_image, write_image
from multistyle.stylizer import Stylizer


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.png", torch.rand(3, 20, 30))
    return tmp_path / "photo.png"


@pytest.fixture
def run(weight_file):
    def run(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--weights", str(weight_file)], catch_exceptions=False)

    return run


def one_line(result) -> str:
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_stylize_paints_what_the_library_paints(run, photo, model, tmp_path):
    result = run("stylize", photo, "-o", tmp_path / "out.png", "--mix", "starry=7,scream=3", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "mix starry=0.7,scream=0.3" in result.stdout
    expected = Stylizer(model, "cpu")(read_image(photo), "starry=0.7,scream=0.3")
    assert (read_image(tmp_path / "out.png") - expected).abs().max() <= 0.6 / 255


def test_strength_size_and_default_mix(run, photo, tmp_path):
    result = run("stylize", photo, "-o", tmp_path / "out.png", "--strength", 0.25, "--size", 12)
    assert result.exit_code == 0, result.output
    assert "mix photo=0.75,starry=0.25" in result.stdout
    assert read_image(tmp_path / "out.png").shape == (3, 8, 12)


def test_photo_returns_the_photo(run, photo, tmp_path):
    assert run("stylize", photo, "-o", tmp_path / "out.png", "--mix", "photo").exit_code == 0
    assert torch.equal(read_image(tmp_path / "out.png"), read_image(photo))


def test_several_photos_go_into_a_folder_and_bad_ones_are_listed(run, photo, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    Image.new("RGB", (9, 9)).save(tmp_path / "still.gif")
    folder = tmp_path / "made" / "here"
    result = run("stylize", photo, tmp_path / "bad.jpg", tmp_path / "none.jpg", tmp_path / "still.gif", "-o", folder)
    assert result.exit_code == 1
    assert sorted(path.name for path in folder.iterdir()) == ["photo.png", "still.png"]
    errors = result.stderr.splitlines()
    assert len(errors) == 3 and "bad.jpg" in errors[0] and "none.jpg" in errors[1] and "2 of 4" in errors[2]


def test_a_name_with_a_slash_is_a_folder(run, photo, tmp_path):
    assert run("stylize", photo, "-o", f"{tmp_path}/new/").exit_code == 0
    assert (tmp_path / "new" / "photo.png").is_file()


def test_transparency_is_kept(run, tmp_path):
    Image.new("RGBA", (16, 16), (9, 9, 9, 128)).save(tmp_path / "in.png")
    assert run("stylize", tmp_path / "in.png", "-o", tmp_path / "out.png", "--size", 8).exit_code == 0
    with Image.open(tmp_path / "out.png") as written:
        assert written.mode == "RGBA" and written.size == (8, 8) and written.getpixel((4, 4))[3] == 128


def test_regions_tiles_and_colours_reach_the_painting(run, photo, model, tmp_path):
    write_image(tmp_path / "mask.png", torch.ones(3, 4, 4) * torch.tensor([0.0, 0, 1, 1]))
    region = f"{tmp_path}/mask.png=photo"
    result = run("stylize", photo, "-o", tmp_path / "out.png", "--mix", "wave", "--region", region, "--strips", "64")
    assert result.exit_code == 0 and "mix wave" in result.stdout and "estimated" not in result.stdout, result.output
    before, after = read_image(photo), read_image(tmp_path / "out.png")
    assert torch.equal(before[:, :, 26:], after[:, :, 26:]) and not torch.equal(before[:, :, :4], after[:, :, :4])
    options = ("--keep-colors", "--strips", "64", "--estimate")
    result = run("stylize", photo, "-o", tmp_path / "kept.png", "--mix", "wave", *options)
    assert result.exit_code == 0 and "(in strips, statistics estimated)" in result.stdout


@pytest.mark.parametrize(
    "options, message",
    [
        (["--mix", "stary"], "did you mean starry?"),
        (["--mix", "starry=-1"], "not negative"),
        (["--mix", "starry=inf"], "got inf"),
        (["--mix", "starry=x"], "should be a number"),
        (["--mix", "starry=0"], "all weights are zero"),
        (["--mix", "wave,wave"], "named twice"),
        (["--mix", ""], "NAME=WEIGHT"),
        (["--size", "0"], "at least 1 pixel"),
        (["--strength", "1.5"], "between 0 and 1"),
        (["--strength", "nan"], "between 0 and 1"),
        (["--strips", "3"], "at least 64 pixels"),
        (["--region", "mask.png"], "a region is MASK=MIX"),
        (["--region", "mask.png=stary"], "did you mean starry?"),
        (["--region", "none.png=wave"], "cannot read none.png"),
        (["--device", "cuda:77"], "no device cuda:77"),
        (["--device", "abacus"], "unknown device"),
        (["--precision", "int4"], "unknown precision"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2_and_nothing_is_written(run, photo, tmp_path, options, message):
    result = run("stylize", photo, "-o", tmp_path / "out" / "", *options)
    assert result.exit_code == 2 and message in one_line(result)
    assert not (tmp_path / "out").exists()


def test_impossible_outputs_are_found_before_any_work(run, photo, tmp_path):
    (tmp_path / "file").touch()
    other = tmp_path / "other"
    other.mkdir()
    write_image(other / "photo.png", torch.rand(3, 8, 8))
    for arguments, message in {
        (photo, "-o", photo): "is the photo itself",
        (photo, "-o", f"{tmp_path}/"): "is the photo itself",
        (photo, "-o", tmp_path / "out.xyz"): "should end in one of",
        (photo, "-o", tmp_path / "none" / "out.png"): "there is no folder",
        (photo, other / "photo.png", "-o", tmp_path / "out"): "rename one",
        (photo, other / "photo.png", "-o", tmp_path / "file"): "need a folder",
    }.items():
        before = photo.read_bytes()
        result = run("stylize", *arguments)
        assert result.exit_code == 2 and message in one_line(result)
        assert photo.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_found_before_any_work(run, photo, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    result = run("stylize", photo, "-o", tmp_path / "locked" / "out.png")
    assert result.exit_code == 2 and "not writable" in one_line(result)


def test_damaged_weights_are_exit_1(photo, tmp_path):
    (tmp_path / "w.safetensors").write_text("nothing")
    arguments = ["stylize", str(photo), "-o", str(tmp_path / "o.png"), "--weights", str(tmp_path / "w.safetensors")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "is not a safetensors file" in one_line(result)


def test_styles_lists_the_catalogue(run):
    text = run("styles").stdout
    assert "starry  Vincent van Gogh  The Starry Night, 1889" in text and text.startswith("photo ")
    listed = json.loads(run("styles", "--json").stdout)
    assert listed[1] == {"name": "starry", "artist": "Vincent van Gogh", "title": "The Starry Night", "year": "1889"}


def test_python_dash_m_is_the_same_command_and_help_does_not_wait_for_torch():
    code = (
        "import sys, runpy; sys.argv = ['multistyle', '--help']\n"
        "try: runpy.run_module('multistyle', run_name='__main__')\n"
        "except SystemExit as e: assert not e.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "stylize" in done.stdout and "styles" in done.stdout


@pytest.mark.parametrize(
    "command, rest",
    [("folder", ["--mix", "starry"]), ("sequence", ["--from", "photo", "--to", "starry", "--frames", 2])],
)
def test_compile_reaches_the_network_and_nothing_compiles_without_it(run, photo, tmp_path, monkeypatch, command, rest):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    source = photo.parent if command == "folder" else photo
    for number, (options, expected) in enumerate((([], []), (["--compile"], ["FastNetwork"]))):
        result = run(command, source, f"{tmp_path}-{number}/", *rest, "--device", "cpu", *options)
        assert result.exit_code == 0 and compiled == expected, result.output
