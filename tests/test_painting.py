import pytest
import torch

from multistyle.blend import Regions
from multistyle.color import keep_colors
from multistyle.errors import ImageError, MultistyleError
from multistyle.image import Picture, read_image, write_image
from multistyle.painting import Render, paint_file, read_mask
from multistyle.stylizer import Stylizer


@pytest.fixture
def stylizer(model) -> Stylizer:
    return Stylizer(model, "cpu")


@pytest.fixture
def photo(tmp_path):
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 14), scale_factor=10.0, mode="bilinear")[0]
    write_image(tmp_path / "photo.png", smooth)
    return tmp_path / "photo.png"


def painted(stylizer, photo, tmp_path, **settings) -> torch.Tensor:
    paint_file(stylizer, photo, tmp_path / "out.png", Render(**settings))
    return read_image(tmp_path / "out.png")


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("size", [None, 100])
def test_tiled_and_whole_files_are_within_a_grey_level(stylizer, photo, tmp_path, keep, size):
    mask = torch.zeros(9, 14)
    mask[:, 7:] = 1
    regions = Regions([mask], [stylizer.blend("starry", 0.7)], stylizer.blend("wave"))
    whole = painted(stylizer, photo, tmp_path, blend=regions, tile="off", keep_colors=keep, size=size)
    tiled = painted(stylizer, photo, tmp_path, blend=regions, tile="64", keep_colors=keep, size=size)
    assert max(whole.shape) == (size or 140)
    difference = (whole - tiled).abs()
    most = 2.1 if keep else 1.1  # one of rounding; with colours, one where the search for chroma ends a step off
    assert difference.max() <= most / 255 and difference.mean() < 0.1 / 255


def test_regions_are_painted_in_their_own_blends(stylizer, photo, tmp_path):
    mask = torch.zeros(90, 140)
    mask[:, :70] = 1
    got = painted(stylizer, photo, tmp_path, blend=Regions([mask], [stylizer.blend("photo")], stylizer.blend("wave")))
    assert torch.equal(got[:, :, :70], read_image(photo)[:, :, :70])
    assert (got[:, :, 70:] - read_image(photo)[:, :, 70:]).abs().mean() > 0.02


def test_colours_are_kept(stylizer, photo, tmp_path):
    plain = painted(stylizer, photo, tmp_path, blend=stylizer.blend("wave"))
    kept = painted(stylizer, photo, tmp_path, blend=stylizer.blend("wave"), keep_colors=True)
    assert (kept - keep_colors(plain, read_image(photo))).abs().mean() < 0.5 / 255, "of pixels rounded once more"


def test_large_pictures_are_held_as_bytes_to_the_same_end(stylizer, photo, tmp_path, monkeypatch):
    blend = stylizer.blend("wave=2,photo=1")
    expected = painted(stylizer, photo, tmp_path, blend=blend, tile="64", keep_colors=True)
    monkeypatch.setattr("multistyle.painting.LARGE", 100)
    monkeypatch.setattr("multistyle.painting.ROWS_PIXELS", 1000)
    for tile in ("64", "off"):
        got = painted(stylizer, photo, tmp_path, blend=blend, tile=tile, keep_colors=True)
        assert (got - expected).abs().mean() < 0.5 / 255


def test_bytes_stay_bytes_and_transparency_is_resized_along(stylizer):
    picture = Picture(torch.randint(0, 256, (3, 40, 20), dtype=torch.uint8), torch.rand(1, 40, 20))
    result = Render(stylizer.blend("wave"), size=20).paint(stylizer, picture)
    assert result.image.dtype == torch.uint8 and result.image.shape == (3, 20, 10) and result.alpha.shape == (1, 20, 10)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"tile": "63"}, {"tile": "some"}, {"tile": "-64"}])
def test_impossible_settings_are_refused(stylizer, wrong):
    with pytest.raises(MultistyleError, match="at least"):
        Render(stylizer.blend("wave"), **wrong)


def test_a_mask_is_a_picture(photo, tmp_path):
    assert read_mask(photo).shape == (90, 140)
    (tmp_path / "mask.png").write_text("no")
    with pytest.raises(ImageError, match="is not a picture"):
        read_mask(tmp_path / "mask.png")
