import sys
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from multistyle.cli.video import video
from multistyle.errors import MultistyleError
from multistyle.video.paint import check_video_paths, paint_video
from multistyle.video.steady import Steady

av = pytest.importorskip("av", reason="video needs PyAV: pip install 'multistyle[video]'")

RATE = Fraction(24000, 1001)


@pytest.fixture
def film(tmp_path):
    """A function that makes a film of 8 frames: a dark red field with a yellow upper left corner."""

    def make(name="in.mp4", frames=8, size=(48, 64), sound=True, turn=None, times=None, aspect=None):
        path = tmp_path / name
        height, width = size
        picture = np.full((height, width, 3), (120, 30, 60), np.uint8)
        picture[: height // 2, : width // 2] = (240, 220, 40)
        front = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}  # a truncated one keeps its index
        with av.open(str(path), "w", options=front) as container:
            video = container.add_stream("libx264", rate=RATE)
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            if aspect:
                video.codec_context.sample_aspect_ratio = aspect
            if turn:
                video.set_display_rotation(**turn)
            if sound:
                audio = container.add_stream("aac", rate=16000, layout="mono")
            for index in range(frames):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = times[index] if times else index, 1 / RATE
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if sound:
                for index in range(6):
                    samples = np.sin(np.arange(1024, dtype=np.float32) / 9)[None]
                    tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                    tone.sample_rate, tone.pts = 16000, 1024 * index
                    container.mux(audio.encode(tone))
                container.mux(audio.encode(None))
        return path

    return make


def read(path):
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video))
        facts = SimpleNamespace(
            rate=video.average_rate,
            codec=video.codec_context.name,
            times=[frame.time - frames[0].time for frame in frames],  # Matroska shifts all by the sound's lead-in
            pictures=[frame.to_ndarray(format="rgb24") for frame in frames],
            turned=any(frame.rotation for frame in frames),
        )
    with av.open(str(path)) as container:
        packets = container.demux(audio=0) if container.streams.audio else []
        facts.sound = [bytes(packet) for packet in packets if packet.size]
    return facts


@pytest.mark.parametrize("suffix, codec", [(".mp4", "h264"), (".mov", "h264"), (".mkv", "h264"), (".webm", "vp9")])
def test_frames_rate_times_and_sound_are_kept(stylizer, film, tmp_path, suffix, codec):
    source, target = film(sound=suffix != ".webm"), tmp_path / f"out{suffix}"
    seen = []
    assert paint_video(source, target, stylizer, "wave", progress=lambda *done: seen.append(done)) == 8
    before, after = read(source), read(target)
    assert after.codec == codec and after.rate == RATE
    assert after.times == pytest.approx(before.times, abs=1e-3)
    assert after.sound == before.sound
    assert seen == [(index, 8) for index in range(1, 9)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, target.name])


def test_uneven_times_are_kept(stylizer, film, tmp_path):
    source = film(times=[0, 1, 2, 6, 7, 15, 16, 17])
    paint_video(source, tmp_path / "out.mp4", stylizer)
    assert read(tmp_path / "out.mp4").times == pytest.approx(read(source).times, abs=1e-3)


def test_photo_is_the_film_in_its_colours(stylizer, film, tmp_path):
    source = film(frames=2)
    paint_video(source, tmp_path / "out.mp4", stylizer, "photo")
    before, after = read(source), read(tmp_path / "out.mp4")
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
    paint_video(film(frames=2, turn=turn), tmp_path / "out.mp4", stylizer, "photo")
    after = read(tmp_path / "out.mp4")
    assert not after.turned and after.pictures[0].shape == (*shape, 3)
    places = {"upper": 0, "lower": shape[0] // 2, "left": 0, "right": shape[1] // 2}
    top, left = (places[word] for word in corner.split())
    brightness = after.pictures[0][:, :, 1].reshape(2, shape[0] // 2, 2, shape[1] // 2).mean((1, 3))
    assert brightness.argmax() == 2 * (top > 0) + (left > 0)


@pytest.mark.parametrize("turn, aspect", [(None, Fraction(4, 3)), (dict(degrees=90), Fraction(3, 4))])
def test_pixels_that_are_not_square_stay_so(stylizer, film, tmp_path, turn, aspect):
    paint_video(film(frames=2, turn=turn, aspect=Fraction(4, 3)), tmp_path / "out.mp4", stylizer)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == aspect


def test_odd_sides_lose_their_last_pixel(stylizer, film, tmp_path):
    paint_video(film(frames=2), tmp_path / "out.mp4", stylizer, size=33)  # 25 x 33
    assert read(tmp_path / "out.mp4").pictures[0].shape == (24, 32, 3)


def test_the_blend_moves_evenly_from_the_first_to_the_last_frame(stylizer, film, tmp_path, monkeypatch):
    blends = []
    paint = Steady.__call__

    def record(self, frame, blend, time):
        blends.append(blend)
        return paint(self, frame, blend, time=time)

    monkeypatch.setattr(Steady, "__call__", record)
    paint_video(film(frames=5), tmp_path / "out.mp4", stylizer, "starry", to="wave", strength=0.5)
    expected = [[0.5, 0.5 - share / 2, 0, share / 2] for share in (0, 0.25, 0.5, 0.75, 1)]
    torch.testing.assert_close(torch.stack(blends), torch.tensor(expected), atol=0.01, rtol=0)


def test_an_interrupt_leaves_a_playable_file_of_what_was_painted(stylizer, film, tmp_path):
    def progress(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint_video(film(), tmp_path / "out.mp4", stylizer, progress=progress)
    assert len(read(tmp_path / "out.mp4").pictures) == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_leaves_nothing(stylizer, film, tmp_path, monkeypatch):
    source = film()

    def fail(*_, **__):
        raise MultistyleError("no memory")

    monkeypatch.setattr(Steady, "__call__", fail)
    with pytest.raises(MultistyleError, match="no memory"):
        paint_video(source, tmp_path / "out.mp4", stylizer)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4"])
def test_of_a_truncated_film_what_can_be_read_is_painted(stylizer, film, tmp_path, name):
    source = film(name, frames=60, sound=False)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 8 // 10])
    with pytest.raises(MultistyleError, match=r"damaged or cut short; \d+ frames could be read") as caught:
        paint_video(source, tmp_path / "out.mp4", stylizer, size=16)
    count = int(str(caught.value).split("; ")[1].split()[0])
    assert 0 < count < 60 and len(read(tmp_path / "out.mp4").pictures) == count


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
        tone: "has no video in it",
        sample: "has no video in it",
        tmp_path / "none.mp4": "cannot read",
    }.items():
        with pytest.raises(MultistyleError, match=message):
            paint_video(source, tmp_path / "out.mp4", stylizer)
    with pytest.raises(MultistyleError, match=r"the sound of the video \(aac\) does not go into .webm; try .mkv"):
        paint_video(film(), tmp_path / "out.webm", stylizer)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_impossible_targets_are_refused(film, tmp_path):
    source = film(frames=1)
    (tmp_path / "link.mp4").hardlink_to(source)
    for target, message in {
        source: "is the video itself",
        tmp_path / "link.mp4": "is the video itself",
        tmp_path / "out.xyz": "should end in one of .mp4",
        tmp_path / "none" / "out.mp4": "there is no folder",
    }.items():
        with pytest.raises(MultistyleError, match=message):
            check_video_paths(source, target)


def test_the_command(film, weight_file, tmp_path):
    app = typer.Typer()
    app.command()(video)

    def run(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--weights", str(weight_file), "--device", "cpu"])

    source, target = film(frames=3), tmp_path / "out.mp4"
    result = run(source, target, "--mix", "starry", "--to", "wave", "--size", 32)
    assert result.exit_code == 0, result.output
    assert "mix starry=1 -> wave=1" in result.stdout and "3 frames" in result.stdout
    assert len(read(target).pictures) == 3
    for arguments, code, message in [
        ((source, source), 2, "is the video itself"),
        ((source, tmp_path / "out.xyz"), 2, "should end in"),
        ((source, target, "--to", "wav"), 2, "did you mean wave?"),
        ((source, target, "--size", 0), 2, "at least 1 pixel"),
        ((tmp_path / "none.mp4", target), 1, "cannot read"),
        ((source.parent / weight_file.name, target), 1, "is not a video"),
    ]:
        result = run(*arguments)
        assert result.exit_code == code and message in result.stderr and result.stderr.count("\n") == 1, result.output


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MultistyleError, match=r"pip install 'multistyle\[video\]'"):
        check_video_paths(tmp_path / "in.mp4", tmp_path / "out.mp4")
