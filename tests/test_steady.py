from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from comparing import relative_distance

from multistyle.errors import BlendError, ImageError, MultistyleError
from multistyle.one_pass import Carry
from multistyle.video.steady import Camera, Denoiser, Steady, grid_side, is_cut, luminance, shift

STEP = 1 / 25


@pytest.fixture
def scene() -> torch.Tensor:
    """(3, 96, 160), of smooth random spots, small and large."""
    spots = [torch.rand(1, 3, *size) for size in ((24, 40), (3, 5))]
    small, large = (F.interpolate(each, (96, 160), mode="bicubic")[0] for each in spots)
    return ((small + large) / 2).clamp(0, 1)


def test_statistics_are_the_first_frames_and_then_follow_with_the_time_constant(stylizer, scene):
    steady, other = Steady(stylizer), (scene * 0.6 + 0.1).clamp(0, 1)
    steady(scene)
    first, alone = steady.carries[0].statistics, Carry()
    stylizer.one_pass(scene, stylizer.blend(), partial(stylizer.one_pass.paint, carry=alone))
    assert relative_distance(first, alone.statistics) < 1e-4
    for index in range(5):
        steady(scene, time=0.1 * (index + 1))
    assert relative_distance(steady.carries[0].statistics, first) < 1e-4
    steady(other, time=1.0)
    share = 1 - torch.tensor(-1.0).exp().item()
    assert steady.carries[0].share == pytest.approx(share), "0.5 s, one time constant"
    steady(other, time=1000.0)
    assert steady.carries[0].share == pytest.approx(1)


def test_the_first_frame_is_painted_as_a_photo_and_a_cut_starts_afresh(stylizer, scene):
    steady, other = Steady(stylizer), scene.flip(1).roll(31, 2)
    assert relative_distance(steady(scene), stylizer(scene)) < 1e-4
    steady((scene * 0.9 + 0.02), time=STEP)
    assert relative_distance(steady(other, time=2 * STEP), stylizer(other)) < 1e-4
    small = scene[:, :50, :70]
    assert relative_distance(steady(small, time=3 * STEP), stylizer(small)) < 1e-4


def test_cuts_are_other_scenes_not_motion_light_or_noise(scene):
    assert is_cut(scene, scene.flip(1).roll(31, 2)) and is_cut(scene, torch.zeros_like(scene))
    assert is_cut(scene / 8, scene.flip(1).roll(31, 2) / 8), "dark scenes count as bright ones do"
    for same in (scene, scene.roll(20, 2), scene * 0.7, (scene + 0.05 * torch.randn_like(scene)).clamp(0, 1)):
        assert not is_cut(scene, same)


@pytest.mark.parametrize("velocity", [(0, 0), (0, 1), (-1, 3), (0.5, -1.25), (0, 0.125)])
def test_the_camera_is_followed_to_an_eighth_of_a_pixel_and_without_drift(velocity):
    fine = F.interpolate(torch.rand(1, 3, 60, 96), scale_factor=16, mode="bicubic")[0].clamp(0, 1)  # 8 steps a pixel
    camera, total = Camera(), [0, 0]
    for index in range(9):
        top, left = (round(8 * (25 - v * index)) for v in velocity)
        view = F.interpolate(fine[None, :, top : top + 8 * 64, left : left + 8 * 96], (64, 96), mode="area")[0]
        moved = camera.follow(luminance((view + 0.01 * torch.randn_like(view)).clamp(0, 1)))
        total = [a + b for a, b in zip(total, moved, strict=True)]
    assert camera.position == pytest.approx([8 * v for v in velocity], abs=1 / 8)
    assert tuple(total) == camera.cell


def test_a_pan_by_whole_pixels_does_not_change_the_strokes(stylizer, scene):
    steady, inside, changes = Steady(stylizer), (slice(None), slice(24, -24), slice(24, -24)), {}
    views = [scene[:, :, 3 * index : 3 * index + 128] for index in range(6)]
    for name, painted in {
        "each": [stylizer(view) for view in views],
        "steady": [steady(view, time=index * STEP) for index, view in enumerate(views)],
    }.items():
        pairs = pairwise(painted)
        changes[name] = max(float((a[:, :, 3:][inside] - b[:, :, :-3][inside]).abs().mean()) for a, b in pairs)
    assert changes["steady"] < changes["each"] / 2


@pytest.mark.parametrize("stroke, factor", [(1, 4), (2, 2)])
def test_a_pan_does_not_change_strokes_at_several_scales(stylizer, scene, stroke, factor, monkeypatch):
    monkeypatch.setattr("multistyle.strokes.BASE", 80)  # 128 px are halved once, and twice at 2
    steady, inside, changes = Steady(stylizer), (slice(None), slice(24, -24), slice(24, -24)), {}
    views = [scene[:, :, index : index + 128] for index in range(10)]
    for name, painted in {
        "each": [stylizer(view, stroke=stroke) for view in views],
        "steady": [steady(view, time=index * STEP, stroke=stroke) for index, view in enumerate(views)],
    }.items():
        pairs = pairwise(painted)
        changes[name] = sum(float((a[:, :, 1:][inside] - b[:, :, :-1][inside]).abs().mean()) for a, b in pairs)
    assert len(steady.carries) == stroke + 1
    assert changes["steady"] < changes["each"] / factor


def test_paintings_of_coarse_levels_are_averaged_where_the_scene_is(stylizer, scene, monkeypatch):
    monkeypatch.setattr("multistyle.strokes.BASE", 80)
    changes = {}
    for settled in (True, False):
        steady, painted = Steady(stylizer), []
        if not settled:
            monkeypatch.setattr(steady, "_settle", lambda level, denoiser, below: below)
        for index in range(8):
            painted.append(steady(scene[:, :, index : index + 128], time=index * STEP))
        pairs = pairwise(painted)
        changes[settled] = sum(float((a[:, :, 1:] - b[:, :, :-1]).abs().mean()) for a, b in pairs)
    assert changes[True] < 0.9 * changes[False]


def test_every_level_carries_statistics_over(stylizer, scene, monkeypatch):
    monkeypatch.setattr("multistyle.strokes.BASE", 80)
    steady = Steady(stylizer)
    assert relative_distance(steady(scene, "wave", stroke=2), stylizer(scene, "wave", stroke=2)) < 1e-5
    before = [carry.statistics.clone() for carry in steady.carries]
    steady((0.6 * scene + 0.1).clamp(0, 1), "wave", stroke=2, time=0.0)
    assert len(before) == 3 and all(
        torch.equal(carry.statistics, old) for carry, old in zip(steady.carries, before, strict=True)
    )


def test_photos_share_of_a_field_is_the_frame_itself_wherever_the_camera_is(stylizer, scene):
    steady, field = Steady(stylizer), torch.zeros(4, 96, 128)
    field[0, :, :50], field[2, :, 50:] = 1, 1
    for index in range(5):
        view = shift(scene, (0.25 * index, -0.375 * index))[:, :, index : index + 128].clamp(0, 1)
        painted = steady(view, field, time=index * STEP)
        assert torch.equal(painted[:, :, :50], view[:, :, :50]) and not torch.equal(painted[:, :, 50:], view[:, :, 50:])
    assert steady.camera.fraction != (0, 0) and steady.camera.cell != (0, 0)


def test_fields_and_maps_of_depths_stay_on_the_frame_while_the_camera_moves(stylizer, scene, monkeypatch):
    seen = []
    monkeypatch.setattr("multistyle.video.steady.paint_scales", lambda _, *given: seen.append(given[:3]) or given[0])
    steady, field, depth = Steady(stylizer), torch.rand(4, 96, 128), 2 * torch.rand(1, 1, 96, 128)
    field = field / field.sum(0)
    for index in range(4):
        steady.paint(scene[:, :, 3 * index : 3 * index + 128], field, depth, index * STEP)
    assert [image.shape[-1] - 128 for image, _, _ in seen] == [0, 3, 6, 1], "of a grid of 8 px"
    for image, padded, depths in seen:
        assert padded.shape[-2:] == depths.shape[-2:] == image.shape[-2:]
        assert torch.equal(padded[0, :, :, -128:], field) and torch.equal(depths[..., -128:], depth)


def test_the_grid_is_that_of_the_coarsest_level_while_it_is_small():
    assert [grid_side(depth, 1080, 1920) for depth in (0, 1, 1.26, torch.full((1, 1, 2, 2), 2.3))] == [4, 8, 16, 32]
    assert [grid_side(2.0, side, 400) for side in (128, 127, 63, 1)] == [16, 8, 4, 4]


def test_noise_is_averaged_where_nothing_moves_and_motion_leaves_no_ghost(scene):
    denoiser, background = Denoiser(), 0.5 * scene
    noise = [0.015 * torch.randn_like(scene) for _ in range(20)]
    calm = [denoiser((background + n).clamp(0, 1), (0, 0)) for n in noise]
    before = (noise[-1] - noise[-2]).abs().mean()
    assert (calm[-1] - calm[-2]).abs().mean() < before / 4
    assert (calm[-1] - background).abs().mean() < 0.5 * noise[-1].abs().mean()
    passing = background.clone()
    passing[:, 40:60, 40:60] = 1
    assert torch.equal(denoiser(passing, (0, 0))[:, 43:57, 43:57], passing[:, 43:57, 43:57])
    gone = denoiser(background, (0, 0))
    assert relative_distance(gone[:, 43:57, 43:57], background[:, 43:57, 43:57]) < 1e-5


def test_a_shift_there_and_back_is_the_picture(scene):
    there = shift(scene, (0.25, -0.5))
    inside = (slice(None), slice(8, -8), slice(8, -8))
    assert (shift(there, (-0.25, 0.5)) - scene)[inside].abs().mean() < 0.002
    assert torch.equal(shift(scene, (0.0, 0.0)), scene)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (9, 31)])
def test_any_size_and_photo_is_the_frame_itself(stylizer, size):
    steady = Steady(stylizer)
    for index in range(3):
        frame = torch.rand(3, *size)
        assert steady(frame, time=index * STEP).shape == frame.shape
        assert relative_distance(steady(frame, "photo", time=index * STEP), frame) < 1e-4


def test_what_is_no_frame_blend_or_time_is_one_line(stylizer, scene):
    steady = Steady(stylizer)
    steady(scene, time=1.0)
    nan = scene.clone()
    nan[0, 0, 0] = float("nan")
    for frame in ((scene * 255).byte(), scene * 255, nan, scene[:1], scene[None], scene.numpy()):
        with pytest.raises(ImageError):
            steady(frame, time=2.0)
    with pytest.raises(BlendError, match="one blend"):
        steady(scene, torch.eye(4), time=2.0)
    with pytest.raises(MultistyleError, match="a stroke is"):
        steady(scene, time=2.0, stroke="big")
    for time in (0.5, float("nan"), float("inf")):
        with pytest.raises(MultistyleError, match="do not go back"):
            steady(scene, time=time)
    assert steady.time == 1.0, "nothing of these took part"
