"""The blends that are trained: which painters each sample is painted in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from multistyle.errors import suggestion
from multistyle.network import PHOTO
from multistyle.weights import Style

from .config import ConfigError


def draw_odds(styles: Sequence[Style], favoured: Sequence[str]) -> Tensor:
    """How often each row of the table, photo first, is drawn: 1 for each, 2 for the `favoured` painters.

    Raises `ConfigError` for a favoured painter that is not one of `styles`.
    """
    names = [style.name for style in styles]
    for name in favoured:
        if name not in names:
            raise ConfigError(f"favoured names {name!r}, which is not among the painters; {suggestion(name, names)}")
    return torch.tensor([1.0, *(1.0 + (name in favoured) for name in names)])


def draw_blends(
    batch: int, styles: int, draws: torch.Generator, kind: str = "mixed", odds: Tensor | None = None
) -> Tensor:
    """Random blends (batch, styles).

    batch: how many; styles: rows of the table, photo and at least one painter; draws: the source of randomness. kind:
    "mixed" covers the whole simplex: about 60 % one painter alone, 20 % a pair, 10 % one painter with photo, 10 % any
    three of painters and photo, with uniform shares; "single" is one painter for each sample, as in Dumoulin et al.
    2017. odds: (styles,), how often each row is drawn, relative to the others; None: all equally often.
    """
    odds = torch.ones(styles) if odds is None else odds
    blends = torch.zeros(batch, styles)
    chances = torch.rand(batch, generator=draws) if kind == "mixed" else torch.zeros(batch)
    for row, chance in zip(blends, chances.tolist()):
        painters = 1 + torch.multinomial(odds[1:], min(2, styles - 1), generator=draws)
        if chance < 0.6:
            chosen = painters[:1]
        elif chance < 0.8:
            chosen = painters[:2]
        elif chance < 0.9:
            chosen = torch.cat([painters[:1], torch.tensor([PHOTO])])
        else:
            chosen = torch.multinomial(odds, min(3, styles), generator=draws)
        shares = -torch.rand(len(chosen), generator=draws).clamp_min(1e-6).log()
        row[chosen] = shares / shares.sum()
    return blends
