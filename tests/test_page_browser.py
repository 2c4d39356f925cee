"""The page in a real browser, served by the real server.

Needs Playwright, Chromium, and axe-core in the folder that MULTISTYLE_NPM names. `.ci/run` installs them.
"""

import http.server
import io
import json
import os
import re
import shlex
import shutil
import threading
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from conftest import needs
from PIL import Image

from multistyle.cartridge import remove_style
from multistyle.errors import MultistyleError
from multistyle.image import Picture, encode_picture, read_picture
from multistyle.painting import PaintOptions
from multistyle.stylizer import Stylizer
from multistyle.weights import Model, load_weights

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NPM = Path(os.environ.get("MULTISTYLE_NPM", "node_modules"))
SOFTWARE_GPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
QUIET = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync")
PAINTED = """() => !document.querySelector('#after').hidden && document.querySelector('#viewer').ariaBusy === 'false'
    && /^\\d+ . \\d+$/.test(document.querySelector('#status').textContent)"""
PIXELS = """async (id) => {
    const image = document.querySelector(id);
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return [canvas.width, canvas.height, [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""

FILE = "async (id) => [...new Uint8Array(await (await fetch(document.querySelector(id).src)).arrayBuffer())]"


@pytest.fixture(scope="module")
def launch():
    """A function that launches Chromium with arguments."""
    needs(find_spec("playwright"), "playwright is not installed")
    needs(CHROMIUM, "there is no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *arguments: playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *arguments])


@pytest.fixture(scope="module")
def browser(launch):
    browser = launch("--disable-gpu")
    yield browser
    browser.close()


@pytest.fixture
def server(stylizer):
    """The address of a server that paints with a tiny network."""
    needs(find_spec("uvicorn") and find_spec("starlette"), "the extra page is not installed")
    import uvicorn

    from multistyle.page.app import build_app
    from multistyle.page.serve import listen

    with listen("127.0.0.1", 0) as listening:
        running = uvicorn.Server(uvicorn.Config(build_app(stylizer), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        running.should_exit = True
        thread.join(20)


@pytest.fixture
def opened(browser, server):
    """Open the page; every request must be for the server, and no error may appear in the console."""
    contexts, foreign, errors = [], [], []

    def open_page(address: str = "", width: int = 1280, height: int = 800, scheme: str = "light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith((server, "blob:")) or foreign.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(server + address)
        settled(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign and not errors


def settled(page) -> None:
    """Wait until the painting is there at full size, and stays."""
    page.wait_for_function(PAINTED, timeout=30_000)
    page.wait_for_timeout(200)
    page.wait_for_function(PAINTED, timeout=30_000)


def shown(page, image: str = "#after") -> torch.Tensor:
    width, height, data = page.evaluate(PIXELS, image)
    return torch.tensor(data, dtype=torch.uint8).reshape(height, width, 4).permute(2, 0, 1)[:3]


def painted(stylizer, file: bytes, mix: str, **options) -> torch.Tensor:
    picture = stylizer.paint_picture(read_picture(io.BytesIO(file)), PaintOptions(mix, **options)).picture
    return read_picture(io.BytesIO(encode_picture(".png", picture)), torch.uint8).image


@pytest.fixture
def photo() -> bytes:
    rough = torch.rand(1, 3, 5, 8)
    image = torch.nn.functional.interpolate(rough, (60, 90), mode="bicubic").clamp(0, 1)[0]
    return bytes(encode_picture(".png", Picture(image)))


def choose(page, file: bytes, name: str = "my photo.png", kind: str = "image/png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": file})
    settled(page)


def mix_of(page) -> dict[str, float]:
    text = re.search(r"mix=([^&]*)", page.url)[1]
    return {name: float(share) for name, share in (part.split("=") for part in text.split(","))}


def test_the_sample_is_painted_at_once_reduced_and_then_whole(opened, stylizer, sample):
    page, answers = opened(), []
    page.on("response", lambda answer: answers.append(answer) if "/paint?" in answer.url and answer.ok else None)
    page.locator("#strength").fill("60")
    settled(page)
    assert page.locator("#status").text_content() == "451 \N{MULTIPLICATION SIGN} 300"
    first = answers[0]
    assert first.headers["content-type"] == "image/png" and json.loads(first.headers["x-painting"])["width"] <= 451
    whole = stylizer.paint_picture(read_picture(sample), PaintOptions("starry", 0.6)).picture
    assert bytes(page.evaluate(FILE, "#after")) == encode_picture(".jpg", whole)


def test_a_chosen_photo_is_shown_as_the_library_paints_it(opened, stylizer, photo):
    page = opened()
    choose(page, photo)
    assert torch.equal(shown(page, "#before"), read_picture(io.BytesIO(photo), torch.uint8).image)
    page.click(".style[data-name=scream]")
    page.locator("#share-scream").fill("25")
    settled(page)
    assert mix_of(page) == {"starry": 0.75, "scream": 0.25}
    assert torch.equal(shown(page), painted(stylizer, photo, "starry=0.75,scream=0.25"))
    page.check("#keep-colors")
    page.select_option("#stroke", "off")
    settled(page)
    expected = painted(stylizer, photo, "starry=0.75,scream=0.25", keep_colors=True)
    assert torch.equal(shown(page), expected)


def test_a_link_holds_the_state_and_the_command_paints_the_same(opened, photo, run, weight_file, tmp_path, monkeypatch):
    page = opened("?mix=wave=0.7,scream=0.3&strength=0.8&keep_colors=true&stroke=2")
    choose(page, photo)
    assert page.locator("#strength").input_value() == "80" and page.locator("#keep-colors").is_checked()
    assert page.locator("#share-wave").input_value() == "70"
    page.click("#copy-command")
    command = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert command[:4] == ["multistyle", "stylize", "my photo.png", "-o"]
    monkeypatch.chdir(tmp_path)
    Path("my photo.png").write_bytes(photo)
    assert run(*command[1:], "--weights", weight_file).exit_code == 0
    result = read_picture(command[4], torch.uint8).image
    assert torch.equal(shown(page), result)
    page.click("#copy-link")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_the_pad_mixes_by_mouse_and_keys(opened):
    page = opened("?mix=starry,scream,wave")
    box = page.locator("#pad svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.12)
    settled(page)
    first = mix_of(page)
    assert max(first.values()) > 0.6 and sum(first.values()) == pytest.approx(1, abs=0.01)
    page.locator("#point").focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    settled(page)
    assert max(mix_of(page).values()) < max(first.values())


def test_the_brush_paints_a_region_and_undoes_it(opened, photo, stylizer):
    page = opened("?mix=starry")
    choose(page, photo)
    plain = shown(page)
    page.click("#brush")
    box = page.locator("#overlay").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    with page.expect_request(lambda request: "region=" in request.url) as sent:
        page.mouse.down()
        page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
        page.mouse.up()
    assert "multipart/form-data" in sent.value.headers["content-type"]
    settled(page)
    changed = (shown(page).int() - plain.int()).abs().amax(0)
    assert changed[:, :45].float().mean() > 4 * changed[:, 60:].float().mean()
    page.keyboard.press("Control+z")
    settled(page)
    assert torch.equal(shown(page), plain)


def test_a_download_after_reset_has_the_new_region(opened, photo):
    page = opened("?mix=starry")
    choose(page, photo)
    page.click("#brush")
    box = page.locator("#overlay").bounding_box()
    for across in (0.2, 0.8):  # the second so soon that nothing is painted between
        page.evaluate("() => ['reset', 'brush'].forEach((id) => document.getElementById(id).click())")
        page.mouse.move(box["x"] + across * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + (across + 0.1) * box["width"], box["y"] + 0.5 * box["height"], steps=2)
        page.mouse.up()
        settled(page)
        page.wait_for_timeout(1000)  # for the full size, which looks the same
    assert torch.equal(saved(page), shown(page))


def test_the_full_size_is_back_after_a_change_is_taken_back(opened, photo):
    page = opened("?mix=starry")
    large = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 8), (480, 700), mode="bicubic").clamp(0, 1)[0]
    choose(page, bytes(encode_picture(".png", Picture(large))))
    page.wait_for_function("!document.getElementById('status').textContent.includes('preview')")
    page.evaluate("() => [0, 1].forEach(() => document.getElementById('keep-colors').click())")
    page.wait_for_timeout(1500)
    settled(page)
    assert page.locator("#status").text_content() == "700 \N{MULTIPLICATION SIGN} 480"
    assert shown(page).shape == (3, 480, 700)


def test_the_divider_and_the_zoom_by_keys(opened):
    page = opened()
    divider = page.locator("#divider")
    divider.focus()
    before = float(divider.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowRight")
    assert float(divider.get_attribute("aria-valuenow")) > before
    page.keyboard.press("z")
    assert page.locator("#zoom").get_attribute("aria-pressed") == "true"
    assert page.locator("#after").bounding_box()["width"] == 451
    page.keyboard.press("c")
    assert page.locator("#compare").get_attribute("aria-pressed") == "false"


def test_a_download_has_the_photos_size_format_and_metadata(opened, tmp_path):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x013B] = "A. Photographer"
    Image.effect_noise((70, 40), 50).convert("RGB").save(file, "JPEG", exif=exif)
    page = opened("?mix=wave")
    choose(page, file.getvalue(), "cat.jpg", "image/jpeg")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "cat-painted.jpg"
    download.value.save_as(tmp_path / "cat.jpg")
    with Image.open(tmp_path / "cat.jpg") as picture:
        assert picture.size == (70, 40) and picture.getexif()[0x013B] == "A. Photographer"


def test_a_sequence_is_saved(opened, photo, tmp_path):
    page = opened("?mix=wave")
    choose(page, photo)
    page.click("#sequence")
    page.fill("#frames", "3")
    page.fill("#sequence-size", "64")
    with page.expect_download() as download:
        page.click("#sequence-save")
    download.value.save_as(tmp_path / "morph.gif")
    with Image.open(tmp_path / "morph.gif") as picture:
        assert picture.n_frames == 3 and picture.size == (64, 43)


def test_everything_by_keys_alone(opened, stylizer):
    page = opened()
    page.keyboard.press("/")
    page.keyboard.type("wav")
    assert page.locator(".style:visible").count() == 1
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    settled(page)
    assert set(mix_of(page)) == {"starry", "wave"}
    page.keyboard.press("m")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "share-wave":
            break
    page.keyboard.press("End")
    settled(page)
    assert mix_of(page)["wave"] > 0.99
    page.keyboard.press("0")
    settled(page)
    assert set(mix_of(page)) == {"starry"}


def test_bad_uploads_are_said_and_the_page_goes_on(opened, photo):
    page = opened()
    for content, name, words in ((b"hello", "text.png", "not a picture"), (b"", "none.jpg", "is empty")):
        page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
        page.wait_for_function("words => document.querySelector('#messages').textContent.includes(words)", arg=words)
    choose(page, photo)
    assert page.locator("#status").text_content() == "90 \N{MULTIPLICATION SIGN} 60"


@pytest.mark.parametrize("width, height, scheme", [(1280, 800, "light"), (1280, 800, "dark"), (360, 740, "dark")])
def test_axe_finds_nothing_serious(opened, width, height, scheme):
    script = NPM / "node_modules" / "axe-core" / "axe.min.js"
    needs(script.is_file(), "axe-core is not in MULTISTYLE_NPM")
    page = opened("?mix=starry,scream,wave", width, height, scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off at the side"
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then((results) => results.violations)")
    serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert not serious


def test_fast_moves_of_several_visitors_end_at_the_last(opened, stylizer, photo):
    pages = [opened("?mix=starry,scream") for _ in range(2)]
    for page in pages:
        choose(page, photo)
    for step in range(50):
        for page in pages:
            page.locator("#share-scream").fill(str(20 + step))
    for page in pages:
        settled(page)
        assert mix_of(page) == {"starry": 0.31, "scream": 0.69}
        assert torch.equal(shown(page), painted(stylizer, photo, "starry=0.31,scream=0.69"))


@pytest.fixture(scope="module")
def static_model() -> Model:
    """The shipped network, with three painters. (GPUs made of software paint wrongly with layers of 6 channels.)"""
    model = load_weights()
    for name in set(model.painters) - {"starry", "scream", "wave"}:
        model = remove_style(model, name)
    return model


@pytest.fixture(scope="module")
def static_page(static_model, tmp_path_factory):
    """A function that serves the page as written for a static host, with more headers, and returns its address."""
    runtime = NPM / "node_modules" / "onnxruntime-web" / "dist"
    needs(runtime.is_dir(), "onnxruntime-web is not in MULTISTYLE_NPM")
    needs(find_spec("onnxscript") and find_spec("onnxruntime"), "the extra onnx is not installed")
    from multistyle.page.static_page import write_static_page

    folder = tmp_path_factory.mktemp("static") / "page"
    write_static_page(static_model, folder, runtime)
    hosts = []

    def serve(headers: dict[str, str] | None = None) -> str:
        handler = partial(QuietHandler, headers or {}, directory=str(folder))
        host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        hosts.append((host, thread))
        return f"http://127.0.0.1:{host.server_address[1]}/"

    yield serve
    for host, thread in hosts:
        host.shutdown()
        thread.join(20)
        host.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, headers: dict[str, str], *arguments: object, **more: object) -> None:
        self.more_headers = headers
        super().__init__(*arguments, **more)

    def end_headers(self) -> None:
        for name, value in self.more_headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *about: object) -> None:
        pass


def saved(page) -> torch.Tensor:
    """The painting of a PNG, downloaded: much faster than `shown` for a large one."""
    with page.expect_download() as download:
        page.click("#download")
    return read_picture(download.value.path(), torch.uint8).image


def test_without_a_server_the_browser_paints_as_pytorch_does(browser, static_page, static_model):
    address, stylizer = static_page(), Stylizer(static_model, "cpu")
    context, requests, errors = browser.new_context(), [], []
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address + "?mix=wave=0.6,scream=0.4&strength=0.9")
    settled(page)
    large = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9), (231, 310), mode="bicubic").clamp(0, 1)[0]
    file = bytes(encode_picture(".png", Picture(large)))
    choose(page, file)
    for stroke in ("auto", 5.28):  # one pass, and two scales and a part
        if stroke != "auto":
            page.select_option("#stroke", "number")
            page.locator("#stroke-number").fill("24")
            settled(page)
        expected = painted(stylizer, file, "wave=0.6,scream=0.4", strength=0.9, stroke=stroke)
        assert (saved(page).int() - expected.int()).abs().max() <= 1, stroke
    hole = torch.ones(1, 231, 310)
    hole[:, 40:200, 50:160] = 0
    choose(page, cutout := bytes(encode_picture(".png", Picture(large, hole))))
    expected = painted(stylizer, cutout, "wave=0.6,scream=0.4", strength=0.9, stroke=stroke)
    assert ((saved(page).int() - expected.int()).abs() * hole).max() <= 1, (
        "what is transparent is white for the network"
    )
    choose(page, file)
    page.check("#keep-colors")
    settled(page)
    expected = painted(stylizer, file, "wave=0.6,scream=0.4", strength=0.9, stroke=stroke, keep_colors=True)
    assert (saved(page).int() - expected.int()).abs().float().mean() < 0.5
    assert all(url.startswith((address, "blob:")) for url in requests) and not errors
    context.close()


def test_without_a_server_a_long_painting_is_stopped_when_something_changes(browser, static_page, static_model):
    """With the headers of a careful host: isolated, which allows threads, and only its own scripts."""
    policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    policy += "img-src 'self' blob:; connect-src 'self' blob:"
    isolated = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
    context, workers = browser.new_context(), []
    page = context.new_page()
    page.on("worker", lambda worker: workers.append(worker.url) if "onnx_worker" in worker.url else None)
    page.goto(static_page({**isolated, "Content-Security-Policy": policy}) + "?mix=wave")
    assert page.evaluate("crossOriginIsolated")
    settled(page)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9), (650, 900), mode="bicubic").clamp(0, 1)[0]
    file = bytes(encode_picture(".png", Picture(image)))
    page.set_input_files("#file", {"name": "large.png", "mimeType": "image/png", "buffer": file})
    page.wait_for_function("""() => document.querySelector('#status').textContent.includes('preview')
        && document.querySelector('#viewer').ariaBusy === 'true'""")
    page.locator("#strength").fill("70")
    settled(page)
    expected = painted(Stylizer(static_model, "cpu"), file, "wave", strength=0.7)
    assert (saved(page).int() - expected.int()).abs().max() <= 1 and len(workers) == 2
    context.close()


def test_a_gpu_paints_as_the_processor_does_and_gives_way_to_it_when_it_fails(launch, static_page, static_model):
    """On a GPU made of software, which the page is made to take although it is slower."""
    browser, workers = launch(*SOFTWARE_GPU), []
    page = browser.new_page()
    change(page, "onnx.js", {"adapter.info?.isFallbackAdapter": "false"})
    change(page, "onnx_worker.js", {"found.time > processor.time": "false", "SIDE = 128": "SIDE = 16"})
    page.on("worker", lambda worker: "onnx_worker" in worker.url and workers.append(worker))
    page.goto(static_page() + "?mix=wave")
    settled(page)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 8), (30, 44), mode="bicubic").clamp(0, 1)[0]
    file = bytes(encode_picture(".png", Picture(image)))
    for _ in range(600):  # until the GPU's worker has taken over from the first
        if len(workers) == 2 and workers[0] not in page.workers:
            break
        page.wait_for_timeout(100)
    assert len(workers) == 2 and page.workers == workers[1:]
    choose(page, file)
    assert (saved(page).int() - painted(Stylizer(static_model, "cpu"), file, "wave").int()).abs().max() <= 1
    page.workers[0].evaluate("() => { GPUQueue.prototype.submit = () => { throw new Error('the GPU is lost'); }; }")
    page.locator("#strength").fill("70")
    settled(page)
    expected = painted(Stylizer(static_model, "cpu"), file, "wave", strength=0.7)
    assert (saved(page).int() - expected.int()).abs().max() <= 1 and page.workers == workers[2:] != []
    browser.close()


def change(page, file: str, texts: dict[str, str]) -> None:
    """Give the page another version of one of its files."""

    def answer(route) -> None:
        response = route.fetch()
        body = response.text()
        for old, new in texts.items():
            assert old in body
            body = body.replace(old, new)
        route.fulfill(response=response, body=body)

    page.route(f"**/{file}", answer)


def test_a_static_page_replaces_nothing_else_and_takes_no_other_runtime(model, tmp_path):
    needs(find_spec("onnxscript") and find_spec("onnxruntime"), "the extra onnx is not installed")
    from multistyle.page.static_page import HASHES, write_static_page

    for name in HASHES:
        (tmp_path / name).write_bytes(b"of another version")
    with pytest.raises(MultistyleError, match=r"is of another version: npm install onnxruntime-web@\d"):
        write_static_page(model, tmp_path / "page", tmp_path)
    with pytest.raises(MultistyleError, match="is not empty and holds no such page"):
        write_static_page(model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(HASHES)


def test_an_interrupted_static_page_is_written_again_by_the_same_command(model, tmp_path, monkeypatch):
    needs(find_spec("onnxscript") and find_spec("onnxruntime"), "the extra onnx is not installed")
    from multistyle.page import static_page

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(static_page, "export_onnx", interrupted)
        static_page.write_static_page(model, tmp_path / "page")
    static_page.write_static_page(model, tmp_path / "page")
    assert {"index.html", static_page.MODEL} <= {path.name for path in (tmp_path / "page").iterdir()}
