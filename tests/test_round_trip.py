"""The mix `photo` returns what came in: colours, transparency, and what the picture carries."""

import numpy as np
import pytest
from PIL import Image

from multistyle.folder import paint_folder
from multistyle.folder_plan import plan_folder
from multistyle.painting import PaintOptions
from multistyle.stylizer import Stylizer, paint_file


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (72, 80, 4), dtype=np.uint8)
    pixels[:, :40] = (255, 0, 0, 128)
    pixels[:8, :8] = (10, 20, 30, 0)
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 1, "Ada"
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png", exif=exif, dpi=(300, 300))
    return tmp_path / "in" / "a.png"


def check(path, photo) -> None:
    with Image.open(path) as painted, Image.open(photo) as original:
        there, expected = np.asarray(painted).astype(int), np.asarray(original).astype(int)
        assert painted.getexif()[0x8298] == "Ada" and round(painted.info["dpi"][0]) == 300
    assert (there[..., 3] == expected[..., 3]).all() and there[20, 20].tolist() == [255, 0, 0, 128]
    seen = expected[..., 3] > 0
    assert (there[seen] == expected[seen]).all() and (there[~seen][:, :3] == 255).all()


@pytest.mark.parametrize("strips", ["off", 64])
def test_one_picture(model, photo, tmp_path, strips):
    paint_file(Stylizer(model, "cpu"), photo, tmp_path / "out.png", PaintOptions("photo", strips=strips))
    check(tmp_path / "out.png", photo)
    paint_file(Stylizer(model, "cpu"), photo, tmp_path / "out.jpg", PaintOptions("photo", strips=strips))
    assert abs(np.asarray(Image.open(tmp_path / "out.jpg")).astype(int)[32, 24] - [255, 127, 127]).max() <= 2


def test_a_folder(model, photo, tmp_path):
    plan = plan_folder(photo.parent, tmp_path / "out")
    assert [outcome.error for outcome in paint_folder(Stylizer(model, "cpu"), plan, PaintOptions("photo"))] == [None]
    check(tmp_path / "out" / "a.png", photo)


def test_what_is_transparent_does_not_change_what_is_seen(model, photo, tmp_path):
    pixels = np.array(Image.open(photo))
    pixels[:8, :8, :3] = 200
    Image.fromarray(pixels).save(tmp_path / "other.png")
    for name, source in {"one": photo, "two": tmp_path / "other.png"}.items():
        paint_file(Stylizer(model, "cpu"), source, tmp_path / f"{name}.png", PaintOptions("starry", keep_colors=True))
    one, two = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("one", "two"))
    assert (one == two).all()
