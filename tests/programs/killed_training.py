"""Kill a training run in its second save, or in the step after it: killed_training.py MATERIAL

One start of Python serves all moments of test_kill: it forks.
"""

import os
import signal
import sys
from pathlib import Path

from test_kill import MOMENTS, SAVING
from training import run

import train.trainer


def at_call(number, owner, name, before=None, after=None):
    whole, calls = getattr(owner, name), []

    def call(*arguments):
        calls.append(1)
        if len(calls) == number and before:
            before(*arguments)
        result = whole(*arguments)
        if len(calls) == number and after:
            after()
        return result

    setattr(owner, name, call)


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def half_bytes(path, content):
    path.open("wb").write(bytes(content)[: len(content) // 2])
    die()


ARM = {
    "weights half written": lambda: at_call(3, Path, "write_bytes", before=half_bytes),
    "weights renamed, not the state": lambda: at_call(3, Path, "replace", after=die),
    "state half written": lambda: at_call(4, Path, "write_bytes", before=half_bytes),
    "both renamed": lambda: at_call(4, Path, "replace", after=die),
    "in the middle of a step": lambda: at_call(3, train.trainer, "draw_blends", after=die),
}
material = Path(sys.argv[1])
for index, moment in enumerate(MOMENTS):
    child = os.fork()
    if not child:
        ARM[moment]()
        run(material, material / f"{index}.safetensors", SAVING)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, moment
