"""Paint half of the pictures of a Ray data set on their way to a training loop: python ray_batches.py PICTURES

Needs `pip install 'multistyle[ray]'`. To paint a data set once and keep the paintings, use `multistyle folder --ray`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import ray
import torch
from torch import Tensor

from multistyle import RandomStyle

SIDE, BATCH = 224, 16
WORKERS = 1  # that paint; leave CPUs for those that read, or the pipeline waits for itself for ever


class Paint:
    """A worker with its own copy of the network."""

    def __init__(self) -> None:
        self.style = RandomStyle(p=0.5)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = torch.from_numpy(batch["image"]).permute(0, 3, 1, 2)
        return {**batch, "image": self.style(images).permute(0, 2, 3, 1).numpy()}


def batches(pictures: str) -> Iterator[Tensor]:
    """Batches (B, SIDE, SIDE, 3) of bytes. pictures: a folder, or a URI that Ray opens."""
    data = ray.data.read_images(pictures, size=(SIDE, SIDE), mode="RGB")
    painted = data.map_batches(Paint, batch_size=BATCH, concurrency=WORKERS)
    for batch in painted.iter_torch_batches(batch_size=BATCH):
        yield batch["image"]


if __name__ == "__main__":
    for images in batches(sys.argv[1]):
        print(tuple(images.shape))  # train here
