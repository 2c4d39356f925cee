"""What a picture carries goes with its painting, wherever the format can hold it."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, PngImagePlugin

from multistyle.image import Picture, read_picture, write_picture

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description tiff:Orientation="6" dc:rights="Ada"><xmp:Thumbnails>data</xmp:Thumbnails>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
ARTIST = "José Núñez ©"
HOLD_EXIF = [".jpg", ".png", ".webp", ".tif", ".avif"]


def camera_exif(order: str = "<", orientation: int = 6, thumbnail: bytes = b"\xff\xd8THUMBNAIL\xff\xd9") -> bytes:
    """EXIF as a camera writes it, by hand: UTF-8 text, a makers' note, dates, place, the size, a thumbnail."""
    ifds = {
        0: [
            (0x112, 3, orientation),
            (0x13B, 2, ARTIST.encode() + b"\0"),
            (0x8298, 2, b"Ada L.\0"),
            (0x10F, 2, b"Cam\0"),
        ],
        0x8769: [(0x9003, 2, b"2021:02:03 04:05:06\0"), (0x927C, 7, b"MAKER\0NOTE"), (0xA002, 4, 48), (0xA003, 4, 32)],
        0x8825: [(1, 2, b"N\0"), (2, 5, struct.pack(f"{order}6I", 48, 1, 8, 1, 15, 1))],
        1: [(0x201, 4, 0), (0x202, 4, len(thumbnail))],
    }
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
    ifds[0] += [(0x8769, 4, 0), (0x8825, 4, 0)]
    starts, at = {}, 8
    for key, entries in ifds.items():
        starts[key] = at
        at += 6 + 12 * len(entries) + sum(len(v) for _, _, v in entries if isinstance(v, bytes) and len(v) > 4)
    values = {0x8769: starts[0x8769], 0x8825: starts[0x8825], 0x201: at}
    blob = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    for key, entries in ifds.items():
        extra, data = b"", struct.pack(f"{order}H", len(entries))
        for tag, kind, value in sorted(entries):
            value = values.get(tag, value)
            if isinstance(value, int):
                data += struct.pack(f"{order}HHI", tag, kind, 1)
                data += struct.pack(f"{order}H2x" if kind == 3 else f"{order}I", value)
            else:
                data += struct.pack(f"{order}HHI", tag, kind, len(value) // sizes[kind])
                place = starts[key] + 6 + 12 * len(entries) + len(extra)
                data += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(f"{order}I", place)
                extra += value if len(value) > 4 else b""
        blob += data + struct.pack(f"{order}I", starts[1] if key == 0 else 0) + extra
    return blob + thumbnail


def source(suffix: str, exif: bytes) -> bytes:
    stream = io.BytesIO()
    picture = Image.new("RGB", (48, 32), (200, 20, 30))
    marked = b"Exif\0\0" + exif
    if suffix == ".heic":
        pillow_heif.from_pillow(picture).save(stream, exif=marked, xmp=XMP)
    elif suffix == ".png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", XMP.decode())
        picture.save(stream, "PNG", exif=marked, pnginfo=chunks, dpi=(300, 300))
    else:
        format = {".jpg": "JPEG", ".webp": "WEBP"}[suffix]
        picture.save(stream, format, exif=marked, xmp=XMP, **({"dpi": (300, 300)} if suffix == ".jpg" else {}))
    return stream.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("into", HOLD_EXIF)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".heic"])
def test_exif_xmp_and_dpi_are_kept(tmp_path, suffix, into, order):
    data = source(suffix, camera_exif(order))
    assert b"THUMBNAIL" in data
    picture = read_picture(io.BytesIO(data))
    assert picture.image.shape == ((3, 48, 32) if suffix != ".heic" else picture.image.shape)
    bigger = torch.zeros(3, 90, 60)
    write_picture(tmp_path / f"a{into}", Picture(bigger, None, picture.metadata))
    written = (tmp_path / f"a{into}").read_bytes()
    assert b"THUMBNAIL" not in written and b"xmp:Thumbnails" not in written
    with Image.open(io.BytesIO(written)) as opened:
        assert opened.size == (60, 90)
        exif = opened.getexif()
        assert exif.get(0x112, 1) == 1
        assert exif[0x13B].rstrip("\0").encode("latin-1").decode() == ARTIST and exif[0x8298].startswith("Ada L.")
        camera, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
        assert camera[0x9003].startswith("2021:02:03 04:05:06") and camera[0x927C] == b"MAKER\0NOTE"
        assert (camera.get(0xA002, 60), camera.get(0xA003, 90)) == (60, 90)
        assert place[1].startswith("N") and [float(part) for part in place[2]] == [48, 8, 15]
        assert not exif.get_ifd(1)
        xmp = opened.info.get("xmp") or opened.tag_v2[700]
        assert b'dc:rights="Ada"' in xmp and b'tiff:Orientation="6"' not in xmp
        if suffix in (".jpg", ".png") and into in (".jpg", ".png", ".tif"):
            assert [round(float(value)) for value in opened.info["dpi"]] == [300, 300]
    again = read_picture(tmp_path / f"a{into}")
    assert again.image.shape == (3, 90, 60), "it is not turned twice"
    assert again.metadata.exif is not None and again.metadata.xmp is not None


@pytest.mark.parametrize("into", [*HOLD_EXIF, ".bmp", ".ppm"])
def test_metadata_can_be_left_out(tmp_path, into):
    picture = read_picture(io.BytesIO(source(".jpg", camera_exif())))
    write_picture(tmp_path / f"a{into}", picture, keep_metadata=False)
    written = (tmp_path / f"a{into}").read_bytes()
    assert not any(word in written for word in (b"2021:02:03", b"Ada", b"MAKER"))
    write_picture(tmp_path / f"b{into}", picture)
    assert read_picture(tmp_path / f"b{into}").image.shape == picture.image.shape


@pytest.mark.parametrize("into", HOLD_EXIF)
def test_tiff_hands_its_tags_on(tmp_path, into):
    stream = io.BytesIO()
    tags = {315: ARTIST.encode(), 33432: b"Ada L.", 274: 6, 34665: {36867: "2021:02:03 04:05:06"}, 34853: {1: "N"}}
    Image.new("RGB", (48, 32)).save(stream, "TIFF", tiffinfo=tags | {700: XMP}, dpi=(300, 300))
    picture = read_picture(stream)
    assert picture.image.shape == (3, 48, 32)
    write_picture(tmp_path / f"a{into}", picture)
    with Image.open(tmp_path / f"a{into}") as opened:
        exif = opened.getexif()
        assert opened.size == (32, 48) and exif.get(0x112, 1) == 1
        assert exif[0x13B].rstrip("\0").encode("latin-1").decode() == ARTIST and exif[0x8298].startswith("Ada")
        assert exif.get_ifd(0x8769)[36867].startswith("2021:02:03") and exif.get_ifd(0x8825)[1].startswith("N")


@pytest.mark.parametrize("into", HOLD_EXIF)
def test_copyright_in_texts_of_png(tmp_path, into):
    stream, chunks = io.BytesIO(), PngImagePlugin.PngInfo()
    for key, text in {"Copyright": "© Ada", "Author": "José", "Title": "Sea", "parameters": "steps: 20"}.items():
        chunks.add_itxt(key, text)
    Image.new("RGB", (8, 8)).save(stream, "PNG", pnginfo=chunks)
    write_picture(tmp_path / f"a{into}", read_picture(stream))
    with Image.open(tmp_path / f"a{into}") as opened:
        if into == ".png":
            assert opened.text == {"Copyright": "© Ada", "Author": "José", "Title": "Sea"}
        else:
            assert opened.getexif()[0x8298].rstrip("\0").encode("latin-1").decode() == "© Ada"


def test_copyright_in_iptc(tmp_path):
    def record(field: int, text: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, 2, field, len(text)) + text

    iptc = record(80, "José".encode()) + record(116, b"\xa9 Ada")
    block = b"8BIM" + struct.pack(">HHI", 0x03ED, 0, 3) + b"abc\0"
    block += b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + iptc
    body = b"Photoshop 3.0\0" + block
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", extra=b"\xff\xed" + struct.pack(">H", len(body) + 2) + body)
    write_picture(tmp_path / "a.jpg", read_picture(stream))
    with Image.open(tmp_path / "a.jpg") as opened:
        exif = opened.getexif()
    assert exif[0x8298].encode("latin-1").decode() == "© Ada" and exif[0x13B].encode("latin-1").decode() == "José"


def test_comments(tmp_path):
    for format in ("JPEG", "GIF"):
        stream = io.BytesIO()
        Image.new("L", (8, 8)).save(stream, format, comment="by José".encode())
        for into in (".jpg", ".png"):
            write_picture(tmp_path / f"a{into}", read_picture(stream))
            with Image.open(tmp_path / f"a{into}") as opened:
                comment = opened.info["comment"] if into == ".jpg" else opened.text["Comment"].encode()
            assert comment == "by José".encode()


@pytest.mark.parametrize("orientation", range(0, 10))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_every_orientation(tmp_path, suffix, orientation):
    from PIL import ImageOps

    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20], pixels[12:, :20], pixels[:12, 20:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=exif, quality=95)
    with Image.open(tmp_path / f"a{suffix}") as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB")).astype(int)
    image = read_picture(tmp_path / f"a{suffix}", torch.uint8).image.permute(1, 2, 0).numpy().astype(int)
    assert image.shape == expected.shape and (image == expected).all()


def test_what_a_jpeg_cannot_hold_is_left_out(tmp_path):
    exif = camera_exif() + bytes(70_000)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG", exif=exif, dpi=(72, 72))
    picture = read_picture(stream)
    assert len(picture.metadata.exif) > 65536
    write_picture(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert "exif" not in opened.info and opened.info["dpi"] == (72, 72)


def test_a_plain_picture_carries_nothing():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    assert read_picture(stream).metadata is None
