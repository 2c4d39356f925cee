"""Frames of a video, painted by every option of `PaintOptions`; without files and codecs."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from comparing import relative_distance

from multistyle.color import to_oklab
from multistyle.errors import BlendError, MultistyleError
from multistyle.image import Picture
from multistyle.painting import PaintOptions, Region
from multistyle.video.paint import frame_painter
from multistyle.video.reader import Frame

GREY_LEVEL = 1 / 255


@pytest.fixture(autouse=True)
def small_base(monkeypatch):
    """Frames of a test have few pixels; let them have several scales all the same."""
    monkeypatch.setattr("multistyle.strokes.BASE", 40)


@pytest.fixture
def pixels() -> np.ndarray:
    """(60, 90, 3), bytes, smooth."""
    rough = torch.rand(1, 3, 7, 10)
    image = torch.nn.functional.interpolate(rough, (60, 90), mode="bicubic")[0].clamp(0, 1)
    return (image * 255).round().byte().permute(1, 2, 0).numpy()


@pytest.fixture
def paint(stylizer, pixels):
    """A function that paints a still film, a frame for each of `times` in s; (N, 3, H, W)."""

    def paint(options, to=None, times=(0.0,), last=0.0):
        frame = frame_painter(stylizer, options, to, last)
        return torch.stack([frame(Frame(pixels, 0, 1, time, Fraction(1))) for time in times])

    return paint


@pytest.fixture
def paint_still(stylizer, pixels):
    """A function that paints the same frame as a picture, (3, H, W)."""

    def paint_still(options):
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        return stylizer.paint_picture(Picture(image, None), options).picture.image

    return paint_still


LEFT = torch.zeros(6, 8).index_fill(1, torch.arange(4), 1.0)
FIELD = torch.stack([torch.zeros(6, 8), LEFT, torch.zeros(6, 8), 1 - LEFT])


@pytest.mark.parametrize(
    "options",
    [
        PaintOptions("wave", stroke="off"),
        PaintOptions({"wave": 1, "starry": 2}, 0.7),
        PaintOptions("wave", stroke=2),
        PaintOptions("wave", size=50),
        PaintOptions("wave", 0.8, keep_colors=True),
        PaintOptions(FIELD, 0.9, stroke=2),
        PaintOptions("wave", 0.9, [Region(LEFT, "starry", stroke="off"), Region(LEFT.flip(0, 1), "photo")]),
        PaintOptions("wave", regions=[Region(LEFT, "starry")], size=50, keep_colors=True, stroke=3),
    ],
    ids=["one pass", "mix and strength", "broad", "size", "colours", "field", "regions", "all"],
)
def test_frames_of_a_still_film_are_painted_as_the_picture(paint, paint_still, options):
    expected = paint_still(options)
    for painted in paint(options, times=(0, 0.04, 0.08)):
        assert (painted - expected).abs().max() < GREY_LEVEL


def test_every_option_changes_the_frame(paint):
    plain = paint(PaintOptions("wave"))
    for options in (
        PaintOptions("wave", 0.5),
        PaintOptions("wave", regions=[Region(LEFT, "starry")]),
        PaintOptions("wave", stroke="off"),
        PaintOptions("wave", keep_colors=True),
        PaintOptions("wave", regions=[Region(LEFT, "wave", stroke="off")]),
    ):
        assert relative_distance(paint(options), plain) > 0.01


def test_kept_colours_are_those_of_each_frame(stylizer, pixels):
    frame = frame_painter(stylizer, PaintOptions("wave", keep_colors=True))
    for index, grey in enumerate((pixels, np.repeat(pixels[..., :1], 3, axis=2))):
        painted = frame(Frame(grey, 0, 1, 0.04 * index, None))
    assert to_oklab(painted)[1:].abs().max() < 0.01, "the second frame has no colours"


def test_the_blend_moves_and_regions_stay(paint, paint_still):
    regions = [Region(LEFT, "starry")]
    films = paint(PaintOptions("wave", regions=regions), "scream", (0, 100, 200, 300), 200.0)
    middle = {"wave": 1, "scream": 1}
    for painted, blend in zip(films, ("wave", middle, "scream", "scream"), strict=True):
        assert relative_distance(painted, paint_still(PaintOptions(blend, regions=regions))) < 0.01
    assert relative_distance(films[2], films[0]) > 0.02


@pytest.mark.parametrize("start, end", [(FIELD, "scream"), ("scream", FIELD), (FIELD, FIELD.flip(2)[:, :3])])
def test_the_blend_moves_from_and_to_fields(paint, paint_still, start, end):
    films = paint(PaintOptions(start), end, (0, 200), 200.0)
    for painted, blend in zip(films, (start, end), strict=True):
        assert relative_distance(painted, paint_still(PaintOptions(blend))) < 0.02


def test_what_frames_cannot_have_is_one_line(stylizer):
    for options in (PaintOptions(strips="off"), PaintOptions(strips=512), PaintOptions(estimate=True)):
        with pytest.raises(MultistyleError, match="not painted in strips"):
            frame_painter(stylizer, options)
    for options, to in ((PaintOptions(torch.eye(4)), None), (PaintOptions(), torch.eye(4))):
        with pytest.raises(BlendError, match="one blend"):
            frame_painter(stylizer, options, to)
    with pytest.raises(BlendError, match="a field cannot"):
        frame_painter(stylizer, PaintOptions(regions=[Region(LEFT, "starry")]), FIELD)
