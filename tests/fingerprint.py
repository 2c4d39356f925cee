"""A small stand-in for a loss network, so that the shipped styles can be told apart without one.

A fingerprint is the correlations of colours and of their gradients at three scales: what Grams see at first layers.
tests/assets/fingerprints.json holds those of the paintings themselves, made by

    python tests/fingerprint.py DIR_OF_PAINTINGS > tests/assets/fingerprints.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 3


def fingerprint(image: Tensor) -> Tensor:
    """(3, H, W) in [0, 1] -> one vector: the upper triangles of the Grams of each scale's features, scale by scale."""
    parts = []
    for _ in range(SCALES):
        inner = image[:, :-1, :-1]
        down, right = image[:, 1:, :-1] - inner, image[:, :-1, 1:] - inner
        edges = torch.cat([down, right]).abs()
        for features in (torch.cat([inner, torch.ones_like(inner[:1])]), edges):
            flat = features.flatten(1)
            rows, columns = torch.triu_indices(len(flat), len(flat))
            parts.append((flat @ flat.T / flat.shape[1])[rows, columns])
        image = F.avg_pool2d(image, 2)
    return torch.cat(parts)


def nearest(prints: Tensor, targets: Tensor) -> Tensor:
    """For each of prints (B, N), the index of the nearest of targets (S, N), every number in units of its spread."""
    spread = targets.std(0, correction=0).clamp_min(1e-3)  # of the constant it is 0
    return torch.cdist(prints / spread, targets / spread).argmin(1)


if __name__ == "__main__":
    from multistyle.messages import tell
    from multistyle.weights import load_weights
    from train.data import read_paintings

    model = load_weights()
    _, paintings = read_paintings(Path(sys.argv[1]), model.painters, model.training["config"]["style_size"])
    rounded = {name: [float(f"{v:.3g}") for v in fingerprint(p).tolist()] for name, p in zip(model.painters, paintings)}
    tell(json.dumps(rounded, indent=None).replace("], ", "],\n"))
