import json

import pytest

from benchmarks.sharing import compare_losses, compare_steps, main
from multistyle.errors import MultistyleError

TOML = """
style_size = 32
photo_size = 32
crop = 32
batch = 2
warmup = 2
widths = [4, 6, 8]
blocks = 1
stem = 3
head = 3
"""


@pytest.fixture
def options(tmp_path, make_pictures, vgg) -> list[object]:
    """Three paintings, four photos, a small random loss network and a recipe."""
    make_pictures("styles", "abc", 32, 40)
    make_pictures("photos", "wxyz", 32, 40)
    (tmp_path / "c.toml").write_text(TOML)
    paths = {"styles": "styles", "photos": "photos", "config": "c.toml", "features": "vgg.safetensors", "work": "work"}
    given = [word for option, path in paths.items() for word in (f"--{option}", tmp_path / path)]
    return [*given, "--painters", 2, "--steps", 20, "--device", "cpu", "--json", tmp_path / "r.json"]


def test_the_benchmark_resumes_and_repeats_itself(options, invoke, tmp_path):
    assert invoke(main, *options).exit_code == 0
    first = json.loads((tmp_path / "r.json").read_text())
    assert set(first["results"]["sharing"]["painters"]) == {"a", "b"} and set(first["results"]["adding"]) == {"c"}
    assert first["results"]["sharing"]["style"]["deviation"] > 0 and first["settings"]["steps"] == 20
    states = {file: file.stat().st_mtime_ns for file in (tmp_path / "work").glob("*.preview.png")}
    assert len(states) == 4, "one shared, three alone"
    assert invoke(main, *options).exit_code == 0
    assert json.loads((tmp_path / "r.json").read_text())["results"] == first["results"]
    assert all(file.stat().st_mtime_ns == time for file, time in states.items()), "nothing was trained again"


def test_too_few_paintings_are_an_error(options, invoke):
    result = invoke(main, *options, "--added", 2)
    assert isinstance(result.exception, MultistyleError)
    assert "3 paintings are too few for 2 painters and 2 to add" in str(result.exception)


def test_losses_are_compared_painter_by_painter():
    shared = {"a": {"content": 1.2, "style": 0.9}, "b": {"content": 2.0, "style": 0.5}}
    single = {"a": {"content": 1.0, "style": 1.0}, "b": {"content": 2.0, "style": 1.0}}
    found = compare_losses(shared, single)
    assert found["content"]["mean"] == pytest.approx(0.1) and found["style"]["mean"] == pytest.approx(-0.3)
    assert found["content"]["deviation"] == pytest.approx(0.2 / 2**0.5)
    assert found["painters"]["b"] == {"content": 0.0, "style": -0.5}


def test_steps_are_counted_to_the_lowest_loss_that_both_reach():
    found = compare_steps({0: 5.0, 20: 2.0, 40: 2.1}, {20: 9.0, 40: 4.0, 60: 1.0, 80: 0.5})
    assert found["loss"] == 2.0
    assert (found["steps as a row"], found["steps as a network"]) == (20, 60)
    assert (found["lowest as a row"], found["lowest as a network"]) == (2.0, 0.5)
