import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from multistyle.image import read_image, write_image
from train.config import TrainConfig
from train.features import load_loss_network
from train.gatys import optimise
from train.objective import Objective


@pytest.fixture
def vgg(tmp_path, random_vgg) -> Path:
    save_file(random_vgg((4, 6, 8, 8, 8)), tmp_path / "vgg.safetensors")
    return tmp_path / "vgg.safetensors"


def test_every_iteration_lowers_the_loss_and_stays_a_picture(vgg):
    objective = Objective(TrainConfig(), load_loss_network([vgg]), [torch.rand(3, 48, 48)])
    photo, blend = torch.rand(1, 3, 32, 32), torch.tensor([[0.0, 1.0]])
    start = objective(photo, photo, blend).total.item()
    found = [(picture, losses.total.item()) for picture, losses in optimise(objective, photo, blend, 12)]
    totals = [total for _, total in found]
    assert len(totals) == 12 and totals[-1] < 0.5 * start
    assert all(later <= earlier * 1.001 for earlier, later in zip([start, *totals], totals))
    assert all(0 <= picture.min() and picture.max() <= 1 for picture, _ in found)


def test_it_ends_where_nothing_can_be_lowered(vgg):
    """Photo's own style and content, without total variation: the photo is the optimum."""
    objective = Objective(TrainConfig(variation_weight=0.0), load_loss_network([vgg]), [torch.rand(3, 48, 48)])
    photo = torch.rand(1, 3, 32, 32)
    assert list(optimise(objective, photo, torch.tensor([[1.0, 0.0]]), 5)) == []


def test_the_command_paints_one_photo(vgg, tmp_path):
    for name in ("photo", "painting"):
        write_image(tmp_path / f"{name}.png", torch.rand(3, 40, 60))
    (tmp_path / "c.toml").write_text("style_size = 64")
    paths = [tmp_path / name for name in ("photo.png", "painting.png")]
    options = [
        "-o",
        tmp_path / "out.png",
        "--steps",
        3,
        "--size",
        48,
        "--config",
        tmp_path / "c.toml",
        "--features",
        vgg,
    ]
    command = [sys.executable, "-m", "train", "gatys", *paths, *options]
    done = subprocess.run([*map(str, command)], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0 and "step 3/3" in done.stderr, done.stderr
    assert read_image(tmp_path / "out.png").shape == (3, 32, 48)
