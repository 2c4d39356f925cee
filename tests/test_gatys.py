import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from multistyle.errors import ImageError, MultistyleError
from multistyle.image import read_image, write_image
from train.__main__ import app
from train.config import TrainConfig
from train.gatys import check_size, optimize, parse_paintings
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective


def test_every_iteration_lowers_the_loss_and_stays_a_picture(vgg):
    objective = Objective(TrainConfig(), load_loss_network([vgg]), [torch.rand(3, 48, 48)])
    photo, blend = torch.rand(1, 3, 32, 32), torch.tensor([[0.0, 1.0]])
    start = objective(photo, photo, blend).total.item()
    found = [(picture, losses.total.item()) for picture, losses in optimize(objective, photo, blend, 12)]
    totals = [total for _, total in found]
    assert len(totals) == 12 and totals[-1] < 0.5 * start
    assert all(later <= earlier * 1.001 for earlier, later in zip([start, *totals], totals))
    assert all(0 <= picture.min() and picture.max() <= 1 for picture, _ in found)


def test_it_ends_where_nothing_can_be_lowered(vgg):
    """Photo's own style and content, without total variation: the photo is the optimum."""
    objective = Objective(TrainConfig(variation_weight=0.0), load_loss_network([vgg]), [torch.rand(3, 48, 48)])
    photo = torch.rand(1, 3, 32, 32)
    assert list(optimize(objective, photo, torch.tensor([[1.0, 0.0]]), 5)) == []


def test_adam_lowers_the_loss_too_and_stays_a_picture(vgg):
    objective = Objective(TrainConfig(), load_loss_network([vgg]), [torch.rand(3, 48, 48)])
    photo, blend = torch.rand(1, 3, 32, 32), torch.tensor([[0.0, 1.0]])
    found = list(optimize(objective, photo, blend, 30, "adam"))
    assert len(found) == 30 and found[-1][1].total < 0.7 * objective(photo, photo, blend).total
    assert all(0 <= picture.min() and picture.max() <= 1 for picture, _ in found)


def test_two_paintings_pull_by_their_weights(vgg):
    torch.manual_seed(1)
    paintings = [torch.rand(3, 48, 48) ** 4, torch.rand(3, 48, 48) ** 0.2]  # a dark and a bright one
    objective = Objective(TrainConfig(), load_loss_network([vgg]), paintings)
    photo = torch.rand(1, 3, 32, 32)
    shades = []
    for weights in ("0.9", "0.5", "0.1"):
        _, blend = parse_paintings([f"dark.png={weights}", f"bright.png={1 - float(weights)}"])
        *_, (picture, _) = optimize(objective, photo, blend, 15)
        shades.append(picture.mean())
    assert shades[0] < shades[1] < shades[2]


def test_weights_of_paintings_are_normalized_and_default_to_one(tmp_path):
    files, blend = parse_paintings(["a.jpg=6", "b.jpg=3", "c.jpg"])
    assert [str(file) for file in files] == ["a.jpg", "b.jpg", "c.jpg"]
    torch.testing.assert_close(blend, torch.tensor([[0.0, 0.6, 0.3, 0.1]]))
    odd = tmp_path / "a=b.jpg"
    odd.touch()
    assert parse_paintings([str(odd)])[0] == [odd]
    for text in ("a.jpg=much", "a.jpg=0", "a.jpg=-1", "a.jpg=nan"):
        with pytest.raises(MultistyleError, match="is not a painting with a weight above 0; write FILE"):
            parse_paintings([text])


def paint(vgg: Path, tmp_path: Path, *words: object) -> subprocess.CompletedProcess:
    for name in ("photo", "one", "two"):
        write_image(tmp_path / f"{name}.png", torch.rand(3, 40, 60))
    (tmp_path / "c.toml").write_text("style_size = 48")
    options = ["-o", "out.png", "--steps", 3, "--size", 48, "--config", "c.toml", "--features", vgg]
    command = [sys.executable, "-m", "train", "gatys", "photo.png", *words, *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run([*map(str, command)], cwd=tmp_path, env=environment, capture_output=True, text=True)


def test_the_command_paints_one_photo(vgg, tmp_path):
    done = paint(vgg, tmp_path, "one.png=0.7", "two.png=0.3", "--optimizer", "adam", "--preview-steps", 2)
    assert done.returncode == 0 and "step 3/3" in done.stderr and "3 steps in" in done.stderr, done.stderr
    assert read_image(tmp_path / "out.png").shape == (3, 32, 48)


def test_the_command_says_in_one_line_what_is_wrong(vgg, tmp_path):
    done = paint(vgg, tmp_path, "one.png", "--optimizer", "adm")
    assert done.returncode == 1 and done.stderr == "error: unknown optimizer 'adm'; did you mean adam?\n"


@pytest.fixture
def pictures(vgg, tmp_path, monkeypatch) -> Path:
    """The folder, made the current one, with a photo, a painting, a loss network and a recipe."""
    for name in ("photo", "one"):
        write_image(tmp_path / f"{name}.png", torch.rand(3, 40, 60))
    (tmp_path / "c.toml").write_text("style_size = 48")
    (tmp_path / "link.png").symlink_to("photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*words: object):
    options = ["--config", "c.toml", "--features", "vgg.safetensors", "--size", 48, "--device", "cpu"]
    return CliRunner().invoke(app, [*map(str, ["gatys", "photo.png", "one.png=0.5", *options, *words])])


@pytest.mark.parametrize("output", ["photo.png", "one.png", "link.png", "./photo.png"])
def test_the_command_never_replaces_what_it_reads(pictures, output):
    before = (pictures / output).read_bytes()
    result = invoke("-o", output, "--steps", 1)
    assert isinstance(result.exception, ImageError) and "it is an input" in str(result.exception)
    assert (pictures / output).read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_writes_the_picture(pictures, monkeypatch, number):
    def signalling(*arguments):
        for step, found in enumerate(optimize(*arguments), start=1):
            if step == 2:
                os.kill(os.getpid(), number)
            yield found

    monkeypatch.setattr("train.gatys.optimize", signalling)
    result = invoke("-o", "out.png", "--steps", 100)
    assert result.exit_code == 130 and "out.png: 2 steps in" in result.stderr
    assert read_image(pictures / "out.png").shape == (3, 32, 48)


def test_a_picture_too_narrow_for_the_loss_network_is_one_line(pictures):
    write_image(pictures / "photo.png", torch.rand(3, 20, 100))
    done = invoke("-o", "out.png", "--size", 64)
    assert isinstance(done.exception, MultistyleError) and "64 x 13 px are too narrow" in str(done.exception)


def test_a_size_beyond_the_memory_is_refused_before_any_work(pictures):
    result = invoke("-o", "out.png", "--size", 1_000_000)
    assert isinstance(result.exception, MultistyleError) and "use a smaller --size" in str(result.exception)
    assert "\n" not in str(result.exception) and not (pictures / "out.png").exists()


def test_memory_is_counted_by_the_pixel(vgg, monkeypatch):
    """relu1_1 alone: its 4 channels, kept once, the image, its two differences and little more."""
    config = TrainConfig(style_layers=("relu1_1",), content_layer="relu1_1")
    objective = Objective(config, load_loss_network([vgg]), [torch.rand(3, 48, 48)])
    cpu = torch.device("cpu")
    monkeypatch.setattr("train.gatys.free_memory", lambda device: 1000 * 1000 * 4 * 4)
    with pytest.raises(MultistyleError, match="1000 x 1000 px"):
        check_size(objective, 1000, 1000, cpu)
    monkeypatch.setattr("train.gatys.free_memory", lambda device: 1000 * 1000 * 4 * 60)
    check_size(objective, 1000, 1000, cpu)


@pytest.mark.parametrize("which", ["photo.png", "one.png", "c.toml", "vgg.safetensors"])
def test_a_pipe_is_refused_at_once(pictures, which):
    (pictures / which).unlink()
    os.mkfifo(pictures / which)
    result = invoke("-o", "out.png", "--steps", 1)
    assert isinstance(result.exception, MultistyleError) and "pipe or a device" in str(result.exception)
