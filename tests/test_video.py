import os
import signal
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
import typer
from films import RATE, make_film, read_film
from typer.testing import CliRunner

from multistyle.cli.video import video
from multistyle.errors import BlendError, MultistyleError
from multistyle.files import MARK
from multistyle.image import write_image
from multistyle.painting import PaintOptions
from multistyle.video.paint import VideoInterrupted, check_video_paths, paint_video
from multistyle.video.steady import Steady

av = pytest.importorskip("av", reason="video needs PyAV: pip install 'multistyle[video]'")


@pytest.fixture
def film(tmp_path):
    """A function that makes a film of 8 frames, with sound, in `tmp_path`: see `make_film`."""

    def make(name="in.mp4", sound=True, **options):
        return make_film(tmp_path / name, sounds=["aac"] if sound else [], **options)

    return make


@pytest.mark.parametrize("suffix, codec", [(".mp4", "h264"), (".mov", "h264"), (".mkv", "h264"), (".webm", "vp9")])
def test_frames_rate_times_and_sound_are_kept(stylizer, film, tmp_path, suffix, codec):
    source, target = film(), tmp_path / f"out{suffix}"
    seen = []
    painted = paint_video(stylizer, source, target, PaintOptions("wave"), progress=lambda *done: seen.append(done))
    assert painted.frames == 8 and len(painted.notes) == (suffix == ".webm")
    before, after = read_film(source), read_film(target)
    assert after.codec == codec and after.rate == RATE
    assert after.times == pytest.approx(before.times, abs=1e-3)
    assert after.codecs == ["opus" if suffix == ".webm" else "aac"]
    assert suffix == ".webm" or after.sound == before.sound
    assert seen == [(index, 8) for index in range(1, 9)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, target.name])


def test_uneven_times_are_kept(stylizer, film, tmp_path):
    source = film(times=[0, 1, 2, 6, 7, 15, 16, 17])
    paint_video(stylizer, source, tmp_path / "out.mp4")
    assert read_film(tmp_path / "out.mp4").times == pytest.approx(read_film(source).times, abs=1e-3)


def test_photo_is_the_film_in_its_colours(stylizer, film, tmp_path):
    source = film(frames=2)
    paint_video(stylizer, source, tmp_path / "out.mp4", PaintOptions("photo"))
    before, after = read_film(source), read_film(tmp_path / "out.mp4")
    assert np.abs(before.pictures[1].astype(int) - after.pictures[1]).mean() < 3


@pytest.mark.parametrize(
    "turn, shape, corner",
    [
        (dict(degrees=90), (64, 48), "lower left"),
        (dict(degrees=-90), (64, 48), "upper right"),
        (dict(degrees=180), (48, 64), "lower right"),
        (dict(degrees=0, hflip=True), (48, 64), "upper right"),
    ],
)
def test_a_turned_film_is_painted_upright_and_says_so(stylizer, film, tmp_path, turn, shape, corner):
    paint_video(stylizer, film(frames=2, turn=turn), tmp_path / "out.mp4", PaintOptions("photo"))
    after = read_film(tmp_path / "out.mp4")
    assert not after.turned and after.pictures[0].shape == (*shape, 3)
    places = {"upper": 0, "lower": shape[0] // 2, "left": 0, "right": shape[1] // 2}
    top, left = (places[word] for word in corner.split())
    brightness = after.pictures[0][:, :, 1].reshape(2, shape[0] // 2, 2, shape[1] // 2).mean((1, 3))
    assert brightness.argmax() == 2 * (top > 0) + (left > 0)


@pytest.mark.parametrize("turn, aspect", [(None, Fraction(4, 3)), (dict(degrees=90), Fraction(3, 4))])
def test_pixels_that_are_not_square_stay_so(stylizer, film, tmp_path, turn, aspect):
    paint_video(stylizer, film(frames=2, turn=turn, aspect=Fraction(4, 3)), tmp_path / "out.mp4")
    assert read_film(tmp_path / "out.mp4").aspect == aspect


def test_odd_sides_get_one_more_pixel(stylizer, film, tmp_path):
    paint_video(stylizer, film(frames=2), tmp_path / "out.mp4", PaintOptions(size=33))  # 25 x 33
    assert read_film(tmp_path / "out.mp4").pictures[0].shape == (26, 34, 3)


def test_the_blend_moves_evenly_from_the_first_to_the_last_frame(stylizer, film, tmp_path, monkeypatch):
    blends = []
    paint = Steady.paint

    def record(self, frame, blend, depth, time):
        blends.append(blend)
        return paint(self, frame, blend, depth, time)

    monkeypatch.setattr(Steady, "paint", record)
    paint_video(stylizer, film(frames=5), tmp_path / "out.mp4", PaintOptions("starry", 0.5), to="wave")
    expected = [[0.5, 0.5 - share / 2, 0, share / 2] for share in (0, 0.25, 0.5, 0.75, 1)]
    torch.testing.assert_close(torch.stack(blends), torch.tensor(expected), atol=0.01, rtol=0)


def stop_after(count):
    def progress(done, total):
        if done == count:
            raise KeyboardInterrupt

    return progress


def test_an_interrupt_keeps_the_old_film_and_the_frames_painted(stylizer, film, tmp_path):
    source, target = film(), tmp_path / "out.mp4"
    target.write_bytes(b"an old film")
    with pytest.raises(VideoInterrupted, match=r"the first 3 frames are in .*out\.partial\.mp4"):
        paint_video(stylizer, source, target, progress=stop_after(3))
    assert target.read_bytes() == b"an old film"
    assert len(read_film(tmp_path / "out.partial.mp4").pictures) == 3
    with pytest.raises(VideoInterrupted) as caught:
        paint_video(stylizer, source, target, progress=stop_after(2))
    assert caught.value.fragment == tmp_path / "out.partial2.mp4" and caught.value.frames == 2
    assert len(read_film(tmp_path / "out.partial.mp4").pictures) == 3
    names = ["in.mp4", "out.mp4", "out.partial.mp4", "out.partial2.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_an_interrupt_before_the_first_frame_leaves_nothing(stylizer, film, tmp_path, monkeypatch):
    source = film()

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Steady, "paint", stop)
    with pytest.raises(VideoInterrupted, match="not one frame was painted"):
        paint_video(stylizer, source, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == [source]


def test_a_fragment_of_a_long_name_has_a_name_that_fits(stylizer, film, tmp_path):
    target = tmp_path / ("n" * 251 + ".mp4")
    with pytest.raises(VideoInterrupted) as caught:
        paint_video(stylizer, film(), target, progress=stop_after(2))
    assert caught.value.fragment.name.endswith(".partial.mp4") and caught.value.fragment.exists()


@pytest.fixture
def run(weight_file):
    app = typer.Typer()
    app.command()(video)

    def run(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--weights", str(weight_file), "--device", "cpu"])

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_frames_painted_and_says_where(run, film, tmp_path, monkeypatch, number):
    whole, frames, before = Steady.paint, [], signal.getsignal(number)

    def paint(self, *arguments, **options):
        frames.append(1)
        if len(frames) == 3:
            os.kill(os.getpid(), number)
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Steady, "paint", paint)
    result = run(film(), tmp_path / "out.mp4")
    assert result.exit_code == 130 and signal.getsignal(number) == before
    assert result.stderr == f"interrupted; the first 3 frames are in {tmp_path / 'out.partial.mp4'}\n"
    assert len(read_film(tmp_path / "out.partial.mp4").pictures) == 3 and not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(f".*{MARK}*"))


def test_a_stopped_video_behind_a_link_is_kept_beside_the_file(run, film, tmp_path, monkeypatch):
    def stop(self, *arguments, **options):
        raise KeyboardInterrupt

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.mp4").symlink_to(tmp_path / "elsewhere" / "out.mp4")
    whole, frames = Steady.paint, []

    def paint(self, *arguments, **options):
        frames.append(1)
        return (whole if len(frames) < 3 else stop)(self, *arguments, **options)

    monkeypatch.setattr(Steady, "paint", paint)
    assert run(film(), tmp_path / "out.mp4").exit_code == 130
    assert len(read_film(tmp_path / "elsewhere" / "out.partial.mp4").pictures) == 2


def test_what_a_killed_run_left_is_removed_by_the_next(stylizer, film, tmp_path):
    (tmp_path / f".0123abcd{MARK}.mp4").write_bytes(b"half a film")
    paint_video(stylizer, film(frames=2), tmp_path / "out.mp4")
    assert not list(tmp_path.glob(f".*{MARK}*")) and len(read_film(tmp_path / "out.mp4").pictures) == 2


def test_a_failure_leaves_nothing(stylizer, film, tmp_path, monkeypatch):
    source = film()

    def fail(*_, **__):
        raise MultistyleError("no memory")

    monkeypatch.setattr(Steady, "paint", fail)
    with pytest.raises(MultistyleError, match="no memory"):
        paint_video(stylizer, source, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4"])
def test_of_a_truncated_film_what_can_be_read_is_painted(stylizer, film, tmp_path, name):
    source = film(name, frames=60, sound=False)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 8 // 10])
    with pytest.raises(MultistyleError, match=r"damaged or cut short; \d+ frames could be read") as caught:
        paint_video(stylizer, source, tmp_path / "out.mp4", PaintOptions(size=16))
    count = int(str(caught.value).split("; ")[1].split()[0])
    assert 0 < count < 60 and len(read_film(tmp_path / "out.mp4").pictures) == count


def test_what_is_no_video_is_one_line_and_leaves_nothing(stylizer, film, sample, tmp_path):
    text, tone = tmp_path / "text.mp4", tmp_path / "tone.wav"
    text.write_text("no video")
    with av.open(str(tone), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(audio.encode(silence))
    for source, message in {
        text: "is not a video",
        tone: "is not a video",
        sample: "is not a video",
        tmp_path / "none.mp4": "cannot read",
    }.items():
        with pytest.raises(MultistyleError, match=message):
            paint_video(stylizer, source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        audio = container.add_stream("aac", rate=16000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16000
        container.mux([*audio.encode(silence), *audio.encode(None)])
    with pytest.raises(MultistyleError, match="has no video in it"):
        paint_video(stylizer, tmp_path / "sound.mp4", tmp_path / "out.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    for source in (tmp_path / "pipe.mp4", tmp_path):
        with pytest.raises(MultistyleError, match="cannot read"):
            paint_video(stylizer, source, tmp_path / "out.mp4")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_impossible_targets_are_refused(film, tmp_path):
    source = film(frames=1)
    (tmp_path / "link.mp4").hardlink_to(source)
    for target, message in {
        source: "it is an input",
        tmp_path / "link.mp4": "it is an input",
        tmp_path / "out.xyz": "should end in one of .mp4",
        tmp_path / "none" / "out.mp4": "there is no folder",
    }.items():
        with pytest.raises(MultistyleError, match=message):
            check_video_paths(source, target)


def test_the_command(run, film, weight_file, tmp_path):
    source, target = film(frames=3), tmp_path / "out.mp4"
    result = run(source, target, "--mix", "starry", "--to", "wave", "--size", 32)
    assert result.exit_code == 0, result.output
    assert "mix starry=1 -> wave=1" in result.stdout and "3 frames" in result.stdout
    result = run(source, tmp_path / "out.webm", "--size", 32)
    assert result.stderr == f"{source}: sound track 1 was encoded as libopus: aac does not go into .webm\n"
    assert len(read_film(target).pictures) == 3
    for arguments, code, message in [
        ((source, source), 2, "it is an input"),
        ((source, tmp_path / "out.xyz"), 2, "should end in"),
        ((source, target, "--to", "wav"), 2, "did you mean wave?"),
        ((source, target, "--size", 0), 2, "at least 1 pixel"),
        ((tmp_path / "none.mp4", target), 1, "cannot read"),
        ((source.parent / weight_file.name, target), 1, "is not a video"),
    ]:
        result = run(*arguments)
        assert result.exit_code == code and message in result.stderr and result.stderr.count("\n") == 1, result.output


def test_the_command_paints_regions_strokes_and_kept_colours(run, film, tmp_path):
    source, mask = film(frames=2), tmp_path / "mask.png"
    write_image(mask, torch.ones(3, 6, 8))
    result = run(source, tmp_path / "out.mp4", "--region", f"{mask}=photo", "--stroke", "off", "--keep-colors")
    assert result.exit_code == 0, result.output
    before, after = read_film(source), read_film(tmp_path / "out.mp4")
    assert np.abs(before.pictures[1].astype(int) - after.pictures[1]).mean() < 3
    for arguments, message in [
        (("--region", "none.png=starry"), "none.png"),
        (("--region", f"{mask}=wav"), "did you mean wave?"),
        (("--stroke", "big"), "a stroke is"),
    ]:
        result = run(source, tmp_path / "out2.mp4", *arguments)
        assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1, result.output
    mask.rename(tmp_path / "mask.mp4")
    result = run(source, tmp_path / "mask.mp4", "--region", f"{tmp_path / 'mask.mp4'}=starry")
    assert result.exit_code == 2 and "it is an input" in result.stderr
    assert run(source, tmp_path / "out2.mp4", "--strips", "off").exit_code == 2


def test_a_batch_of_blends_is_refused_and_paths_may_be_strings(stylizer, film, tmp_path):
    source, target = str(film(frames=2)), str(tmp_path / "out.mp4")
    for blends in ({"options": PaintOptions(torch.eye(4))}, {"to": torch.eye(4)}):
        with pytest.raises(BlendError, match="one blend"):
            paint_video(stylizer, source, target, **blends)
    assert paint_video(stylizer, source, target).frames == 2


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MultistyleError, match=r"pip install 'multistyle\[video\]'"):
        check_video_paths(tmp_path / "in.mp4", tmp_path / "out.mp4")
