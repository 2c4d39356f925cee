"""ARCHITECTURE.md against the code: which modules there are, and which of them each one imports."""

import ast
import re
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

import multistyle

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("multistyle", "train", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
# Each module of multistyle may import those on the lines above its own.
LAYERS = [
    set(line.split(", "))
    for line in re.search(r"^```layers\n(.*?)^```$", MAP, re.DOTALL | re.MULTILINE)[1].splitlines()
]
ONLY_IN = {
    "PIL": {
        "multistyle/adapters.py",
        "multistyle/datasets/transform.py",
        "multistyle/formats/containers.py",
        "multistyle/formats/decode.py",
        "multistyle/formats/encode.py",
        "multistyle/image.py",
        "multistyle/formats/metadata.py",
        "multistyle/formats/profiles.py",
        "multistyle/formats/reading.py",
        "multistyle/sequence.py",
        "multistyle/sheet.py",
        "multistyle/formats/transparency.py",
    },
    "safetensors": {"multistyle/tensor_file.py", "train/losses/loss_network.py"},
    "typer": {"multistyle/cli/*", "train/__main__.py", "train/style_commands.py", "benchmarks/*"},
    "torchvision": {"train/losses/loss_network.py", "multistyle/datasets/transform.py", "benchmarks/augmentation.py"},
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


def layer(module: str) -> int:
    """The line of a module of multistyle, given its dotted name; a package stands for its modules."""
    (found,) = [index for index, names in enumerate(LAYERS) if module in names or module.split(".")[0] in names]
    return found


def test_the_map_names_every_module_once():
    listed = Counter(re.findall(r"^- `(\S+\.py)`: ", MAP, re.MULTILINE))
    there = [path.relative_to(ROOT).as_posix() for path in FILES if path.stat().st_size]
    assert listed == Counter(there)


def test_the_map_names_nothing_that_is_not_there():
    for name in re.findall(r"`([\w.]+/[\w./-]*)`", MAP):
        assert (ROOT / name).exists(), name
    modules = {
        path.relative_to(ROOT / "multistyle").with_suffix("")
        for path in FILES
        if path.is_relative_to(ROOT / "multistyle")
    }
    known = {".".join(module.parts) for module in modules} | {module.parts[0] for module in modules}
    for line in LAYERS:
        assert line <= known, line - known


def test_every_module_has_one_layer():
    for path in FILES:
        package, *parts = path.relative_to(ROOT).with_suffix("").parts
        if package == "multistyle" and path.stat().st_size and (len(parts) == 1 or parts[-1] != "__init__"):
            layer(".".join(parts))


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
                assert within or layer(".".join(rest)) < layer(module), f"{name} imports {imported}"
        if package == "train":
            assert top != "benchmarks", f"{name} imports {imported}"
    if name == "multistyle/network.py":
        assert {name for name in imports(path) if name.startswith("multistyle")} == {"multistyle.grid"}


def test_dependencies_are_declared():
    text = (ROOT / "pyproject.toml").read_text()
    for path in FILES:
        for imported in {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names):
            package = {"PIL": "pillow"}.get(imported, imported)
            assert package in ("multistyle", "train", "benchmarks") or re.search(rf'"{package}(\[\w+\])?>=', text), (
                f"{path.name}: {package}"
            )


def test_every_public_name_is_there():
    for name in multistyle.__all__:
        assert callable(getattr(multistyle, name)) and getattr(multistyle, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'stylise'"):
        assert multistyle.stylise


def test_editors_see_every_public_name_where_it_is():
    tree = ast.parse((ROOT / "multistyle" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {name.asname: node.module for node in block.body for name in node.names}
    assert typed == multistyle._HOMES and set(multistyle.__all__) <= set(dir(multistyle))
