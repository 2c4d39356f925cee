"""Convert the colours of files to sRGB by ICC profiles; descriptions in PNG and HEIF are turned into such profiles."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageCms

D50 = np.array([0.9642, 1.0, 0.8249])
SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x and y of white, red, green, blue
PRIMARIES = {  # by the code points of ITU-T H.273
    1: SRGB_PRIMARIES,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (0.3127, 0.3290, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
LIKE_SRGB = {1, 6, 13, 14, 15}  # transfer functions that are shown as sRGB in still pictures
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
ENTRIES = 4096  # of a curve's table
BRIGHTEST = 3  # X, Y or Z of a primary, relative to white's Y; those of real colour spaces are below 1.3


def srgb_to_linear(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * np.maximum(value, 0) ** (1 / 2.4) - 0.055)


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """`picture`, of 8 bits a channel, as RGB in sRGB; a profile that does not fit it is ignored, as viewers do."""
    if picture.mode == "LAB":
        return _converted(picture, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    if profile and picture.mode == "L" and (curve := grey_curve(profile)) is not None:
        steps = np.interp(np.arange(256) / 255, np.linspace(0, 1, ENTRIES), curve)  # littlecms is 10 levels off here
        return picture.point((linear_to_srgb(steps) * 255).round().astype(int).tolist()).convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space.strip() == "RGB" and picture.mode == "L":
                picture = picture.convert("RGB")
            return _converted(picture, source)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _converted(picture: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """`picture`, in the colours of `profile`, as RGB in sRGB."""
    converted = ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None  # that is for conversions in place
    return converted


def grey_curve(profile: bytes | None) -> np.ndarray | None:
    """The curve of a grey or an RGB profile, from the file's values to linear light, at even steps of [0, 1].

    None without a profile, or if the profile has no curve.
    """
    if profile is None:
        return None
    try:
        tags = {}
        for index in range(int.from_bytes(profile[128:132], "big")):
            name, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * index)
            tags[name] = profile[start : start + length]
        return _curve(tags.get(b"kTRC") or tags[b"gTRC"])
    except (KeyError, IndexError, struct.error, ValueError, ArithmeticError):
        return None


def _curve(tag: bytes) -> np.ndarray:
    steps = np.linspace(0, 1, ENTRIES)
    if tag[:4] == b"para":
        kind = int.from_bytes(tag[8:10], "big")
        g, *rest = (value / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12))
        a, b, c, d, e, f = rest + [1, 0, 0, 0, 0, 0][len(rest) :]
        if kind in (1, 2):
            d, e, f, c = -b / a, c, c, 0
        return np.where(steps >= d, np.maximum(a * steps + b, 0) ** g + e, c * steps + f).clip(0, 1)
    count = int.from_bytes(tag[8:12], "big")
    if count == 0:
        return steps
    table = np.frombuffer(tag, ">u2", count, 12)
    return steps ** (table[0] / 256) if count == 1 else np.interp(steps, np.linspace(0, 1, count), table / 65535)


def described_profile(info: dict) -> bytes | None:
    """The profile that `info` (see `png_chunks`) describes; None for sRGB.

    In the order of the PNG specification: cICP, ICC, sRGB, then gAMA with cHRM.
    """
    if info.get("cicp") and (known := _coded(*info["cicp"])):
        primaries, curve = known
        return None if primaries == SRGB_PRIMARIES and curve is None else make_profile(primaries, curve)
    if info.get("icc"):
        return info["icc"]
    if info.get("srgb") or not (info.get("gamma") or info.get("chromaticity")):
        return None
    gamma = info.get("gamma") or 0.45455
    primaries = info.get("chromaticity", SRGB_PRIMARIES)
    primaries = SRGB_PRIMARIES if np.abs(np.subtract(primaries, SRGB_PRIMARIES)).max() < 0.002 else primaries
    curve = None if abs(gamma - 0.45455) < 0.01 else np.linspace(0, 1, ENTRIES) ** (1 / gamma)
    if primaries == SRGB_PRIMARIES and curve is None:
        return None
    return make_profile(primaries, curve)


def _coded(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> tuple[tuple, np.ndarray | None] | None:
    """x and y of white and primaries, and the curve (None: sRGB's), for the codes of H.273; None for unknown ones.

    Light above the white of graphics (203 cd/m2) is cut off.
    """
    if primaries not in PRIMARIES or matrix != 0:
        return None
    steps = np.linspace(0, 1, ENTRIES)
    steps = steps if full else ((steps * 255 - 16) / 219).clip(0, 1)
    if transfer in LIKE_SRGB:
        return PRIMARIES[primaries], None if full else srgb_to_linear(steps)
    if transfer == 16:
        root = steps ** (1 / 78.84375)
        light = (
            10_000 / 203 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        )
    elif transfer == 18:
        scene = np.where(steps <= 0.5, steps**2 / 3, (np.exp((steps - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        light = 1000 / 203 * scene**1.2
    elif transfer in (4, 5, 8):
        light = steps ** {4: 2.2, 5: 2.8, 8: 1.0}[transfer]
    else:
        return None
    return PRIMARIES[primaries], light.clip(0, 1)


def make_profile(primaries: tuple[float, ...], curve: np.ndarray | None = None) -> bytes:
    """An ICC profile for RGB with x and y of white, red, green, blue, and a curve to linear light (None: sRGB's).

    Raises ValueError for primaries that make no colour space.
    """
    if min(primaries[1::2]) <= 0:
        raise ValueError("primaries without luminance")
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in zip(primaries[::2], primaries[1::2], strict=True)]).T
    colours = xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0])
    cones = BRADFORD @ xyz[:, 0]
    colours = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / cones) @ BRADFORD @ colours
    if np.abs(colours).max() > BRIGHTEST:
        raise ValueError("primaries nearly on a line")
    curve = srgb_to_linear(np.linspace(0, 1, ENTRIES)) if curve is None else curve
    table = (curve * 65535).round().astype(">u2").tobytes()
    tags = {b"wtpt": _xyz(D50)}
    tags |= {name: _xyz(colour) for name, colour in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colours.T, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), struct.pack(">4sII", b"curv", 0, len(curve)) + table)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        directory += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s12s4s", 128 + len(directory) + len(body), b"", 0x02400000, b"mntr", b"RGB ",
                         b"XYZ ", b"", b"acsp")  # fmt: skip
    return (header.ljust(68, b"\0") + _xyz(D50)[8:]).ljust(128, b"\0") + directory + body


def _xyz(value: np.ndarray) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(float(part) * 65536) for part in value))
