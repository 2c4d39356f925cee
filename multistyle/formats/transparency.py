"""Separate a picture's transparency from its colours; make masks from both."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

from ..color import luminance
from .containers import Container

SEEN = 0.1  # opacity above which a pixel counts in a mask
GREY = 0.1  # largest difference between the channels of a grey pixel
ONE_COLOUR = 0.05  # largest difference in luminance within one colour


def mask_of(image: Tensor, alpha: Tensor | None) -> Tensor:
    """A picture as a mask (H, W) in [0, 1]: `image` (3, H, W), `alpha` (1, H, W). The rule is in `read_mask`."""
    if alpha is None:
        return luminance(image)
    visible = image[:, alpha[0] >= SEEN]
    if visible.shape[1] == 0:
        return alpha[0]
    coloured = (visible.amax(0) - visible.amin(0) > GREY).float().mean() > 0.01
    shades = luminance(visible[:, None])[0].sort().values
    cut = len(shades) // 100
    one = shades[-1 - cut] - shades[cut] < ONE_COLOUR
    return alpha[0] if coloured or one else luminance(image) * alpha[0]


def split_alpha(
    container: Container, opened: Image.Image, extents: tuple[int, int, int, int] | None
) -> tuple[Image.Image, Image.Image | None]:
    """The picture, whose transparency no longer matters, and its transparency in mode L."""
    trns, colour = container.info.get("trns"), container.info.get("colour")
    if trns and colour == 3:
        opened.info["transparency"] = trns[:256]
    elif trns and colour in (0, 2):
        return opened, _keyed_alpha(opened, trns, colour, container.info["depth"])
    elif opened.mode.startswith("I;16") and isinstance(key := opened.info.get("transparency"), int):
        return opened, _keyed_alpha(opened, key.to_bytes(2, "big"), 0, 16)
    picture, alpha = opened, None
    if opened.mode in ("La", "RGBa"):
        opened = opened.convert("LA" if opened.mode == "La" else "RGBA")
    if opened.has_transparency_data:
        full = opened if opened.mode in ("LA", "RGBA") else opened.convert("RGBA")
        alpha = full.getchannel("A")
        picture = full.getchannel("L") if full.mode == "LA" else full  # whose transparency is ignored from here on
    if extents is not None and tuple(extents) != (0, 0, *opened.size):  # a GIF's frame that leaves a border
        inside = Image.new("L", opened.size, 0)
        inside.paste(Image.new("L", opened.size, 255) if alpha is None else alpha)
        alpha = Image.new("L", opened.size, 0)
        alpha.paste(inside.crop(extents), extents)
    return picture, alpha


def _keyed_alpha(opened: Image.Image, trns: bytes, colour: int, depth: int) -> Image.Image | None:
    """The alpha of a PNG in which `trns` makes one colour transparent; Pillow reads 16-bit RGB as bytes."""
    if len(trns) < (2 if colour == 0 else 6):
        return None
    keys = [int.from_bytes(trns[at : at + 2], "big") for at in range(0, 2 if colour == 0 else 6, 2)]
    if colour == 0 and depth < 16:
        keys = [keys[0] * 255 // (2**depth - 1)]
        opened = opened.convert("L")
    elif depth == 16 and colour == 2:
        keys = [key >> 8 for key in keys]
    pixels = np.asarray(opened)
    same = pixels == keys[0] if colour == 0 else (pixels == np.array(keys, np.uint8 if max(keys) < 256 else int)).all(2)
    return Image.fromarray(np.where(same, 0, 255).astype(np.uint8))
