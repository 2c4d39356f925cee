"""multistyle: one network that paints a photo in any mix of painters.

stylizer = multistyle.load_stylizer()
photo = multistyle.read_image("photo.jpg")
painting = stylizer(photo, {"starry": 0.7, "scream": 0.3})
multistyle.write_image("painting.jpg", painting)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {  # public name -> module; imported when first used, so that `multistyle --help` need not wait for torch
    "MultistyleError": "errors",
    "keep_colors": "painting",
    "read_image": "image",
    "write_image": "image",
    "resize_image": "image",
    "Style": "weights",
    "load_weights": "weights",
    "save_weights": "weights",
    "append_style": "cartridge",
    "remove_style": "cartridge",
    "rename_style": "cartridge",
    "export_style": "cartridge",
    "import_style": "cartridge",
    "save_cartridge": "cartridge",
    "load_cartridge": "cartridge",
    "Stylizer": "stylizer",
    "load_stylizer": "stylizer",
    "PaintOptions": "painting",
    "Region": "painting",
    "Picture": "image",
    "read_picture": "image",
    "read_mask": "image",
    "paint_file": "stylizer",
    "plan_folder": "folder_plan",
    "paint_folder": "folder",
    "blend_path": "sequence",
    "paint_sequence": "sequence",
    "write_sequence": "sequence",
    "style_sheet": "sheet",
    "corner_sheet": "sheet",
    "paint_sheet": "sheet",
    "arrange_sheet": "sheet",
    "Steady": "video.steady",
    "paint_video": "video.paint",
    "export_onnx": "onnx",
}
__all__ = list(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
