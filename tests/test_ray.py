"""Data sets on a Ray cluster against the plain command. One program does all runs (tests/programs/ray_runs.py)."""

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from conftest import PROGRAMS, ROOT, needs, tiny_model

from multistyle.datasets.places import Place
from multistyle.datasets.plan import plan_data
from multistyle.datasets.record import FAILURES, FAILURES_HEADER, read_record, record_failures
from multistyle.datasets.shards import paint_shard
from multistyle.errors import MultistyleError
from multistyle.folder import paint_folder
from multistyle.folder_plan import plan_folder
from multistyle.image import read_image, write_image
from multistyle.jobs import PaintOptions
from multistyle.stylizer import Stylizer
from multistyle.weights import save_weights

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    "RAY_USAGE_STATS_ENABLED": "0",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}
LABELS = {"cls": b"7", "mask.png": b"no picture to paint", "json": b"{}"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Twenty pictures of two shapes and a broken one, and three tar shards, one of them damaged."""
    folder = tmp_path_factory.mktemp("ray")
    torch.manual_seed(0)
    save_weights(folder / "weights.safetensors", tiny_model())
    (folder / "photos" / "deep").mkdir(parents=True)
    (folder / "shards").mkdir()
    for number in range(20):
        name = f"deep/{number:02}.jpg" if number % 2 else f"{number:02}.png"
        write_image(folder / "photos" / name, torch.rand(3, 24, 24 + 8 * (number % 3)))
    (folder / "photos" / "bad.jpg").write_text("no picture")
    for shard in range(2):
        members = {"readme.txt": b"about"}
        for path in sorted((folder / "photos").glob("0?.png")):
            members |= {f"{path.stem}{suffix}": content for suffix, content in ((".png", path.read_bytes()),)}
            members |= {f"{path.stem}.{suffix}": content for suffix, content in LABELS.items()}
        if shard:
            members |= {"bad.jpg": b"no picture", "bad.cls": b"1"}
        write_shard(folder / "shards" / f"{shard}.tar", members)
    (folder / "shards" / "2.tar").write_bytes((folder / "shards" / "0.tar").read_bytes()[:5000])
    return folder


def write_shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


def read_shard(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


@pytest.fixture(scope="module")
def results(data) -> dict:
    for package in ("ray", "pyarrow", "moto"):
        needs(find_spec(package), f"{package} is not installed")
    command = [sys.executable, str(PROGRAMS / "ray_runs.py"), str(data)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def plain(data, target, copies=None) -> dict[str, str]:
    """Paint the photos without Ray, and return the mixes."""
    stylizer = Stylizer(tiny_of(data), "cpu")
    list(paint_folder(stylizer, plan_folder(data / "photos", target, copies), PaintOptions(), 3))
    return rows(target / "blends.csv")


def tiny_of(data):
    from multistyle.weights import load_weights

    return load_weights(data / "weights.safetensors")


def rows(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        _, *listed = csv.reader(file)
    return {row[0]: row[1] for row in listed}


def pictures(folder: Path) -> dict[str, torch.Tensor]:
    files = [path for path in folder.rglob("*") if path.suffix in (".png", ".jpg")]
    return {path.relative_to(folder).as_posix(): read_image(path) for path in files}


def assert_equal_pictures(one: Path, two: Path) -> None:
    """Within one grey level; JPEG can make two of one."""
    found, expected = pictures(one), pictures(two)
    assert found.keys() == expected.keys()
    for name, image in found.items():
        assert (image - expected[name]).abs().max() <= (2.1 if name.endswith(".jpg") else 1.1) / 255, name


def test_a_stopped_run_with_a_killed_worker_paints_what_the_plain_command_paints(results, data, tmp_path):
    code, _, errors = results["interrupted"]
    assert code == 130 and "the same command continues from here" in errors
    code, output, errors = results["killed"]
    assert code == 1 and "existed already" in output and (data / "died").exists()
    assert errors.count("bad.jpg is not a picture") == 2, "the copies of one picture"
    assert plain(data, tmp_path / "out", 2) == rows(data / "out" / "blends.csv")
    assert_equal_pictures(data / "out", tmp_path / "out")
    assert list(rows(data / "out" / "failures.csv")) == ["bad_1.jpg", "bad_2.jpg"]


def test_a_picture_that_kills_every_worker_fails_and_the_others_are_painted(results, data):
    code, output, errors = results["dying"]
    failed = rows(data / "dying" / "failures.csv")
    assert code == 1 and f"{21 - len(failed)} of 21 painted" in output
    assert "1 workers died" in failed["00.png"] and 2 <= len(failed) <= 4 and "bad.jpg" in failed
    assert all(f"error: {error}" in errors for error in failed.values())
    assert not (data / "dying" / "blends.csv").exists()


def test_buckets_hold_what_the_plain_command_paints(results, data, tmp_path):
    code, output, _ = results["bucket"]
    assert code == 1 and "20 of 21 painted into s3://paintings/all\n" in output
    code, output, _ = results["bucket again"]
    assert code == 1 and "0 of 1 painted into s3://paintings/all, 20 existed already" in output
    assert plain(data, tmp_path / "out") == rows(data / "bucket" / "all" / "blends.csv")
    assert_equal_pictures(data / "bucket" / "all", tmp_path / "out")
    assert "is not a picture" in rows(data / "bucket" / "all" / "failures.csv")["bad.jpg"]


def test_a_bucket_that_cannot_be_opened_is_one_line(results):
    code, _, errors = results["no bucket"]
    assert code == 2 and errors.count("\n") == 1 and "s3://missing/photos" in errors and "testing" not in errors


def test_shards_keep_their_labels_and_appear_whole_or_not_at_all(results, data):
    code, output, errors = results["shards"]
    assert code == 1 and "2 of 3 painted into s3://paintings/shards" in output
    assert "2.tar: unexpected end of data" in errors and "1.tar lacks 2 of 12 paintings" in errors
    shards = data / "bucket" / "shards"
    assert sorted(path.name for path in shards.iterdir()) == ["0.csv", "0.tar", "1.csv", "1.tar", "failures.csv"]
    stylizer = Stylizer(tiny_of(data), "cpu")
    for shard in ("0", "1"):
        members, mixes = read_shard(shards / f"{shard}.tar"), rows(shards / f"{shard}.csv")
        photos = sorted((data / "photos").glob("0?.png"))
        expected = {f"{photo.stem}_{copy}.{end}" for photo in photos for copy in (1, 2) for end in (*LABELS, "png")}
        assert members.keys() == expected | {"readme.txt"}
        assert all(members[f"{photos[0].stem}_2.{end}"] == content for end, content in LABELS.items())
        for photo in photos:
            for name in (f"{photo.stem}_1.png", f"{photo.stem}_2.png"):
                painted = read_image(io.BytesIO(members[name])) - stylizer(read_image(photo), mixes[name])
                assert painted.abs().max() <= 1.1 / 255
        assert [name.split(".")[0].rpartition("_")[0] for name in members][1::4] == [
            p.stem for p in photos for _ in "12"
        ]
    failed = list(csv.reader((shards / "1.csv").read_text().splitlines()))[-1]
    assert failed[:2] == ["bad_2.jpg", ""] and "shards/1.tar/bad.jpg is not a picture" in failed[2]


@pytest.mark.parametrize("length", [0, 300, 700, 1536, 4000, 10240])
def test_a_shard_that_is_cut_short_is_never_painted(data, stylizer, tmp_path, length):
    needs(find_spec("pyarrow"), "pyarrow is not installed")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.tar").write_bytes((data / "shards" / "0.tar").read_bytes()[:length])
    places = Place(str(tmp_path / "in")), Place(str(tmp_path / "out"))
    with pytest.raises(MultistyleError, match=r"cannot read .*0\.tar: "):
        paint_shard(stylizer, "0.tar", *places, PaintOptions("wave"), lambda job: PaintOptions("wave"))
    assert not (tmp_path / "out").exists()


class Broken(io.BytesIO):
    """A file whose second piece cannot be read."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("the disk is broken")
        return super().read(4)


def test_a_file_that_breaks_off_does_not_appear_in_a_bucket(tmp_path):
    needs(find_spec("pyarrow"), "pyarrow is not installed")
    place = Place(str(tmp_path))
    place.local = False
    with pytest.raises(MultistyleError, match=r"cannot reach .*0\.tar: the disk is broken"):
        place.write("0.tar", Broken(b"content"))
    assert place.sizes() == {}
    place.write("0.tar", io.BytesIO(b"content"))
    assert place.read("0.tar") == b"content"


def test_a_shard_of_a_whole_folder_is_painted(data, stylizer, tmp_path):
    """`tar -cf 0.tar .` puts "./" before every name."""
    needs(find_spec("pyarrow"), "pyarrow is not installed")
    members = read_shard(data / "shards" / "0.tar")
    (tmp_path / "in").mkdir()
    write_shard(tmp_path / "in" / "0.tar", {f"./{name}": content for name, content in members.items()})
    for folder in (data / "shards", tmp_path / "in"):
        places = Place(str(folder)), Place(str(tmp_path / f"{folder.name} painted"))
        paint_shard(stylizer, "0.tar", *places, options := PaintOptions("wave"), lambda job: options)
    assert read_shard(tmp_path / "in painted" / "0.tar") == read_shard(tmp_path / "shards painted" / "0.tar")


def test_an_error_while_a_shard_is_read_is_one_line_and_the_others_go_on(data, stylizer, tmp_path, monkeypatch):
    needs(find_spec("pyarrow"), "pyarrow is not installed")
    monkeypatch.setattr(Place, "opened", lambda place, name: nullcontext(Broken((data / "shards" / name).read_bytes())))
    with pytest.raises(MultistyleError, match=r"cannot paint .*0\.tar: OSError: the disk is broken"):
        paint_shard(stylizer, "0.tar", Place("in"), Place(str(tmp_path)), PaintOptions("wave"), PaintOptions)


def test_a_stopped_run_keeps_the_failures_of_jobs_it_did_not_come_to(data, tmp_path):
    needs(find_spec("pyarrow"), "pyarrow is not installed")
    plan = plan_data(str(data / "photos"), str(tmp_path / "out"))
    record_failures(plan, {"a.png": "old", "b.png": "old", "c.png": "old"})
    record_failures(plan, {"b.png": "new"}, left={"c.png", "d.png"})
    assert read_record(plan.target, FAILURES, FAILURES_HEADER) == {"b.png": "new", "c.png": "old"}
    record_failures(plan, {})
    assert plan.target.sizes() == {}


def test_an_address_that_does_not_answer_is_one_line(run, data, tmp_path):
    needs(find_spec("ray"), "ray is not installed")
    for address, message in (("127.0.0.1:9", "no Ray cluster answers"), ("nowhere", "the address of a Ray cluster")):
        result = run("folder", data / "photos", tmp_path / "out", "--ray", address)
        assert result.exit_code == 1 and message in result.stderr and result.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_without_ray_one_line_says_what_to_install(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr("multistyle.datasets.cluster.find_spec", lambda name: None)
    result = run("folder", data / "photos", tmp_path / "out", "--ray", "auto")
    assert result.exit_code == 2 and result.stderr == "error: --ray needs ray: pip install 'multistyle[ray]'\n"


def test_parts_and_ray_do_not_go_together(run, data, tmp_path):
    result = run("folder", data / "photos", tmp_path / "out", "--ray", "auto", "--part", "1/2")
    assert result.exit_code == 2 and "leave --part out" in result.stderr


def test_the_example_paints_batches(tmp_path):
    needs(find_spec("ray"), "ray is not installed")
    for number in range(3):
        write_image(tmp_path / f"{number}.png", torch.rand(3, 40, 50))
    command = [sys.executable, str(ROOT / "examples" / "ray_batches.py"), str(tmp_path)]
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stdout == "(3, 224, 224, 3)\n", done.stderr


def test_the_benchmark_compares_the_three_ways(data, tmp_path):
    for package in ("ray", "pyarrow"):
        needs(find_spec(package), f"{package} is not installed")
    command = [sys.executable, "-m", "benchmarks.datasets", "--count", "16", "--turns", "1"]
    command += ["--weights", str(data / "weights.safetensors")]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = [line.rsplit(maxsplit=5) for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["plain", "--part K/2", "--ray auto"]
    assert rows[0][2] == "1.00x" and all(float(row[-1]) < 16 for row in rows)  # JPEG makes several levels of one
