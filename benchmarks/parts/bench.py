"""The metrics of the quality benchmark, measured on one model, and the photos for the evaluation.

Each metric is a method of `Bench`. Where a metric is a mean over photos, "deviation over photos" is the standard
deviation, over the photos, of each photo's mean over painters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from multistyle.errors import MultistyleError
from multistyle.one_pass import Carry
from multistyle.strokes import Stroke
from multistyle.stylizer import Stylizer
from train.data import Photos
from train.evaluation import centre_squares
from train.gatys import optimize
from train.losses.objective import Objective
from train.losses.regularizers import hatch_loss
from train.losses.terms import Grams

from .command import progress
from .metrics import border_score, grid_score, layer_normalized, monotonic_steps, nearest_target, shares

SIZE = 256  # px, side of the photos
CALIBRATION_PHOTOS, CALIBRATION_PAIRS, TRIPLES = 2, 12, 12  # few: each pair takes eleven paintings of each photo
OPTIMUM_PAIRS, OPTIMUM_STEPS = 9, 300
SPREAD = "deviation over photos"


class Bench:
    """A model, with the objective and the photos that evaluate it.

    stylizer: the model.
    objective: the one it was trained on.
    photos: (P, 3, 256, 256) in [0, 1], at least two.
    stroke: size of the strokes; photos this small are painted at several scales if it is above 3.125.
    """

    def __init__(self, stylizer: Stylizer, objective: Objective, photos: Tensor, stroke: Stroke = "auto") -> None:
        self.stylizer, self.objective, self.photos = stylizer, objective, photos
        self.paint = partial(stylizer, stroke=stroke)
        self.painters = stylizer.painters

    def losses(self) -> dict[str, Any]:
        """The mean content and style loss, of all painters and of each."""
        content, style = [], []
        for name in progress(self.painters, "losses"):
            found = [self._losses(photo, self._corner(name)) for photo in self.photos]
            content.append([losses[0] for losses in found])
            style.append([losses[1] for losses in found])
        columns = {"content": content, "style": style}
        rows = {
            name: {part: mean(table[index]) for part, table in columns.items()}
            for index, name in enumerate(self.painters)
        }
        spread = {part: spread_over_photos(table) for part, table in columns.items()}
        means = {part: mean(map(mean, table)) for part, table in columns.items()}
        return means | {SPREAD: spread, "painters": rows}

    @torch.no_grad()
    def _losses(self, photo: Tensor, blend: Tensor) -> tuple[float, float]:
        losses = self.objective(self.paint(photo, blend)[None], photo[None], blend[None])
        return losses.content.item(), losses.style.item()

    def separation(self) -> dict[str, Any]:
        """The share of paintings that are nearest to their own painter, of all painters and of each."""
        table = []
        for index, name in enumerate(progress(self.painters, "separation")):
            grams = (self._grams(photo, self._corner(name)) for photo in self.photos)
            found = torch.cat([nearest_target(each, self.objective.targets) for each in grams])
            table.append((found == index).double().tolist())
        rows = dict(zip(self.painters, map(mean, table)))
        means = {"all": mean(rows.values()), SPREAD: spread_over_photos(table), "worst painter": min(rows.values())}
        return means | {"painters": rows}

    def calibration(self) -> dict[str, Any]:
        """Pairs and triples of painters, if there are so many, and each painter against photo, on the first photos."""
        draws, weights = torch.Generator().manual_seed(0), torch.linspace(0, 1, 11)
        steps = torch.stack([1 - weights, weights], dim=1)
        pairs = _drawn(list(itertools.combinations(self.painters, 2)), CALIBRATION_PAIRS, draws)
        found = {"pairs": [self._share_errors(pair, steps) for pair in progress(pairs, "calibration, pairs")]}
        photo = [("photo", name) for name in self.painters]
        found["strength"] = [self._share_errors(pair, steps) for pair in progress(photo, "calibration, strength")]
        triples = []
        for _ in progress(range(TRIPLES if len(self.painters) >= 3 else 0), "calibration, triples"):
            names = _drawn(self.painters, 3, draws)
            points = -torch.rand(4, 3, generator=draws).log()
            triples.append(self._share_errors(names, points / points.sum(1, keepdim=True)))
        found["triples"] = triples
        return {kind: _summary(results, monotonic=kind != "triples") for kind, results in found.items() if results}

    def _share_errors(self, names: Iterable[str], weights: Tensor) -> tuple[Tensor, float]:
        """|share - weight| for weights (T, K) over K styles, of each photo; and the fraction of rising steps."""
        corners = torch.stack([self._corner(name) for name in names])
        errors, monotonic = [], []
        for photo in self.photos[:CALIBRATION_PHOTOS]:
            grams = self._grams(photo, torch.cat([corners, weights @ corners]))
            scales = {layer: gram[: len(corners)].square().mean().sqrt().item() for layer, gram in grams.items()}
            points = layer_normalized(grams, scales)
            obtained = shares(points[len(corners) :], points[: len(corners)])
            errors.append((obtained - weights).abs())
            monotonic.append(monotonic_steps(obtained[:, -1]))
        return torch.stack(errors), mean(monotonic)

    def artifacts(self) -> dict[str, Any]:
        """Grid scores and hatching of the paintings relative to the photos; grids of flat fields; border scores.

        The mean over paintings is divided by the mean over photos: in a mean of ratios, a photo with almost no grid
        would outweigh all others.
        """
        grids, hatches, borders, flats = [], [], [], []
        fields = torch.tensor([0.1, 0.5, 0.9])[:, None, None, None].expand(-1, 3, SIZE, SIZE)
        plain, unpainted = mean(map(grid_score, self.photos)), hatch_loss(self.photos).item()
        for name in progress(self.painters, "artifacts"):
            paintings = [self.paint(photo, name) for photo in self.photos]
            grids.append([grid_score(painting) / plain for painting in paintings])
            hatches.append([hatch_loss(painting[None]).item() / unpainted for painting in paintings])
            borders.append([self._border(photo, name) for photo in self.photos])
            flats += [grid_score(self.paint(field, name)) for field in fields]
        columns = {"grid": grids, "hatch": hatches, "border": borders}
        rows = dict(zip(self.painters, map(mean, grids)))
        return {
            "grid": mean(rows.values()),
            "grid of flat fields": mean(flats),
            "worst painter": max(rows.values()),
            "hatch": mean(map(mean, hatches)),
            "border": mean(map(mean, borders)),
            SPREAD: {part: spread_over_photos(table) for part, table in columns.items()},
            "grids of painters": rows,
        }

    def _border(self, photo: Tensor, name: str) -> float:
        """The border score of a painting of the middle, compared with the middle of a painting of the whole."""
        whole, middle = Carry(), slice(SIZE // 4, -SIZE // 4)
        one_pass, blend = self.stylizer.one_pass, self._corner(name)
        inside = one_pass(photo, blend, partial(one_pass.paint, carry=whole))[:, middle, middle]
        inner = Carry(0.0, whole.statistics)
        return border_score(one_pass(photo[:, middle, middle], blend, partial(one_pass.paint, carry=inner)), inside)

    def stability(self) -> dict[str, Any]:
        """Mean change of the painting relative to the mean change of the photo, for a shift and for noise."""
        draws = torch.Generator().manual_seed(0)
        shifts, noises = [], []
        for name in progress(self.painters, "stability"):
            shifts.append([self._shift(photo, name) for photo in self.photos])
            noises.append([self._noise(photo, name, draws) for photo in self.photos])
        columns = {"shift by 1 px": shifts, "noise of 2 grey levels": noises}
        spread = {part: spread_over_photos(table) for part, table in columns.items()}
        return {part: mean(map(mean, table)) for part, table in columns.items()} | {SPREAD: spread}

    def _shift(self, photo: Tensor, name: str) -> float:
        painted, moved = self.paint(photo[:, :, :-4], name), self.paint(photo[:, :, 1:-3], name)
        change = (photo[:, :, 1:] - photo[:, :, :-1]).abs().mean()
        return ((painted[:, :, 1:] - moved[:, :, :-1]).abs().mean() / change).item()

    def _noise(self, photo: Tensor, name: str, draws: torch.Generator) -> float:
        noisy = (photo + torch.randn(photo.shape, generator=draws) * 2 / 255).clamp(0, 1)
        change = (noisy - photo).abs().mean()
        return ((self.paint(noisy, name) - self.paint(photo, name)).abs().mean() / change).item()

    def optimum(self) -> dict[str, Any]:
        """Iterations of L-BFGS until the objective reaches that of one pass; all iterations if it never does."""
        pairs = [
            (self.photos[i % len(self.photos)], self.painters[i * 5 % len(self.painters)]) for i in range(OPTIMUM_PAIRS)
        ]
        rows = [self._optimum(photo, name) for photo, name in progress(pairs, "optimum")]
        iterations = torch.tensor([float(row["iterations"]) for row in rows])
        low, middle, high = iterations.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
        return {"lower quartile": low, "median": middle, "upper quartile": high, "pairs": rows}

    def _optimum(self, photo: Tensor, name: str) -> dict[str, Any]:
        blend = self._corner(name)[None]
        with torch.no_grad():
            goal = self.objective(self.paint(photo, blend), photo[None], blend).total.item()
        needed, reached = OPTIMUM_STEPS, float("inf")
        for step, (_, losses) in enumerate(optimize(self.objective, photo[None], blend, OPTIMUM_STEPS), start=1):
            reached = losses.total.item()
            if reached <= goal:
                needed = step
                break
        return {"painter": name, "iterations": needed, "total": goal, "optimized": reached}

    def _corner(self, name: str) -> Tensor:
        return self.stylizer.blend({name: 1.0})

    def _grams(self, photo: Tensor, blends: Tensor) -> Grams:
        """Grams (B, C, C) of one photo painted in one blend (S,) or in B blends (B, S), one after the other."""
        rows = blends.reshape(-1, blends.shape[-1])
        each = [self.objective.grams(self.paint(photo, blend)[None]) for blend in rows]
        return {layer: torch.cat([grams[layer] for grams in each]) for layer in each[0]}


METRICS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    name: getattr(Bench, name) for name in ("losses", "separation", "calibration", "artifacts", "stability", "optimum")
}


def spread_over_photos(table: Sequence[Sequence[float]]) -> float:
    """The standard deviation, over photos, of the mean over painters; rows are painters, columns photos."""
    return stdev(map(mean, zip(*table, strict=True)))


def _drawn(items: Sequence[Any], count: int, draws: torch.Generator) -> list[Any]:
    return [items[index] for index in torch.randperm(len(items), generator=draws)[:count].tolist()]


def _summary(results: list[tuple[Tensor, float]], monotonic: bool) -> dict[str, float]:
    errors = torch.cat([errors.flatten() for errors, _ in results])
    found = {"mean error": errors.mean().item(), "worst error": errors.max().item()}
    return found | ({"monotonic": mean(steps for _, steps in results)} if monotonic else {})


def read_judges(sources: list[Path], count: int) -> Tensor:
    """Read the central squares (P, 3, 256, 256) of the first `count` photos, or of all if there are fewer.

    Raises `MultistyleError` for fewer than two photos, and for a photo smaller than 256 px.
    """
    photos = Photos(sources, SIZE)
    if len(photos) < 2:
        raise MultistyleError("1 photo is not enough to judge by; give at least 2")
    readable = (photo for photo in map(photos.get, range(len(photos))) if photo is not None)
    chosen = list(itertools.islice(readable, count))
    for photo in chosen:
        if min(photo.shape[1:]) < SIZE:
            raise MultistyleError(f"photos to judge by have at least {SIZE} px a side, not {tuple(photo.shape[1:])}")
    return centre_squares(chosen, SIZE)
