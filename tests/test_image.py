import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from multistyle.errors import ImageError
from multistyle.formats import decode
from multistyle.image import (
    Picture,
    check_image,
    check_output,
    encode_picture,
    frames,
    from_pil,
    own_suffix,
    picture_size,
    read_image,
    read_mask,
    read_picture,
    resize_image,
    resize_picture,
    write_image,
    write_picture,
)

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
def test_transparency_is_kept_where_it_can_be(tmp_path, mode):
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 2, 4))
    picture.convert(mode).save(tmp_path / "in.png")
    image, alpha, _ = read_picture(tmp_path / "in.png")
    assert pixels(image)[0, :, 0].tolist() == [255, 255, 0, 0]
    assert alpha[0, 0].tolist() == [0, 0, 1, 1]
    black = torch.zeros(3, 4, 4)
    write_image(tmp_path / "kept.png", black, alpha)
    assert torch.equal(read_picture(tmp_path / "kept.png").alpha, alpha)
    write_image(tmp_path / "laid.bmp", black, alpha)
    assert pixels(read_image(tmp_path / "laid.bmp"))[0, :, 0].tolist() == [255, 255, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_straight_colours_come_out_as_they_went_in(tmp_path, suffix, dtype):
    Image.new("RGBA", (4, 4), (255, 0, 0, 128)).save(tmp_path / f"in{suffix}", lossless=True)
    picture = read_picture(tmp_path / f"in{suffix}", dtype)
    write_picture(tmp_path / f"out{suffix}", picture)
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.mode == "RGBA" and written.getpixel((1, 1)) == (255, 0, 0, 128)
    write_picture(tmp_path / "out.png", read_picture(tmp_path / f"out{suffix}", dtype))
    assert Image.open(tmp_path / "out.png").getpixel((1, 1)) == (255, 0, 0, 128)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_a_format_without_transparency_gets_it_laid_on_white_once(tmp_path, dtype):
    Image.new("RGBA", (16, 16), (255, 0, 0, 128)).save(tmp_path / "in.png")
    assert pixels(read_image(tmp_path / "in.png"))[3, 3].tolist() == [255, 127, 127]
    for suffix in (".bmp", ".ppm", ".jpg"):
        write_picture(tmp_path / f"out{suffix}", read_picture(tmp_path / "in.png", dtype))
        laid = np.asarray(Image.open(tmp_path / f"out{suffix}")).astype(int)[8, 8]
        assert abs(laid - [255, 127, 127]).max() <= (1 if suffix == ".jpg" else 0)


def test_what_is_under_transparent_pixels_never_enters_the_picture(tmp_path):
    picture = Image.new("RGBA", (40, 40), (10, 200, 30, 0))
    picture.paste((200, 0, 0, 255), (20, 0, 40, 40))
    picture.save(tmp_path / "a.png")
    for dtype in (torch.float32, torch.uint8):
        image, alpha, _ = resize_picture(read_picture(tmp_path / "a.png", dtype), 20)
        full = 1 if dtype == torch.float32 else 255
        assert image.dtype == dtype and image.shape == (3, 20, 20) and alpha.shape == (1, 20, 20)
        assert (image[:, :, :5] == full).all(), "white where nothing is"
        seen = image[:, alpha[0] > 0] / full
        assert (seen - torch.tensor([[200 / 255], [0], [0]])).abs().max() < 0.01, "no green, no white in the red"
    whole = resize_picture(read_picture(tmp_path / "a.png"), 80)
    assert (whole.image[:, whole.alpha[0] > 0][1] < 0.01).all()


def test_an_opaque_alpha_channel_is_no_transparency(tmp_path):
    Image.new("RGBA", (4, 4), (1, 2, 3, 255)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").alpha is None


def mask_of(tmp_path: Path, array: np.ndarray) -> np.ndarray:
    Image.fromarray(array.astype(np.uint8)).save(tmp_path / "mask.png")
    return read_mask(tmp_path / "mask.png").numpy()


def test_a_mask_is_its_luminance_or_its_transparency(tmp_path):
    inside = np.zeros((20, 20), bool)
    inside[5:15, 5:15] = True
    assert np.allclose(mask_of(tmp_path, inside * 255), inside), "opaque: white is in"
    for brush in ((255, 255, 255), (0, 0, 0), (200, 30, 60)):
        for under in ((0, 0, 0), (255, 255, 255)):
            stroke = np.dstack([np.where(inside[..., None], brush, under), inside * 255])
            assert np.allclose(mask_of(tmp_path, stroke), inside), (brush, under)
    subject = np.random.default_rng(0).integers(0, 256, (20, 20, 3))
    assert np.allclose(mask_of(tmp_path, np.dstack([subject, inside * 255])), inside), "a cutout in many colours"
    grey = np.where(np.arange(20) < 10, 0, 255)[None, :, None] * np.ones((20, 1, 3))
    expected = inside & (np.arange(20) >= 10)
    assert np.allclose(mask_of(tmp_path, np.dstack([grey, inside * 255])), expected), "luminance times alpha"
    half = np.dstack([np.full((20, 20, 3), 255), np.full((20, 20), 128)])
    assert np.allclose(mask_of(tmp_path, half), 128 / 255)
    assert not mask_of(tmp_path, np.zeros((20, 20, 4))).any()


def broken_files() -> dict[str, bytes]:
    jpeg = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(jpeg, "JPEG")
    return {
        "empty.jpg": b"",
        "text.jpg": b"this is no picture",
        "cut.jpg": jpeg.getvalue()[: len(jpeg.getvalue()) // 2],
    }


@pytest.mark.parametrize(
    "name, message",
    [
        ("empty.jpg", "is empty"),
        ("text.jpg", "is not a picture"),
        ("cut.jpg", "is damaged"),
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
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
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


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pillows_limit_of_pixels_is_neither_used_nor_changed(tmp_path, recwarn, monkeypatch, suffix):
    Image.new("RGB", (64, 64)).save(tmp_path / f"a{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(tmp_path / f"a{suffix}").shape == (3, 64, 64)
    assert Image.MAX_IMAGE_PIXELS == 100 and not recwarn.list


def test_a_picture_is_read_where_strips_can_paint_it(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "UNCHECKED", 100)
    Image.new("RGB", (100, 50)).save(tmp_path / "a.png")
    free = {"bytes": 5000 * 40}
    monkeypatch.setattr(decode, "free_memory", lambda device: free["bytes"])
    assert read_picture(tmp_path / "a.png", torch.uint8).image.shape == (3, 50, 100)
    free["bytes"] -= 1
    with pytest.raises(ImageError, match=r"a\.png is 100 x 50 pixels: painting it takes about .* GB.*--size"):
        read_picture(tmp_path / "a.png", torch.uint8)
    assert read_picture(tmp_path / "a.png", size=50).image.shape == (3, 25, 50)
    free["bytes"] = 5000
    with pytest.raises(ImageError, match="reading it takes"):
        read_picture(tmp_path / "a.png", size=50)
    Image.new("RGB", (100, 48)).save(tmp_path / "a.jpg")
    free["bytes"] = 50 * 24 * 12
    assert read_picture(tmp_path / "a.jpg", size=25).image.shape == (3, 12, 25), "a JPEG is decoded reduced"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_out_of_memory_is_not_called_damage(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(decode, "_to_tensor", fail)
    with pytest.raises(ImageError, match="does not fit in the memory") as raised:
        read_image(tmp_path / "a.png")
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("shape", [(1000, 751), (333, 1200), (64, 48)])
def test_a_size_is_met_exactly(tmp_path, shape, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.effect_noise(shape, 50).resize(shape).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    whole = read_image(tmp_path / "a.jpg")
    for size in (32, 100, 500, 1500):
        expected = resize_image(whole, size)
        image = read_picture(tmp_path / "a.jpg", size=size).image
        assert image.shape == expected.shape
        assert (image - expected).norm() / expected.norm() < 0.06
    with pytest.raises(ImageError, match="at least 1"):
        read_picture(tmp_path / "a.jpg", size=0)


def test_a_file_of_the_caller_stays_open(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as file:
        assert torch.equal(read_image(file), read_image(file))


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero", tmp_path):
        for read in (read_image, picture_size, frames, read_mask):
            with pytest.raises(ImageError, match="cannot read"):
                read(path)


def test_an_input_is_never_an_output(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is an input"):
        check_output(tmp_path / "a.png", [tmp_path / "a.png"])
    check_output(tmp_path / "b.png", [tmp_path / "a.png"])


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
    assert resize_image(image, 57).min() >= 0 and resize_image(image, 57).max() <= 1
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


@pytest.mark.parametrize(
    "picture, message",
    [
        (Picture(torch.zeros(4, 4, 3, dtype=torch.uint8)), "one picture has the shape"),
        (Picture(torch.zeros(3, 4, 4), torch.zeros(4, 4)), "alpha has the shape"),
        (Picture(torch.zeros(3, 4, 4), torch.full((1, 4, 4), 255.0)), "values from 255"),
        (Picture(torch.zeros(1, 3, 4, 4)), "one picture has the shape"),
    ],
)
def test_what_is_no_picture_is_not_written(tmp_path, picture, message):
    with pytest.raises(ImageError, match=message):
        write_picture(tmp_path / "a.png", picture)
    assert not list(tmp_path.iterdir())


def test_a_pil_image_is_read_as_its_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Cam"
    rgba = Image.new("RGBA", (6, 4), (255, 0, 0, 128))
    rgba.putpixel((0, 0), (0, 255, 0, 0))
    grey = Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6) * 2000)
    for picture, options in (
        (rgba, {}),
        (rgba.quantize(), {}),
        (rgba.convert("LA"), {}),
        (grey, {"transparency": 4000}),
    ):
        picture.save(tmp_path / "a.png", exif=exif, **options)
        expected = read_picture(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as opened:
            image, alpha, metadata = from_pil(opened)
        assert torch.equal(image, expected.image) and torch.equal(alpha, expected.alpha)
        assert image.shape == (3, 6, 4) and metadata.exif == expected.metadata.exif
    assert from_pil(Image.new("RGB", (2, 2))).metadata is None
    with pytest.raises(ImageError, match="PIL image has values"):
        from_pil(Image.new("F", (2, 2), 255.0))


def test_a_size_beyond_memory_is_refused_before_it_is_tried(tmp_path):
    write_image(tmp_path / "a.png", torch.rand(3, 8, 12))
    for size in (200_000, 10**9, 10**30):
        with pytest.raises(ImageError, match=r"^\S*a.png would take about .* GB .* ask for a smaller size$"):
            read_picture(tmp_path / "a.png", size=size)
        with pytest.raises(ImageError, match="^the picture would take about"):
            resize_image(torch.rand(3, 8, 12), size)


def test_an_image_that_is_resized_is_checked():
    for image in (
        torch.rand(3, 4, 4) * 255,
        torch.rand(3, 4, 4) * torch.nan,
        torch.rand(4, 4, 4),
        torch.rand(1, 3, 4, 4),
    ):
        with pytest.raises(ImageError):
            resize_image(image, 2)
    for size in (0, 2.5, "3", float("nan")):
        with pytest.raises(ImageError, match="a size is a whole number"):
            resize_image(torch.rand(3, 4, 4), size)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert resize_image(torch.ones(3, 4, 4, dtype=dtype), 2).dtype == dtype


def test_tensors_that_hold_no_plain_numbers_are_refused():
    image = torch.rand(3, 4, 4)
    for odd in (image.to_sparse(), image.to("meta"), image.to(torch.float8_e4m3fn)):
        with pytest.raises(ImageError, match="an image tensor is float"):
            check_image(odd)


@pytest.mark.parametrize("suffix, own", [(".png", ".png"), (".JPEG", ".jpg"), (".webp", ".webp"), (".bmp", ".bmp")])
def test_a_picture_in_memory_is_that_of_the_file(tmp_path, suffix, own):
    picture = Picture(torch.rand(3, 9, 14), torch.rand(1, 9, 14) if suffix in (".png", ".webp") else None)
    write_picture(tmp_path / f"picture{suffix}", picture)
    encoded = encode_picture(suffix, picture)
    assert encoded == (tmp_path / f"picture{suffix}").read_bytes()
    assert own_suffix(io.BytesIO(encoded)) == own and picture_size(io.BytesIO(encoded)) == (9, 14)
    with pytest.raises(ImageError, match="no picture is written as .gif"):
        encode_picture(".gif", picture)
