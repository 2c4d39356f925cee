import csv
import errno
import os
import signal
import threading
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from multistyle import folder as folder_module
from multistyle.cli.folder import folder as command
from multistyle.color import keep_colors
from multistyle.errors import BlendError, MultistyleError
from multistyle.files import MARK
from multistyle.folder import paint_folder, plan_folder
from multistyle.image import read_image, resize_image, write_image
from multistyle.mix_record import draw_mix
from multistyle.painting import PaintOptions

NAMES = ["a.png", "b.jpg", "deep/er/a.png", "deep/still.gif", "deep/z.png", "wide.png"]


@pytest.fixture
def source(tmp_path) -> Path:
    """Six pictures in three folders, and files that are none."""
    source = tmp_path / "photos"
    (source / "deep" / "er").mkdir(parents=True)
    for name in NAMES:
        if name.endswith(".gif"):
            Image.new("RGB", (9, 9), (200, 100, 50)).save(source / name)
        else:
            write_image(source / name, torch.rand(3, 12, 30 if name == "wide.png" else 16))
    (source / "notes.txt").touch()
    (source / ".hidden.png").touch()
    return source


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Of each painting: another number once it was written again."""
    paintings = (path for path in folder.rglob("*") if path.suffix in (".png", ".jpg") and MARK not in path.name)
    return {path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paintings}


def rows(folder: Path) -> dict[str, str]:
    with (folder / "blends.csv").open(newline="") as file:
        header, *listed = csv.reader(file)
    assert header == ["file", "mix"] and len({name for name, _ in listed}) == len(listed)
    return dict(listed)


def paint(stylizer, source, target, **options) -> list:
    seed = options.pop("seed", None)
    return list(paint_folder(stylizer, plan_folder(source, target), PaintOptions(**options), seed))


def test_names_are_kept_and_paintings_are_the_librarys(stylizer, source, tmp_path):
    outcomes = paint(stylizer, source, tmp_path / "new" / "out", blend="wave", strength=0.5, size=10)
    assert sorted(outcome.job.name for outcome in outcomes) == NAMES
    assert not any(outcome.error for outcome in outcomes)
    assert sorted(files(tmp_path / "new" / "out")) == sorted(name.replace(".gif", ".png") for name in NAMES)
    photo = resize_image(read_image(source / "deep" / "z.png"), 10)
    written = read_image(tmp_path / "new" / "out" / "deep" / "z.png")
    assert (written - stylizer(photo, "wave", 0.5)).abs().max() <= 0.6 / 255


def test_transparency_is_kept(stylizer, tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("RGBA", (16, 16), (9, 9, 9, 128)).save(tmp_path / "in" / "a.png")
    paint(stylizer, tmp_path / "in", tmp_path / "out", size=8)
    with Image.open(tmp_path / "out" / "a.png") as written:
        assert written.mode == "RGBA" and written.size == (8, 8) and written.getpixel((4, 4))[3] == 128


def test_bad_files_stop_nothing(stylizer, source, tmp_path):
    (source / "bad.png").write_text("no picture")
    (source / "deep" / "torn.jpg").write_bytes((source / "b.jpg").read_bytes()[:200])
    outcomes = paint(stylizer, source, tmp_path / "out")
    failed = {outcome.job.name: str(outcome.error) for outcome in outcomes if outcome.error}
    assert sorted(failed) == ["bad.png", "deep/torn.jpg"] and "is not a picture" in failed["bad.png"]
    assert len(files(tmp_path / "out")) == len(NAMES)


def test_what_is_there_is_not_painted_again(stylizer, source, tmp_path):
    paint(stylizer, source, tmp_path / "out")
    before = stamps(tmp_path / "out")
    (tmp_path / "out" / "a.png").unlink()
    plan = plan_folder(source, tmp_path / "out")
    assert [job.name for job in plan.jobs] == ["a.png"] and plan.done == len(NAMES) - 1
    assert len(list(paint_folder(stylizer, plan))) == 1
    after = stamps(tmp_path / "out")
    assert [name for name in before if before[name] != after[name]] == ["a.png"]


def test_pictures_of_one_size_are_painted_together_and_large_ones_alone(stylizer, tmp_path, monkeypatch):
    sides = [8] * 6 + [9] + [8] * 2 + [40] * 3
    (tmp_path / "in").mkdir()
    for index, side in enumerate(sides):
        write_image(tmp_path / "in" / f"{index:02}.png", torch.rand(3, side, side))
    batches = []
    run = stylizer.one_pass.paint
    monkeypatch.setattr(
        stylizer.one_pass, "paint", lambda images, *rest: batches.append(len(images)) or run(images, *rest)
    )
    monkeypatch.setattr(folder_module, "BATCH_PIXELS", 20 * 20)
    paint(stylizer, tmp_path / "in", tmp_path / "out", seed=1)
    assert batches == [4, 2, 1, 2, 1, 1, 1]
    for index, side in enumerate(sides):
        painted = stylizer(read_image(tmp_path / "in" / f"{index:02}.png"), rows(tmp_path / "out")[f"{index:02}.png"])
        assert (read_image(tmp_path / "out" / f"{index:02}.png") - painted).abs().max() <= 0.6 / 255


def test_a_batch_beyond_memory_is_painted_one_by_one(stylizer, source, tmp_path, monkeypatch):
    def out_of_memory(images, blend, run=stylizer.one_pass.fast.forward):
        if len(images) > 1 or images.shape[3] > 28:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(images, blend)

    monkeypatch.setattr(stylizer.one_pass.fast, "forward", out_of_memory)
    failed = [outcome for outcome in paint(stylizer, source, tmp_path / "out") if outcome.error]
    assert [outcome.job.name for outcome in failed] == ["wide.png"] and "wide.png" in str(failed[0].error)


def test_few_pictures_are_in_memory_at_a_time(stylizer, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for index in range(60):
        write_image(tmp_path / "in" / f"{index:02}.png", torch.rand(3, 8, 8))
    lock, counts = threading.Lock(), {"read": 0, "written": 0, "most": 0}

    def count(what, function):
        def counted(*arguments):
            result = function(*arguments)
            with lock:
                counts[what] += 1
                counts["most"] = max(counts["most"], counts["read"] - counts["written"])
            return result

        return counted

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(folder_module, "load_picture", count("read", folder_module.load_picture))
    monkeypatch.setattr(folder_module, "_write", count("written", folder_module._write))
    outcomes = paint_folder(stylizer, plan_folder(tmp_path / "in", tmp_path / "out"))
    next(outcomes)
    assert counts["read"] < 20  # nobody asks for more, so no more are read
    assert sum(1 for _ in outcomes) == 59 and counts["most"] < 20


def test_random_mixes_differ_by_picture_and_seed_and_are_recorded(stylizer, source, tmp_path):
    for target, seed in (("one", 1), ("again", 1), ("two", 2)):
        paint(stylizer, source, tmp_path / target, seed=seed, strength=0.5)
    one = rows(tmp_path / "one")
    assert files(tmp_path / "one") == files(tmp_path / "again")
    assert sorted(one) == sorted(name.replace(".gif", ".png") for name in NAMES)
    assert len(set(one.values())) == len(one) and not set(one.values()) & set(rows(tmp_path / "two").values())
    assert all(stylizer.blend(mix)[0] >= 0.499 for mix in one.values())
    painted = stylizer(read_image(source / "wide.png"), one["wide.png"])
    assert (read_image(tmp_path / "one" / "wide.png") - painted).abs().max() <= 0.6 / 255


@pytest.mark.parametrize("styles", [2, 4, 33])
def test_random_mixes_reach_the_whole_simplex(styles):
    names = [f"s{index}" for index in range(styles)]
    mixes = [dict(part.split("=") for part in draw_mix(names, 0, str(picture)).split(",")) for picture in range(400)]
    assert {name for mix in mixes for name in mix} == set(names)
    weights = torch.tensor([[float(mix.get(name, 0)) for name in names] for mix in mixes])
    assert (weights.sum(1) - 1).abs().max() < 0.01 * styles
    assert (weights.mean(0) - 1 / styles).abs().max() < 0.1
    assert (weights.max(1).values > 0.95).any() and (weights.max(1).values < 0.6).any()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_a_killed_run_goes_on_where_it_was(program, stylizer, weight_file, source, tmp_path):
    target = tmp_path / "out"
    for renames, done in ((1, 0), (4, 2), (3, 3)):  # the first of each run is the record's
        assert program("killed_folder", weight_file, source, target, renames).returncode == -signal.SIGKILL
        assert plan_folder(source, target).done >= done
        assert list(target.rglob(f".*{MARK}*"))
    before = stamps(target)
    with (target / "blends.csv").open("a") as record:
        record.write('wide.png,"star')  # torn
    paint(stylizer, source, target, seed=3)
    assert len(before) >= 3 and before.items() <= stamps(target).items()
    assert sorted(files(target)) == sorted(["blends.csv", *(name.replace(".gif", ".png") for name in NAMES)])
    assert all(read_image(target / name).numel() for name in stamps(target))
    paint(stylizer, source, tmp_path / "at_once", seed=3)
    assert rows(target) == rows(tmp_path / "at_once")


def test_a_mix_that_was_painted_stays_recorded_under_another_seed(stylizer, source, tmp_path):
    outcomes = paint_folder(stylizer, plan_folder(source, tmp_path / "out"), seed=1)
    next(outcomes)
    outcomes.close()
    paint(stylizer, source, tmp_path / "out", seed=2)
    for name, mix in rows(tmp_path / "out").items():
        photo = source / name.replace("still.png", "still.gif")
        painted = stylizer(read_image(photo), mix)
        if photo.suffix != ".jpg":
            assert (read_image(tmp_path / "out" / name) - painted).abs().max() <= 0.6 / 255
    assert len(rows(tmp_path / "out")) == len(NAMES)


def test_a_full_disk_is_one_error_and_nothing_half_written(stylizer, source, tmp_path, monkeypatch):
    replace, renamed = Path.replace, []

    def fill_up(path, target):
        renamed.append(target)
        if len(renamed) > 3:  # the record and two paintings
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fill_up)
        with pytest.raises(MultistyleError, match="No space left on device"):
            paint(stylizer, source, tmp_path / "out", seed=1)
    there = [name for name in files(tmp_path / "out") if name != "blends.csv"]
    assert len(there) == 2 and all(read_image(tmp_path / "out" / name).numel() for name in there)
    paint(stylizer, source, tmp_path / "out", seed=1)
    assert len(rows(tmp_path / "out")) == len(NAMES)


def test_folders_that_cannot_be_are_refused_before_any_work(source, tmp_path):
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    (tmp_path / "twice" / "twice").mkdir(parents=True)
    write_image(tmp_path / "twice" / "twice" / "a.png", torch.rand(3, 8, 8))
    (tmp_path / "link").symlink_to(source)
    file = tmp_path / "file"
    file.touch()
    for arguments, message in {
        (source, source): "is inside the input folder",
        (source, source / "out"): "is inside the input folder",
        (source, tmp_path / "link" / "out"): "is inside the input folder",
        (tmp_path / "twice", tmp_path): "among the photos",
        (tmp_path / "none", tmp_path / "out"): "no folder",
        (file, tmp_path / "out"): "is a file, not a folder",
        (tmp_path / "empty", tmp_path / "out"): "there are no pictures in",
        (source, file): "is a file",
        (source, file / "out"): "is a file",
    }.items():
        before = files(tmp_path)
        with pytest.raises(MultistyleError, match=message):
            plan_folder(*arguments)
        assert files(tmp_path) == before and not (tmp_path / "out").exists()


def test_two_photos_for_one_painting_are_named(source, tmp_path):
    write_image(source / "deep" / "still.png", torch.rand(3, 8, 8))
    with pytest.raises(MultistyleError, match=r"still\.gif and .*still\.png would both be written"):
        plan_folder(source, tmp_path / "out")


def test_a_blend_that_is_none_is_refused_at_once(stylizer, source, tmp_path):
    with pytest.raises(BlendError):
        paint_folder(stylizer, plan_folder(source, tmp_path / "out"), PaintOptions("wav"))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def run(weight_file):
    app = typer.Typer()
    app.command()(command)

    def run(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--weights", str(weight_file)], catch_exceptions=False)

    return run


def test_the_command_paints_lists_what_failed_and_goes_on(run, source, tmp_path):
    (source / "bad.png").write_text("no picture")
    (source / "worse.png").touch()
    result = run(source, tmp_path / "out", "--mix", "random", "--seed", 7)
    assert result.exit_code == 1 and "6 of 8 painted" in result.stdout
    errors = result.stderr.splitlines()
    assert len(errors) == 2 and "bad.png" in errors[0] and "worse.png" in errors[1]
    (source / "bad.png").unlink()
    (source / "worse.png").unlink()
    result = run(source, tmp_path / "out", "--mix", "random", "--seed", 7)
    assert result.exit_code == 0 and "0 of 0 painted" in result.stdout and "6 there already" in result.stdout
    assert len(rows(tmp_path / "out")) == 6


@pytest.mark.parametrize(
    "options, message",
    [
        (["--mix", "stary"], "did you mean starry?"),
        (["--seed", "1"], "--mix random"),
        (["--size", "0"], "at least 1 pixel"),
        (["--strength", "2", "--mix", "random"], "between 0 and 1"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2_and_nothing_is_written(run, source, tmp_path, options, message):
    result = run(source, tmp_path / "out", *options)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_colours_are_kept_in_folders_too(stylizer, source, tmp_path):
    plan = plan_folder(source, tmp_path / "kept")
    assert not any(outcome.error for outcome in paint_folder(stylizer, plan, PaintOptions("wave", keep_colors=True)))
    photo = read_image(source / "a.png")
    expected = keep_colors(stylizer(photo, "wave"), photo)
    assert (read_image(tmp_path / "kept" / "a.png") - expected).abs().mean() < 1 / 255
