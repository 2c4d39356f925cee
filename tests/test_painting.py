import os

import numpy as np
import pytest
import torch
from PIL import Image

from multistyle.errors import BlendError, ImageError, MultistyleError
from multistyle.image import Picture, read_image, read_mask, write_image
from multistyle.painting import PaintOptions, Region, keep_colors
from multistyle.stylizer import paint_file


@pytest.fixture
def photo(tmp_path):
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 14), scale_factor=10.0, mode="bilinear")[0]
    write_image(tmp_path / "photo.png", smooth)
    return tmp_path / "photo.png"


def painted(stylizer, photo, tmp_path, **settings) -> torch.Tensor:
    paint_file(stylizer, photo, tmp_path / "out.png", PaintOptions(**settings))
    return read_image(tmp_path / "out.png")


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("size", [None, 100])
def test_striped_and_whole_files_are_within_a_grey_level(stylizer, photo, tmp_path, keep, size):
    mask = torch.zeros(9, 14)
    mask[:, 7:] = 1
    how = {"blend": "wave", "regions": [Region(mask, {"starry": 0.7, "photo": 0.3})], "keep_colors": keep, "size": size}
    whole = painted(stylizer, photo, tmp_path, strips="off", **how)
    striped = painted(stylizer, photo, tmp_path, strips=64, **how)
    assert max(whole.shape) == (size or 140)
    difference = (whole - striped).abs()
    most = 2.1 if keep else 1.1  # one of rounding; with colours, one where the search for chroma ends a step off
    assert difference.max() <= most / 255 and difference.mean() < 0.1 / 255


def test_regions_are_painted_in_their_own_blends(stylizer, photo, tmp_path):
    mask = torch.zeros(90, 140)
    mask[:, :70] = 1
    got = painted(stylizer, photo, tmp_path, blend="wave", regions=[Region(mask, "photo")])
    assert torch.equal(got[:, :, :70], read_image(photo)[:, :, :70])
    assert (got[:, :, 70:] - read_image(photo)[:, :, 70:]).abs().mean() > 0.02


def test_colours_are_kept(stylizer, photo, tmp_path):
    plain = painted(stylizer, photo, tmp_path, blend="wave")
    kept = painted(stylizer, photo, tmp_path, blend="wave", keep_colors=True)
    assert (kept - keep_colors(plain, read_image(photo))).abs().mean() < 0.5 / 255, "of pixels rounded once more"


def test_large_pictures_are_held_as_bytes_to_the_same_end(stylizer, photo, tmp_path, monkeypatch):
    blend = "wave=2,photo=1"
    expected = painted(stylizer, photo, tmp_path, blend=blend, strips="64", keep_colors=True)
    monkeypatch.setattr("multistyle.painting.LARGE", 100)
    monkeypatch.setattr("multistyle.painting.ROWS_PIXELS", 1000)
    for strips in ("64", "off"):
        got = painted(stylizer, photo, tmp_path, blend=blend, strips=strips, keep_colors=True)
        assert (got - expected).abs().mean() < 0.5 / 255


def test_bytes_stay_bytes_and_transparency_is_resized_along(stylizer):
    picture = Picture(torch.randint(0, 256, (3, 40, 20), dtype=torch.uint8), torch.rand(1, 40, 20))
    result = stylizer.paint_picture(picture, PaintOptions("wave", size=20)).picture
    assert result.image.dtype == torch.uint8 and result.image.shape == (3, 20, 10) and result.alpha.shape == (1, 20, 10)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"strips": "63"}, {"strips": "some"}, {"strips": "-64"}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(MultistyleError, match="at least"):
        PaintOptions("wave", **wrong)


def test_a_mask_is_a_picture(photo, tmp_path):
    assert read_mask(photo).shape == (90, 140)
    (tmp_path / "mask.png").write_text("no")
    with pytest.raises(ImageError, match="is not a picture"):
        read_mask(tmp_path / "mask.png")


def test_every_kind_of_blend_paints_the_same(stylizer, photo):
    picture = read_image(photo)
    field = stylizer.blend("wave")[:, None, None].expand(-1, 9, 14).contiguous()
    expected = stylizer(picture, "wave")
    for blend in ("wave", {"wave": 3}, stylizer.blend("wave").tolist(), stylizer.blend("wave"), field):
        for strips in ("off", 64):
            painted = stylizer.paint(picture, blend, strips=strips)
            assert (painted - expected).abs().max() < 1.1 / 255, (type(blend), strips)


def test_a_field_in_strips_is_the_field_in_one_pass(stylizer, photo):
    shares = torch.rand(2, 9, 14)
    field = torch.cat([torch.zeros(1, 9, 14), shares, torch.zeros(1, 9, 14)]) / shares.sum(0)
    whole, strips = (stylizer.paint(read_image(photo), field, strips=strips) for strips in ("off", 64))
    assert (whole - strips).abs().max() < 1.1 / 255


def test_what_is_not_one_blend_is_refused(stylizer, photo):
    picture, mask = read_image(photo), torch.ones(4, 4)
    with pytest.raises(MultistyleError, match="one picture is painted in one blend, not in 4"):
        stylizer.paint(picture, torch.eye(4))
    with pytest.raises(MultistyleError, match="regions take one blend each"):
        stylizer.paint(picture, torch.ones(4, 3, 3), regions=[Region(mask, "wave")])
    with pytest.raises(MultistyleError, match="unknown style 'wav'"):
        stylizer.paint(picture, "wave", regions=[Region(mask, "wav")])


def test_pictures_of_any_kind_come_back_as_that_kind(stylizer):
    tensor = torch.rand(3, 20, 30)
    array = tensor.permute(1, 2, 0).numpy()
    expected = stylizer(tensor, "wave")
    assert torch.equal(stylizer.paint(tensor, "wave"), expected)
    painted = stylizer.paint(array, "wave")
    assert painted.dtype == np.float32 and np.array_equal(painted, expected.permute(1, 2, 0).numpy())
    alpha = np.random.default_rng(0).random((20, 30, 1), np.float32)
    with_alpha = stylizer.paint(np.concatenate([array, alpha], axis=2), "wave")
    assert np.array_equal(with_alpha[..., 3:], alpha)
    grey = (array * 255).astype(np.uint8)
    painted = stylizer.paint(grey, "wave")
    from_pil = stylizer.paint(Image.fromarray(grey), "wave")
    assert painted.dtype == np.uint8 and from_pil.mode == "RGB" and from_pil.size == (30, 20)
    assert np.abs(np.asarray(from_pil).astype(int) - painted).max() <= 1
    assert np.array_equal(stylizer.paint(grey, "photo"), grey)
    assert torch.equal(
        stylizer.paint(torch.from_numpy(grey).permute(2, 0, 1), "photo").permute(1, 2, 0), torch.from_numpy(grey)
    )
    transparent = Image.new("RGBA", (8, 6), (255, 0, 0, 128))
    assert stylizer.paint(transparent, "photo").mode == "RGBA"


@pytest.mark.parametrize(
    "picture",
    [
        "photo.jpg",
        np.zeros((4, 4)),
        np.zeros((4, 4, 2)),
        np.full((4, 4, 3), 255.0),
        np.zeros((4, 4, 3), int),
        np.full((4, 4, 4), np.nan),
        torch.rand(1, 4, 4),
        torch.rand(2, 3, 4, 4),
        torch.full((3, 4, 4), float("nan")),
    ],
)
def test_what_is_no_picture_is_refused(stylizer, picture):
    with pytest.raises(ImageError):
        stylizer.paint(picture, "wave")


def test_masks_are_checked_before_they_become_bytes(stylizer):
    image = torch.rand(3, 20, 30)
    for mask in (torch.full((20, 30), 255.0), torch.full((20, 30), torch.nan), np.ones((20, 30), np.float32), "m.png"):
        with pytest.raises(BlendError, match="a region's mask is"):
            stylizer.paint(image, "starry", regions=[Region(mask, "wave")])
    whole = stylizer.paint(image, "wave")
    for mask in (
        torch.ones(20, 30),
        torch.full((20, 30), 255, dtype=torch.uint8),
        torch.ones(20, 30, dtype=torch.bool),
    ):
        got = stylizer.paint(image, "starry", regions=[Region(mask, "wave")])
        assert (got - whole).norm() < 1e-3 * whole.norm()


@pytest.mark.parametrize("strips", ["off", 64])
def test_every_picture_is_checked_however_it_is_painted(stylizer, strips):
    image, how = torch.rand(3, 70, 90), PaintOptions("starry", strips=strips)
    for wrong in (image * 255, image * torch.nan, image[None], image[:2], None, "photo.png"):
        with pytest.raises(ImageError):
            stylizer.paint_picture(Picture(wrong), how)
    for alpha in (torch.rand(1, 7, 9), "alpha"):
        with pytest.raises(ImageError, match="alpha"):
            stylizer.paint_picture(Picture(image, alpha), how)
    expected = stylizer.paint_picture(Picture(image), how).picture.image
    for dtype, most in ((torch.float64, 1e-5), (torch.float16, 1e-2)):
        got = stylizer.paint_picture(Picture(image.to(dtype)), how).picture.image
        assert got.dtype == dtype and (got.float() - expected).norm() < most * expected.norm()


@pytest.mark.parametrize(
    "wrong",
    [
        {"strength": "a"},
        {"strength": None},
        {"size": "5"},
        {"size": 5.5},
        {"size": float("nan")},
        {"regions": None},
        {"regions": [(torch.ones(2, 2), "starry")]},
        {"regions": "mask.png=starry"},
    ],
)
def test_options_of_another_type_are_refused_in_one_line(wrong):
    with pytest.raises(MultistyleError, match="^[^\n]*$"):
        PaintOptions("starry", **wrong)


def test_arrays_of_any_byte_order_and_precision(stylizer):
    array = np.random.default_rng(0).random((20, 30, 4))
    for dtype in (">f2", ">f4", ">f8", np.longdouble):
        got = stylizer.paint(array.astype(dtype), "photo")
        assert got.dtype == dtype and np.linalg.norm(got.astype(float) - array) < 1e-2 * np.linalg.norm(array)


def test_an_array_that_is_read_only_is_painted_quietly_and_kept(stylizer, recwarn):
    array = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    before = array.copy()
    array.setflags(write=False)
    stylizer.paint(array, "starry")
    assert not recwarn.list and np.array_equal(array, before)


def test_colours_are_kept_of_one_photo_alone():
    image = torch.rand(3, 4, 5)
    for painting, photo in ((image * 255, image), (image, image[:, 1:]), (image[None], image[None]), (image, None)):
        with pytest.raises(ImageError):
            keep_colors(painting, photo)


def test_a_pil_image_without_pixels_is_one_clear_line(stylizer):
    with pytest.raises(ImageError, match="has no pixels: 0 x 4"):
        stylizer.paint(Image.new("RGB", (0, 4)), "wave")


def test_blends_of_two_kinds_have_nothing_between_them(stylizer):
    field = stylizer.blend("wave")[:, None, None].expand(-1, 4, 4)
    with pytest.raises(MultistyleError, match="nothing between them"):
        stylizer.interpolate(torch.rand(3, 8, 8), "starry", field, 3)


def test_a_pipe_is_painted_too(stylizer, photo, tmp_path):
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(photo.read_bytes())
    with open(reading, "rb") as pipe:
        paint_file(stylizer, pipe, tmp_path / "piped.png", PaintOptions("wave"))
    paint_file(stylizer, photo, tmp_path / "file.png", PaintOptions("wave"))
    assert (tmp_path / "piped.png").read_bytes() == (tmp_path / "file.png").read_bytes()
