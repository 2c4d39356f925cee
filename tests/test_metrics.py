"""The quality benchmark's metrics on made-up inputs with known answers."""

import pytest
import torch
from comparing import relative_distance

from benchmarks.parts.metrics import border_score, grid_score, layer_normalized, monotonic_steps, nearest_target, shares


def test_nearest_target_finds_each_own_and_notices_a_swap():
    targets = {"a": torch.randn(5, 3, 3), "b": 1000 * torch.randn(5, 6, 6)}
    noisy = {layer: target * 1.1 for layer, target in targets.items()}
    assert nearest_target(noisy, targets).tolist() == [0, 1, 2, 3, 4]
    swapped = {layer: gram[[1, 0, 2, 3, 4]] for layer, gram in noisy.items()}
    assert nearest_target(swapped, targets).tolist() == [1, 0, 2, 3, 4]


def test_a_layers_size_and_scale_do_not_matter():
    grams = {"small": torch.full((1, 2, 2), 3.0), "large": torch.full((1, 8, 8), 500.0)}
    vector = layer_normalized(grams, {"small": 3.0, "large": 500.0})
    assert vector[0, :4].square().sum() == pytest.approx(1) and vector[0, 4:].square().sum() == pytest.approx(1)


@pytest.mark.parametrize("corners", [2, 3])
def test_shares_of_mixtures_are_their_weights_and_what_is_off_the_plane_does_not_count(corners):
    points = torch.randn(corners, 50)
    weights = torch.rand(7, corners)
    weights /= weights.sum(1, keepdim=True)
    basis = torch.linalg.qr((points[1:] - points[0]).T)[0]
    off = torch.randn(7, 50)
    off -= off @ basis @ basis.T
    assert relative_distance(shares(weights @ points + off, points), weights) < 1e-4
    assert relative_distance(shares(points, points), torch.eye(corners)) < 1e-4


def test_monotonic_steps():
    assert monotonic_steps(torch.tensor([0, 0.1, 0.3, 0.2, 1.0])) == 0.75


def test_grid_score_sees_a_grid_of_4_px_and_of_2_px_and_nothing_in_noise():
    noise = 0.5 + 0.05 * torch.randn(3, 128, 130).clamp(-3, 3)
    assert grid_score(noise) == pytest.approx(1, abs=0.5)
    for period in (2, 4):
        gridded = noise.clone()
        gridded[:, :, ::period] += 0.05
        assert grid_score(gridded) > 5
    assert grid_score(torch.full((3, 128, 128), 0.5)) == pytest.approx(1)
    faint = torch.full((3, 128, 128), 0.5)
    faint[:, ::4] += 0.00005
    assert grid_score(faint) < 1.5, "what 8 bits cannot show is no grid"


def test_border_score_sees_a_frame_and_not_what_the_picture_has_there():
    noise = torch.rand(3, 96, 96)
    noise[:, :, 50:] *= 0.1
    assert border_score(noise, noise) == 1
    framed = 0.5 + 0.5 * (noise - 0.5)
    framed[:, 16:-16, 16:-16] = 0
    assert border_score(framed, noise) == pytest.approx(0.5, abs=0.15), "what lies inside, and its edge, hardly counts"
    assert border_score(noise.clamp(0.4, 0.6), noise) < 1 < border_score(noise, noise.clamp(0.4, 0.6))
