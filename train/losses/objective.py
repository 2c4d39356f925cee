"""The objective: how far a painting is from its photo's content and from a blend of painters' styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from multistyle.network import PHOTO

from ..config import TrainConfig
from .loss_network import LossNetwork
from .terms import ERRORS, Grams, blend_grams, content_loss, gram, style_loss, total_variation


class Losses(NamedTuple):
    """The losses of each sample, (B,), or their means, ()."""

    total: Tensor  # weighted sum of the others
    content: Tensor
    style: Tensor
    variation: Tensor


class Objective:
    """The losses of a network's paintings. The painters' Grams are computed once, here.

    config: the recipe; loss_network: it has to have the layers that `config` names; paintings: one (3, H, W) for each
    painter, at the size at which its strokes are learnt. All on one device. Raises `FeatureError`.
    """

    def __init__(self, config: TrainConfig, loss_network: LossNetwork, paintings: Sequence[Tensor]) -> None:
        loss_network.require([config.content_layer, *config.style_layers])
        self.config, self.loss_network = config, loss_network
        each = [self.grams(painting[None]) for painting in paintings]
        self.targets: Grams = {layer: torch.cat([grams[layer] for grams in each]) for layer in config.style_layers}

    @torch.no_grad()
    def grams(self, image: Tensor) -> Grams:
        """The Grams of images (B, 3, H, W) at the style layers."""
        features = self.loss_network(image, self.config.style_layers)
        return {layer: gram(features[layer]) for layer in self.config.style_layers}

    def blended_targets(self, photo: Tensor, blend: Tensor) -> Grams:
        """The target Grams of blend (B, S): the painters' by their weights, plus the photo's own by that of photo."""
        targets = blend_grams(self.targets, blend[:, PHOTO + 1 :])
        mixed = blend[:, PHOTO].nonzero()[:, 0]
        if len(mixed):
            own = self.grams(photo[mixed])
            for layer, target in targets.items():
                target[mixed] += blend[mixed, PHOTO, None, None] * own[layer]
        return targets

    def __call__(self, painted: Tensor, photo: Tensor, blend: Tensor) -> Losses:
        """painted, photo: (B, 3, H, W) in [0, 1]; blend: (B, S), each row summing to 1. Returns `Losses`."""
        config, error = self.config, ERRORS[self.config.error]
        with torch.no_grad():
            content = self.loss_network(photo, [config.content_layer])[config.content_layer]
        features = self.loss_network(painted, list({*config.style_layers, config.content_layer}))
        grams = {layer: gram(features[layer]) for layer in config.style_layers}
        parts = (
            content_loss(features[config.content_layer], content, error),
            style_loss(grams, self.blended_targets(photo, blend), error),
            total_variation(painted),
        )
        total = parts[0] + config.style_weight * parts[1] + config.variation_weight * parts[2]
        return Losses(total, *parts)
