"""Painting at several scales: the dial has no steps, and no way of running it changes the picture."""

from functools import partial

import pytest
import torch
from comparing import relative_distance

from multistyle.errors import MultistyleError
from multistyle.image import Picture
from multistyle.painting import PaintOptions, Region, paint_batch
from multistyle.strip_source import halved
from multistyle.strokes import BASE, double, halve, paint_scales, stroke_depth, stroke_number

GREY_LEVEL = 1 / 255


def smooth(height: int, width: int) -> torch.Tensor:
    rough = torch.rand(1, 3, 1 + height // 9, 1 + width // 9)
    return torch.nn.functional.interpolate(rough, (height, width), mode="bilinear")[0]


@pytest.fixture(autouse=True)
def small_base(monkeypatch):
    """Pictures of a test have few pixels; let them have several scales all the same."""
    monkeypatch.setattr("multistyle.strokes.BASE", 40)


def test_what_people_write_as_a_stroke():
    assert [stroke_number(stroke) for stroke in ("auto", "off", "0.5", 2, 0)] == [1, 0, 0.5, 2, 0]
    for wrong in ("big", "", -1, float("nan"), "inf", 9, None):
        with pytest.raises(MultistyleError, match="a stroke is auto, off, or a number up to 8"):
            stroke_number(wrong)


def test_depth_doubles_strokes():
    assert stroke_depth(1, 40, 30) == 0 and stroke_depth(2, 40, 30) == 1 and stroke_depth(0, 4000, 3000) == 0
    assert stroke_depth(1, 100, 160) == 2


@pytest.mark.parametrize("stroke", ["off", 0.2, 0.625])
def test_a_picture_at_the_coarsest_size_is_one_pass_to_the_bit(stylizer, stroke):
    photo = smooth(64, 48)
    assert torch.equal(stylizer(photo, "wave", stroke=stroke), stylizer.one_pass(photo, stylizer.blend("wave")))


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (97, 61), (130, 2)])
def test_any_size_and_photo_is_exact(stylizer, size):
    photo = torch.rand(3, *size)
    assert stylizer(photo, "wave", stroke=4).shape == photo.shape
    assert torch.equal(stylizer(photo, "photo", stroke=4), photo)
    assert torch.equal(stylizer(photo, "wave", strength=0, stroke=4), photo)


def test_the_dial_has_no_steps(stylizer):
    photo = smooth(96, 80)
    at = {stroke: stylizer(photo, "wave", stroke=stroke) for stroke in (0.4, 0.83, 0.84, 1.66, 1.68, 2.5)}
    whole = relative_distance(at[2.5], at[0.4])
    for before, after in ((0.83, 0.84), (1.66, 1.68)):  # across the strokes at which a level is added
        assert relative_distance(at[after], at[before]) < 0.1 * whole
    assert whole > 0.02


def test_a_step_in_size_is_no_step_in_the_picture(stylizer):
    """From 80 px to 82 px, a level is added; from 82 px to 84 px, nothing is."""
    photo = smooth(84, 84)
    at = {side: stylizer(photo[:, :side, :side], "wave")[:, :60, :60] for side in (80, 82, 84)}
    assert relative_distance(at[82], at[80]) < 2 * relative_distance(at[84], at[82])


def test_batches_are_painted_as_one_at_a_time(stylizer):
    photos, blends = torch.stack([smooth(90, 70) for _ in range(3)]), torch.eye(4)[1:]
    together = stylizer(photos, blends, stroke=2)
    for photo, blend, painted in zip(photos, blends, together, strict=True):
        assert relative_distance(painted, stylizer(photo, blend, stroke=2)) < 1e-4
    options = [PaintOptions(blend, stroke=2) for blend in blends]
    for painted, expected in zip(paint_batch(stylizer.one_pass, list(photos), options), together, strict=True):
        assert (painted / 255 - expected).abs().max() <= 0.51 * GREY_LEVEL


@pytest.mark.parametrize("size", [(190, 131), (129, 260)])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("regions", [False, True])
def test_strips_are_painted_as_the_whole(stylizer, size, keep, regions):
    photo, masks = smooth(*size), [torch.zeros(9, 14), torch.zeros(9, 14)]
    masks[0][:, 7:], masks[1][5:] = 1, 0.5
    parts = [Region(masks[0], "scream", stroke=0.4), Region(masks[1], "starry=1,photo=1")] if regions else []
    how = {"strength": 0.8, "regions": parts, "keep_colors": keep, "stroke": 1.5}
    whole, strips = (stylizer.paint(photo, "wave", strips=strips, **how) for strips in ("off", 64))
    assert relative_distance(strips, whole) < 2e-3
    assert (strips - whole).abs().max() < (2.1 if keep else 1.1) * GREY_LEVEL


def test_strips_of_every_level_are_counted(stylizer):
    seen = []
    options = PaintOptions("wave", stroke=1.5, strips=64)
    stylizer.paint_picture(Picture(smooth(300, 230)), options, lambda done, total: seen.append((done, total)))
    levels = [total for done, total in seen if done == total]
    assert len(levels) == 3 and levels == sorted(levels) and len(seen) == sum(levels)


def test_bytes_in_strips_are_the_whole_to_two_grey_levels(stylizer):
    photo = (smooth(190, 131) * 255).round().byte()
    whole, strips = (stylizer.paint(photo, "wave", strips=strips, stroke=1.5).float() for strips in ("off", 64))
    assert (strips - whole).abs().max() <= 2 and (strips - whole).abs().mean() < 0.3


def test_statistics_can_be_estimated_at_every_scale(stylizer, monkeypatch):
    monkeypatch.setattr("multistyle.strip_painter.ESTIMATE_SIZE", 100)
    photo = smooth(190, 131)
    exact, estimated = (stylizer.paint(photo, "wave", strips=64, stroke=1.5, estimate=e) for e in (False, True))
    plain = stylizer.paint(photo, "wave", strips=64, stroke="off")
    assert 0 < relative_distance(estimated, exact) < relative_distance(plain, exact)


def test_a_region_has_its_own_strokes(stylizer):
    photo, mask = smooth(100, 160), torch.zeros(10, 16)
    mask[:, :8] = 1
    mixed = stylizer.paint(photo, "wave", stroke=2, regions=[Region(mask, "wave", stroke="off")])
    fine, broad = (stylizer.paint(photo, "wave", stroke=stroke) for stroke in ("off", 2))
    assert relative_distance(mixed[..., :70], fine[..., :70]) < 0.8 * relative_distance(
        mixed[..., :70], broad[..., :70]
    )
    assert relative_distance(mixed[..., 90:], broad[..., 90:]) < 0.8 * relative_distance(
        mixed[..., 90:], fine[..., 90:]
    )


def test_every_level_carries_its_own_statistics(stylizer):
    from multistyle.one_pass import Carry

    carries = [Carry() for _ in range(3)]
    photo, blend = smooth(90, 70)[None], stylizer.blend("wave")[None]
    first = paint_scales(stylizer.one_pass, photo, blend, 1.4, carries)
    assert torch.equal(first, paint_scales(stylizer.one_pass, photo, blend, 1.4))
    assert all(carry.statistics is not None for carry in carries)
    before = [carry.statistics.clone() for carry in carries]
    for carry in carries:
        carry.share = 0.0
    paint = partial(paint_scales, stylizer.one_pass, depth=1.4, carries=carries)
    stylizer.one_pass(smooth(90, 70), stylizer.blend("wave"), paint)
    assert all(torch.equal(carry.statistics, old) for carry, old in zip(carries, before, strict=True))


def test_halving_and_doubling_keep_a_plain_image_and_its_mean():
    plain = torch.full((1, 3, 31, 18), 0.3)
    assert torch.allclose(double(halve(plain), 31, 18), plain)
    image = torch.rand(1, 3, 30, 18)
    assert torch.allclose(halve(image).mean(), image.mean())
    assert torch.equal(halved(image[0]), halve(image)[0])
    odd = (torch.rand(3, 515, 7) * 255).round().byte()
    assert relative_distance(halved(odd) * 255, halve(odd[None].float())[0]) < 1e-5


def test_half_precision_paints_the_same_scales(model):
    from multistyle.stylizer import Stylizer

    photo = smooth(96, 80)
    plain = Stylizer(model, "cpu")(photo, "wave", stroke=2)
    half = Stylizer(model, "cpu", "bfloat16")(photo, "wave", stroke=2)
    assert relative_distance(half, plain) < 0.02


def test_transparency_and_metadata_pass(stylizer):
    alpha = torch.rand(1, 90, 70)
    painted = stylizer.paint_picture(Picture(smooth(90, 70), alpha), PaintOptions("wave", stroke=2)).picture
    assert torch.equal(painted.alpha, alpha)


def test_the_base_is_near_the_size_at_which_paintings_were_seen():
    assert 512 <= BASE <= 1024
