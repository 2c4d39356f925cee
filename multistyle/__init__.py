"""multistyle: one network that paints a photo in any mix of painters.

stylizer = multistyle.load_stylizer()
photo = multistyle.read_image("photo.jpg")
painting = stylizer(photo, {"starry": 0.7, "scream": 0.3})
multistyle.write_image("painting.jpg", painting)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers, which do not run __getattr__; a test holds it to _HOMES
    from .cartridge import append_style as append_style
    from .cartridge import export_style as export_style
    from .cartridge import import_style as import_style
    from .cartridge import load_cartridge as load_cartridge
    from .cartridge import remove_style as remove_style
    from .cartridge import rename_style as rename_style
    from .cartridge import save_cartridge as save_cartridge
    from .datasets.transform import RandomStyle as RandomStyle
    from .errors import MultistyleError as MultistyleError
    from .folder import paint_folder as paint_folder
    from .folder_plan import plan_folder as plan_folder
    from .image import Picture as Picture
    from .image import read_image as read_image
    from .image import read_mask as read_mask
    from .image import read_picture as read_picture
    from .image import resize_image as resize_image
    from .image import write_image as write_image
    from .onnx import export_onnx as export_onnx
    from .painting import PaintOptions as PaintOptions
    from .painting import Region as Region
    from .painting import keep_colors as keep_colors
    from .sequence import blend_path as blend_path
    from .sequence import paint_sequence as paint_sequence
    from .sequence import write_sequence as write_sequence
    from .sheet import arrange_sheet as arrange_sheet
    from .sheet import corner_sheet as corner_sheet
    from .sheet import paint_sheet as paint_sheet
    from .sheet import style_sheet as style_sheet
    from .stylizer import Stylizer as Stylizer
    from .stylizer import load_stylizer as load_stylizer
    from .stylizer import paint_file as paint_file
    from .video.paint import paint_video as paint_video
    from .video.steady import Steady as Steady
    from .weights import Style as Style
    from .weights import load_weights as load_weights
    from .weights import save_weights as save_weights

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
    "RandomStyle": "datasets.transform",
}
__all__ = list(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
