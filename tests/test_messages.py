"""Text goes out whatever is in it and whatever it goes to."""

import io
import subprocess
import sys

import pytest

from multistyle.messages import printable, say, tell


def test_what_would_act_on_a_terminal_is_escaped():
    assert printable("a\x1b[31mb\r\n\u202e\udcff") == "a\\x1b[31mb\\r\n\\u202e\\udcff"
    assert printable("Kiyō, [/b] 🎨") == "Kiyō, [/b] 🎨"


def test_what_the_encoding_lacks_is_escaped(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    assert tell("größe 写真.jpg")
    assert stream.buffer.getvalue().decode("cp1252") == "größe \\u5199\\u771f.jpg\n"


@pytest.mark.parametrize("redirection, code", [(">&-", 0), (">/dev/full", 1), ("| true", 0)])
def test_a_stream_that_takes_nothing_ends_nothing(redirection, code):
    program = "import time, sys; from multistyle.messages import tell; time.sleep(0.2)\n"
    program += "arrived = [tell('x' * 100000) for _ in range(3)]; sys.exit(not arrived[0])"
    line = f'set -o pipefail; {sys.executable} -c "$0" {redirection}'
    done = subprocess.run(["bash", "-c", line, program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")


def test_no_stream_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    say("nothing")
