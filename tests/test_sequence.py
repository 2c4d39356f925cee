import io
import sys
from fractions import Fraction

import pytest
import torch
import typer
from comparing import relative_distance
from PIL import Image, ImageSequence
from typer.testing import CliRunner

from multistyle.cli.sequence import sequence
from multistyle.cli.sheet import sheet
from multistyle.errors import BlendError, ImageError, MultistyleError
from multistyle.image import Picture, lay_on_white, read_image, write_image
from multistyle.painting import PaintOptions
from multistyle.sequence import blend_path, check_room, check_sequence, encode_sequence, paint_sequence, write_sequence
from multistyle.sheet import arrange_sheet, corner_sheet, paint_sheet, style_sheet
from multistyle.video.reader import VideoReader


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.png", torch.rand(3, 17, 23))
    return tmp_path / "photo.png"


def test_a_path_goes_evenly_through_its_corners():
    corners = torch.eye(3)
    path = blend_path(corners, 9)
    assert torch.equal(path[[0, 4, 8]], corners)
    torch.testing.assert_close(path[1], torch.tensor([0.75, 0.25, 0]))
    torch.testing.assert_close((path[1:] - path[:-1]).norm(dim=1), torch.full((8,), 2**0.5 / 4))
    path = blend_path(torch.rand(4, 7).softmax(1), 50)
    assert path.shape == (50, 7) and path.min() >= 0
    torch.testing.assert_close(path.sum(1), torch.ones(50))


def test_short_paths():
    corners = torch.eye(4)
    assert torch.equal(blend_path(corners, 1), corners[:1])
    assert torch.equal(blend_path(corners, 2), corners[[0, 3]])
    with pytest.raises(MultistyleError, match="at least 1 frame"):
        blend_path(corners, 0)
    with pytest.raises(MultistyleError, match="at least 2 ends"):
        blend_path(corners[:1], 5)


def test_frames_are_the_librarys(stylizer):
    photo = torch.rand(3, 12, 16)
    frames = list(paint_sequence(stylizer, Picture(photo, None), blend_path(torch.eye(4)[:2], 3)))
    assert torch.equal(frames[0], photo)
    assert relative_distance(frames[1], stylizer(photo, "photo=1,starry=1")) < 1e-4
    assert relative_distance(frames[2], stylizer(photo, "starry")) < 1e-4
    with pytest.raises(ImageError):
        paint_sequence(stylizer, Picture(photo * 255, None), torch.eye(4))


def greys(count: int) -> list[torch.Tensor]:
    return [torch.full((3, 17, 23), level) for level in torch.linspace(0, 1, count).tolist()]


def test_a_gif_has_every_frame_in_order_and_loops(tmp_path):
    write_sequence(tmp_path / "a.gif", iter(greys(6)))
    with Image.open(tmp_path / "a.gif") as opened:
        assert opened.info["loop"] == 0 and opened.info["duration"] == 50 and opened.size == (23, 17)
        levels = [frame.convert("L").getpixel((5, 5)) for frame in ImageSequence.Iterator(opened)]
    assert levels == [0, 51, 102, 153, 204, 255]
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_an_mp4_has_every_frame_in_order(tmp_path):
    av = pytest.importorskip("av")
    write_sequence(tmp_path / "a.mp4", iter(greys(6)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.average_rate == Fraction(20) and stream.pix_fmt == "yuv420p"
    assert [frame.shape for frame in frames] == [(18, 24, 3)] * 6
    assert all(abs(float(frame.mean()) - level) < 3 for frame, level in zip(frames, (0, 51, 102, 153, 204, 255)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("name", ["in.gif", "in.mp4"])
def test_a_sequence_is_written_into_memory_as_into_a_file(tmp_path, name):
    if name.endswith(".mp4"):
        pytest.importorskip("av")
    frames, memory = [torch.rand(3, 18, 22) for _ in range(3)], io.BytesIO()
    write_sequence(tmp_path / name, frames)
    encode_sequence(memory, tmp_path / name, frames)
    (tmp_path / f"again{name}").write_bytes(memory.getvalue())
    if name.endswith(".gif"):
        assert memory.getvalue() == (tmp_path / name).read_bytes()
    else:
        one, other = (list(VideoReader(tmp_path / file)) for file in (name, f"again{name}"))
        assert [a.pixels.tolist() for a in one] == [b.pixels.tolist() for b in other] and len(one) == 3


def test_an_mp4_keeps_colours(tmp_path):
    av = pytest.importorskip("av")
    colours = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.3, 0.9]])
    write_sequence(tmp_path / "a.mp4", (colour[:, None, None].expand(3, 16, 16) for colour in colours))
    with av.open(str(tmp_path / "a.mp4")) as container:
        for frame, colour in zip(container.decode(video=0), colours, strict=True):
            assert frame.colorspace == frame.color_range == 1  # BT.709, and says so
            got = torch.from_numpy(frame.to_ndarray(format="rgb24")).float().mean((0, 1)) / 255
            assert (got - colour).abs().max() < 0.03


@pytest.mark.parametrize("name", ["frames", "frames/", "made/"])
def test_a_folder_gets_numbered_pngs(tmp_path, name):
    (tmp_path / "made").mkdir()
    frames = [torch.randint(0, 256, (3, 6, 5)) / 255 for _ in range(3)]
    write_sequence(f"{tmp_path}/{name}", iter(frames))
    for number, frame in enumerate(frames, start=1):
        assert torch.equal(read_image(tmp_path / name / f"000{number}.png"), frame)


def cutout() -> tuple[torch.Tensor, torch.Tensor]:
    """A green picture (3, 16, 16) and an alpha that hides its upper half and shows a quarter of one pixel's row."""
    alpha = torch.ones(1, 16, 16)
    alpha[:, :8] = 0
    alpha[:, 8] = 0.25
    return torch.tensor([0.1, 0.8, 0.2])[:, None, None].expand(3, 16, 16), alpha


def test_alpha_is_kept_in_pngs(tmp_path):
    image, alpha = cutout()
    write_sequence(tmp_path / "out", [image, image], alpha)
    for path in sorted((tmp_path / "out").iterdir()):
        with Image.open(path) as opened:
            assert opened.getpixel((3, 12)) == (26, 204, 51, 255) and opened.getpixel((3, 3))[3] == 0
            assert opened.getpixel((3, 8)) == (26, 204, 51, 64)


def test_alpha_is_all_or_nothing_in_a_gif(tmp_path):
    image, alpha = cutout()
    write_sequence(tmp_path / "a.gif", [image, image.flip(0), image], alpha)
    with Image.open(tmp_path / "a.gif") as opened:
        frames = [frame.convert("RGBA") for frame in ImageSequence.Iterator(opened)]
    assert [frame.getpixel((3, 12)) for frame in frames] == [(26, 204, 51, 255), (51, 204, 26, 255), (26, 204, 51, 255)]
    assert all(frame.getpixel((3, row))[3] == 0 for frame in frames for row in (0, 7, 8))


def test_alpha_is_laid_on_white_once_in_an_mp4(tmp_path):
    av = pytest.importorskip("av")
    image, alpha = cutout()
    alpha[:] = 0.5
    write_sequence(tmp_path / "a.mp4", [image], alpha)
    with av.open(str(tmp_path / "a.mp4")) as container:
        got = next(container.decode(video=0)).to_ndarray(format="rgb24").mean((0, 1))
    assert abs(got - [140, 230, 153]).max() < 4


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "frames/"])
def test_what_is_no_frame_or_alpha_is_one_line(tmp_path, name):
    if name.endswith("mp4"):
        pytest.importorskip("av")
    good, nan = torch.rand(3, 16, 16), torch.full((3, 16, 16), float("nan"))
    for number, bad in enumerate([good * 255, nan, good[:1], good[None], good[:, :8], good.numpy()]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(MultistyleError):
            write_sequence(f"{folder}/{name}", [good, bad])
        assert not list(folder.glob("*.*")), "no part of a file"
    for alpha in (
        torch.ones(16, 16),
        torch.ones(1, 8, 16),
        torch.full((1, 16, 16), 2.0),
        torch.ones(1, 16, 16).byte(),
        nan[:1],
    ):
        with pytest.raises(MultistyleError, match="alpha"):
            write_sequence(tmp_path / name, [good], alpha)
    with pytest.raises(MultistyleError, match="at least 1 frame"):
        write_sequence(tmp_path / name, [])


@pytest.mark.parametrize("name", ["a.gif", "a.mp4", "frames/"])
def test_frames_of_bytes_are_written_as_those_of_floats(tmp_path, name):
    """A large photo is painted as bytes."""
    if name.endswith("mp4"):
        pytest.importorskip("av")
    frames, written = [(torch.rand(3, 16, 16) * 255).byte() for _ in range(2)], []
    for kind, given in {"bytes": frames, "floats": [frame / 255 for frame in frames]}.items():
        (tmp_path / kind).mkdir()
        write_sequence(f"{tmp_path / kind}/{name}", given)
        written.append([file.read_bytes() for file in sorted((tmp_path / kind).rglob("*.*"))])
    assert written[0] == written[1]


def test_frames_are_written_as_they_come(tmp_path):
    """So memory is that of a few frames: a GIF grows while frames are still being made."""
    sizes = []

    def frames():
        for _ in range(4):
            yield torch.rand(3, 64, 64)
            sizes.extend(path.stat().st_size for path in tmp_path.iterdir())

    write_sequence(tmp_path / "a.gif", frames())
    assert sizes == sorted(sizes) and 0 < sizes[2] < sizes[3]


def test_more_frames_than_anything_can_hold_are_refused(tmp_path):
    with pytest.raises(MultistyleError, match="GB of memory; ask for fewer"):
        blend_path(torch.eye(30), 10**12)
    for name in ("a.gif", "a.mp4", "frames/"):
        with pytest.raises(MultistyleError, match="GB are free; ask for fewer"):
            check_room(tmp_path / name, 10**13, 480, 640)
        check_room(tmp_path / name, 10, 48, 64)


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_a_sequence_that_fails_leaves_what_was_there(tmp_path, name):
    if name.endswith("mp4"):
        pytest.importorskip("av")

    def failing():
        yield torch.rand(3, 16, 16)
        raise MultistyleError("memory ended")

    (tmp_path / name).write_text("before")
    with pytest.raises(MultistyleError, match="memory ended"):
        write_sequence(tmp_path / name, failing())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "before"


def test_impossible_outputs_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for name, message in {
        "a.avi": "name a .gif, a .mp4",
        "none/a.gif": "there is no folder",
        "none/frames": "there is no folder",
        "file": "it is a file",
        "": "is not empty",
    }.items():
        with pytest.raises(MultistyleError, match=message):
            check_sequence(tmp_path / name)


def test_without_pyav_an_mp4_says_what_to_install_and_a_gif_works(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    check_sequence(tmp_path / "a.gif")
    with pytest.raises(MultistyleError, match=r"pip install 'multistyle\[video\]'"):
        check_sequence(tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_pyav_is_loaded_only_when_needed(program):
    done = program("imports_av", "multistyle.sequence", "multistyle.sheet")
    assert done.stdout == "False\n", done.stderr


def test_a_sheet_of_styles_shows_each_once(stylizer):
    photo = torch.rand(3, 20, 40)
    cells = style_sheet(stylizer)
    assert [len(row) for row in cells] == [2, 2]
    assert [cell.label for row in cells for cell in row] == stylizer.names
    page = arrange_sheet(cells, paint_sheet(stylizer, Picture(photo, None), cells))
    assert torch.equal(page[:, 2:22, 2:42], photo)
    assert relative_distance(page[:, 2:22, 44:84], stylizer(photo, "starry")) < 1e-4
    assert page.shape == (3, 2 + 2 * (20 + 4 + 2), 2 + 2 * 42) and page.min() >= 0 and page.max() <= 1
    named = style_sheet(stylizer, ["wave", "starry"])
    assert [[cell.label for cell in row] for row in named] == [["wave", "starry"]]
    with pytest.raises(BlendError, match="did you mean wave"):
        style_sheet(stylizer, ["wav"])


@pytest.mark.parametrize("count, shape", [(2, [5]), (3, [1, 2, 3, 4, 5]), (4, [5] * 5)])
def test_a_sheet_of_corners_has_them_at_its_corners_and_even_blends_between(stylizer, count, shape):
    corners = torch.eye(4)[:count]
    cells = corner_sheet(stylizer, corners)
    assert [len(row) for row in cells] == shape
    at = {2: [(0, 0), (0, 4)], 3: [(0, 0), (4, 0), (4, 4)], 4: [(0, 0), (0, 4), (4, 0), (4, 4)]}[count]
    for (row, column), corner, name in zip(at, corners, stylizer.names):
        assert torch.equal(cells[row][column].blend, corner) and cells[row][column].label == name
    assert sum(bool(cell.label) for row in cells for cell in row) == count
    blends = torch.stack([cell.blend for row in cells for cell in row])
    torch.testing.assert_close(blends.sum(1), torch.ones(len(blends)))
    torch.testing.assert_close(blends.mean(0)[:count], torch.full((count,), 1 / count))
    assert len(blends.unique(dim=0)) == (len(blends) if count < 4 else 25)


def test_a_triangle_is_centred_and_the_rest_is_white(stylizer):
    cells = corner_sheet(stylizer, torch.eye(4)[1:])
    page = arrange_sheet(cells, torch.zeros(15, 3, 32, 32))
    dark = page[0] == 0
    assert torch.equal(dark[:32], dark[:32].flip(1)) and dark[1:33].sum() == 32 * 32
    assert page[:, :30, :40].eq(1).all()


def test_labels_are_there_and_fit(stylizer):
    cells = [[style_sheet(stylizer)[0][0]._replace(label=text) for text in ("", "starry", "a very long name " * 9)]]
    page = arrange_sheet(cells, torch.ones(3, 3, 64, 64))
    below = page[0, 66:72]
    assert below[:, 2:66].eq(1).all() and below[:, 68:132].lt(0.5).any()
    assert below[:, 132:134].eq(1).all() and below[:, -2:].eq(1).all()


@pytest.fixture
def run(weight_file):
    app = typer.Typer()
    app.command()(sequence)
    app.command()(sheet)

    def run(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--weights", str(weight_file)], catch_exceptions=False)

    return run


@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_a_sheet_of_a_transparent_picture_is_on_white(stylizer, kind):
    image, alpha = cutout()
    given = (image * 255).byte() if kind == "bytes" else image
    painted = stylizer.paint_picture(Picture(image), PaintOptions("wave")).picture.image
    (found,) = paint_sheet(stylizer, Picture(given, alpha), style_sheet(stylizer, ["wave"]))
    assert (found - lay_on_white(painted, alpha)).abs().max() <= 1 / 255


def test_the_sequence_command(run, photo, tmp_path, stylizer):
    path = ["--from", "photo", "--via", "wave", "--to", "starry", "--frames", 5]
    result = run("sequence", photo, tmp_path / "out", *path)
    assert result.exit_code == 0, result.output
    image = read_image(photo)
    assert len(list((tmp_path / "out").iterdir())) == 5
    for number, mix in {1: "photo", 2: "photo=1,wave=1", 3: "wave", 5: "starry"}.items():
        assert (read_image(tmp_path / "out" / f"000{number}.png") - stylizer(image, mix)).abs().max() <= 0.6 / 255


def test_the_sheet_command(run, photo, tmp_path):
    for arguments in ([], ["--styles", "wave, starry"], ["--corners", "wave", "--corners", "starry=1,scream=1"]):
        result = run("sheet", photo, tmp_path / "sheet.png", "--size", 16, *arguments)
        assert result.exit_code == 0, result.output
        count = {0: 4, 2: 2, 4: 5}[len(arguments)]
        size = read_image(tmp_path / "sheet.png").shape
        assert f"{size[2]} x {size[1]}, {count} paintings" in result.stdout


ENDS = ["--from", "starry", "--to", "wave", "--frames"]


@pytest.mark.parametrize(
    "command, output, options, message",
    [
        ("sequence", "a.gif", [*ENDS, "0"], "at least 1 frame"),
        ("sequence", "a.avi", [*ENDS, "2"], ".gif"),
        ("sequence", "a.gif", [*ENDS, "2", "--via", "stary"], "did you mean starry?"),
        ("sequence", "a.gif", [*ENDS, "2", "--size", "0"], "at least 1 pixel"),
        ("sheet", "photo.png", [], "it is an input"),
        ("sheet", "a.gif", [], "should end in one of"),
        ("sheet", "a.png", ["--styles", "wav"], "did you mean wave?"),
        ("sheet", "a.png", ["--corners", "wave"], "2, 3 or 4 corners"),
        ("sheet", "a.png", ["--corners", "wave", "--corners", "photo", "--styles", "wave"], "leave one out"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(run, photo, tmp_path, command, output, options, message):
    before = sorted(tmp_path.iterdir())
    result = run(command, photo, tmp_path / output, *options)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_photo_that_cannot_be_read_is_exit_1(run, tmp_path):
    result = run("sequence", tmp_path / "none.jpg", tmp_path / "a.gif", *ENDS, 2)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and not (tmp_path / "a.gif").exists()


def test_a_thousand_million_frames_are_refused_in_one_line(run, photo, tmp_path):
    for name in ("a.gif", "frames/"):
        result = run("sequence", photo, tmp_path / name, *ENDS, 10**13)
        assert result.exit_code == 1 and result.stderr.count("\n") == 1 and "ask for fewer" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "tiny.safetensors"]


def test_a_sheet_takes_paintings_of_one_size_for_every_cell(stylizer):
    cells = style_sheet(stylizer, ["starry", "wave"])
    painting = torch.rand(3, 8, 8)
    assert torch.equal(arrange_sheet(cells, [painting, (painting * 255).byte()])[:, 0, 0], torch.ones(3))
    for wrong in ([painting], [painting, painting[:, 1:]], [painting * 255] * 2, [painting[:1]] * 2, []):
        with pytest.raises(MultistyleError):
            arrange_sheet(cells, wrong)
