"""The mean of the weights of several runs: a "uniform soup" of Wortsman et al., "Model soups" (ICML 2022).

Runs that start from one trained file stay close enough for their mean to be better than each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multistyle.errors import MultistyleError
from multistyle.network import StyleNetwork
from multistyle.weights import Model


def average_models(models: Sequence[Model]) -> Model:
    """The mean of two or more runs of `fit` that started from one file, with the same styles in the same order.

    In its facts, `runs` holds those in which the runs differ, and `config`, which other commands read, is the first
    run's recipe. The painters' losses are the means of the runs' losses, not measured again. Raises `MultistyleError`.
    """
    if len(models) < 2:
        raise MultistyleError("one weight file is its own mean; give two or more")
    first, facts = models[0], [model.training for model in models]
    if any(model.network.config != first.network.config or model.catalogue != first.catalogue for model in models):
        raise MultistyleError("only networks of one shape, with the same styles in the same order, have a mean")
    start = facts[0].get("start")
    if start is None or any(one.get("start") != start for one in facts):
        raise MultistyleError("only runs that started from the same file (fit --start) have a mean that paints")
    states = [model.network.state_dict() for model in models]
    network = StyleNetwork(first.network.config, len(first.catalogue))
    network.load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    shared = {key: value for key, value in facts[0].items() if all(one.get(key) == value for one in facts)}
    runs = [{key: value for key, value in one.items() if key not in (*shared, "painters")} for one in facts]
    training = {"config": facts[0].get("config"), **shared, "runs": runs, "painters": _mean_losses(facts)}
    return Model(network.eval().requires_grad_(False), first.catalogue, training)


def _mean_losses(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each painter's content and style loss, as far as all runs have them as numbers."""
    means = {}
    for name in facts[0].get("painters", {}):
        found = [one.get("painters", {}).get(name, {}) for one in facts]
        losses = {loss: [painter.get(loss) for painter in found] for loss in ("content", "style")}
        if all(isinstance(value, float) for values in losses.values() for value in values):
            means[name] = {loss: sum(values) / len(values) for loss, values in losses.items()}
    return means
