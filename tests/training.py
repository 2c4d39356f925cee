"""A run small enough for a test."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from train.config import TrainConfig
from train.data import Photos, read_paintings
from train.fit import train_network
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective
from train.trainer import Trainer

ROOT = Path(__file__).parents[1]
CONFIG = TrainConfig(
    style_size=48, photo_size=48, crop=32, batch=2, steps=6, warmup=2, widths=(4, 6, 8), blocks=1, stem=3, head=3
)
TOML = """
style_size = 48
photo_size = 48
crop = 32
batch = %d
steps = %d
warmup = 2
widths = [4, 6, 8]
blocks = 1
stem = 3
head = 3
"""


def make_trainer(material: Path, config: TrainConfig = CONFIG) -> Trainer:
    styles, paintings = read_paintings(material / "styles", config.styles, config.style_size)
    objective = Objective(
        config, load_loss_network([material / "vgg.safetensors"], config.loss_network, config.pooling), paintings
    )
    return Trainer(config, styles, objective, torch.device("cpu"))


def run(material: Path, output: Path, config: TrainConfig = CONFIG) -> Trainer:
    trainer = make_trainer(material, config)
    train_network(trainer, Photos([material / "photos"], config.photo_size), output, {"made": "here"})
    return trainer


def after_step(trainer: Trainer, step: int, action) -> Trainer:
    """The trainer, made to call `action` right after one step."""
    take_step = trainer.step

    def stepping(batch):
        losses = take_step(batch)
        if trainer.done == step:
            action()
        return losses

    trainer.step = stepping
    return trainer


def command(material: Path, steps: int, batch: int = 2) -> list[str]:
    (material / "c.toml").write_text(TOML % (batch, steps))
    paths = {
        "styles": "styles",
        "photos": "photos",
        "config": "c.toml",
        "features": "vgg.safetensors",
        "output": "m.safetensors",
    }
    options = [word for name, path in paths.items() for word in (f"--{name}", str(material / path))]
    return [sys.executable, "-m", "train", "fit", *options, "--device", "cpu"]
