"""The benchmarks' commands and parts that have no test file of their own."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
import torch

from benchmarks import quality, strips, strokes
from benchmarks.parts.bench import Bench, read_judges, spread_over_photos
from benchmarks.parts.command import check_results
from benchmarks.parts.memory import PROC, added_memory
from benchmarks.parts.painters import equal_mix
from benchmarks.parts.processes import in_new_processes
from multistyle.errors import MultistyleError
from multistyle.image import read_image
from multistyle.weights import save_weights

FOLDER = Path(__file__).parents[1] / "benchmarks"
COMMANDS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
CONFIG = {
    "style_size": 48,
    "photo_size": 48,
    "crop": 32,
    "widths": [4, 6, 8],
    "blocks": 1,
    "stem": 3,
    "head": 3,
    "upsampling": "bilinear",
}


def test_the_readme_lists_every_command_with_its_line_and_every_part():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[(\w+)\]", text, re.MULTILINE)) == COMMANDS
    assert sorted(re.findall(r"^python -m benchmarks\.(\w+)", text, re.MULTILINE)) == COMMANDS
    for part in (FOLDER / "parts").glob("[!_]*.py"):
        assert f"`{part.stem}`" in text, part


@pytest.mark.parametrize("path", [*FOLDER.glob("*.py"), *FOLDER.glob("parts/*.py")], ids=lambda path: path.stem)
def test_commands_and_parts_import_parts_alone(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(from|import) benchmarks", text)
    assert not re.search(r"from \.\.", text)
    if path.parent == FOLDER:
        assert set(re.findall(r"from \.(\w*)", text)) <= {"parts"}


def test_an_equal_mix_is_of_the_first_painters(stylizer):
    torch.testing.assert_close(equal_mix(stylizer, 2), torch.tensor([0, 0.5, 0.5, 0]))
    assert equal_mix(stylizer, 9).sum() == 1


def test_enlarged_photos_have_the_pixels_asked_for(sample, tmp_path):
    pixels = strips.enlarge(sample, 0.5, tmp_path / "a.png")
    assert abs(pixels - 500_000) < 2000
    assert read_image(tmp_path / "a.png")[0].numel() == pixels


def test_the_strips_benchmark_prints_a_row_for_each_size(sample, weight_file, invoke):
    options = ["--megapixels", "0.1,0.2", "--stroke", "off", "--stroke", "2", "--turns", "1"]
    done = invoke(strips.main, sample, *options, "--weights", weight_file)
    assert done.exit_code == 0, done.exception
    _, *rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["0.1", "off"], ["0.1", "2"], ["0.2", "off"], ["0.2", "2"]]
    assert [row[3] for row in rows[:2]] == ["1.00x"] * 2 and [row[4] for row in rows[::2]] == ["1.00x"] * 2


@pytest.mark.parametrize("sizes", ["", "1,x", "0", "-1", "nan", "inf"])
def test_wrong_sizes_are_one_line(sample, invoke, sizes):
    done = invoke(strips.main, sample, f"--megapixels={sizes}")
    assert isinstance(done.exception, MultistyleError) and "positive numbers" in str(done.exception)


def kept_alive(size: int) -> int:
    """Of a call that allocates `size` bytes after a call that allocated four times as many."""
    cpu = torch.device("cpu")
    torch.ones(4 * size, dtype=torch.uint8)
    return added_memory(lambda: torch.ones(size, dtype=torch.uint8), cpu)


@pytest.mark.skipif(not (PROC / "clear_refs").exists(), reason="this system cannot restart its count of the peak")
def test_the_memory_of_a_call_is_what_it_adds():
    size = 200_000_000
    assert in_new_processes(kept_alive, (size,))[0] == pytest.approx(size, rel=0.1)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_a_killed_measurement_ends_in_one_line():
    with pytest.raises(MultistyleError, match="was killed"):
        in_new_processes(die, ())


def test_results_never_replace_what_is_read(tmp_path, sample):
    check_results(None, sample)
    check_results(tmp_path / "r.json", sample, None)
    (tmp_path / "r.json").write_text("a recipe")
    with pytest.raises(MultistyleError):
        check_results(tmp_path / "r.json", tmp_path / "r.json")


def test_the_spread_is_over_photos_of_means_over_painters():
    assert spread_over_photos([[1, 2, 3], [3, 2, 1]]) == 0
    assert spread_over_photos([[1, 2, 3], [1, 2, 6]]) == pytest.approx(3.25**0.5)


@pytest.fixture
def bench_files(model, make_pictures, vgg, tmp_path) -> list[object]:
    """The options of a bench of the tiny model, its three paintings and three photos."""
    model.training["config"] = CONFIG
    save_weights(tmp_path / "judged.safetensors", model)
    styles = make_pictures("styles", ("starry", "scream", "wave"), 48, 56)
    judges = make_pictures("judges", ("a", "b", "c"), 256, 270)
    return ["--photos", judges, "--styles", styles, "--features", vgg, "--weights", tmp_path / "judged.safetensors"]


def test_quality_is_measured_over_photos_with_its_spread(bench_files, invoke, tmp_path):
    metrics = "losses,separation,artifacts,stability"
    done = invoke(quality.main, *bench_files, "--metrics", metrics, "--json", tmp_path / "r.json")
    assert done.exit_code == 0, done.exception
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["settings"]["photos"] == 3, "as many as there are, of the sixteen asked for"
    results = found["results"]
    for metric, parts in {
        "losses": ("content", "style"),
        "artifacts": ("grid", "hatch", "border"),
        "stability": ("shift by 1 px", "noise of 2 grey levels"),
    }.items():
        for part in parts:
            assert results[metric][part] > 0 < results[metric]["deviation over photos"][part]
    assert set(results["losses"]["painters"]) == {"starry", "scream", "wave"}
    assert 0 <= results["separation"]["worst painter"] <= results["separation"]["all"] <= 1


@pytest.mark.parametrize("painters", [1, 2, 3])
def test_calibration_measures_what_so_many_painters_allow(bench_files, tmp_path, painters, monkeypatch):
    monkeypatch.setattr("benchmarks.parts.bench.CALIBRATION_PAIRS", 1)
    monkeypatch.setattr("benchmarks.parts.bench.TRIPLES", 1)
    files = tmp_path / "judged.safetensors", [tmp_path / "judges"], tmp_path / "styles", [tmp_path / "vgg.safetensors"]
    bench = quality.make_bench(*files, 2)
    bench.painters = bench.painters[:painters]
    found = bench.calibration()
    assert list(found) == [["strength"], ["pairs", "strength"], ["pairs", "strength", "triples"]][painters - 1]
    assert all(0 <= row["mean error"] <= row["worst error"] for row in found.values())


def test_the_mean_and_spread_of_losses_are_those_of_each_photo(bench_files, tmp_path):
    files = [
        tmp_path / "judged.safetensors",
        [tmp_path / "judges"],
        tmp_path / "styles",
        [tmp_path / "vgg.safetensors"],
    ]
    bench = quality.make_bench(*files, 3)
    found = bench.losses()
    each = [Bench(bench.stylizer, bench.objective, photo.expand(2, -1, -1, -1)).losses() for photo in bench.photos]
    for part in ("content", "style"):
        values = torch.tensor([losses[part] for losses in each])
        assert found[part] == pytest.approx(values.mean().item(), rel=1e-4)
        assert found["deviation over photos"][part] == pytest.approx(values.std().item(), rel=1e-2)


def test_judges_are_centre_squares_and_large_enough(make_pictures):
    assert read_judges([make_pictures("large", "abc", 300, 512)], 2).shape == (2, 3, 256, 256)
    with pytest.raises(MultistyleError, match="at least 256 px"):
        read_judges([make_pictures("small", "ab", 300, 200)], 2)
    with pytest.raises(MultistyleError, match="give at least 2"):
        read_judges([make_pictures("one", "a", 256, 256)], 2)


def test_unknown_metrics_are_one_line(bench_files, invoke):
    done = invoke(quality.main, *bench_files, "--metrics", "loses")
    assert isinstance(done.exception, MultistyleError) and "did you mean losses?" in str(done.exception)


@pytest.mark.parametrize(
    "options, message", [(["--sizes", "1k"], "sizes are whole numbers"), (["--strokes", "off,auot"], "auot")]
)
def test_lists_are_checked_before_anything_is_painted(invoke, options, message):
    done = invoke(strokes.main, "none.jpg", "--styles", "none", *options)
    assert isinstance(done.exception, MultistyleError) and message in str(done.exception)


def test_strokes_are_judged_at_every_size_that_a_photo_has(bench_files, make_pictures, invoke, tmp_path):
    photos = [path for side in (128, 192) for path in make_pictures(f"large{side}", ("a",), side, side).iterdir()]
    options = [*bench_files[2:], "--sizes", "128,192", "--strokes", "off,8", "--painters", "wave,starry"]
    done = invoke(strokes.main, *photos, *options, "--json", tmp_path / "r.json")
    assert done.exit_code == 0, done.exception
    results = json.loads((tmp_path / "r.json").read_text())["results"]
    assert [results[f"{size} px"]["photos"] for size in (128, 192)] == [2, 1]
    for found in results.values():
        assert found["off"]["time over the first"] == 1 and found["8"]["objective"] > 0
        assert found["off"]["content"] != found["8"]["content"], "at 8 times the strokes, these have several scales"
    done = invoke(strokes.main, *photos, *options[:-6], "--sizes", "193", "--painters", "wave")
    assert isinstance(done.exception, MultistyleError) and "no photo has 193 pixels" in str(done.exception)
