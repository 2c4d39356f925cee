"""How tests compare numbers that another processor, thread count or version of PyTorch rounds otherwise."""

from __future__ import annotations

import torch
from torch import Tensor


def relative_distance(found: Tensor, expected: Tensor) -> float:
    """The norm of found - expected over the norm of expected: one number for tensors of one shape.

    NaN where either holds a NaN, so that no comparison with it is true.
    """
    assert found.shape == expected.shape, f"shape {tuple(found.shape)}, not {tuple(expected.shape)}"
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))
