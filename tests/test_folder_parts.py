"""Several paintings of each picture, and folders that are painted in parts."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from multistyle import jobs as jobs_module
from multistyle.errors import MultistyleError
from multistyle.files import Presence, atomic_write
from multistyle.folder import paint_folder
from multistyle.folder_mixes import BlendRecord
from multistyle.folder_plan import Part, jobs_for, parse_part, plan_folder
from multistyle.image import read_image

NAMES = [f"{letter}{number}" for letter in "ab" for number in range(6)]


@pytest.fixture
def source(make_pictures) -> Path:
    return make_pictures("in", NAMES, 8, 12)


def rows(target: Path, file: str = "blends.csv") -> dict[str, str]:
    with (target / file).open(newline="") as opened:
        header, *listed = csv.reader(opened)
    assert header == ["file", "mix"]
    return dict(listed)


def paint(stylizer, source, target, copies=None, part=None, seed=3) -> list[str]:
    """Paint, check that all went well, and return the names of the paintings."""
    outcomes = list(paint_folder(stylizer, plan_folder(source, target, copies, part), seed=seed))
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return [outcome.job.target.name for outcome in outcomes]


def paintings(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in target.glob("*.png")}


def test_copies_have_their_own_mixes_and_one_more_copy_is_painted_alone(stylizer, source, tmp_path):
    target = tmp_path / "out"
    assert paint(stylizer, source, target, copies=2) == [f"{name}_{copy}.png" for name in NAMES for copy in (1, 2)]
    before, mixes = paintings(target), rows(target)
    assert len(set(mixes.values())) == 2 * len(NAMES)
    for name, mix in mixes.items():
        painted = stylizer(read_image(source / f"{name[:2]}.png"), mix)
        assert (read_image(target / name) - painted).abs().max() <= 0.6 / 255
    (target / "a0_1.png").unlink()
    assert paint(stylizer, source, target, copies=3) == ["a0_1.png", "a0_3.png", *(f"{n}_3.png" for n in NAMES[1:])]
    assert before.items() <= paintings(target).items() and mixes.items() <= rows(target).items()


def test_a_picture_is_read_once_for_all_its_copies(stylizer, source, tmp_path, monkeypatch):
    read = []
    load = jobs_module.load_picture
    monkeypatch.setattr(jobs_module, "load_picture", lambda photo, how: read.append(photo) or load(photo, how))
    assert len(paint(stylizer, source, tmp_path / "out", copies=3)) == 3 * len(read) == 3 * len(NAMES)


def test_copies_never_take_each_others_names():
    photos = [Path(name) for name in ("a.jpg", "a_1.jpg", "a_1_1.jpg", "a.gif", "a.png", "a_1.gif", "b/a.gif")]
    jobs = jobs_for(photos, Path("in"), Path("out"), 12, None)
    assert len({job.target for job in jobs}) == len({job.drawn_by for job in jobs}) == 12 * len(photos)
    assert [str(job.target) for job in jobs[:2]] == ["out/a_1.jpg", "out/a_2.jpg"]


def test_parts_are_disjoint_complete_and_as_ever():
    names = [f"n{number:03}/größe {number}.JPEG" for number in range(400)]
    for count in (1, 2, 16):
        owners = [[part for part in range(1, count + 1) if Part(part, count).has(name)] for name in names]
        assert all(len(each) == 1 for each in owners)
        assert all(owners.count([part]) > 400 / count / 3 for part in range(1, count + 1))
    for name, number in {"a.png": 9, "b.png": 5, "n/größe 写真.JPEG": 13, "\udcff.png": 16}.items():
        assert Part(number, 16).has(name)


def test_parts_paint_what_one_run_paints(stylizer, source, tmp_path):
    paint(stylizer, source, tmp_path / "whole", copies=2)
    painted = [paint(stylizer, source, tmp_path / "parts", 2, Part(number, 3)) for number in (2, 3, 1)]
    assert all(painted) and sum(map(len, painted)) == 2 * len(NAMES)
    assert paintings(tmp_path / "parts") == paintings(tmp_path / "whole")
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole"), "the last part merges the records"
    assert set(rows(tmp_path / "parts", "blends.part-2-of-3.csv")) == set(painted[0])
    (tmp_path / "parts" / "a0_1.png").unlink()
    assert paint(stylizer, source, tmp_path / "parts", 2) == ["a0_1.png"]
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert not list((tmp_path / "parts").glob("blends.part*"))


def test_parts_at_once_disturb_neither_records_nor_files(stylizer, source, tmp_path):
    """One part starts and ends while another is at work, as if locks did not reach from one to the other."""
    target = tmp_path / "out"
    plan = plan_folder(source, target, 1, Part(1, 2))
    first = paint_folder(stylizer, plan, seed=3)
    next(first)
    record = (target / "blends.part-1-of-2.csv").read_bytes()
    with atomic_write(target / "big.png") as unfinished:
        other = BlendRecord(target, Part(2, 2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Presence, "alone", lambda self: True)
            assert paint(stylizer, source, target, 1, Part(2, 2))
        assert (target / "blends.part-1-of-2.csv").read_bytes() == record and other.path.exists()
        assert unfinished.exists()
        unfinished.write_bytes(b"")
    (target / "big.png").unlink()
    assert not [outcome.error for outcome in first if outcome.error]
    paint(stylizer, source, tmp_path / "whole", 1)
    assert rows(target) == rows(tmp_path / "whole") and paintings(target) == paintings(tmp_path / "whole")


def test_parts_of_several_processes_at_once(source, weight_file, stylizer, tmp_path):
    command = [sys.executable, "-m", "multistyle", "folder", source, tmp_path / "out", "--weights", weight_file]
    options = ["--device", "cpu", "--mix", "random", "--seed", "3", "--copies", "2", "--part"]
    runs = [subprocess.Popen([*command, *options, f"{number}/2"], stdout=subprocess.PIPE) for number in (1, 2)]
    assert [run.communicate() and run.returncode for run in runs] == [0, 0]
    paint(stylizer, source, tmp_path / "whole", 2)
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    assert paintings(tmp_path / "out") == paintings(tmp_path / "whole")


def test_the_newest_row_of_a_painting_counts(stylizer, source, tmp_path):
    target = tmp_path / "out"
    number = next(number for number in (1, 2) if Part(number, 2).has("a0.png"))
    paint(stylizer, source, target, 1, Part(number, 2), seed=1)
    (target / "a0_1.png").unlink()
    (count,) = [count for count in (1, 2, 3) if Part(count, 3).has("a0.png")]
    paint(stylizer, source, target, 1, Part(count, 3), seed=2)
    assert rows(target)["a0_1.png"] == rows(target, f"blends.part-{count}-of-3.csv")["a0_1.png"]
    assert rows(target)["a0_1.png"] != rows(target, f"blends.part-{number}-of-2.csv")["a0_1.png"]


def test_a_part_needs_no_random_mix(run, source, tmp_path):
    painted = [run("folder", source, tmp_path / "out", "--mix", "wave", "--part", f"{number}/2") for number in (1, 2)]
    assert [result.exit_code for result in painted] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.png" for name in NAMES]


def test_text_to_part():
    assert parse_part("2/16") == Part(2, 16)
    for text in ("", "2", "0/4", "5/4", "1/0", "a/b", "-1/4", "1/2/3", "1.5/2"):
        with pytest.raises(MultistyleError, match="from 1/16 to 16/16"):
            parse_part(text)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--copies", "3"], "--copies is for --mix random"),
        (["--copies", "3", "--mix", "wave"], "--copies is for --mix random"),
        (["--copies", "0", "--mix", "random"], "at least 1 copy"),
        (["--part", ""], "a part is NUMBER/COUNT"),
        (["--part", "17/16"], "not '17/16'"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(run, source, tmp_path, options, message):
    result = run("folder", source, tmp_path / "out", *options)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_part_file_of_someone_else_is_left_alone(run, source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "blends.part-1-of-2.csv").write_text("my notes")
    result = run("folder", source, tmp_path / "out", "--mix", "random")
    assert result.exit_code == 2 and "is not a list of mixes" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["blends.part-1-of-2.csv"]
