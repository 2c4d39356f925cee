"""Standard input and output, templates, JSON, version and completion."""

import io
import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from multistyle import __version__
from multistyle.cli import app
from multistyle.image import read_image, write_image
from multistyle.stylizer import Stylizer


@pytest.fixture
def pipe(weight_file):
    """A function that runs `multistyle stylize` with bytes at standard input."""

    def pipe(data: bytes, *arguments):
        command = ["stylize", *map(str, arguments), "--weights", str(weight_file)]
        return CliRunner().invoke(app, command, input=data, catch_exceptions=False)

    return pipe


def one_line(result) -> str:
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_a_picture_goes_through_standard_input_and_output(pipe, photo, model):
    done = pipe(photo.read_bytes(), "-", "-o", "-", "--mix", "wave")
    assert done.exit_code == 0 and done.stderr.splitlines() == ["mix wave=1", "standard output  30 x 20"], done.stderr
    painted = read_image(io.BytesIO(done.stdout_bytes))
    assert done.stdout_bytes.startswith(b"\x89PNG")
    assert (painted - Stylizer(model, "cpu")(read_image(photo), "wave")).abs().max() <= 0.6 / 255


@pytest.mark.parametrize("format, kind", [("jpeg", "JPEG"), ("JPG", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_the_format_of_standard_output_can_be_chosen(pipe, photo, format, kind):
    done = pipe(b"", photo, "-o", "-", "--format", format)
    assert done.exit_code == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout_bytes)) as painted:
        assert painted.format == kind and painted.size == (30, 20)


def test_the_format_is_that_of_the_photo_by_default(pipe, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.webp")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.gif")
    for name, kind in (("a.webp", "WEBP"), ("a.gif", "PNG")):
        done = pipe((tmp_path / name).read_bytes(), "-", "-o", "-")
        with Image.open(io.BytesIO(done.stdout_bytes)) as painted:
            assert painted.format == kind


def test_standard_input_goes_into_a_file_a_folder_or_a_template(pipe, photo, tmp_path):
    for output, made in (("a.jpg", "a.jpg"), ("out/", "out/stdin.png"), ("{stem}_{mix}.png", "stdin_wave=1.png")):
        assert pipe(photo.read_bytes(), "-", photo, "-o", tmp_path / "both").exit_code == 0
        done = pipe(photo.read_bytes(), "-", "-o", f"{tmp_path}/{output}", "--mix", "wave")
        assert done.exit_code == 0 and (tmp_path / made).is_file(), done.stderr
    assert {path.name for path in (tmp_path / "both").iterdir()} == {"stdin.png", "photo.png"}


@pytest.mark.parametrize(
    "data, message",
    [(b"", "standard input is empty"), (b"no picture", "standard input is not"), (b"\x89PNG", "standard input")],
)
def test_a_broken_picture_at_standard_input_is_one_line_and_nothing_is_written(pipe, data, message):
    done = pipe(data, "-", "-o", "-")
    lines = done.stderr.splitlines()
    assert done.exit_code == 1 and done.stdout_bytes == b"" and len(lines) == 2
    assert lines[1].startswith("error: standard input") and message in lines[1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("-o", "-", "--json"), "--json and -o - both write to standard output"),
        (("b.png", "-o", "-"), "standard output takes one painting, not 2"),
        (("-o", "-", "--format", "gif"), "unknown format 'gif'; use one of avif, bmp, jpeg"),
        (("-o", "a.png", "--format", "png"), "--format is for -o -"),
        (("-o", "{stm}.png"), "unknown field {stm} in the output {stm}.png; use {stem}, {suffix}, {name}, {mix}"),
        (("-o", "{stem.real}.png"), "unknown field {stem.real}"),
        (("-o", "{}.png"), "unknown field {}"),
        (("-o", "{stem:>9}.png"), "unknown field {stem}"),
        (("-o", "{stem.png"), "a brace without its partner"),
        (("-o", "new/{stem}"), "its name should end in one of"),
        (("other/photo.png", "-o", "new/{mix}.png"), "would both be written to new/starry=1.png"),
        (("-o", "{stem}{suffix}"), "it is an input"),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_made(pipe, photo, monkeypatch, arguments, message):
    monkeypatch.chdir(photo.parent)
    done = pipe(b"", "photo.png", *arguments)
    assert done.exit_code == 2 and message in one_line(done)
    assert not os.path.exists("new") and done.stdout_bytes == b""


def test_terminals_are_no_place_for_pictures(pipe, photo, monkeypatch):
    monkeypatch.setattr(sys.modules["multistyle.cli.stylize"], "sys", Terminals())
    assert "standard output is a terminal" in one_line(pipe(b"", photo, "-o", "-"))
    assert "standard input is a terminal" in one_line(pipe(b"", "-", "-o", "a.png"))


class Terminals:
    """In place of `sys`."""

    stdin = stdout = type("Terminal", (), {"isatty": lambda self: True})()


def test_a_template_names_files_and_makes_folders(run, photo, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "still.gif")
    for template, names in {
        "{mix}/{stem}_x{suffix}": {"starry=0.7,scream=0.3/photo_x.png", "starry=0.7,scream=0.3/still_x.png"},
        "deep/er/{name}.jpg": {"deep/er/photo.png.jpg", "deep/er/still.png.jpg"},
        "{{{stem}}}.webp": {"{photo}.webp", "{still}.webp"},
    }.items():
        output = tmp_path / "made"
        done = run("stylize", photo, tmp_path / "still.gif", "-o", f"{output}/{template}", "--mix", "starry=7,scream=3")
        assert done.exit_code == 0, done.stderr
        assert {str(path.relative_to(output)) for path in output.rglob("*.*") if path.is_file()} == names
        output.rename(tmp_path / f"before-{len(template)}")


def test_json_is_one_line_for_each_picture_and_nothing_else(run, photo, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    done = run("stylize", photo, tmp_path / "bad.png", "-o", tmp_path / "out", "--json", "--strips", 64, "--size", 24)
    assert done.exit_code == 1 and "1 of 2 painted" in done.stderr
    good, bad = map(json.loads, done.stdout.splitlines())
    assert good.pop("seconds") >= 0
    assert good == {
        "input": str(photo),
        "output": str(tmp_path / "out" / "photo.png"),
        "size": [24, 16],
        "mix": "starry=1",
        "strips": True,
    }
    assert (
        bad["input"] == str(tmp_path / "bad.png")
        and bad["error"] in done.stderr
        and set(bad)
        == {
            "input",
            "output",
            "error",
        }
    )


def test_bytes_alone_go_through_pipes_of_a_real_process(program, photo, weight_file, tmp_path):
    arguments = ("stylize", "-", "-o", "-", "--format", "jpeg", "--weights", weight_file)
    done = program("multistyle_command", *arguments, redirection=f"<{photo} >{tmp_path}/out.jpg")
    assert done.returncode == 0 and "standard output  30 x 20" in done.stderr, done.stderr
    assert read_image(tmp_path / "out.jpg").shape == (3, 20, 30)
    if os.path.exists("/dev/full"):
        done = program("multistyle_command", *arguments, redirection=f"<{photo} >/dev/full")
        assert done.returncode == 1 and "cannot write standard output" in done.stderr, done.stderr


def test_the_version(run):
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0 and done.stdout == f"multistyle {__version__}\n"


def test_the_shell_completes_commands_and_options(program, monkeypatch):
    for words, expected in (("multistyle sty", {"stylize", "styles"}), ("multistyle stylize --str", {"--strength"})):
        monkeypatch.setenv("_MULTISTYLE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        done = program("multistyle_command")
        assert expected <= set(done.stdout.split()), done.stderr
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).stdout


def test_a_large_picture_at_standard_input_is_held_as_bytes(pipe, photo, monkeypatch):
    monkeypatch.setattr("multistyle.painting.LARGE", 100)
    done = pipe(photo.read_bytes(), "-", "-o", "-", "--mix", "photo")
    assert torch.equal(read_image(io.BytesIO(done.stdout_bytes)), read_image(photo))


def test_a_file_named_like_the_stream_can_be_given_with_its_folder(run, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image("b.png", torch.rand(3, 5, 6))
    os.rename("b.png", "-")
    assert run("stylize", "./-", "-o", "out.png").exit_code == 0 and read_image("out.png").shape == (3, 5, 6)


def test_the_guide_to_scripts_works_as_printed(pipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "photo", "other"):
        write_image(f"{name}.jpg", torch.rand(3, 20, 30))
    guide = (Path(__file__).parents[1] / "docs" / "scripts.md").read_text(encoding="utf-8")
    outputs = []
    for line in re.findall(r"^multistyle stylize (.*)$", guide, re.MULTILINE):
        words = shlex.split(line)
        streams = {sign: words.pop(words.index(sign) + 1) for sign in "<>" if sign in words}
        done = pipe(Path(streams.get("<", os.devnull)).read_bytes(), *(word for word in words if word not in "<>"))
        assert done.exit_code == 0, done.stderr
        outputs.append(done.stdout)
        if ">" in streams:
            Path(streams[">"]).write_bytes(done.stdout_bytes)
    for made in ("painting.jpg", "painting.webp", "paintings/stdin.png", "paintings/starry=0.7,scream=0.3/a.jpg"):
        with Image.open(made) as painted:
            assert painted.format == {".jpg": "JPEG", ".webp": "WEBP", ".png": "PNG"}[Path(made).suffix]
    (printed,) = re.findall(r"^```json\n(.*)\n```$", guide, re.MULTILINE)
    known, found = json.loads(printed), json.loads(outputs[-1])
    assert list(known) == list(found) and all(known[key] == found[key] for key in ("input", "output", "mix", "strips"))
