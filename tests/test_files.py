"""Files appear whole or not at all, and never in place of an input."""

import fcntl
import os
import signal
import stat
from pathlib import Path

import pytest

from multistyle.errors import ImageError, MultistyleError
from multistyle.files import MARK, Presence, atomic_write, check_input, check_place, remove_stale


def test_a_file_appears_when_it_is_complete(tmp_path):
    with atomic_write(tmp_path / "a.png") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "a.png").exists() and temporary.suffix == ".png"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_nothing_is_left_when_writing_fails(tmp_path):
    (tmp_path / "a").write_text("old")
    full = "No space left on device"
    with pytest.raises(ImageError, match=f"cannot write .*a: {full}"), atomic_write(tmp_path / "a", ImageError):
        raise OSError(28, full)
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "a"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "old"


def test_clean_up_does_not_hide_what_went_wrong(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    with pytest.raises(MultistyleError, match="cannot write"), atomic_write(folder / "a") as temporary:
        temporary.unlink()
        folder.rmdir()


def test_a_name_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    check_place(path)
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    with pytest.raises(MultistyleError, match="name too long"):
        check_place(tmp_path / ("n" * 300))


def test_the_mode_stays_and_a_link_is_written_through(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and target.read_text() == "new" and stat.S_IMODE(target.stat().st_mode) == 0o640


def test_stale_files_are_removed_and_others_left(program, tmp_path):
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path, tmp_path / "inner"):
        assert program("killed_write", folder / "a.png").returncode == -signal.SIGKILL
        assert len(list(folder.glob(f".*{MARK}.png"))) == 1
    (tmp_path / ".someone.part.png").write_text("not ours")
    with atomic_write(tmp_path / "b.png") as running:
        remove_stale(tmp_path, nested=True)
        assert running.exists()
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".someone.part.png", "b.png", "inner"]
    remove_stale(tmp_path / "none")


def test_another_program_leaves_parts_that_are_written(program, tmp_path):
    (tmp_path / "inner").mkdir()
    stale = tmp_path / "inner" / f".stale{MARK}.png"
    stale.touch()
    with atomic_write(tmp_path / "inner" / "a.png") as temporary:
        temporary.write_text("whole")
        assert program("remove_stale", tmp_path).returncode == 0
        assert temporary.exists() and not stale.exists()
    assert (tmp_path / "inner" / "a.png").read_text() == "whole"


def test_a_part_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    flock, swept = fcntl.flock, []

    def late(handle, how):
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with atomic_write(tmp_path / "a") as temporary:
        assert temporary.exists() and temporary != swept[0]
        temporary.write_text("whole")
        remove_stale(tmp_path)
        assert temporary.exists()
    assert (tmp_path / "a").read_text() == "whole"


def test_a_file_system_without_locks_or_modes(tmp_path, monkeypatch):
    def unsupported(*arguments):
        raise OSError(95, "Operation not supported")

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(fcntl, "flock", unsupported)
    monkeypatch.setattr(Path, "chmod", unsupported)
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("new")
        remove_stale(tmp_path)
        assert temporary.exists()
    presence = Presence(tmp_path)
    assert presence.alone()
    presence.end()
    assert (tmp_path / "a").read_text() == "new"


def test_programs_in_one_folder_know_of_each_other(tmp_path):
    first, second = Presence(tmp_path), Presence(tmp_path)
    assert first.alone() and not second.alone()
    first.share()
    second.share()
    assert not first.alone() and second.alone()  # first has asked, and so given up
    second.share()
    first.end()
    assert second.alone()
    second.end()


def test_an_output_is_never_an_input(tmp_path):
    photo, other = tmp_path / "photos" / "a.png", tmp_path / "b.png"
    photo.parent.mkdir()
    photo.write_text("photo")
    (tmp_path / "soft.png").symlink_to(photo)
    os.link(photo, tmp_path / "hard.png")
    for path in (photo, tmp_path / "soft.png", tmp_path / "hard.png", tmp_path / "photos" / ".." / "photos" / "a.png"):
        with pytest.raises(MultistyleError, match="it is an input"):
            check_place(path, inputs=[other, photo])
    with pytest.raises(MultistyleError, match="it is an input"):
        check_place(photo, inputs=[tmp_path / "photos"])
    check_place(other, inputs=[photo, tmp_path / "photos"])
    check_place(tmp_path / "photos" / "new.png", inputs=[tmp_path / "photos"])


def test_what_is_no_place_or_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, text in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe or a device")):
        with pytest.raises(MultistyleError, match=text):
            check_place(path)
        with pytest.raises(MultistyleError, match=text):
            check_input(path)
    with pytest.raises(MultistyleError, match="there is no folder"):
        check_place(tmp_path / "none" / "a")
    with pytest.raises(ImageError, match="No such file"):
        check_input(tmp_path / "none", ImageError)


def test_a_name_with_a_nul_is_refused(tmp_path):
    with pytest.raises(MultistyleError, match="cannot write .*null"):
        check_place(f"{tmp_path}/a\0.png")
