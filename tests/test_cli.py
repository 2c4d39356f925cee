import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from multistyle.cartridge import append_style, export_style, remove_style, save_cartridge
from multistyle.cli import app
from multistyle.cli.options import split_region
from multistyle.fast_network import FastNetwork
from multistyle.image import read_image, write_image
from multistyle.stylizer import Stylizer
from multistyle.weights import Style, save_weights


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


def test_a_region_has_its_own_stroke(run, photo, tmp_path, monkeypatch):
    monkeypatch.setattr("multistyle.strokes.BASE", 40)
    write_image(tmp_path / "mask.png", torch.ones(3, 4, 4))
    paintings = []
    for stroke, region in ((2, ""), (1, "wave@2"), (1, "wave")):
        given = ["--region", f"{tmp_path}/mask.png={region}"] if region else []
        options = ("--mix", "wave", "--stroke", stroke, *given)
        assert run("stylize", photo, "-o", tmp_path / "out.png", *options).exit_code == 0
        paintings.append(read_image(tmp_path / "out.png"))
    assert torch.equal(paintings[0], paintings[1]) and not torch.equal(paintings[1], paintings[2])


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
        (["--region", "mask.png=wave@"], "a stroke is auto, off, or a number"),
        (["--region", "mask.png=wave@broad"], "not 'broad'"),
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
        (photo, "-o", photo): "it is an input",
        (photo, "-o", f"{tmp_path}/"): "it is an input",
        (photo, "-o", ""): "the name of the output is empty",
        ("", "-o", f"{tmp_path}/out/"): "is a folder, not a picture",
        (photo, photo, "-o", f"{tmp_path}/out/"): "rename one",
        (photo, "-o", tmp_path / "out.xyz"): "should end in one of",
        (photo, "-o", tmp_path / "none" / "out.png"): "there is no folder",
        (photo, other / "photo.png", "-o", tmp_path / "out"): "rename one",
        (photo, tmp_path / "b.jpg", "-o", tmp_path / "file"): "there is a file of that name",
        (photo, "-o", f"{tmp_path}/file/inner/"): "cannot make the folder",
        (photo, tmp_path / "b.jpg", "-o", tmp_path / "out.png"): "names a picture; give NAME/",
        (photo, tmp_path / "b.jpg", "-o", tmp_path / "out.GIF"): "names a picture; give NAME/",
        (photo, "-o", tmp_path / ("n" * 300 + ".png")): "name too long",
    }.items():
        before = photo.read_bytes()
        result = run("stylize", *arguments)
        assert result.exit_code == 2 and message in one_line(result)
        assert photo.read_bytes() == before and not (tmp_path / "out").exists() and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_output_is_never_a_mask_a_weight_file_or_a_style(run, photo, model, weight_file, tmp_path, link):
    save_cartridge(tmp_path / "own.style", export_style(model, "wave"))
    save_weights(weight_file, remove_style(model, "wave"))
    write_image(tmp_path / "mask.png", torch.rand(3, 8, 8))
    for name in ("mask.png", "own.style"):
        link(tmp_path / name, tmp_path / f"{name}.png")
    for name in ("w.png", "w.gif", "w.onnx"):
        link(weight_file, tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments in (
        ("stylize", photo, "-o", tmp_path / "mask.png", "--region", f"{tmp_path}/mask.png=photo"),
        ("stylize", photo, "-o", tmp_path / "mask.png.png", "--region", f"{tmp_path}/mask.png=photo"),
        ("stylize", photo, "-o", tmp_path / "own.style.png", "--style-file", tmp_path / "own.style"),
        ("stylize", photo, "-o", tmp_path / "w.png"),
        ("sequence", photo, tmp_path / "w.gif", "--from", "photo", "--to", "starry", "--frames", 2),
        ("sheet", photo, tmp_path / "w.png"),
        ("export", tmp_path / "w.onnx"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2 and "it is an input" in one_line(result), result.output
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_several_photos_whose_paintings_would_share_a_name(run, photo, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.gif")
    assert run("stylize", tmp_path / "photo.gif", photo, "-o", tmp_path / "out").exit_code == 0
    assert read_image(tmp_path / "out" / "photo.png").shape == (3, 20, 30)
    assert read_image(tmp_path / "out" / "photo.gif.png").shape == (3, 9, 9)


@pytest.mark.parametrize(
    "error, text",
    [
        (MemoryError(), "do not fit in the memory of cpu; ask for a smaller size"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (ZeroDivisionError("one\ntwo"), "ZeroDivisionError: one"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_whatever_goes_wrong_with_a_photo_is_its_failure(run, photo, tmp_path, monkeypatch, error, text):
    paint = FastNetwork.forward

    def fail(self, images, *rest):
        if images.shape[3] < 28:
            raise error
        return paint(self, images, *rest)

    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    monkeypatch.setattr(FastNetwork, "forward", fail)
    result = run("stylize", tmp_path / "a.png", photo, "-o", tmp_path / "out")
    lines = result.stderr.splitlines()
    assert result.exit_code == 1 and f"cannot paint {tmp_path}/a.png: " in lines[0] and len(lines) == 2
    assert lines[0].endswith(text)
    assert (tmp_path / "out" / "photo.png").is_file()


def test_a_photo_whose_name_is_not_utf_8(run, tmp_path):
    name = os.fsdecode(b"\xff[b]\x1b[31m\n.png")
    write_image(tmp_path / name, torch.rand(3, 8, 8))
    write_image(tmp_path / "mask\udcff.png", torch.ones(3, 8, 8))
    result = run("stylize", tmp_path / name, "-o", f"{tmp_path}/out/", "--region", f"{tmp_path}/mask\udcff.png=wave")
    assert result.exit_code == 0 and (tmp_path / "out" / name).is_file(), result.output
    assert "\\udcff[b]\\x1b[31m\\n.png  8 x 8" in result.stdout and result.stdout.count("\n") == 2


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


def test_python_dash_m_is_the_same_command_and_help_does_not_wait_for_torch(program):
    done = program("help_without_torch")
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


def test_metadata_is_kept_unless_it_is_stripped(run, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    Image.new("RGB", (16, 12), (200, 90, 20)).save(tmp_path / "in.jpg", exif=exif)
    for options, kept in (((), "Camera"), (("--strip-metadata",), None)):
        assert run("stylize", tmp_path / "in.jpg", "-o", tmp_path / "out.jpg", *options).exit_code == 0
        assert run("folder", *two_folders(tmp_path), *options).exit_code == 0
        for path in (tmp_path / "out.jpg", tmp_path / "painted" / "in.jpg"):
            with Image.open(path) as written:
                assert written.getexif().get(0x010F) == kept, path


def two_folders(tmp_path):
    """A folder with in.jpg alone, and an output folder that is not there."""
    shutil.rmtree(tmp_path / "painted", ignore_errors=True)
    (tmp_path / "photos").mkdir(exist_ok=True)
    shutil.copy(tmp_path / "in.jpg", tmp_path / "photos")
    return tmp_path / "photos", tmp_path / "painted"


def test_an_animation_says_that_its_first_frame_is_painted(run, tmp_path):
    colours = [Image.new("RGB", (12, 12), colour) for colour in ("red", "green", "blue")]
    colours[0].save(tmp_path / "in.gif", save_all=True, append_images=colours[1:])
    result = run("stylize", tmp_path / "in.gif", "-o", tmp_path / "out.png")
    assert result.exit_code == 0 and "the first of its 3 frames is painted; multistyle video" in result.stderr
    colours[0].save(tmp_path / "still.gif")
    assert "frames" not in run("stylize", tmp_path / "still.gif", "-o", tmp_path / "out.png").stderr


def test_the_name_of_a_mask_may_have_an_equals_sign(tmp_path):
    (tmp_path / "a=1.png").touch()
    assert split_region(f"{tmp_path}/a=1.png=starry=2,wave=1") == (tmp_path / "a=1.png", "starry=2,wave=1")
    assert split_region("none.png=starry=2") == (Path("none.png"), "starry=2")


def test_every_command_has_shared_options_in_the_same_words(run):
    words: dict[str, set[str]] = {}
    for command in typer.main.get_command(app).commands.values():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                words.setdefault(parameter.opts[0], set()).add(parameter.help)
    shared = ("--strength", "--region", "--stroke", "--size", "--keep-colors", "--strips", "--style-file", "--weights")
    assert all(len(words[option]) == 1 for option in (*shared, "--device", "--compile", "--estimate"))


def test_style_files_are_listed_and_exported(run, model, tmp_path):
    other = append_style(model, Style("munch", "Sun", "Edvard Munch"), torch.randn_like(model.network.table[0]))
    save_cartridge(tmp_path / "munch.safetensors", export_style(other, "munch"))
    listed = run("styles", "--style-file", tmp_path / "munch.safetensors")
    assert listed.exit_code == 0 and listed.stdout.splitlines()[-1].split() == ["munch", "Edvard", "Munch", "Sun"]
    refused = run("export", tmp_path / "munch.onnx", "--style-file", tmp_path / "none.safetensors")
    assert refused.exit_code == 1 and "none.safetensors" in refused.stderr
