"""Mixes of the painters of a stylizer."""

from __future__ import annotations

from torch import Tensor

from multistyle.stylizer import Stylizer


def equal_mix(stylizer: Stylizer, count: int) -> Tensor:
    """A blend (S,) of the first `count` painters in equal parts."""
    chosen = stylizer.painters[:count]
    return stylizer.blend(dict.fromkeys(chosen, 1 / len(chosen)))
