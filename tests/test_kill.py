"""A run killed at any moment loses nothing but the steps since its last save."""

import os
from dataclasses import replace

import pytest
import torch
from training import CONFIG, run

from multistyle.weights import load_weights

SAVING = replace(CONFIG, steps=4, checkpoint_minutes=0.0)  # after every step
MOMENTS = {  # and the steps that the state and the weights are of afterwards
    "weights half written": (1, 1),
    "weights renamed, not the state": (1, 2),
    "state half written": (1, 2),
    "both renamed": (2, 2),
    "in the middle of a step": (2, 2),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which this system lacks")
def test_a_killed_run_keeps_its_last_state_and_goes_on_to_the_same_end(program, material):
    done = program("killed_training", material)
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
