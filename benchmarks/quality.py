"""How good a model's pictures are: python -m benchmarks.quality --photos DIR_OR_TAR --styles DIR --features FILE

Deterministic. Works on centre crops of 256 px of the first photos, and reports, with the objective and the recipe the
model was trained with (read from its header):

- losses: mean content and style loss of one pass, for each painter
- separation: the share of (photo, painter) pairs whose Grams are nearest to their own painter's
- calibration: |share obtained - weight asked| over pairs, triples and strengths, and how monotonic the steps are
- artifacts: grid scores of the paintings over those of the photos, and of flat fields; the same of hatching at any
  frequency (`hatch_loss`); border scores of the middles of photos, painted as pictures of their own, over the same
  middles of the whole paintings
- stability: change of the output over change of the input, for a shift by one pixel and for noise of 2 grey levels
- optimum: the L-BFGS iteration (from the photo, on the same objective) that first reaches the one pass
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from multistyle.errors import MultistyleError
from multistyle.files import check_place
from multistyle.one_pass import Carry
from multistyle.stylizer import Stylizer
from multistyle.weights import default_weights, load_weights
from train.config import TrainConfig
from train.data import Photos, read_paintings
from train.gatys import optimise
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective
from train.losses.regularizers import hatch_loss
from train.losses.terms import Grams

from .parts.command import commit, print_table, progress, run, write_results
from .parts.metrics import border_score, grid_score, layer_normalised, monotonic_steps, nearest_target, shares

SIZE = 256
CALIBRATION_PHOTOS, CALIBRATION_PAIRS, TRIPLES = 2, 12, 12
OPTIMUM_PAIRS, OPTIMUM_STEPS = 9, 300


class Bench:
    """A stylizer, the objective it was trained on, and the photos (P, 3, 256, 256) to judge it by."""

    def __init__(self, stylizer: Stylizer, objective: Objective, photos: Tensor) -> None:
        self.stylizer, self.objective, self.photos = stylizer, objective, photos
        self.painters = stylizer.names[1:]
        self.draws = torch.Generator().manual_seed(0)

    def corner(self, name: str) -> Tensor:
        return self.stylizer.blend({name: 1.0})

    def losses(self) -> dict[str, Any]:
        """Mean content and style loss of each painter over all photos."""
        rows = {}
        for name in progress(self.painters, "losses"):
            found = [self._losses(photo, self.corner(name)) for photo in self.photos]
            rows[name] = {"content": mean(c for c, _ in found), "style": mean(s for _, s in found)}
        return {part: mean(row[part] for row in rows.values()) for part in ("content", "style")} | {"painters": rows}

    @torch.no_grad()
    def _losses(self, photo: Tensor, blend: Tensor) -> tuple[float, float]:
        losses = self.objective(self.stylizer(photo, blend)[None], photo[None], blend[None])
        return losses.content.item(), losses.style.item()

    def separation(self) -> dict[str, Any]:
        """The share of photos, for each painter and in all, whose painting is nearest to that painter."""
        rows = {}
        for index, name in enumerate(progress(self.painters, "separation")):
            nearest = [
                nearest_target(self._grams(photo, self.corner(name)), self.objective.targets) for photo in self.photos
            ]
            rows[name] = float((torch.cat(nearest) == index).float().mean())
        return {"all": mean(rows.values()), "worst painter": min(rows.values()), "painters": rows}

    def _grams(self, photo: Tensor, blends: Tensor) -> Grams:
        """Of one photo in one blend (S,) or several (B, S), one painted at a time: (B, C, C)."""
        each = [
            self.objective.grams(self.stylizer(photo, blend)[None]) for blend in blends.reshape(-1, blends.shape[-1])
        ]
        return {layer: torch.cat([grams[layer] for grams in each]) for layer in each[0]}

    def calibration(self) -> dict[str, Any]:
        """Pairs of painters, triples of painters, and each painter against photo."""
        weights = torch.linspace(0, 1, 11)
        every = list(itertools.combinations(self.painters, 2))
        pairs = [every[i] for i in torch.randperm(len(every), generator=self.draws)[:CALIBRATION_PAIRS].tolist()]
        steps = torch.stack([1 - weights, weights], dim=1)
        found = {"pairs": [self._share_errors(pair, steps) for pair in progress(pairs, "calibration, pairs")]}
        photo = [("photo", name) for name in self.painters]
        found["strength"] = [self._share_errors(pair, steps) for pair in progress(photo, "calibration, strength")]
        triples = []
        for _ in progress(range(TRIPLES), "calibration, triples"):
            names = [self.painters[i] for i in torch.randperm(len(self.painters), generator=self.draws)[:3].tolist()]
            draws = -torch.rand(4, 3, generator=self.draws).log()
            triples.append(self._share_errors(names, draws / draws.sum(1, keepdim=True)))
        found["triples"] = triples
        return {kind: _summary(results, monotonic=kind != "triples") for kind, results in found.items()}

    def _share_errors(self, names: Iterable[str], weights: Tensor) -> tuple[Tensor, float]:
        """|share - weight| of each row of weights (T, K) over K styles and each photo; how monotonic is the last."""
        corners = torch.stack([self.corner(name) for name in names])
        errors, monotonic = [], []
        for photo in self.photos[:CALIBRATION_PHOTOS]:
            grams = self._grams(photo, torch.cat([corners, weights @ corners]))
            scales = {layer: gram[: len(corners)].square().mean().sqrt().item() for layer, gram in grams.items()}
            points = layer_normalised(grams, scales)
            obtained = shares(points[len(corners) :], points[: len(corners)])
            errors.append((obtained - weights).abs())
            monotonic.append(monotonic_steps(obtained[:, -1]))
        return torch.stack(errors), mean(monotonic)

    def artifacts(self) -> dict[str, Any]:
        """Grid scores, the mean over paintings over that of the photos; of flat fields; hatching; mean border score.

        Means are divided, not ratios averaged: a photo that happens to have next to none would outweigh all others.
        """
        rows, hatches, borders, flats = {}, [], [], []
        fields = torch.tensor([0.1, 0.5, 0.9])[:, None, None, None].expand(-1, 3, SIZE, SIZE)
        plain, unpainted = mean(map(grid_score, self.photos)), hatch_loss(self.photos).item()
        for name in progress(self.painters, "artifacts"):
            painted = [self.stylizer(photo, name) for photo in self.photos]
            rows[name] = mean(map(grid_score, painted)) / plain
            hatches.append(hatch_loss(torch.stack(painted)).item() / unpainted)
            borders += [self._border(photo, name) for photo in self.photos]
            flats += [grid_score(self.stylizer(field, name)) for field in fields]
        found = {"grid": mean(rows.values()), "grid of flat fields": mean(flats), "worst painter": max(rows.values())}
        return found | {"hatch": mean(hatches), "border": mean(borders), "grids of painters": rows}

    def _border(self, photo: Tensor, name: str) -> float:
        """The border score of a painting of the middle, against the middle of the whole's painting."""
        whole, middle = Carry(), slice(SIZE // 4, -SIZE // 4)
        inside = self.stylizer.one_pass(photo, self.stylizer.blend(name), whole)[:, middle, middle]
        return border_score(
            self.stylizer.one_pass(photo[:, middle, middle], self.stylizer.blend(name), Carry(0.0, whole.statistics)),
            inside,
        )

    def stability(self) -> dict[str, float]:
        """Mean change of the painting over mean change of the photo."""
        shift, noise = [], []
        for name in progress(self.painters, "stability"):
            for photo in self.photos[:CALIBRATION_PHOTOS]:
                painted, moved = self.stylizer(photo[:, :, :-4], name), self.stylizer(photo[:, :, 1:-3], name)
                change = (photo[:, :, 1:] - photo[:, :, :-1]).abs().mean()
                shift.append(((painted[:, :, 1:] - moved[:, :, :-1]).abs().mean() / change).item())
                noisy = (photo + torch.randn(photo.shape, generator=self.draws) * 2 / 255).clamp(0, 1)
                change = (noisy - photo).abs().mean()
                noise.append(((self.stylizer(noisy, name) - self.stylizer(photo, name)).abs().mean() / change).item())
        return {"shift by 1 px": mean(shift), "noise of 2 grey levels": mean(noise)}

    def optimum(self) -> dict[str, Any]:
        """Iterations of L-BFGS that reach the objective of one pass; not reached counts as all of them."""
        pairs = [
            (self.photos[i % len(self.photos)], self.painters[i * 5 % len(self.painters)]) for i in range(OPTIMUM_PAIRS)
        ]
        iterations, rows = [], []
        for photo, name in progress(pairs, "optimum"):
            blend = self.corner(name)[None]
            with torch.no_grad():
                goal = self.objective(self.stylizer(photo, blend), photo[None], blend)
            needed = OPTIMUM_STEPS
            for step, (_, losses) in enumerate(optimise(self.objective, photo[None], blend, OPTIMUM_STEPS), start=1):
                if losses.total <= goal.total:
                    needed = step
                    break
            iterations.append(float(needed))
            rows.append(
                {"painter": name, "iterations": needed, "total": goal.total.item(), "optimised": losses.total.item()}
            )
        quartiles = torch.tensor(iterations).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
        return {"lower quartile": quartiles[0], "median": quartiles[1], "upper quartile": quartiles[2], "pairs": rows}


def _summary(results: list[tuple[Tensor, float]], monotonic: bool) -> dict[str, float]:
    errors = torch.cat([errors.flatten() for errors, _ in results])
    found = {"mean error": errors.mean().item(), "worst error": errors.max().item()}
    return found | ({"monotonic": mean(steps for _, steps in results)} if monotonic else {})


METRICS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    name: getattr(Bench, name) for name in ("losses", "separation", "calibration", "artifacts", "stability", "optimum")
}


def main(
    photos: Annotated[list[Path], typer.Option(help="Folder or .tar of photos to judge by; repeatable.")],
    styles: Annotated[Path, typer.Option(help="Folder of the paintings the model was trained on.")],
    features: Annotated[list[Path] | None, typer.Option(help="VGG weights (safetensors); repeatable.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weight file; default: the shipped one.")] = None,
    metrics: Annotated[str, typer.Option(help=f"Which, of {','.join(METRICS)}.")] = ",".join(METRICS),
    count: Annotated[int, typer.Option(min=2, help="How many photos.")] = 16,
    output: Annotated[Path | None, typer.Option("--json", help="File to write the results to.")] = None,
) -> None:
    """Measure the pictures of a weight file."""
    chosen = metrics.split(",")
    if unknown := [name for name in chosen if name not in METRICS]:
        raise MultistyleError(f"unknown metric {unknown[0]!r}; known: {', '.join(METRICS)}")
    if output is not None:
        check_place(output)
    file = weights or default_weights()
    bench = make_bench(file, photos, styles, features or [], count)
    results = {name: METRICS[name](bench) for name in chosen}
    print_table(results)
    facts = {
        "commit": commit(),
        "weights": {"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "settings": {"size": SIZE, "photos": count, "features": [path.name for path in features or []]},
        "torch": torch.__version__,
    }
    if output is not None:
        write_results(output, facts | {"results": results})


def make_bench(file: Path, photos: list[Path], styles: Path, features: list[Path], count: int) -> Bench:
    """The bench of a weight file, with the recipe in its header."""
    model = load_weights(file)
    config = TrainConfig.from_header(model.training, file)
    stylizer = Stylizer(model, "cpu", "float32")
    _, paintings = read_paintings(styles, stylizer.names[1:], config.style_size)
    objective = Objective(config, load_loss_network(features, config.loss_network, config.pooling), paintings)
    return Bench(stylizer, objective, read_judges(photos, count))


def read_judges(photos: list[Path], count: int) -> Tensor:
    """The central squares (P, 3, 256, 256) of the first photos, `count` at most."""
    pictures = Photos(photos, SIZE)
    return torch.stack([centre(pictures[i]) for i in range(min(count, len(pictures)))])


def centre(photo: Tensor) -> Tensor:
    """The central square of 256 px of a photo of bytes whose shorter side is 256 px, as (3, 256, 256) in [0, 1]."""
    if min(photo.shape[1:]) < SIZE:
        raise MultistyleError(f"a photo to judge by has at least {SIZE} px a side, not {tuple(photo.shape[1:])}")
    top, left = ((side - SIZE) // 2 for side in photo.shape[1:])
    return photo[:, top : top + SIZE, left : left + SIZE].float() / 255


if __name__ == "__main__":
    run(main)
