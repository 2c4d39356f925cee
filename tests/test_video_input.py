"""Whatever film comes in: its times, sound and tags come out again, or a line says otherwise."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from films import RATE, make_film, read_film
from PIL import Image

from multistyle.errors import MultistyleError
from multistyle.painting import PaintOptions
from multistyle.stylizer import Stylizer
from multistyle.video.clock import Clock
from multistyle.video.cut import is_cut_short
from multistyle.video.paint import paint_video

av = pytest.importorskip("av", reason="video needs PyAV: pip install 'multistyle[video]'")
EVERY = [".mp4", ".mov", ".mkv", ".webm"]


@pytest.fixture
def paint(model, tmp_path):
    """A function that returns the painted film of a file, which is the photo's, and the remarks."""
    stylizer = Stylizer(model, device="cpu")

    def paint(source, suffix=".mp4", **options):
        target = tmp_path / f"out{suffix}"
        painted = paint_video(stylizer, source, target, PaintOptions("photo", **options))
        return read_film(target), painted.notes

    return paint


def packets(*times, stream=0, base=Fraction(1, 100), duration=4):
    return [
        SimpleNamespace(dts=time, pts=time, time_base=base, stream_index=stream, duration=duration) for time in times
    ]


def corrected(clock, *sequence):
    for packet in sequence:
        clock.correct(packet)
    return [packet.pts for packet in sequence]


def test_a_clock_starts_at_0_and_goes_on_after_a_restart_or_a_jump():
    clock = Clock(Fraction(36), jumps=True)
    assert corrected(clock, *packets(3600, 3604, 3620, 3600, 3604)) == [0, 4, 20, 24, 28]
    assert corrected(clock, *packets(9000, 9004)) == [32, 36]
    assert corrected(Clock(Fraction(0), jumps=False), *packets(0, 4, 5000)) == [0, 4, 5000], "a picture of 50 s"
    assert corrected(Clock(Fraction(-1, 50), jumps=True), *packets(-2, 2)) == [-2, 2], "a decoder's lead-in stays"


def test_a_clock_shifts_all_streams_alike():
    clock = Clock(Fraction(0), jumps=True)
    first = [*packets(0), *packets(2, stream=1), *packets(40), *packets(42, stream=1)]
    assert corrected(clock, *first) == [0, 2, 40, 42]
    assert corrected(clock, *packets(0), *packets(2, stream=1), *packets(4)) == [46, 48, 50], "after both"
    after = corrected(clock, *packets(5008), *packets(6, stream=1), *packets(5010, stream=1))
    assert after == [54, 52, 56], "a stream that has not jumped yet goes on as before"


def test_a_restart_keeps_how_late_a_stream_begins():
    clock = Clock(Fraction(0), jumps=True)
    corrected(clock, *packets(*range(0, 200, 4), stream=1), *packets(*range(100, 200, 4)))
    assert corrected(clock, *packets(100), *packets(0, stream=1)) == [300, 200]


@pytest.mark.parametrize("suffix, start", [*((suffix, 3600.0) for suffix in EVERY), (".mp4", 5.0)])
def test_a_file_may_start_at_any_time(paint, tmp_path, suffix, start):
    after, _ = paint(make_film(tmp_path / "in.ts", frames=24, start=start), suffix)
    assert len(after.times) == 24 and after.times[-1] == pytest.approx(23 / RATE, abs=2e-3)
    assert after.length == pytest.approx(24 / RATE, abs=0.1) and after.start < 0.1
    assert abs(after.heard[0] - after.start) < 0.1


@pytest.mark.parametrize("suffix, sounds", [(".mp4", []), (".mp4", ["aac"]), (".mkv", ["aac"]), (".webm", ["aac"])])
@pytest.mark.parametrize("second", [0.0, 700.0])
def test_a_clock_that_restarts_or_jumps_runs_on(paint, tmp_path, suffix, sounds, second):
    parts = [make_film(tmp_path / f"{at}.ts", frames=24, start=at, sounds=sounds) for at in (2.0, 2.0 + second)]
    joined = tmp_path / "in.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    after, _ = paint(joined, suffix)
    steps = np.diff(after.times)
    assert len(after.times) == 48 and after.length == pytest.approx(48 / RATE, abs=0.2)
    assert steps.min() > 0.03 and steps.max() < 0.2, "no gap and no rush at the seam"
    if sounds:
        assert after.heard[1] == pytest.approx(after.start + after.times[-1], abs=0.2)


@pytest.mark.parametrize("suffix", EVERY)
def test_the_last_picture_of_a_gif_is_shown_as_long_as_before(paint, tmp_path, suffix):
    pictures = [Image.new("RGB", (16, 16), (level, 100, 100)) for level in (10, 100, 200)]
    pictures[0].save(tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=[100, 100, 2000])
    after, _ = paint(tmp_path / "in.gif", suffix)
    assert after.times == pytest.approx([0, 0.1, 0.2], abs=2e-3)
    assert after.last == pytest.approx(2, abs=2e-3) and after.length == pytest.approx(2.2, abs=2e-3)


@pytest.mark.parametrize(
    "source, suffix", [("in.mp4", ".mkv"), ("in.mov", ".mp4"), ("in.mkv", ".mp4"), ("in.webm", ".mkv")]
)
def test_the_last_slide_of_a_slide_show_is_shown_as_long_as_before(paint, tmp_path, source, suffix):
    show = make_film(tmp_path / source, rate=Fraction(25), times=[0, 60, 105], last=100, sounds=[])
    assert read_film(show).length == pytest.approx(8.2, abs=0.01)
    after, _ = paint(show, suffix)
    assert after.times == pytest.approx([0, 2.4, 4.2], abs=2e-3) and after.length == pytest.approx(8.2, abs=0.01)


@pytest.mark.parametrize("source", ["in.mp4", "in.mov"])
def test_the_last_slide_counts_where_frames_are_stored_out_of_order(paint, tmp_path, source):
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    pictures = [np.roll(noise, index, 1) for index in range(6)]
    show = make_film(
        tmp_path / source, rate=Fraction(25), frames=6, pictures=pictures, last=100, sounds=[], reordered=True
    )
    length = read_film(show).length
    assert length > 3
    after, _ = paint(show)
    assert after.length == pytest.approx(length, abs=0.01)
    assert after.times == pytest.approx([index / 25 for index in range(6)], abs=2e-3)


@pytest.mark.parametrize("source", ["in.mp4", "in.mov", "in.mkv", "in.ts", "in.avi"])
def test_pictures_that_start_after_the_sound_are_whole(paint, tmp_path, source):
    film = make_film(tmp_path / source, frames=10, late=1.5, sound_length=3.0)
    after, _ = paint(film, ".mkv" if source == "in.mp4" else ".mp4")
    before = read_film(film)
    assert len(after.times) == len(before.times)
    assert after.start - after.heard[0] == pytest.approx(before.start - before.heard[0], abs=0.07)


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_a_file_that_lacks_its_end_is_told_from_a_whole_one(tmp_path, name):
    film = make_film(tmp_path / name, frames=30)
    assert not is_cut_short(film)
    content = film.read_bytes()
    for share in (0.3, 0.8, 0.99):
        film.write_bytes(content[: int(len(content) * share)])
        assert is_cut_short(film)


def without_codec(film):
    """Give the last sound track of an MP4 a codec that nobody knows."""
    content = film.read_bytes()
    entry = content.rfind(b"mp4a")
    box = content.find(b"esds", entry)
    film.write_bytes(content[:entry] + b"apac" + content[entry + 4 : box] + b"xxxx" + content[box + 4 :])
    return film


def test_a_sound_track_of_an_unknown_codec_is_left_out_and_named(paint, tmp_path):
    after, notes = paint(without_codec(make_film(tmp_path / "in.mp4", sounds=["aac", "aac"], languages=["eng", "deu"])))
    assert notes == ["sound track 2 was left out: its codec is unknown"] and after.languages == ["eng"]
    after, notes = paint(without_codec(make_film(tmp_path / "in.mp4")))
    assert len(notes) == 1 and not after.codecs and len(after.times) == 8


@pytest.mark.parametrize(
    "source, sound, suffix, codec",
    [
        ("in.mp4", "aac", ".webm", "opus"),
        ("in.avi", "pcm_s16le", ".webm", "opus"),
        ("in.avi", "adpcm_ima_wav", ".mp4", "aac"),
        ("in.avi", "adpcm_ms", ".m4v", "aac"),
        ("in.mkv", "wavpack", ".mov", "aac"),
    ],
)
def test_sound_that_the_container_cannot_hold_is_encoded_again(paint, tmp_path, source, sound, suffix, codec):
    film = make_film(tmp_path / source, frames=24, sounds=[sound])
    after, notes = paint(film, suffix)
    assert after.codecs == [codec] and after.loudness > 0.1
    assert len(notes) == 1 and notes[0].startswith("sound track 1 was encoded as") and suffix in notes[0]
    assert after.heard[1] - after.heard[0] == pytest.approx(24 / RATE, abs=0.2)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_tags_and_languages_are_kept(paint, tmp_path, suffix):
    tags = {"title": "Märzlicht", "creation_time": "2021-03-04T05:06:07.000000Z", "location": "+48.1371+011.5754/"}
    film = make_film(tmp_path / "in.mp4", tags=tags, sounds=["aac", "aac"], languages=["deu", "fra"])
    after, _ = paint(film, suffix)
    assert {key: after.tags.get(key) for key in tags} == tags
    assert after.languages == (["ger", "fra"] if suffix == ".mov" else ["deu", "fra"])


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_place_that_a_phone_stores_under_its_own_name_is_kept(paint, tmp_path, suffix):
    tags = {"com.apple.quicktime.location.ISO6709": "+48.1371+011.5754/"}
    film = make_film(tmp_path / "in.mov", tags=tags, flags="use_metadata_tags")
    assert read_film(film).tags == read_film(film).tags | {key.lower(): value for key, value in tags.items()}
    assert paint(film, suffix)[0].tags["location"] == "+48.1371+011.5754/"


@pytest.mark.parametrize("suffix", EVERY)
def test_metadata_are_left_out_on_request(paint, tmp_path, suffix):
    tags = {"title": "March", "creation_time": "2021-03-04T05:06:07.000000Z", "location": "+48.1371+011.5754/"}
    film = make_film(tmp_path / "in.mp4", tags=tags, languages=["deu"])
    assert "title" in paint(film, suffix)[0].tags
    after = paint(film, suffix, keep_metadata=False)[0]
    assert not {key.lower() for key in after.tags} & set(tags) and after.languages in (["deu"], ["ger"])


@pytest.mark.parametrize("name", ["in.mp4", "in.avi", "in.mkv"])
def test_a_tag_in_latin_1_is_read(paint, tmp_path, name):
    film = make_film(tmp_path / name, tags={"title": "Caf#"})
    assert b"Caf#" in film.read_bytes()
    film.write_bytes(film.read_bytes().replace(b"Caf#", b"Caf\xe9"))
    assert paint(film)[0].tags["title"] == "Café"


def test_a_tag_of_the_picture_track_in_latin_1_is_read(paint, tmp_path):
    film = make_film(tmp_path / "in.mkv", picture_tags={"title": "Caf#"})
    assert b"Caf#" in film.read_bytes()
    film.write_bytes(film.read_bytes().replace(b"Caf#", b"Caf\xe9"))
    paint(film, ".mkv")
    with av.open(str(tmp_path / "out.mkv")) as painted:
        assert painted.streams.video[0].metadata["title"] == "Café"


def test_a_size_that_changes_is_made_the_first_and_said(paint, tmp_path):
    parts = [make_film(tmp_path / f"{side}.ts", size=(48, side), sounds=[]) for side in (64, 96, 32)]
    joined = tmp_path / "in.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    after, notes = paint(joined)
    assert notes == ["the size changes from 64 x 48 to 96 x 48; all pictures were made 64 x 48"]
    assert [picture.shape for picture in after.pictures] == [(48, 64, 3)] * 24
    assert np.abs(after.pictures[3].astype(int) - after.pictures[12]).mean() < 6, "the whole picture, scaled"


@pytest.mark.parametrize("name", ["in.ts", "in.mp4"])
def test_interlaced_film_is_deinterlaced_and_said(paint, tmp_path, name):
    pictures = []
    for index in range(8):  # a bar that moves 8 px a field
        picture = np.full((64, 176, 3), 20, np.uint8)
        picture[::2, 16 * index : 16 * index + 24] = 230
        picture[1::2, 16 * index + 8 : 16 * index + 32] = 230
        pictures.append(picture)
    options = {"codec": "mpeg2video"} if name == "in.ts" else {"codec": "mpeg4"}
    film = make_film(
        tmp_path / name, size=(64, 176), rate=Fraction(25), pictures=pictures, interlaced=True, sounds=[], **options
    )
    after, notes = paint(film)
    assert notes == ["interlaced pictures were deinterlaced"]
    assert len(after.times) == 8 and after.times == pytest.approx([index / 25 for index in range(8)], abs=2e-3)
    assert after.last == pytest.approx(1 / 25, abs=2e-3)

    def combing(picture):  # difference between neighbouring rows that the next but one do not have
        rows = picture.astype(float).mean(2)
        return np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean()

    assert combing(after.pictures[4]) < combing(pictures[4]) / 5


def test_a_name_is_never_a_protocol(paint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_film(tmp_path / "in.mp4").rename("12:30.mp4")
    assert len(paint("12:30.mp4")[0].times) == 8
    (tmp_path / "in:out").mkdir()
    assert len(paint("12:30.mp4", suffix=":1.mkv")[0].times) == 8


def test_a_name_that_is_not_utf_8(paint, tmp_path):
    name = tmp_path / b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    try:
        make_film(tmp_path / "in.mp4").rename(name)
    except OSError:
        pytest.skip("this file system keeps names in UTF-8")
    assert len(paint(name)[0].times) == 8


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile in.mp4\n", "#EXTM3U\n#EXT-X-TARGETDURATION:1\nin.mp4\n"])
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.ffconcat", "list.txt"])
def test_a_list_of_files_is_no_video(paint, tmp_path, text, name):
    make_film(tmp_path / "in.mp4")
    (tmp_path / name).write_text(text)
    with pytest.raises(MultistyleError, match="is not a video in a known format"):
        paint(tmp_path / name)


def test_transparent_parts_of_a_gif_are_white(paint, tmp_path):
    picture = Image.new("RGBA", (16, 16), (200, 30, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 16, 8))
    picture.save(tmp_path / "in.gif", save_all=True, append_images=[picture.copy()], duration=100, disposal=2)
    after, _ = paint(tmp_path / "in.gif")
    assert after.pictures[0][:5].min() > 240 and after.pictures[0][11:, :, 1].max() < 90


def test_a_blend_moves_over_films_whose_length_is_not_stored(model, tmp_path, monkeypatch):
    from multistyle.video.steady import Steady

    shares, whole = [], Steady.paint
    monkeypatch.setattr(
        Steady,
        "paint",
        lambda self, frame, blend, *rest: shares.append(float(blend[1])) or whole(self, frame, blend, *rest),
    )
    part = make_film(tmp_path / "part.ts", frames=5, sounds=[])
    (tmp_path / "in.ts").write_bytes(part.read_bytes() * 2)
    paint_video(
        Stylizer(model, device="cpu"), tmp_path / "in.ts", tmp_path / "out.mp4", PaintOptions("photo"), to="starry"
    )
    assert shares == pytest.approx([index / 9 for index in range(10)], abs=0.02)


def test_a_restart_keeps_the_last_picture_where_packets_have_no_duration():
    clock, times = Clock(Fraction(3600), jumps=True), []
    for _ in range(3):
        for number in range(5):
            packet = SimpleNamespace(
                stream_index=0, time_base=Fraction(1, 1000), dts=3600000 + 40 * number, pts=None, duration=0
            )
            clock.correct(packet)
            times.append(packet.dts)
    assert times == [40 * number for number in range(15)]
