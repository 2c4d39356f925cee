import csv
import errno
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from multistyle import jobs as jobs_module
from multistyle.cli.folder import folder as command
from multistyle.errors import BlendError, MultistyleError
from multistyle.fast_network import FastNetwork
from multistyle.files import MARK
from multistyle.folder import paint_folder
from multistyle.folder_mixes import BlendRecord, draw_mix
from multistyle.folder_plan import painting_names, plan_folder
from multistyle.image import Picture, read_image, resize_image, write_image
from multistyle.painting import PaintOptions, Region, keep_colors
from multistyle.stylizer import Stylizer

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
    monkeypatch.setattr(jobs_module, "BATCH_PIXELS", 20 * 20)
    paint(stylizer, tmp_path / "in", tmp_path / "out", seed=1)
    assert batches == [4, 2, 1, 2, 1, 1, 1]
    for index in range(len(sides)):
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
    monkeypatch.setattr(jobs_module, "load_picture", count("read", jobs_module.load_picture))
    monkeypatch.setattr(jobs_module, "_write", count("written", jobs_module._write))
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


def test_names_that_would_clash_keep_their_suffix_whatever_is_there_already(stylizer, source, tmp_path):
    for name in ("still.png", "still.tga"):
        Image.new("RGB", (9, 9), (200, 100, 50)).save(source / "deep" / name)
    expected = {"still.png": "still.png", "still.gif": "still.gif.png", "still.tga": "still.tga.png"}
    for _ in range(2):
        plan = plan_folder(source, tmp_path / "out")
        targets = {job.photo.name: job.target.name for job in plan.jobs if job.photo.stem == "still"}
        assert targets.items() <= expected.items() and plan.done + len(plan.jobs) == len(NAMES) + 2
        next(paint_folder(stylizer, plan)), paint(stylizer, source, tmp_path / "out")
        (tmp_path / "out" / "deep" / "still.png").unlink()
        (tmp_path / "out" / "deep" / "still.tga.png").unlink()


@pytest.mark.parametrize("copies, name", [(None, "a.png"), (2, "a_2.png")])
def test_a_picture_whose_name_another_painting_has_already_is_painted(stylizer, tmp_path, copies, name):
    def run_again() -> int:
        plan = plan_folder(tmp_path / "in", tmp_path / "out", copies)
        list(paint_folder(stylizer, plan, PaintOptions("wave"), seed=None if copies is None else 0))
        return len(plan.jobs) // (copies or 1)

    (tmp_path / "in").mkdir()
    Image.new("RGB", (9, 9), (200, 100, 50)).save(tmp_path / "in" / "a.gif")
    assert run_again() == 1
    before = read_image(tmp_path / "out" / name)
    write_image(tmp_path / "in" / "a.png", torch.rand(3, 12, 16))
    assert run_again() == 2 and run_again() == 0
    assert read_image(tmp_path / "out" / name).shape == (3, 12, 16)
    assert torch.equal(read_image(tmp_path / "out" / name.replace("a", "a.gif")), before)


def test_names_of_paintings():
    def named(*names):
        return list(map(str, painting_names([Path(name) for name in names])))

    assert named("a.gif", "b.PNG", "c") == ["a.png", "b.PNG", "c.png"]
    assert named("a.gif", "a.heic", "b/a.gif") == ["a.gif.png", "a.heic.png", "b/a.png"]
    assert named("a.gif", "a.gif.png", "a.png") == ["a.gif.png.png", "a.gif.png", "a.png"]
    assert named("a.gif", "a.gif.tga", "a.png") == ["a.gif.png.png", "a.gif.png", "a.png"]


def test_skipped_files_are_counted(run, source, tmp_path):
    for name in ("a.dng", "b.DNG", "c.jxl", "README", "._a.png", "deep/._z.jpg", ".DS_Store"):
        (source / name).touch()
    (source / "link").symlink_to(tmp_path)
    result = run(source, tmp_path / "out", "--size", 8)
    counts = "2 .dng, 1 .jxl, 1 .txt, 1 links to folders, 1 without suffix"
    assert result.exit_code == 0 and f"6 of 6 painted into {tmp_path}/out, skipped: {counts}\n" in result.stdout
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.dng").touch()
    with pytest.raises(MultistyleError, match=r"no pictures in .*skipped: 1 \.dng"):
        plan_folder(tmp_path / "raw", tmp_path / "out")


def test_a_folder_that_cannot_be_read_stops_no_other(run, source, tmp_path, monkeypatch):
    scandir = os.scandir

    def locked(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    result = run(source, tmp_path / "out")
    assert result.exit_code == 1 and "3 of 3 painted" in result.stdout
    assert result.stderr == f"error: cannot read the folder {source}/deep: Permission denied\n"
    with pytest.raises(MultistyleError, match="cannot read the folder .*deep"):
        plan_folder(source / "deep", tmp_path / "out")


@pytest.mark.parametrize("arguments", [("photos", ""), ("", "out")])
def test_an_empty_name_is_refused(run, source, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2 and "folder is empty" in result.stderr and files(tmp_path) == before


def test_odd_names_and_long_ones(run, source, tmp_path):
    odd = [os.fsdecode(b"\xff.png"), '[red]\x1b[31m\n,".png', "n" * 248 + ".gif", "{0}%s.png"]
    for name in odd:
        Image.new("RGB", (9, 9)).save(source / "deep" / name, "PNG")
    Image.new("RGB", (9, 9)).save(source / "deep" / ("n" * 248 + ".png"))
    (source / os.fsdecode(b"bad\xff\n.png")).touch()
    result = run(source, tmp_path / "out", "--mix", "random", "--seed", 3)
    assert result.exit_code == 1 and "bad\\udcff\\n.png" in result.stderr and "10 of 12 painted" in result.stdout
    assert result.stderr.count("\n") == 2 and "File name too long" in result.stderr
    with (tmp_path / "out" / "blends.csv").open(newline="", errors="surrogateescape") as file:
        names = {row[0] for row in csv.reader(file)}
    assert {f"deep/{name}" for name in odd if not name.endswith(".gif")} < names and len(names) == 11


def test_mixes_are_drawn_as_ever():
    names = ["photo", "starry", "scream", "wave", "a", "b", "c"]
    assert draw_mix(names, 7, "a.png") == "wave=0.71,a=0.06,b=0.21,c=0.02"
    assert draw_mix(names, 7, "tief/größe 写真.jpg") == "scream=0.17,wave=0.22,a=0.01,b=0.08,c=0.53"
    assert draw_mix(names, 7, "\udcff.png") != draw_mix(names, 7, "\udcfe.png")


@pytest.mark.parametrize("content", ["name,mix\n", "my notes", "\n", "file,mix,rating\na.png,wave,5\n", "\0\xff"])
def test_a_blends_csv_of_someone_else_is_left_alone(run, source, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "blends.csv").write_text(content)
    result = run(source, tmp_path / "out", "--mix", "random")
    assert result.exit_code == 2 and "is not a list of mixes" in result.stderr and result.stderr.count("\n") == 1
    assert files(tmp_path / "out") == {"blends.csv": content.encode()}


@pytest.mark.parametrize("content", ["", "file,mix", "\ufefffile,mix\r\na.png,wave\r\n"])
def test_a_blends_csv_of_ours_is_taken_up(stylizer, source, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "blends.csv").write_bytes(content.encode())
    write_image(tmp_path / "out" / "a.png", torch.rand(3, 8, 8))
    paint(stylizer, source, tmp_path / "out", seed=1)
    assert len(rows(tmp_path / "out")) == len(NAMES) - ("a.png" not in content)


def test_two_runs_in_one_folder_keep_each_others_rows(tmp_path):
    one, two = BlendRecord(tmp_path), BlendRecord(tmp_path)
    with one.running():
        one.add({tmp_path / "one.png": "wave=1"})
        one.add({tmp_path / "never.png": "wave=1"})
        with two.running():
            two.add({tmp_path / "two.png": "starry=1"})
            (tmp_path / "two.png").touch()
        assert set(rows(tmp_path)) == {"one.png", "never.png", "two.png"}
        with BlendRecord(tmp_path).running():
            pass
        (tmp_path / "one.png").touch()
    assert rows(tmp_path) == {"one.png": "wave=1", "two.png": "starry=1"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_two_runs_into_one_folder_at_once_and_one_is_killed(program, weight_file, tmp_path):
    for index in range(2):
        (tmp_path / f"in{index}").mkdir()
        for number in range(9):
            write_image(tmp_path / f"in{index}" / f"{index}{number}.png", torch.rand(3, 64, 64))

    def run(index, renames):
        return program("killed_folder", weight_file, tmp_path / f"in{index}", tmp_path / "out", renames).returncode

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, (0, 1), (12, 3))) == [0, -signal.SIGKILL]
    painted = [name for name in files(tmp_path / "out") if name.endswith(".png") and MARK not in name]
    assert len([name for name in painted if name.startswith("0")]) == 9 and set(painted) <= set(rows(tmp_path / "out"))


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), RuntimeError("a bug\nin it")])
@pytest.mark.parametrize("place", ["load_picture", "forward", "write_picture"])
def test_whatever_goes_wrong_with_a_picture_is_its_failure(run, source, tmp_path, monkeypatch, error, place):
    owner = FastNetwork if place == "forward" else jobs_module
    whole = getattr(owner, place)

    def fail(*arguments, **options):
        about = [str(a) for a in arguments if isinstance(a, Path)]
        wide = any(isinstance(a, torch.Tensor) and a.shape[-1] > 28 for a in arguments)
        if wide or any(text.endswith("wide.png") for text in about):
            raise error
        return whole(*arguments, **options)

    monkeypatch.setattr(owner, place, fail)
    result = run(source, tmp_path / "out")
    assert result.exit_code == 1 and "5 of 6 painted" in result.stdout, result.output
    assert result.stderr.count("\n") == 1 and "wide.png: " in result.stderr and "in it" not in result.stderr
    assert len(files(tmp_path / "out")) == 5


def test_a_failure_holds_no_picture(stylizer, source, tmp_path, monkeypatch):
    def fail(images, blend):
        raise RuntimeError("a bug")

    monkeypatch.setattr(stylizer.one_pass.fast, "forward", fail)
    for outcome in paint(stylizer, source, tmp_path / "out"):
        assert outcome.error.__traceback__ is outcome.error.__cause__ is outcome.error.__context__ is None


def test_ctrl_c_says_what_is_done_and_how_to_go_on(run, source, tmp_path, monkeypatch):
    paint_batch, batches = jobs_module._paint, []

    def interrupted(*arguments):
        batches.append(arguments)
        if len(batches) == 3:
            raise KeyboardInterrupt
        return paint_batch(*arguments)

    monkeypatch.setattr(jobs_module, "_paint", interrupted)
    result = run(source, tmp_path / "out", "--mix", "random")
    there = len(files(tmp_path / "out")) - 1
    assert result.exit_code == 130 and result.stderr.count("\n") == 1
    assert f"stopped: {there} of 6 painted" in result.stderr and "the same command continues from here" in result.stderr
    monkeypatch.undo()
    assert run(source, tmp_path / "out", "--mix", "random").exit_code == 0 and len(rows(tmp_path / "out")) == 6


def test_a_full_disk_says_what_is_done_and_how_to_go_on(run, source, tmp_path, monkeypatch):
    def fill_up(path, target, replace=Path.replace):
        if target.name == "wide.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    (source / "bad.png").touch()
    monkeypatch.setattr(Path, "replace", fill_up)
    result = run(source, tmp_path / "out")
    bad, full, stopped = result.stderr.splitlines()
    assert result.exit_code == 1 and "bad.png is empty" in bad and "No space left on device" in full
    assert stopped.startswith(f"stopped: {len(files(tmp_path / 'out'))} of 7 painted") and stopped.endswith(
        "the same command continues from here"
    )


def test_a_record_removed_in_mid_run_is_made_again(tmp_path):
    record = BlendRecord(tmp_path)
    with record.running():
        record.path.unlink()
        record.add({tmp_path / "a.png": "wave=1"})
        (tmp_path / "a.png").touch()
    assert rows(tmp_path) == {"a.png": "wave=1"}


def test_a_link_in_the_output_folder_leads_to_no_photos(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").symlink_to(source / "deep")
    with pytest.raises(MultistyleError, match="among the photos"):
        plan_folder(source, tmp_path / "out")


@pytest.mark.parametrize("options", [{}, {"size": 8}])
def test_pictures_in_memory_are_bounded_by_bytes(stylizer, tmp_path, monkeypatch, options):
    (tmp_path / "in").mkdir()
    for index in range(12):
        Image.new("RGB", (300, 300), (index, 0, 0)).save(tmp_path / "in" / f"{index:02}.png")
    lock, counts = threading.Lock(), {"now": 0, "most": 0}

    def read(photo, *rest, whole=jobs_module.load_picture):
        with lock:
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
        picture = whole(photo, *rest)
        if options:  # what is left is small
            time.sleep(0.02)
            release()
        return picture

    def write(reading, *rest, whole=jobs_module._write):
        whole(reading, *rest)
        if not options:
            release()

    def release():
        with lock:
            counts["now"] -= 1

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(jobs_module, "load_picture", read)
    monkeypatch.setattr(jobs_module, "_write", write)
    monkeypatch.setattr(jobs_module, "BATCH_PIXELS", 200 * 200)  # each is painted alone
    for room, least, most in ((1, 1, 2), (3 * 300 * 300 * jobs_module.PIXEL_BYTES, 3, 9)):
        monkeypatch.setattr(jobs_module, "AHEAD_BYTES", room)
        counts["most"] = 0
        assert len(paint(stylizer, tmp_path / "in", tmp_path / f"out{room}", **options)) == 12
        assert least <= counts["most"] <= most


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
    assert result.exit_code == 0 and "0 of 0 painted" in result.stdout and "6 existed already" in result.stdout
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


def test_regions_keep_their_strength_beside_random_mixes(stylizer, tmp_path):
    (tmp_path / "in").mkdir()
    photo = torch.rand(3, 12, 12)
    write_image(tmp_path / "in" / "a.png", photo)
    whole = [Region(torch.ones(4, 4), "wave")]
    paint(stylizer, tmp_path / "in", tmp_path / "out", regions=whole, strength=0.5, seed=1)
    expected = stylizer(read_image(tmp_path / "in" / "a.png"), "wave", 0.5)
    assert (read_image(tmp_path / "out" / "a.png") - expected).abs().max() < 1.1 / 255


def test_a_blend_field_is_painted_in_every_picture(stylizer, source, tmp_path):
    field = stylizer.blend("wave")[:, None, None].expand(-1, 3, 3).contiguous()
    field[:, :, 0] = stylizer.blend("photo")[:, None]
    outcomes = paint(stylizer, source, tmp_path / "out", blend=field)
    assert outcomes and not any(outcome.error for outcome in outcomes)


@pytest.mark.parametrize("strips", ["auto", "64"])
def test_a_style_that_overflows_paints_no_black_pictures(model, make_pictures, tmp_path, strips):
    model.network.table[1] = 3e38
    plan = plan_folder(make_pictures("in", "abc", 70, 80), tmp_path / "out")
    outcomes = list(paint_folder(Stylizer(model, "cpu"), plan, PaintOptions("starry", strips=strips)))
    assert all("holds NaN" in str(outcome.error) for outcome in outcomes)
    assert not list((tmp_path / "out").iterdir())


def test_a_link_in_the_output_folder_never_leads_among_the_photos(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NAMES[0]).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / NAMES[0]).symlink_to(source / "new.png")
    with pytest.raises(MultistyleError, match="among the photos"):
        plan_folder(source, tmp_path / "out")


def test_small_pictures_are_painted_in_strips_if_asked_for(stylizer, make_pictures, tmp_path, monkeypatch):
    """Also beside others of their size, which are painted together otherwise."""
    together = []
    monkeypatch.setattr(jobs_module, "paint_batch", lambda *batch: together.append(batch))
    paint(stylizer, make_pictures("in", "ab", 70, 80), tmp_path / "out", blend="wave", strips=64, estimate=True)
    for name in "ab":
        photo = Picture(read_image(tmp_path / "in" / f"{name}.png"))
        expected = stylizer.paint_picture(photo, PaintOptions("wave", strips=64, estimate=True)).picture.image
        assert (read_image(tmp_path / "out" / f"{name}.png") - expected).abs().max() < 0.6 / 255
    assert not together
