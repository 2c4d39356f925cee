import json

import pytest

from benchmarks.shapes import SHAPES, cheapest, main
from multistyle.errors import MultistyleError
from multistyle.network import NetworkConfig

TOML = """
style_size = 32
photo_size = 32
crop = 32
batch = 2
steps = 2
warmup = 1
"""


@pytest.fixture
def options(tmp_path, make_pictures, vgg, monkeypatch) -> list[object]:
    """Two shapes, three paintings, four photos, two more to judge by, and a recipe."""
    for name, width in {"wide": 8, "narrow": 4}.items():
        monkeypatch.setitem(SHAPES, name, NetworkConfig((width, width, width), 1, 3, 3))
    for folder, names, side in (("styles", "abc", 32), ("photos", "wxyz", 32), ("judges", "uv", 256)):
        make_pictures(folder, names, side, side + 8)
    (tmp_path / "c.toml").write_text(TOML)
    folders = [word for name in ("styles", "photos", "judges", "work") for word in (f"--{name}", tmp_path / name)]
    files = ["--config", tmp_path / "c.toml", "--features", vgg]
    return [*folders, *files, "--shapes", "wide,narrow", "--painters", "3", "--count", "2", "--device", "cpu"]


def test_each_shape_is_trained_and_measured(options, invoke, tmp_path):
    result = invoke(main, *options, "--metrics", "losses,separation", "--json", tmp_path / "r.json")
    assert result.exit_code == 0, result.exception
    found = json.loads((tmp_path / "r.json").read_text())
    wide, narrow = found["results"]["wide"], found["results"]["narrow"]
    assert narrow["parameters"] < wide["parameters"] and narrow["GFLOP at 512 px"] < wide["GFLOP at 512 px"]
    assert wide["time over wide"] == 1 and narrow["objective"] > 0 and 0 <= narrow["separation"]["all"] <= 1
    assert found["cheapest"] in result.output
    sheets = {file: file.stat().st_mtime_ns for file in (tmp_path / "work").glob("*.preview.png")}
    assert len(sheets) == 2 and invoke(main, *options, "--metrics", "losses").exit_code == 0
    assert all(file.stat().st_mtime_ns == time for file, time in sheets.items()), "nothing was trained again"


def test_the_cheapest_shape_within_three_percent_is_named():
    rows = {
        name: {"objective": objective, "GFLOP at 512 px": cost}
        for name, objective, cost in (("a", 1.0, 80.0), ("b", 1.029, 20.0), ("c", 1.031, 5.0))
    }
    assert cheapest(rows) == "b"


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--shapes", "wyde"], "unknown shape 'wyde'; did you mean wide"),
        (["--metrics", "separation"], "include losses"),
    ],
)
def test_what_cannot_be_measured_is_one_line(options, invoke, extra, message):
    result = invoke(main, *options, *extra)
    assert isinstance(result.exception, MultistyleError) and message in str(result.exception)
