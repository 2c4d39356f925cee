"""Addresses on the Hugging Face Hub, against a server on this machine that answers as the hub does."""

import json
import tomllib
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from multistyle.cartridge import append_style, export_style, load_cartridge, save_cartridge
from multistyle.errors import WeightsError
from multistyle.hub import local_file
from multistyle.stylizer import load_stylizer
from multistyle.weights import Style, load_weights

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789" * 4


class Hub(BaseHTTPRequestHandler):
    """GET and HEAD of what the client asks for. repositories: contents of files by name, by repository."""

    def __init__(self, repositories: dict[str, dict[str, bytes]], asked: list[str], *rest) -> None:
        self.repositories, self.asked = repositories, asked
        super().__init__(*rest)

    def do_GET(self) -> None:
        self.answer(self.path.partition("?")[0].strip("/").split("/"))

    do_HEAD = do_GET

    def answer(self, parts: list[str]) -> None:
        self.asked.append(f"{self.command} {self.path}")
        api = parts[:2] == ["api", "models"]
        repository, *rest = ["/".join(parts[2:4]), *parts[4:]] if api else ["/".join(parts[:2]), *parts[2:]]
        if repository == "user/gated":
            return self.send(403, b"", {"X-Error-Code": "GatedRepo"})
        if repository not in self.repositories:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        files = self.repositories[repository]
        if api:
            found = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            return self.send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})
        name = "/".join(rest[2:])
        if rest[:1] != ["resolve"] or name not in files:
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        etag = sha256(files[name]).hexdigest()
        return self.send(200, files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def hub(model, weight_file, tmp_path, monkeypatch):
    """A hub with repositories of user; a namespace with `asked`, `url` and `stop`."""
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    other = append_style(model, Style("munch"), model.network.table[1] * 1.5)
    save_cartridge(tmp_path / "munch.safetensors", export_style(other, "munch"))
    weights, style = weight_file.read_bytes(), (tmp_path / "munch.safetensors").read_bytes()
    repositories = {
        "user/model": {"README.md": b"hello", "multistyle.safetensors": weights},
        "user/munch": {"munch.safetensors": style},
        "user/many": {"a.safetensors": weights, "deep/b.safetensors": weights, "c.bin": b"x"},
        "user/pickles": {"model.bin": b"x"},
        "user/broken": {"model.safetensors": b"no tensors"},
    }
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, repositories, asked))
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    server.asked, server.url = asked, f"http://127.0.0.1:{server.server_port}"

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    server.stop = stop
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    if thread.is_alive():
        stop()


def test_weights_and_styles_come_from_the_hub(hub, model):
    stylizer = load_stylizer("hf://user/model", "cpu", style_files=["hf://user/munch"])
    assert stylizer.names == ["photo", "starry", "scream", "wave", "munch"] and stylizer.one_pass.default == "munch"
    assert (stylizer.one_pass.model.network.table[:4] == model.network.table).all()
    assert load_weights("hf://user/many/deep/b.safetensors").painters == model.painters
    assert load_cartridge("hf://user/munch/munch.safetensors").style.name == "munch"
    assert not [line for line in hub.asked if line.split()[0] not in ("GET", "HEAD")]


def test_a_path_loses_one_slash_and_means_the_same(hub):
    assert local_file(Path("hf://user/model")) == local_file("hf://user/model")
    assert local_file("plain.safetensors") == Path("plain.safetensors")


def test_a_second_time_nothing_is_downloaded_and_the_network_is_not_needed(hub):
    load_weights("hf://user/model")
    downloads = [line for line in hub.asked if line.startswith("GET /user")]
    load_weights("hf://user/model")
    assert [line for line in hub.asked if line.startswith("GET /user")] == downloads and len(downloads) == 1
    hub.stop()
    assert load_weights("hf://user/model").painters == load_weights("hf://user/model/multistyle.safetensors").painters
    for address in ("hf://user/munch", "hf://user/munch/munch.safetensors"):
        with pytest.raises(WeightsError, match=f"cannot download {address}: the hub cannot be reached"):
            local_file(address)


@pytest.mark.parametrize(
    "address, message",
    [
        ("hf://user/none", "cannot download hf://user/none: there is no such repository, or it is private"),
        ("hf://user/none/a.safetensors", "there is no such repository, or it is private"),
        ("hf://user/gated", "its owner must grant you access"),
        (
            "hf://user/model/other.safetensors",
            "hf://user/model has no file other.safetensors; it has multistyle.safetensors",
        ),
        ("hf://user/pickles", "hf://user/pickles has no .safetensors file, the only format that is read"),
        ("hf://user/many", "has 2 .safetensors files (a.safetensors, deep/b.safetensors); add /FILE to the address"),
        ("hf://user/broken", "is not a safetensors file"),
        ("hf://user/munch", "is another kind of multistyle file"),
        ("hf://user/model/model.bin", "an address is hf://USER/REPOSITORY or hf://USER/REPOSITORY/FILE.safetensors"),
        ("hf://model", "an address is hf://USER/REPOSITORY"),
        ("hf://user/a--b..c", "there is no such repository"),
    ],
)
def test_what_goes_wrong_is_one_line(hub, address, message):
    with pytest.raises(WeightsError) as caught:
        load_weights(address)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setattr("multistyle.hub.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"need huggingface_hub: pip install 'multistyle\[hub\]'"):
        load_weights("hf://user/model")


def test_the_command_line_takes_addresses(hub, program, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    options = ("--weights", "hf://user/model", "--style-file", "hf://user/munch")
    done = program("multistyle_command", "styles", *options)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "munch" and not done.stderr, done.stderr
    done = program("multistyle_command", "styles", "--weights", "hf://user/none")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_the_weight_card_begins_as_the_hub_wants_it():
    lines = (ROOT / "weights" / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "---"
    fields = dict(line.split(": ") for line in lines[1 : lines.index("---", 1)] if ": " in line)
    assert fields == {"license": "mit", "library_name": "multistyle", "pipeline_tag": "image-to-image"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == fields["library_name"] and project["license"].lower() == fields["license"]
    cards = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    card = cards.ModelCard("\n".join(lines))
    assert card.data.pipeline_tag == "image-to-image" and "style-transfer" in card.data.tags
    assert card.text.lstrip().startswith("# ")
