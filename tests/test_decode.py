"""Odd, but whole, picture files: each is read, with the right colours."""

import io
import struct
import subprocess
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import GifImagePlugin, Image, ImageCms, ImageFile, PngImagePlugin

from multistyle.errors import ImageError
from multistyle.formats.metadata import Metadata
from multistyle.formats.profiles import PRIMARIES, make_profile
from multistyle.image import frames, picture_size, read_image, read_picture

MAGIC = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(pixels: np.ndarray, colour: int, depth: int = 8, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG of `pixels`, (H, W) or (H, W, C), unfiltered; before, after: chunks around the pixels'."""
    height, width = pixels.shape[:2]
    if depth < 8:
        shifts = np.arange(8 // depth)[::-1] * depth
        packed = (pixels.reshape(height, -1, 8 // depth) << shifts).sum(-1).astype(np.uint8)
    else:
        packed = pixels.astype(">u2" if depth == 16 else np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return MAGIC + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")


def levels(data: bytes) -> np.ndarray:
    return read_picture(io.BytesIO(data)).image.mul(255).round().byte().permute(1, 2, 0).numpy().astype(int)


def alpha(data: bytes) -> list:
    transparency = read_picture(io.BytesIO(data)).alpha
    return [] if transparency is None else (transparency[0] * 255).round().int().tolist()


def encoded(picture: Image.Image, format: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


RED = np.tile(np.array([200, 20, 30]), (4, 4, 1))


# Transparency


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_grey_is_transparent(depth):
    full = 2**depth - 1
    pixels = np.zeros((2, 8), int)
    pixels[:, :4] = full
    for key, opaque, shown in ((0, [255] * 4 + [0] * 4, [255] * 8), (full, [0] * 4 + [255] * 4, [255] * 4 + [0] * 4)):
        data = png(pixels, 0, depth, chunk(b"tRNS", struct.pack(">H", key)))
        assert alpha(data) == [opaque] * 2
        assert levels(data)[0].tolist() == [[level] * 3 for level in shown]


def test_16_bit_grey_differs_from_the_transparent_one_by_its_low_byte():
    data = png(np.array([[0x8001, 0x8002]]), 0, 16, chunk(b"tRNS", struct.pack(">H", 0x8001)))
    assert alpha(data) == [[0, 255]] and levels(data)[0, 1].tolist() == [128] * 3


@pytest.mark.parametrize("depth", [8, 16])
def test_one_colour_is_transparent(depth):
    scale = 257 if depth == 16 else 1
    pixels = np.array([[[1, 2, 3], [1, 2, 4]]]) * scale
    data = png(pixels, 2, depth, chunk(b"tRNS", struct.pack(">3H", *(pixels[0, 0]))))
    assert alpha(data) == [[0, 255]] and levels(data)[0].tolist() == [[255, 255, 255], [1, 2, 4]]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [4, 6])
def test_alpha_channels_of_any_depth(depth, colour):
    scale = 257 if depth == 16 else 1
    pixels = np.array([[[60, 128] if colour == 4 else [255, 0, 0, 128]]]) * scale
    data = png(pixels, colour, depth)
    assert alpha(data) == [[128]] and levels(data)[0, 0].tolist() == ([60] * 3 if colour == 4 else [255, 0, 0])


def test_a_palette_with_transparency():
    palette = chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]))
    pixels = np.array([[0, 1, 2, 0]])
    for table, expected in (
        (b"\x80\0", [128, 0, 255, 128]),
        (b"\xff\0", [255, 0, 255, 255]),
        (b"\x80" * 300, [128] * 4),
    ):
        data = png(pixels, 3, 8, palette + chunk(b"tRNS", table))
        assert alpha(data) == [expected]
        assert levels(data)[0, 0].tolist() == [255, 0, 0] and levels(data)[0, 2].tolist() == [0, 0, 255]


def test_the_first_frame_of_a_gif():
    first, second = Image.new("P", (6, 4), 1), Image.new("P", (6, 4), 2)
    for frame in (first, second):
        frame.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    first.putpixel((0, 0), 0)
    data = encoded(first, "GIF", save_all=True, append_images=[second], transparency=0, duration=100)
    assert frames_of(data) == 2 and frames_of(encoded(first, "GIF")) == 1
    assert alpha(data)[0] == [0, 255, 255, 255, 255, 255] and levels(data)[1, 1].tolist() == [255, 0, 0]


def test_what_the_first_frame_of_a_gif_does_not_cover_is_transparent():
    data = bytearray(encoded(Image.new("P", (2, 2), 1), "GIF"))
    data[6:10] = struct.pack("<HH", 4, 3)  # the canvas
    place = data.index(b",\0\0\0\0")
    data[place + 1 : place + 5] = struct.pack("<HH", 1, 1)
    assert alpha(bytes(data)) == [[0] * 4, [0, 255, 255, 0], [0, 255, 255, 0]]


def frames_of(data: bytes) -> int:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return frames(file.name)


def test_frames_are_counted_in_animations_only():
    pages = [Image.new("RGB", (4, 4), (level, 0, 0)) for level in (0, 100, 200)]
    for format in ("GIF", "WEBP", "PNG", "AVIF"):
        data = encoded(pages[0], format, save_all=True, append_images=pages[1:], duration=100)
        assert frames_of(data) == 3 and frames_of(encoded(pages[0], format)) == 1, format
        assert abs(levels(data)[2, 2] - [0, 0, 0]).max() < 8
    assert frames_of(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])) == 1


@pytest.mark.parametrize("premultiplied", [False, True])
def test_transparency_of_tiff(premultiplied):
    data = encoded(Image.new("RGBA", (4, 4), (128 if premultiplied else 255, 0, 0, 128)), "TIFF")
    if premultiplied:
        place = data.index(struct.pack("<HHI", 338, 3, 1))
        data = data[: place + 8] + struct.pack("<H", 1) + data[place + 10 :]
    assert alpha(data)[0][0] == 128 and levels(data)[0, 0].tolist() == [255, 0, 0]


# Metadata never stops a picture


PROFILE = make_profile(PRIMARIES[12])
BAD_EXIF = [
    b"",
    b"garbage",
    b"II*\0\xff\xff\xff\xff",
    b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40,
    b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
    b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 0x10F, 2, 1 << 31, 1 << 30) * 2,
]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 3_000_000)),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"a" * 3_000_000)),
        chunk(b"tEXt", b"Comment\0" + b"a" * 3_000_000) * 25,
        chunk(b"zTXt", b"Comment\0\0" + b"not packed"),
        chunk(b"zTXt", b"Comment\0\7" + b"unknown method"),
        chunk(b"tEXt", b"no separator"),
        chunk(b"iTXt", b"\xff\0"),
        chunk(b"iCCP", b"a\0\0" + b"not packed"),
        chunk(b"iCCP", b"no separator"),
        chunk(b"iCCP", b"a\0\7" + zlib.compress(b"unknown method")),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(b"no profile")),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(60_000_000))),
        chunk(b"tEXt", b"Comment\0a")[:-4] + b"\0\0\0\0",
        *(
            chunk(name, b"")
            for name in (b"gAMA", b"cHRM", b"cICP", b"sRGB", b"pHYs", b"acTL", b"fcTL", b"tRNS", b"eXIf")
        ),
        chunk(b"gAMA", bytes(4)),
        chunk(b"cHRM", bytes(32)),
        chunk(b"cICP", bytes([2, 2, 0, 1])),
        chunk(b"acTL", struct.pack(">II", 3, 0)) + chunk(b"fcTL", struct.pack(">7I", 5, 9, 9, 9, 9, 9, 9)),
        *(chunk(b"eXIf", exif) for exif in BAD_EXIF),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n  3\nzz")),
    ],
    ids=lambda data: repr(data[4:24]),
)
def test_png_chunks_that_are_odd(extra):
    for data in (png(RED, 2, before=extra), png(RED, 2, after=extra)):
        assert (levels(data) == RED).all()
    assert picture_size_of(png(RED, 2, before=extra)) == (4, 4)


def picture_size_of(data: bytes) -> tuple[int, int]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return picture_size(file.name)


def test_a_profile_that_unpacks_past_a_megabyte_is_used():
    large = PROFILE + bytes(3_000_000)
    large = struct.pack(">I", len(large)) + large[4:]
    assert abs(levels(png(RED, 2, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(large)))) - P3_RED).max() <= 1


@pytest.mark.parametrize("exif", BAD_EXIF)
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_malformed_exif_stops_no_picture(format, exif):
    picture = Image.new("RGB", (64, 64), (200, 20, 30))
    if format == "HEIF":
        stream = io.BytesIO()
        pillow_heif.from_pillow(picture).save(stream, exif=b"Exif\0\0" + exif, quality=90)
        data = stream.getvalue()
    elif format == "TIFF":
        data = encoded(picture, format, tiffinfo={34665: {36867: "2020:01:02 03:04:05"}, 34853: {1: "N"}})
        for tag, end in ((34665, 0), (34853, 2), (305, 1 << 31)):  # to the end, past it, far from it
            place = data.find(struct.pack("<HHI", tag, 4, 1))
            if place >= 0:
                data = data[: place + 8] + struct.pack("<I", len(data) + end) + data[place + 12 :]
        data += exif
    else:
        good = encoded(picture, format, exif=b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(60))
        place = good.index(b"II*\0\x08\0\0\0\0\0\0\0")
        data = good[:place] + exif[:60].ljust(74, b"\0") + good[place + 74 :]
    assert abs(levels(data) - [200, 20, 30]).max() <= 6


def test_raw_exif_of_imagemagick_turns_the_picture():
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    text = f"\nexif\n{len(exif) + 6:8}\n{(b'Exif' + bytes(2) + exif).hex()}\n".encode()
    for extra in (chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)), chunk(b"eXIf", exif)):
        wide = np.zeros((2, 5, 3), int)
        assert levels(png(wide, 2, before=extra)).shape == (5, 2, 3)
        assert picture_size_of(png(wide, 2, after=extra)) == (5, 2)


def kept(data: bytes) -> Metadata:
    return read_picture(io.BytesIO(data)).metadata or Metadata()


def test_a_thumbnail_far_beyond_the_exif_takes_no_memory():
    thumbnail = struct.pack("<HHHII", 2, 0x0201, 4, 1, 1000) + struct.pack("<HHII", 0x0202, 4, 1, 4_000_000_000)
    exif = b"II*\0" + struct.pack("<IHI", 8, 0, 14) + thumbnail + bytes(4)
    assert kept(png(RED, 2, before=chunk(b"eXIf", exif))).exif == exif[:10] + bytes(4) + exif[14:]


def test_thumbnails_are_cut_out_of_xmp_in_linear_time():
    def of(xmp: bytes) -> bytes:
        return kept(png(RED, 2, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))).xmp

    opening, closing = b"<xmp:Thumbnails>", b"</xmp:Thumbnails>"
    assert of(b"a" + opening + b"1\n" + closing + b"b" + opening + closing + b"c" + opening) == b"abc" + opening
    assert of(opening * 400_000) == opening * 400_000, "squared, it would take days"


def test_texts_unpack_to_so_much_in_all():
    def texts(*keys: str, size: int) -> dict:
        packed = b"\0\0" + zlib.compress(b"a" * size)
        return dict(kept(png(RED, 2, before=b"".join(chunk(b"zTXt", key.encode() + packed) for key in keys))).texts)

    assert set(texts("Title", "Author", "other", size=10_000_000)) == {"Title", "Author"}
    assert set(texts("Title", "Author", "Source", "Comment", size=10_000_000)) == {"Title", "Author", "Source"}


# Formats


def test_a_name_does_not_say_what_a_file_is(program, tmp_path):
    picture = Image.new("RGB", (64, 48), (200, 20, 30))
    stream = io.BytesIO()
    pillow_heif.from_pillow(picture).save(stream, quality=95)
    (tmp_path / "heic.jpg").write_bytes(stream.getvalue())
    (tmp_path / "jpeg.heic").write_bytes(encoded(picture, "JPEG"))
    (tmp_path / "avif.png").write_bytes(encoded(picture, "AVIF"))
    (tmp_path / "png").write_bytes(encoded(picture, "PNG"))
    assert program("read_shape", tmp_path / "heic.jpg").stdout.strip() == "(3, 48, 64)"
    for path in tmp_path.iterdir():
        assert abs(levels(path.read_bytes()) - [200, 20, 30]).max() <= 6


def test_every_format_that_is_read():
    picture = Image.new("RGB", (8, 8), (200, 20, 30))
    for format in ("BMP", "PPM", "TGA", "JPEG2000", "TIFF", "WEBP", "AVIF", "QOI", "ICO", "GIF"):
        try:
            data = encoded(picture, format)
        except KeyError:
            continue  # this Pillow does not write it
        assert abs(levels(data) - [200, 20, 30]).max() <= 8, format


def test_postscript_and_other_formats_start_no_program(tmp_path, monkeypatch):
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"
    started = []
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: started.append(a))
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a))
    for data in (postscript, b"\xc5\xd0\xd3\xc6" + bytes(28) + postscript, b"#define a_width 8\n#define a_height 8\n"):
        (tmp_path / "a.jpg").write_bytes(data)
        for read in (read_image, picture_size, frames):
            with pytest.raises(ImageError, match="is not a picture"):
                read(tmp_path / "a.jpg")
    assert not started


def test_a_jpeg_with_a_second_picture_and_padded_markers():
    pages = [Image.new("RGB", (32, 16), colour) for colour in ((200, 20, 30), (0, 0, 255))]
    data = encoded(pages[0], "MPO", save_all=True, append_images=pages[1:])
    assert abs(levels(data) - [200, 20, 30]).max() <= 3 and frames_of(data) == 1
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = encoded(pages[0], "JPEG", exif=exif).replace(b"\xff\xe1", b"\xff\xff\xff\xe1")
    assert levels(data).shape == (32, 16, 3)


def test_an_unknown_kind_of_a_known_format_says_so():
    data = bytearray(encoded(Image.new("RGB", (8, 8)), "TIFF"))
    place = data.index(struct.pack("<HHI", 262, 3, 1))
    data[place + 8] = 99  # an interpretation of its pixels that nobody knows
    with pytest.raises(ImageError, match="TIFF of an unusual kind"):
        levels(bytes(data))


# Missing ends


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    return Image.effect_noise((200, 120), 60).convert("RGB")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}, {"grey": True}])
def test_a_jpeg_without_its_end_marker_is_whole(noise, options):
    picture = noise.convert("L") if options.pop("grey", False) else noise
    data = encoded(picture, "JPEG", **options)
    assert data.endswith(b"\xff\xd9")
    whole = levels(data)
    for tail in (b"", b"\0" * 1000, b"\xff"):
        assert (levels(data[:-2] + tail) == whole).all()
    assert (levels(data + b"junk" * 99) == whole).all()
    cuts = [len(data) // 2, len(data) - 60] + ([len(data) - 2000] if "progressive" not in options else [])
    for cut in cuts:
        for tail in (b"", b"\0" * 1000):
            with pytest.raises(ImageError, match="damaged"):
                levels(data[:cut] + tail)
    assert read_picture(io.BytesIO(data[:-2]), size=40).image.shape == (3, 24, 40)


def test_other_ends(noise):
    data = encoded(noise, "PNG")
    assert (levels(data[:-12]) == np.asarray(noise)).all(), "a PNG that lacks only its last chunk"
    with pytest.raises(ImageError, match="damaged"):
        levels(data[: len(data) // 2])
    gif = encoded(noise.quantize(), "GIF")
    assert (levels(gif[:-1]) == levels(gif)).all()


def test_pillows_globals_are_not_touched(noise, tmp_path):
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)
    loading = GifImagePlugin.LOADING_STRATEGY
    files = [encoded(noise, "JPEG")[:-2], encoded(noise, "PNG"), png(RED, 2, before=chunk(b"iCCP", b"")), b"junk"] * 8
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda data: _read_or_none(data), files))
    assert [part is None for part in read] == [False, False, False, True] * 8
    assert all(torch.equal(read[index], read[index % 4]) for index in range(32) if index % 4 != 3)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)
    assert loading == GifImagePlugin.LOADING_STRATEGY


def _read_or_none(data: bytes) -> torch.Tensor | None:
    try:
        return read_image(io.BytesIO(data))
    except ImageError:
        return None


# Colours


def srgb(linear: np.ndarray) -> np.ndarray:
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def through(picture: Image.Image, profile: bytes) -> np.ndarray:
    target = ImageCms.createProfile("sRGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(picture, source, target, outputMode="RGB")).astype(int)


def grey_profile(curve: bytes) -> bytes:
    """An ICC profile for grey with the tag `curve`."""
    xyz = make_profile(PRIMARIES[1])[128 + 4 + 7 * 12 :][:20]
    tags = {b"wtpt": xyz, b"kTRC": curve}
    directory, body = struct.pack(">I", 2), b""
    for name, data in tags.items():
        directory += struct.pack(">4sII", name, 128 + 4 + 24 + len(body), len(data))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    header = bytearray(make_profile(PRIMARIES[1])[:128])
    header[:4], header[16:20] = struct.pack(">I", 156 + len(body)), b"GRAY"
    return bytes(header) + directory + body


P3_RED = through(Image.new("RGB", (4, 4), (200, 20, 30)), PROFILE)
RAMP = np.arange(256)[None]
CURVES = {  # a tag of ICC, and the light that it gives for values in [0, 1]
    "linear": (struct.pack(">4sII", b"curv", 0, 0), lambda x: x),
    "gamma 1.8": (struct.pack(">4sIIH", b"curv", 0, 1, round(1.8 * 256)), lambda x: x ** (461 / 256)),
    "table": (
        struct.pack(">4sII256H", b"curv", 0, 256, *(round(65535 * (i / 255) ** 3) for i in range(256))),
        lambda x: x**3,
    ),
    "parametric": (struct.pack(">4sIHHi", b"para", 0, 0, 0, round(2.6 * 65536)), lambda x: x**2.6),
    "with an offset": (
        struct.pack(">4sIHH3i", b"para", 0, 1, 0, 2 << 16, 5 << 14, -(1 << 14)),
        lambda x: np.maximum(1.25 * x - 0.25, 0) ** 2,
    ),
    "that of sRGB": (
        struct.pack(">4sIHH5i", b"para", 0, 3, 0, 157286, 62119, 3417, 5072, 2651),
        lambda x: np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4),
    ),
}


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", CURVES)
def test_grey_with_a_profile(name, depth):
    tag, light = CURVES[name]
    expected = srgb(light(RAMP / 255))[..., None]
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(grey_profile(tag)))
    pixels = RAMP * (257 if depth == 16 else 1)
    data = png(pixels, 0, depth, profile)
    assert abs(levels(data) - expected).max() <= 1
    assert abs(through(Image.fromarray(RAMP.astype(np.uint8)), grey_profile(tag)) - expected)[0, 64:].max() <= 1.5
    as_bytes = read_picture(io.BytesIO(data), torch.uint8).image.permute(1, 2, 0).numpy().astype(int)
    assert abs(as_bytes - expected).max() <= 1
    keyed = png(pixels, 0, depth, profile + chunk(b"tRNS", b"\0\0"))
    assert alpha(keyed)[0][:2] == [0, 255] and abs(levels(keyed)[0, 1:] - expected[0, 1:]).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_with_a_profile_for_rgb(depth):
    profile = make_profile(PRIMARIES[1], np.linspace(0, 1, 4096) ** 1.8)
    packed = chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))
    data = png(RAMP * (257 if depth == 16 else 1), 0, depth, packed)
    assert abs(levels(data)[..., 0] - srgb((RAMP / 255) ** 1.8)).max() <= 1


@pytest.mark.parametrize("gamma", [1.0, 0.55556, 0.3])
@pytest.mark.parametrize("colour, depth", [(0, 8), (0, 16), (2, 8), (2, 16), (6, 8), (3, 8)])
def test_gamma_of_png(gamma, colour, depth):
    ramp = np.arange(0, 256, 5)[None]
    pixels = ramp if colour in (0, 3) else np.stack([ramp] * 3, -1)
    pixels = np.concatenate([pixels, np.full((1, ramp.size, 1), 128)], -1) if colour == 6 else pixels
    palette = chunk(b"PLTE", bytes(i for i in range(256) for _ in range(3))) if colour == 3 else b""
    extra = chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    data = png(pixels * (257 if depth == 16 else 1), colour, depth, extra + palette)
    expected = srgb((ramp[0] / 255) ** (1 / gamma))
    assert abs(levels(data)[0] - expected[:, None]).max() <= 1.5


def test_gamma_of_srgb_and_what_comes_before_it():
    ramp = np.stack([np.arange(256)[None]] * 3, -1)
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    for extra in (
        chunk(b"gAMA", struct.pack(">I", 45455)),
        linear + chunk(b"sRGB", b"\0"),
        linear + chunk(b"cICP", bytes([1, 13, 0, 1])),
        chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    ):
        assert (levels(png(ramp, 2, before=extra)) == ramp).all()


def test_primaries_of_png():
    primaries = [round(value * 100_000) for value in PRIMARIES[12]]
    extra = chunk(b"cHRM", struct.pack(">8I", *primaries)) + chunk(b"gAMA", struct.pack(">I", 45455))
    assert abs(levels(png(RED, 2, before=extra)) - P3_RED).max() <= 2
    assert P3_RED[0, 0, 0] > 210, "Display P3's red is more than sRGB's"


def test_code_points_of_png():
    p3 = chunk(b"cICP", bytes([12, 13, 0, 1]))
    assert abs(levels(png(RED, 2, before=p3)) - P3_RED).max() <= 1
    assert abs(levels(png(RED, 2, before=chunk(b"gAMA", struct.pack(">I", 100_000)) + p3)) - P3_RED).max() <= 1
    grey = np.stack([np.array([[0, 64, 128, 192, 255]])] * 3, -1)
    for code, light in {8: grey / 255, 4: (grey / 255) ** 2.2, 5: (grey / 255) ** 2.8}.items():
        data = png(grey, 2, before=chunk(b"cICP", bytes([1, code, 0, 1])))
        assert abs(levels(data) - srgb(light)).max() <= 1.5, code
    narrow = levels(png(np.stack([np.array([[16, 235]])] * 3, -1), 2, before=chunk(b"cICP", bytes([1, 13, 0, 0]))))
    assert narrow[0, :, 0].tolist() == [0, 255]


def test_code_points_of_avif():
    data = encoded(Image.new("RGB", (4, 4), (200, 20, 30)), "AVIF", quality=100, subsampling="4:4:4")
    start = data.index(b"colrnclx") + 8
    assert abs(levels(data) - RED).max() <= 2
    assert abs(levels(data[:start] + struct.pack(">2H", 12, 13) + data[start + 4 :]) - P3_RED).max() <= 3
    options = {"quality": 100, "subsampling": "4:4:4", "icc_profile": PROFILE}
    data = encoded(Image.new("RGB", (4, 4), (200, 20, 30)), "AVIF", **options)
    start = data.index(b"colrnclx") + 8
    both = data[:start] + struct.pack(">2H", 1, 13) + data[start + 4 :]
    assert abs(levels(both) - P3_RED).max() <= 3, "a profile comes before the codes"


@pytest.mark.parametrize(
    "curve", [struct.pack(">4sIHH", b"para", 0, 9, 0), struct.pack(">4sIHH3i", b"para", 0, 1, 0, 65536, 0, 65536)]
)
def test_a_grey_profile_with_a_broken_curve_is_ignored(curve):
    profile = PROFILE[:128] + struct.pack(">I4sII", 1, b"kTRC", 144, len(curve)) + curve
    grey = np.arange(0, 256, 17)[None]
    for depth, scale in ((8, 1), (16, 257)):
        data = png(grey * scale, 0, depth, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(profile)))
        assert (levels(data)[0, :, 0] == grey).all()


def test_primaries_that_are_nearly_a_line_are_ignored():
    line = [31270, 32900, 30000, 30000, 30000, 30001, 30001, 30000]
    assert (levels(png(RED, 2, before=chunk(b"cHRM", struct.pack(">8I", *line)))) == RED).all()


def test_code_points_of_high_dynamic_range():
    """203 cd/m2, the white of graphics (ITU-R BT.2408), is 58 % in PQ and 75 % in HLG."""
    for code, white in {16: 0.58, 18: 0.75}.items():
        grey = np.stack([np.array([[0, round(white * 127.5), round(white * 255), 255]])] * 3, -1)
        shown = levels(png(grey, 2, before=chunk(b"cICP", bytes([9, code, 0, 1]))))[0, :, 0]
        assert shown[0] == 0 and 20 < shown[1] < 160 and shown[2] >= 250 and shown[3] == 255, code


# Values


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.01, 1.01, 255.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_floats_out_of_range_are_refused(tmp_path, bad, dtype):
    values = np.full((4, 4), 0.25, np.float32)
    Image.fromarray(values).save(tmp_path / "good.tif")
    image = read_picture(tmp_path / "good.tif", dtype).image
    assert torch.equal(image, torch.full((3, 4, 4), 64 if dtype == torch.uint8 else 0.25).to(dtype))
    values[1, 2] = bad
    Image.fromarray(values).save(tmp_path / "bad.tif")
    with pytest.raises(ImageError, match=r"bad\.tif has values that are .* in 0\.\.1"):
        read_picture(tmp_path / "bad.tif", dtype)


def test_integers_of_32_bits_are_taken_as_16(tmp_path):
    Image.fromarray(np.full((4, 4), 13107, np.int32)).save(tmp_path / "a.tif")
    torch.testing.assert_close(read_image(tmp_path / "a.tif"), torch.full((3, 4, 4), 0.2))
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "b.tif")
    with pytest.raises(ImageError, match=r"from 70000 to 70000"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("values", [np.uint16([[0, 1000, 65535]]), np.float32([[0, 0.25, 1]])])
def test_a_deep_tiff_in_which_zero_is_white_is_no_negative(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "grey.tif", tiffinfo={262: 0})
    most = 65535 if values.dtype == np.uint16 else 1
    assert (read_image(tmp_path / "grey.tif")[0] - (1 - torch.from_numpy(values / most))).norm() < 1e-6
    as_bytes = read_picture(tmp_path / "grey.tif", torch.uint8).image[0]
    assert torch.equal(as_bytes, ((1 - torch.from_numpy(values / most)) * 255).round().byte())
