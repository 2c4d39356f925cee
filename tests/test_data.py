import os
import tarfile
from pathlib import Path

import pytest
import torch

from multistyle.image import write_image
from train.data import Batches, Photos, read_paintings
from train.listing import DataError


@pytest.fixture
def folder(tmp_path):
    """Four photos, one of them nested and one broken, and a file that is no picture."""
    folder = tmp_path / "photos"
    (folder / "nested").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "nested/c.png")):
        write_image(folder / name, torch.full((3, 40, 60), index / 10))
    (folder / "d.jpg").write_text("broken")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_folders_and_archives_hold_the_same_photos(folder, tmp_path):
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(folder, "photos")
    from_folder, from_tar = Photos([folder], 20), Photos([tmp_path / "photos.tar"], 20)
    assert len(from_folder) == len(from_tar) == 4
    shades = {int(photos[i][0, 0, 0]) for photos in (from_folder, from_tar) for i in (0, 1, 3)}
    assert from_folder[0].shape == (3, 20, 30) and from_folder[0].dtype == torch.uint8
    assert shades == {0, 26, 51}


def test_a_broken_photo_is_named_once_and_skipped(folder, capsys):
    photos = Photos([folder], 20)
    broken = next(i for i, entry in enumerate(photos.entries) if entry[3] == "d.jpg")
    assert photos[broken].shape == photos[broken].shape == (3, 20, 30)
    assert capsys.readouterr().err.count("d.jpg") == 1


def test_no_photo_at_all_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in"):
        Photos([tmp_path / "empty"], 20)
    with pytest.raises(DataError, match="cannot read"):
        Photos([tmp_path / "missing"], 20)
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(DataError, match="neither a folder nor"):
        Photos([tmp_path / "text.tar"], 20)
    (tmp_path / "empty" / "a.jpg").write_text("broken")
    with pytest.raises(DataError, match="none of the 1"):
        Photos([tmp_path / "empty"], 20)[0]
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(DataError, match="pipe or a device"):
        Photos([tmp_path / "pipe.tar"], 20)


def test_batches_depend_on_seed_and_step_alone(folder):
    batches = Batches(Photos([folder], 40), 3, 32, seed=5)
    stream = batches.from_step(7)
    for step in (7, 8, 9):
        assert torch.equal(next(stream), batches[step])
    stream.close()
    assert batches[7].shape == (3, 3, 32, 32) and 0 <= batches[7].min() and batches[7].max() <= 1
    drawn = [batches[step][:, 0, 0, 0].tolist() for step in range(10)]
    assert len(set(map(tuple, drawn))) > 3


def test_a_photo_smaller_than_the_crop_is_enlarged(tmp_path):
    write_image(tmp_path / "small.png", torch.rand(3, 5, 9))
    assert Batches(Photos([tmp_path], 40), 1, 32, 0)[0].shape == (1, 3, 32, 32)


def test_paintings_carry_their_catalogue(tmp_path):
    for name in ("starry", "wave"):
        write_image(tmp_path / f"{name}.png", torch.rand(3, 40, 80))
    (tmp_path / "catalogue.tsv").write_text("name\tartist\ttitle\tyear\nstarry\tVan Gogh\tThe Starry Night\t1889\n")
    styles, paintings = read_paintings(tmp_path, ["wave", "starry"], 32)
    assert [style.name for style in styles] == ["wave", "starry"]
    assert styles[0].artist == "" and styles[1].title == "The Starry Night" and styles[1].year == "1889"
    assert paintings[0].shape == (3, 16, 32)
    assert [style.name for style in read_paintings(tmp_path, [], 32)[0]] == ["starry", "wave"]
    with pytest.raises(DataError, match="no painting of 'wav' .* did you mean wave"):
        read_paintings(tmp_path, ["wav"], 32)
    with pytest.raises(DataError, match="there is no folder of paintings"):
        read_paintings(tmp_path / "none", [], 32)


def test_a_large_set_is_decoded_by_workers_and_kept_nowhere(folder, tmp_path, monkeypatch, capfd):
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(folder, "photos")
    small = Photos([tmp_path / "photos.tar"], 40)
    monkeypatch.setattr("train.data.MEMORY", 4 * 40 * 40)
    large = Photos([tmp_path / "photos.tar"], 40)
    assert small.small and not large.small
    expected = Batches(small, 3, 32, seed=5)
    capfd.readouterr()
    stream = Batches(large, 3, 32, seed=5).from_step(4, workers=2)
    for step in range(4, 10):
        assert torch.equal(next(stream), expected[step])
    stream.close()
    assert large[0].shape[0] == 3 and not large._cache and small._cache
    assert capfd.readouterr().err.count("d.jpg") <= 3, "once for the small set, once a worker at most for the other"


def test_the_shares_of_a_batch_are_the_batch(folder):
    photos = Photos([folder], 40)
    whole = Batches(photos, 4, 32, seed=1)
    shares = [Batches(photos, 4, 32, 1, rows) for rows in (slice(0, 1), slice(1, 4))]
    assert torch.equal(torch.cat([share[3] for share in shares]), whole[3])


def test_a_painting_smaller_than_its_style_size_is_refused(tmp_path):
    write_image(tmp_path / "dots.png", torch.rand(3, 40, 80))
    with pytest.raises(DataError, match="dots.png, 80 px, is too small for a style_size of 81; enlarge it or lower"):
        read_paintings(tmp_path, [], 81)
    with pytest.raises(DataError, match="dots.png is too narrow: it has 10 px, and 16 are needed"):
        read_paintings(tmp_path, [], 20)


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """An archive of these headers and contents, whatever sizes the headers claim."""
    with path.open("wb") as file:
        for header, content in members:
            file.write(header.tobuf(tarfile.GNU_FORMAT) + content)
        file.write(bytes(1024))
    return path


def header(name: str, size: int) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size = size
    return found


@pytest.mark.parametrize("size", [-512, -(2**40), 10**6, 2**40, 2**62, 2**70])
def test_a_member_of_impossible_size_is_one_line(tmp_path, size):
    archive = write_tar(tmp_path / "odd.tar", (header("a.png", size), bytes(1024)))
    with pytest.raises(DataError, match="odd.tar .*damaged") as raised:
        Photos([archive], 20)
    assert "\n" not in str(raised.value)


def test_members_with_holes_are_skipped_by_name(tmp_path, capsys):
    """A member that the archive stores as a sparse file, and one of 300 MiB in an archive that is a sparse file."""
    write_image(tmp_path / "a.png", torch.rand(3, 30, 40))
    content = (tmp_path / "a.png").read_bytes()
    whole = content + bytes(-len(content) % 512)
    sparse = bytearray(header("sparse.png", 512).tobuf(tarfile.GNU_FORMAT))
    sparse[148:156], sparse[156:157] = b" " * 8, tarfile.GNUTYPE_SPARSE
    sparse[386:410], sparse[483:495] = b"00000000000\0" + b"00000001000\0", b"00010000000\0"
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    with (tmp_path / "photos.tar").open("wb") as file:
        file.write(bytes(sparse) + bytes(512) + header("a.png", len(content)).tobuf() + whole)
        file.write(header("huge.png", 300 << 20).tobuf())
        file.seek(300 << 20, os.SEEK_CUR)
        file.write(bytes(1024))
    photos = Photos([tmp_path / "photos.tar"], 20)
    said = capsys.readouterr().err
    assert [entry[3] for entry in photos.entries] == ["a.png"] and photos[0].shape == (3, 20, 27)
    assert "photos.tar/huge.png is larger than 256 MiB" in said and "photos.tar/sparse.png is stored as" in said


def test_hidden_files_are_no_photos_and_no_paintings(folder, tmp_path):
    write_image(folder / "starry.png", torch.rand(3, 40, 40))
    for name in ("._starry.png", "._a.jpg", ".b.png"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(folder, "photos")
    assert len(Photos([folder], 20)) == len(Photos([tmp_path / "photos.tar"], 20)) == 5
    (folder / "d.jpg").unlink()
    assert [style.name for style in read_paintings(folder, [], 24)[0]] == ["a", "b", "starry"]


@pytest.mark.parametrize(
    "name, message",
    [
        ("wave.jpg", "wave.jpg and .*wave.png are both named after the style wave"),
        ("a wave.png", "a wave.png cannot be a style: 'a wave' is"),
        ("photo.png", "photo.png: the name photo is reserved"),
    ],
)
def test_paintings_of_impossible_names_are_refused_with_their_path(tmp_path, name, message):
    for painting in ("wave.png", name):
        write_image(tmp_path / painting, torch.rand(3, 40, 80))
    with pytest.raises(DataError, match=message) as raised:
        read_paintings(tmp_path, [], 32)
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content, message",
    [
        ("name\tartist\nwave\tHokusaï\n".encode("latin-1"), r"catalogue.tsv is not UTF-8 text \(line 2\)"),
        (b"artist,title\nwave,Hokusai\n", "catalogue.tsv has no column called name"),
        (b"", "catalogue.tsv has no column called name"),
        (b"name\n" + b"x" * 200_000, "catalogue.tsv is not a tab-separated table"),
    ],
)
def test_a_catalogue_that_cannot_be_read_is_one_line(tmp_path, content, message):
    write_image(tmp_path / "wave.png", torch.rand(3, 40, 80))
    (tmp_path / "catalogue.tsv").write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        read_paintings(tmp_path, [], 32)
    assert "\n" not in str(raised.value)


def test_a_catalogue_with_a_mark_and_short_rows_is_read(tmp_path):
    write_image(tmp_path / "wave.png", torch.rand(3, 40, 80))
    text = "\ufeffname\tartist\ttitle\tyear\n\nwave\tHokusaï\nother\ta\tb\tc\td\n"
    (tmp_path / "catalogue.tsv").write_text(text, encoding="utf-8")
    (style,), _ = read_paintings(tmp_path, [], 32)
    assert (style.artist, style.title, style.year) == ("Hokusaï", "", "")
