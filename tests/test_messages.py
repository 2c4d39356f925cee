"""Text goes out whatever is in it and whatever it goes to."""

import io
import json
import os
import subprocess
import sys

import pytest
from training import ROOT

from multistyle.cli.running import progress_bar
from multistyle.messages import printable, say, tell
from multistyle.weights import Model, Style, save_weights


def test_what_would_act_on_a_terminal_is_escaped():
    assert printable("a\x1b[31mb\r\n\u202e\udcff\x9b") == "a\\x1b[31mb\\r\\n\\u202e\\udcff\\x9b"
    assert printable("Kiyō, [/b] 🎨") == "Kiyō, [/b] 🎨"


def test_what_the_encoding_lacks_is_escaped(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    assert tell("größe 写真.jpg")
    assert stream.buffer.getvalue().decode("cp1252") == "größe \\u5199\\u771f.jpg\n"


@pytest.mark.parametrize("redirection, code", [(">&-", 0), (">/dev/full", 1), ("| true", 0)])
def test_a_stream_that_takes_nothing_ends_nothing(program, redirection, code):
    done = program("tell_much", redirection=redirection)
    assert (done.returncode, done.stderr) == (code, "")


def test_no_stream_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    say("nothing")


@pytest.mark.parametrize("module", ["multistyle", "train", "benchmarks.report"])
def test_usage_errors_echo_arguments_escaped(module):
    done = subprocess.run([sys.executable, "-m", module, "--\x1b[31m\udcff"], cwd=ROOT, capture_output=True)
    shown = done.stderr.decode()
    assert done.returncode == 2 and "\\x1b[31m" in shown and "\\udcff" in shown, shown
    assert "\x1b" not in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    "redirection, code", [(">/dev/full", 1), (">&-", 0), ("2>&- >&- <&-", 0), ("| (exec <&-; sleep 3)", 0)]
)
def test_help_ends_with_the_right_exit_code(redirection, code):
    line = f"set -o pipefail; (sleep 1; {sys.executable} -m multistyle --help) {redirection}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")


def test_what_is_printed_on_a_closed_stream_reaches_no_file(program, tmp_path):
    assert program("write_file", tmp_path / "a", redirection="<&- >&- 2>&-").returncode == 0
    assert (tmp_path / "a").read_text() == "text"


def test_progress_shows_names_as_they_are(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar() as bar:
        bar.add_task("y[/b][red]\x1b[2J\udcff.jpg\n", total=1)
        bar.refresh()
    shown = capsys.readouterr().err
    assert "y[/b][red]\\x1b[2J\\udcff.jpg\\n" in shown and "\x1b[2J" not in shown


def test_progress_on_a_terminal_leaves_standard_output_alone(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar():
        tell("result")
    assert capsys.readouterr().out == "result\n"


def test_a_list_of_styles_that_is_lost_is_exit_1(tmp_path, model):
    odd = [*model.catalogue[:-1], Style("wave", "The Wave, 波 🌊")]
    file = tmp_path / "odd.safetensors"
    save_weights(file, Model(model.network, odd, {}))
    for options in ([], ["--json"]):
        command = [sys.executable, "-m", "multistyle", "styles", "--weights", str(file), *options]
        environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT)
        assert done.returncode == 0 and b"\x1b" not in done.stdout, done.stderr
        if options:
            assert json.loads(done.stdout)[-1]["title"] == odd[-1].title
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, cwd=ROOT)
        assert (done.returncode, done.stderr) == (1, b"")
