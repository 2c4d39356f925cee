"""The flicker benchmark: its measure on films with known answers, and its two claims on a tiny network."""

import pytest
import torch
import torch.nn.functional as F

from benchmarks.flicker import Scene, align, change, fine_view, make_film, measure


@pytest.fixture
def view() -> torch.Tensor:
    return fine_view(F.interpolate(torch.rand(1, 3, 40, 60), (200, 300), mode="bicubic")[0].clamp(0, 1))


def test_a_film_at_rest_does_not_change_and_noise_changes_as_much_as_it_is(view):
    assert change(make_film(view, Scene()), (0, 0)) == 0
    assert change(make_film(view / 2 + 0.25, Scene(noise=4)), (0, 0)) == pytest.approx(4 * 2 / torch.pi**0.5, rel=0.02)


@pytest.mark.parametrize("camera, limit", [((0, 2), 1e-4), ((1, 3), 1e-4), ((0.5, 2.75), 0.8)])
def test_the_known_motion_is_undone(view, camera, limit):
    film = make_film(view, Scene(camera))
    assert change(film, camera) < limit < change(film, (0, 0)) / 10
    a, b = align(film[0], film[1], camera)
    assert a.shape == b.shape and a.shape[1] > 180 and a.shape[2] > 240


def test_steady_quarters_the_flicker_of_a_pan_with_broad_strokes(stylizer, view):
    _, each, steady, _, _, _ = measure(stylizer, "starry", view, Scene((0, 1)), stroke=5)
    assert steady <= each / 4


def test_steady_halves_the_flicker_of_a_pan_and_of_noise_without_smearing(stylizer, view):
    for scene in (Scene((0, 2)), Scene(noise=4)):
        _, each, steady, sharp, _, _ = measure(stylizer, "starry", view, scene)
        assert steady <= each / 2 and sharp > 0.9
