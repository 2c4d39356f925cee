"""The server of the page: what it answers, and what it refuses."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import torch

pytest.importorskip("starlette", reason="the extra page is not installed")
pytest.importorskip("uvicorn", reason="the extra page is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

import httpx
from PIL import Image
from typer.testing import CliRunner

from multistyle.cli import app as commands
from multistyle.errors import MultistyleError
from multistyle.image import Picture, encode_picture, read_picture
from multistyle.page import app as page_app
from multistyle.page import painting_queue, requests
from multistyle.page.answers import answers
from multistyle.page.app import build_app
from multistyle.page.painting_queue import Job, PaintingQueue
from multistyle.page.refusal import Abandoned, Refusal
from multistyle.page.security import HEADERS, is_allowed
from multistyle.page.serve import listen
from multistyle.painting import Region

JOB = "a-job-name-of-its-client"


@pytest.fixture
def client(stylizer):
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app(stylizer)), base_url="http://127.0.0.1:8000")


@pytest.fixture
def ask(client):
    """Send one request and return the response."""
    return lambda method, url, **how: asyncio.run(client.request(method, url, **how))


@pytest.fixture
def picture() -> bytes:
    return bytes(encode_picture(".png", Picture(torch.rand(3, 20, 30), torch.rand(1, 20, 30))))


def opened(response: httpx.Response) -> Picture:
    assert response.status_code == 200, response.text
    return read_picture(io.BytesIO(response.content))


def refusal(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    text = response.json()["error"]
    assert "\n" not in text and "Traceback" not in text
    return text


def test_a_painting_is_the_librarys_to_the_byte(ask, stylizer, picture):
    response = ask("POST", "/paint?mix=wave=2,starry=1&strength=0.8&keep_colors=true&size=40", content=picture)
    how = dict(strength=0.8, keep_colors=True, size=40)
    read = read_picture(io.BytesIO(picture))
    expected = stylizer.paint_picture(read, requests.PaintOptions("wave=2,starry=1", **how)).picture
    assert response.content == encode_picture(".png", expected) and response.headers["content-type"] == "image/png"
    facts = json.loads(response.headers["x-painting"])
    assert (facts["width"], facts["height"], facts["strips"]) == (40, 27, False) and "wave=" in facts["mix"]


def test_regions_have_masks_and_mixes_and_strokes(ask, stylizer, picture):
    mask = torch.zeros(3, 20, 30)
    mask[:, :, :15] = 1
    files = [("picture", picture), ("mask", bytes(encode_picture(".png", Picture(mask))))]
    response = ask("POST", "/paint?mix=wave&region=photo@off", files=files)
    regions = [Region(mask[0], "photo", "off")]
    expected = stylizer.paint_picture(read_picture(io.BytesIO(picture)), requests.PaintOptions("wave", regions=regions))
    assert response.content == encode_picture(".png", expected.picture)
    assert "regions and 0 masks" in refusal(ask("POST", "/paint?region=wave", content=picture), 400)
    assert "one part named picture" in refusal(ask("POST", "/paint", files=[("other", picture)]), 400)


def test_the_painting_has_the_photos_format_and_metadata_unless_told_otherwise(ask):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x013B] = "A. Photographer"
    Image.new("RGB", (12, 8), "red").save(file, "JPEG", exif=exif)
    response = ask("POST", "/paint?mix=wave", content=file.getvalue())
    assert response.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).getexif()[0x013B] == "A. Photographer"
    response = ask("POST", "/paint?mix=wave&format=webp&keep_metadata=false", content=file.getvalue())
    assert response.headers["content-type"] == "image/webp"
    assert not Image.open(io.BytesIO(response.content)).getexif()


def test_what_the_page_needs_to_know(ask, stylizer):
    config, styles = ask("GET", "/config.json").json(), ask("GET", "/styles").json()
    assert [style["name"] for style in styles["styles"]] == stylizer.painters
    assert config["default"] == styles["default"] == "starry" and config["limits"] == styles["limits"]
    for style in config["styles"]:
        thumbnail = ask("GET", "/" + style["thumbnail"])
        assert opened(thumbnail).image.shape == (3, 128, 192)
    assert ask("GET", "/").headers["content-type"].startswith("text/html")
    assert opened(ask("GET", "/sample.jpg")).image.shape == (3, 300, 451)
    for missing in ("/none", "/../app.py", "/%2e%2e/app.py", "/thumbnails/photo.jpg"):
        assert ask("GET", missing).status_code == 404


@pytest.mark.parametrize("format, start", [("gif", b"GIF89a"), ("mp4", b"\0\0\0")])
def test_a_sequence_goes_from_mix_to_mix(ask, picture, format, start):
    if format == "mp4":
        pytest.importorskip("av")
    response = ask("POST", f"/sequence?from=wave&to=scream&frames=3&size=32&format={format}", content=picture)
    assert response.status_code == 200 and response.content.startswith(start)
    if format == "gif":
        assert Image.open(io.BytesIO(response.content)).n_frames == 3


@pytest.mark.parametrize(
    "query, message",
    [
        ("mix=stary", "did you mean starry?"),
        ("mix=wave&mix=scream", "given 2 times"),
        ("mixx=wave", "unknown parameter 'mixx'; use mix"),
        ("strength=2", "between 0 and 1"),
        ("strength=much", "strength is a number"),
        ("stroke=big", "a stroke is auto, off"),
        ("size=0", "at least 1 pixel"),
        ("size=-4", "size is a whole number"),
        ("keep_colors=yes", "true or false"),
        ("format=gif", "no picture is written as 'gif'"),
        ("job=short", "16 to 64 letters"),
    ],
)
def test_a_wrong_parameter_is_one_line(ask, picture, query, message):
    assert message in refusal(ask("POST", f"/paint?{query}", content=picture), 400)


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, and has none."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = __import__("zlib").crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def test_what_is_no_picture_or_too_large_is_one_line(ask, picture, monkeypatch):
    assert "the upload is not a picture" in refusal(ask("POST", "/paint", content=b"hello, this is text"), 400)
    assert "the body is empty" in refusal(ask("POST", "/paint", content=b""), 400)
    assert "30000 x 30000 pixels" in refusal(ask("POST", "/paint", content=bomb(30000, 30000)), 413)
    assert "20000 pixels is too large" in refusal(ask("POST", "/paint?size=20000", content=picture), 413)
    assert refusal(ask("POST", "/paint", content=picture[:-40]), 400)
    assert "ask for a size" in refusal(ask("POST", "/sequence?from=wave&to=wave&size=2000", content=picture), 413)
    assert "2 to 200 frames" in refusal(ask("POST", "/sequence?from=wave&to=wave&frames=900", content=picture), 400)
    monkeypatch.setattr(page_app, "BYTES", 100)
    assert "too much" in refusal(ask("POST", "/paint", content=bytes(101)), 413)

    async def chunks():
        for _ in range(20):
            yield bytes(10)

    assert "too large" in refusal(ask("POST", "/paint", content=chunks()), 413)
    assert ask("GET", "/styles").status_code == 200, "the server goes on"


def test_every_answer_has_the_headers_and_foreign_pages_are_refused(ask, picture):
    for url in ("/", "/styles", "/none", "/sample.jpg"):
        response = ask("GET", url)
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in response.headers
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert "other sites" in refusal(ask("POST", "/paint", content=picture, headers=headers), 403)
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert opened(ask("POST", "/paint", content=picture, headers=own))
    for method in ("GET", "POST"):
        assert "evil.example" in refusal(ask(method, "/styles", headers={"host": "evil.example"}), 403)


def test_which_hosts_are_answered():
    for host in ("127.0.0.1", "localhost:8000", "[::1]:8000", "LOCALHOST"):
        assert is_allowed(host, "127.0.0.1")
    for host in ("", "evil.example", "127.0.0.1.evil.example", "192.168.0.9", "[::2]"):
        assert not is_allowed(host, "127.0.0.1")
    assert is_allowed("studio:80", "studio") and is_allowed("192.168.0.9:80", "0.0.0.0")
    assert not is_allowed("evil.example", "0.0.0.0")


class Slow:
    """Paints jobs only when it may."""

    def __init__(self) -> None:
        self.may, self.painted = threading.Semaphore(0), []

    def __call__(self, jobs):
        assert self.may.acquire(timeout=20)
        for job in jobs:
            job.progress(1, 2)
            if job.content == "wrong" or (len(jobs) > 1 and any(job.content == "alone" for job in jobs)):
                raise MultistyleError("wrong")
        self.painted.append([job.content for job in jobs])
        return [job.content for job in jobs]


async def here() -> bool:
    return False


async def gone() -> bool:
    return True


def test_the_queue_is_bounded_and_in_order(monkeypatch):
    async def main():
        slow = Slow()
        queue = PaintingQueue(slow)
        tasks = [asyncio.create_task(queue.result(Job(0), here))]
        await asyncio.sleep(0.05)
        tasks += [asyncio.create_task(queue.result(Job(number), here)) for number in range(1, 33)]
        await asyncio.sleep(0.05)
        with pytest.raises(Refusal, match="too many pictures") as full:
            await queue.result(Job(99), here)
        assert full.value.status == 503
        slow.may.release(40)
        assert await asyncio.gather(*tasks) == list(range(33))
        monkeypatch.setattr(painting_queue, "BYTES", 10)
        with pytest.raises(Refusal, match="too many pictures"):
            await queue.result(Job(1, size=11), here)
        assert await queue.result(Job(2, size=9), here) == 2

    asyncio.run(main())


def test_a_newer_request_of_a_session_replaces_older_ones():
    async def main():
        slow = Slow()
        queue = PaintingQueue(slow)
        tasks = []
        for number in range(4):
            tasks.append(asyncio.create_task(queue.result(Job(number, session="mine"), here)))
            await asyncio.sleep(0.02)
        other = asyncio.create_task(queue.result(Job("other", session="yours"), here))
        slow.may.release(9)
        results = await asyncio.gather(*tasks, other, return_exceptions=True)
        assert [getattr(result, "status", result) for result in results] == [409, 409, 409, 3, "other"]
        assert slow.painted == [[3], ["other"]], "the first was abandoned at its first step"

    asyncio.run(main())


def test_what_nobody_waits_for_is_not_painted():
    async def main():
        slow = Slow()
        queue = PaintingQueue(slow)
        first = asyncio.create_task(queue.result(Job("first"), here))
        with pytest.raises(Abandoned):
            await queue.result(Job("left"), gone)
        slow.may.release(9)
        assert await first == "first" and slow.painted == [["first"]] and not queue.waiting

    asyncio.run(main())


def test_jobs_of_one_key_are_painted_together_and_one_that_fails_fails_alone():
    async def main():
        slow = Slow()
        queue = PaintingQueue(slow, together=3)
        contents = ["a", "b", "c", "d", "other"]
        jobs = [Job(text, key=None if text == "other" else "same") for text in contents]
        tasks = [asyncio.create_task(queue.result(job, here)) for job in jobs]
        slow.may.release(20)
        assert await asyncio.gather(*tasks) == contents
        assert slow.painted == [["a", "b", "c"], ["d"], ["other"]]
        jobs = [Job(text, key="same") for text in ("alone", "e", "wrong")]
        tasks = [asyncio.create_task(queue.result(job, here)) for job in jobs]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[:2] == ["alone", "e"] and isinstance(results[2], MultistyleError)

    asyncio.run(main())


def test_progress_is_told_to_whom_knows_the_jobs_name():
    async def main():
        slow = Slow()
        queue = PaintingQueue(slow)
        tasks = [asyncio.create_task(queue.result(Job(name, name=name), here)) for name in ("first", "second")]
        await asyncio.sleep(0.05)
        assert queue.find("first")[1] == 0 and queue.find("second")[1] == 1 and queue.find("third") is None
        slow.may.release(9)
        await asyncio.gather(*tasks)
        assert queue.find("first") is None

    asyncio.run(main())


def test_a_batch_on_a_gpu_is_painted_as_one_at_a_time(stylizer, picture):
    made = [requests.paint_request({"mix": [mix]}, picture, [], stylizer) for mix in ("wave", "scream=1,photo=1")]

    async def main():
        jobs = [Job(request) for request in made]
        return answers(stylizer, jobs), [answers(stylizer, [job])[0] for job in jobs]

    together, single = asyncio.run(main())
    for one, other in zip(together, single, strict=True):
        a, b = (read_picture(io.BytesIO(answer.body)) for answer in (one, other))
        assert (a.image - b.image).abs().max() <= 1 / 255 and torch.equal(a.alpha, b.alpha)
        assert one.facts["mix"] == other.facts["mix"]


def test_a_job_reports_strips_and_ends_when_nobody_waits(stylizer, monkeypatch):
    monkeypatch.setattr(requests, "IN_STRIPS", 1)
    monkeypatch.setattr(requests, "STRIP", 64)
    picture = bytes(encode_picture(".png", Picture(torch.rand(3, 150, 100))))
    request, seen = requests.paint_request({"mix": ["wave"]}, picture, [], stylizer), []

    async def main():
        job = Job(request)
        monkeypatch.setattr(job, "progress", lambda done, total: seen.append((done, total)))
        assert answers(stylizer, [job])[0].facts["strips"]
        left = Job(request, abandoned=True)
        with pytest.raises(Abandoned):
            answers(stylizer, [left])

    asyncio.run(main())
    assert seen[-1][0] == seen[-1][1] > 2


def test_a_taken_port_and_addresses_of_others_or_of_nobody_are_one_line(weight_file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(commands, ["page", "--port", str(port), "--no-open", "--weights", str(weight_file)])
        assert result.exit_code == 1 and "choose another --port" in result.stderr and result.stderr.count("\n") == 1
    for host in ("192.0.2.1", "a..b"):
        with pytest.raises(MultistyleError, match=f"cannot listen on {host}, .*; choose another --host"):
            listen(host, 0)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_the_command_serves_until_it_is_interrupted(weight_file, picture):
    command = [sys.executable, "-m", "multistyle", "page", "--port", "0", "--no-open", "--weights", str(weight_file)]
    as_in_a_terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # background jobs ignore Ctrl-C
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, preexec_fn=as_in_a_terminal, **pipes) as process:
        try:
            url = process.stdout.readline().split()[0]
            assert url.startswith("http://127.0.0.1:")
            with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
                assert client.get("styles").json()["default"] == "starry"
                with socket.create_connection((url.split(":")[1][2:], int(url.rstrip("/").split(":")[2]))) as left:
                    left.sendall(b"POST /paint HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf a pic")
                assert opened(client.post("paint?mix=wave", content=picture))
                expected = client.post("paint?mix=wave=50,scream=1", content=picture).content
            assert_moves_are_followed(url, process.pid, picture, expected)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130 and "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def assert_moves_are_followed(url: str, pid: int, picture: bytes, expected: bytes) -> None:
    """Two hundred moves of sliders from four visitors who do not wait for paintings.

    The last painting of each is that of its last mix, and is there within a second; memory stays flat.
    """

    async def visit(visitor: int) -> bytes:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:

            async def painted(step: int) -> httpx.Response:
                mix = f"wave={step},scream=1"
                return await client.post(f"paint?mix={mix}&session=visitor-number-{visitor}", content=picture)

            earlier = []
            for step in range(1, 50):
                earlier.append(asyncio.create_task(painted(step)))
                await asyncio.sleep(0.01)
            last = await asyncio.wait_for(painted(50), 1)
            codes = {response.status_code for response in await asyncio.gather(*earlier)}
            assert codes <= {200, 409} and last.status_code == 200
            return last.content

    async def visits() -> list[bytes]:
        return await asyncio.gather(*[visit(visitor) for visitor in range(4)])

    results = [asyncio.run(visits())]
    before = resident(pid)
    results += [asyncio.run(visits()) for _ in range(3)]
    assert all(content == expected for four in results for content in four)
    assert resident(pid) < before + 32 * 2**20


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else 0
