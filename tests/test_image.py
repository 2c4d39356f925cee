import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from multistyle.errors import ImageError
from multistyle.image import check_image, picture_size, read_image, read_picture, resize_image, write_image

RED, GREEN = (255, 0, 0), (0, 255, 0)


def pixels(image: torch.Tensor) -> np.ndarray:
    return image.mul(255).round().byte().permute(1, 2, 0).numpy()


@pytest.fixture
def halves() -> Image.Image:
    """Wide: red on the left, green on the right."""
    picture = Image.new("RGB", (40, 20), RED)
    picture.paste(GREEN, (20, 0, 40, 20))
    return picture


def test_png_round_trip_is_exact(tmp_path):
    image = torch.randint(0, 256, (3, 7, 5)).float() / 255
    write_image(tmp_path / "a.png", image)
    assert torch.equal(read_image(tmp_path / "a.png"), image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_jpeg_keeps_full_chroma(tmp_path, halves):
    write_image(tmp_path / "a.jpg", torch.from_numpy(np.array(halves)).permute(2, 0, 1) / 255)
    with Image.open(tmp_path / "a.jpg") as written:
        assert all(layer[1:3] == (1, 1) for layer in written.layer)


@pytest.mark.parametrize("orientation, corner", [(1, RED), (3, GREEN), (6, RED), (8, GREEN)])
def test_photos_stand_upright(tmp_path, halves, orientation, corner):
    exif = Image.Exif()
    exif[0x0112] = orientation
    halves.save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    assert image.shape[1:] == ((20, 40) if orientation in (1, 3) else (40, 20))
    assert tuple(pixels(image)[0, 0]) == corner


def test_grey_palette_cmyk_and_16_bits(tmp_path):
    Image.new("L", (4, 4), 51).save(tmp_path / "grey.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "bits.png")
    Image.new("RGB", (4, 4), (51, 102, 204)).quantize(4).save(tmp_path / "palette.png")
    Image.new("CMYK", (4, 4), (255, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    Image.fromarray(np.full((4, 4), 51 * 257, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((4, 4), 0.2, np.float32)).save(tmp_path / "float.tif")
    for name in ("grey.png", "deep.png", "float.tif"):
        torch.testing.assert_close(read_image(tmp_path / name), torch.full((3, 4, 4), 0.2), atol=1e-4, rtol=0)
    assert read_image(tmp_path / "bits.png").eq(1).all()
    assert tuple(pixels(read_image(tmp_path / "palette.png"))[0, 0]) == (51, 102, 204)
    cyan = pixels(read_image(tmp_path / "cmyk.jpg"))[0, 0]
    assert cyan[0] < 40 and cyan[1] > 150 and cyan[2] > 200


def test_colour_profiles_become_srgb(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
    picture = Image.new("RGB", (4, 4), (200, 20, 20))
    for name, profile in {"swapped": swapped, "srgb": srgb, "broken": b"no profile at all", "none": None}.items():
        picture.save(tmp_path / f"{name}.png", icc_profile=profile)
    colours = {path.stem: pixels(read_image(path))[0, 0].astype(int) for path in tmp_path.iterdir()}
    assert abs(colours["swapped"] - [20, 200, 20]).max() <= 2, "its red primary is sRGB's green"
    assert abs(colours["srgb"] - [200, 20, 20]).max() <= 1
    assert colours["broken"].tolist() == colours["none"].tolist() == [200, 20, 20]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white_and_kept_where_it_can_be(tmp_path, mode):
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 2, 4))
    picture.convert(mode).save(tmp_path / "in.png")
    image, alpha = read_picture(tmp_path / "in.png")
    assert pixels(image)[0, :, 0].tolist() == [255, 255, 0, 0]
    assert alpha[0, 0].tolist() == [0, 0, 1, 1]
    black = torch.zeros(3, 4, 4)
    write_image(tmp_path / "kept.png", black, alpha)
    assert torch.equal(read_picture(tmp_path / "kept.png").alpha, alpha)
    write_image(tmp_path / "laid.bmp", black, alpha)
    assert pixels(read_image(tmp_path / "laid.bmp"))[0, :, 0].tolist() == [255, 255, 0, 0]


def test_an_opaque_alpha_channel_is_no_transparency(tmp_path):
    Image.new("RGBA", (4, 4), (1, 2, 3, 255)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").alpha is None


def broken_files() -> dict[str, bytes]:
    jpeg, bomb = io.BytesIO(), io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(jpeg, "JPEG")
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    return {
        "empty.jpg": b"",
        "text.jpg": b"this is no picture",
        "cut.jpg": jpeg.getvalue()[: len(jpeg.getvalue()) // 2],
        "bomb.png": bomb.getvalue(),
    }


@pytest.mark.parametrize(
    "name, message",
    [
        ("empty.jpg", "is empty"),
        ("text.jpg", "is not a picture"),
        ("cut.jpg", "is damaged"),
        ("bomb.png", "more pixels than are safe"),
        ("missing.jpg", "No such file"),
    ],
)
def test_what_is_no_picture_is_said_in_one_line(tmp_path, name, message):
    if name in (files := broken_files()):
        (tmp_path / name).write_bytes(files[name])
    with pytest.raises(ImageError, match=message) as raised:
        read_image(tmp_path / name)
    assert name in str(raised.value) and "\n" not in str(raised.value)


def test_a_format_that_needs_a_plug_in_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.HEIC").write_bytes(b"ftypheic")
    with pytest.raises(ImageError, match="pip install pillow-heif"):
        read_image(tmp_path / "a.HEIC")


def test_the_size_is_told_upright_without_decoding(tmp_path, halves):
    exif = Image.Exif()
    exif[0x0112] = 6
    halves.save(tmp_path / "a.jpg", exif=exif)
    assert picture_size(tmp_path / "a.jpg") == (40, 20) == tuple(read_image(tmp_path / "a.jpg").shape[1:])


def test_bytes_are_the_rounded_floats(tmp_path, halves):
    halves.save(tmp_path / "a.png")
    as_bytes = read_picture(tmp_path / "a.png", torch.uint8).image
    assert as_bytes.dtype == torch.uint8 and torch.equal(as_bytes / 255, read_image(tmp_path / "a.png"))
    write_image(tmp_path / "b.png", as_bytes)
    assert torch.equal(read_image(tmp_path / "b.png"), as_bytes / 255)


def test_pillows_warnings_reach_nobody(tmp_path, recwarn):
    info = PngImagePlugin.PngInfo()
    Image.new("1", (10_000, 10_000)).save(tmp_path / "large.png", pnginfo=info)  # over Pillow's warning limit
    assert read_image(tmp_path / "large.png").shape == (3, 10_000, 10_000)
    assert not recwarn.list


@pytest.mark.parametrize(
    "name, message",
    [("a.xyz", r"should end in one of"), ("none/a.png", "there is no folder"), (".", "cannot tell the format")],
)
def test_impossible_outputs_are_refused(tmp_path, name, message):
    with pytest.raises(ImageError, match=message):
        write_image(tmp_path / name, torch.zeros(3, 4, 4))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    write_image(target, torch.zeros(3, 4, 4))

    def fail(self, data):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ImageError, match="No space left"):
        write_image(target, torch.ones(3, 4, 4))
    assert read_image(target).eq(0).all() and len(list(tmp_path.iterdir())) == 1


def test_resize_sets_the_longer_side():
    image = torch.rand(3, 20, 40)
    assert resize_image(image, 10).shape == (3, 5, 10)
    assert resize_image(image, 80).shape == (3, 40, 80)
    assert resize_image(image, 1).shape == (3, 1, 1)
    assert resize_image(image, 40) is image
    assert 0 <= resize_image(image, 57).min() and resize_image(image, 57).max() <= 1
    with pytest.raises(ImageError, match="at least 1"):
        resize_image(image, 0)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "got torch.uint8"),
        (np.zeros((3, 4, 4)), "got"),
        (torch.zeros(4, 4, 4), r"got shape \(4, 4, 4\)"),
        (torch.zeros(3, 0, 4), r"got shape"),
        (torch.full((3, 4, 4), 200.0), "got values from 200 to 200"),
        (torch.full((3, 4, 4), float("nan")), "got values from nan"),
    ],
)
def test_what_is_no_image_tensor_is_named(wrong, message):
    with pytest.raises(ImageError, match=message):
        check_image(wrong)
