"""A run killed at any moment loses nothing but the steps since its last save."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from training import CONFIG, ROOT, run

from multistyle.weights import load_weights

SAVING = replace(CONFIG, steps=4, checkpoint_minutes=0.0)  # after every step
MOMENTS = {  # and the steps that the state and the weights are of afterwards
    "weights half written": (1, 1),
    "weights renamed, not the state": (1, 2),
    "state half written": (1, 2),
    "both renamed": (2, 2),
    "in the middle of a step": (2, 2),
}
# Kill this program in its second save, or in the step after it. One start of Python serves all moments: it forks.
KILLED = """
import os, signal, sys
from pathlib import Path
import train.trainer
from training import make_trainer, run
from test_kill import MOMENTS, SAVING


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
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which this system lacks")
def test_a_killed_run_keeps_its_last_state_and_goes_on_to_the_same_end(material):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    program = [sys.executable, "-c", KILLED, str(material)]
    done = subprocess.run(program, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole = run(material, material / "whole.safetensors", replace(CONFIG, steps=4)).model.network.state_dict()
    for index, (moment, kept) in enumerate(MOMENTS.items()):
        output = material / f"{index}.safetensors"
        state = torch.load(material / f"{index}.safetensors.state", weights_only=True)
        assert (state["step"], load_weights(output).training["steps"]) == kept, moment
        resumed = run(material, output, SAVING)
        for name, tensor in resumed.model.network.state_dict().items():
            assert torch.equal(tensor, whole[name]), (moment, name)
    assert not list(material.glob(".*part*")), "what killed programs left is removed"
