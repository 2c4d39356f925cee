"""The painters of a stylizer: all its styles but photo."""

from __future__ import annotations

from torch import Tensor

from multistyle.network import PHOTO
from multistyle.stylizer import Stylizer


def painters(stylizer: Stylizer) -> list[str]:
    """The names of all styles but photo, in the order of the catalogue."""
    return stylizer.names[PHOTO + 1 :]


def equal_mix(stylizer: Stylizer, count: int) -> Tensor:
    """A blend (S,) of the first `count` painters in equal parts."""
    chosen = painters(stylizer)[:count]
    return stylizer.blend(dict.fromkeys(chosen, 1 / len(chosen)))
