"""The house's one-way road, read off the imports."""

import ast
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import multistyle

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("multistyle", "train", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
# Each module of multistyle may import those on lines above its own.
ROAD = [
    {"errors"},
    {
        "network",
        "files",
        "messages",
        "device",
        "color",
        "formats.png_chunks",
        "formats.jpeg_segments",
        "formats.profiles",
    }
    | {"video.clock", "video.cut", "video.pictures"},
    {"formats.containers", "video.reader", "video.motion", "tensor_file", "resize"},
    {"formats.metadata", "formats.transparency", "video.sound"},
    {"formats.decode", "formats.encode"},
    {"image", "blend", "video.writer"},
    {"weights", "mix_record", "folder_plan", "fast_network"},
    {"cartridge"},
    {"one_pass"},
    {"strokes"},
    {"strip_source"},
    {"strip_painter"},
    {"strips"},
    {"painting"},
    {"adapters"},
    {"stylizer"},
    {"video.steady"},
    {"folder", "sequence", "sheet", "video.paint", "onnx"},
    {"cli"},
    {"__main__", "__init__"},
]
ONLY_IN = {
    "PIL": {
        "multistyle/adapters.py",
        "multistyle/formats/containers.py",
        "multistyle/formats/decode.py",
        "multistyle/formats/encode.py",
        "multistyle/image.py",
        "multistyle/formats/metadata.py",
        "multistyle/formats/profiles.py",
        "multistyle/sequence.py",
        "multistyle/sheet.py",
        "multistyle/formats/transparency.py",
    },
    "safetensors": {"multistyle/tensor_file.py", "train/losses/loss_network.py"},
    "typer": {"multistyle/cli/*", "train/__main__.py", "train/style_commands.py", "benchmarks/*"},
    "torchvision": {"train/losses/loss_network.py"},
    "onnxruntime": {"multistyle/onnx.py"},
    "click": set(),
}


def imports(path: Path) -> set[str]:
    """What a file imports anywhere in it, as absolute dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            base = ".".join([*package, *filter(None, [node.module])])
            found |= {base} if node.module else {f"{base}.{alias.name}" for alias in node.names}
    return found


def level(module: str) -> int:
    """How far down the road a module is, told by its dotted name below multistyle; a package stands for its modules."""
    return next(index for index, names in enumerate(ROAD) if module in names or module.split(".")[0] in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    name = path.relative_to(ROOT).as_posix()
    package, *parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts)
    for imported in imports(path):
        top, *rest = imported.split(".")
        if top in ONLY_IN:
            assert any(fnmatch(name, allowed) for allowed in ONLY_IN[top]), f"{name} imports {top}"
        if package == "multistyle":
            assert top not in ("train", "benchmarks"), f"{name} imports {imported}"
            if top == "multistyle" and rest:
                within = rest[0] == parts[0] == "cli"
                assert within or level(".".join(rest)) < level(module), f"{name} imports {imported}"
        if package == "train":
            assert top != "benchmarks", f"{name} imports {imported}"
    if name == "multistyle/network.py":
        assert not any(imported.startswith("multistyle") for imported in imports(path))


def test_dependencies_are_declared():
    text = (ROOT / "pyproject.toml").read_text()
    for path in FILES:
        for imported in {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names):
            package = {"PIL": "pillow"}.get(imported, imported)
            assert package in ("multistyle", "train", "benchmarks") or f'"{package}>=' in text, (
                f"{path.name}: {package}"
            )


def test_every_public_name_is_there():
    for name in multistyle.__all__:
        assert callable(getattr(multistyle, name)) and getattr(multistyle, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'stylise'"):
        assert multistyle.stylise
