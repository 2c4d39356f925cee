import sys
from dataclasses import replace

import pytest
import torch
from conftest import tiny_model

from multistyle.cli.running import run
from multistyle.errors import MultistyleError
from multistyle.weights import Model, Style, load_weights, save_weights
from train.__main__ import app
from train.average import average_models

START = {"steps": 7}


def run_of(steps: int, style: float) -> Model:
    facts = {
        "start": START,
        "photos": 5,
        "steps": steps,
        "config": {"steps": steps},
        "painters": {
            "starry": {"content": 1.0, "style": style},
            "scream": {"style": style},
            "wave": {"content": "low", "style": style},
        },
    }
    return replace(tiny_model(), training=facts)


def test_the_mean_is_that_of_all_weights_and_says_which_runs_it_is_of():
    models = [run_of(10, 0.2), run_of(20, 0.4), run_of(30, 0.3)]
    found = average_models(models)
    states = [model.network.state_dict() for model in models]
    for name, tensor in found.network.state_dict().items():
        torch.testing.assert_close(tensor, (states[0][name] + states[1][name] + states[2][name]) / 3)
    assert found.catalogue == models[0].catalogue
    facts = found.training
    assert (facts["start"], facts["photos"], facts["config"]) == (START, 5, {"steps": 10})
    assert facts["runs"] == [{"steps": steps, "config": {"steps": steps}} for steps in (10, 20, 30)]
    assert facts["painters"] == {"starry": {"content": 1.0, "style": pytest.approx(0.3)}}


def test_what_has_no_mean_is_refused():
    one, other = run_of(10, 0.2), run_of(10, 0.2)
    with pytest.raises(MultistyleError, match="give two or more"):
        average_models([one])
    with pytest.raises(MultistyleError, match="started from the same file"):
        average_models([one, replace(other, training={"start": {"steps": 8}})])
    with pytest.raises(MultistyleError, match="started from the same file"):
        average_models([replace(one, training={}), replace(other, training={})])
    renamed = [*other.catalogue[:-1], Style("other")]
    with pytest.raises(MultistyleError, match="same styles in the same order"):
        average_models([one, Model(other.network, renamed, other.training)])


def test_the_command_writes_a_weight_file_and_never_over_a_run(tmp_path, monkeypatch, capfd):
    files = [str(tmp_path / name) for name in ("a.safetensors", "b.safetensors")]
    for file in files:
        save_weights(file, run_of(10, 0.2))
    before = (tmp_path / "a.safetensors").read_bytes()
    for output, code in (("c.safetensors", 0), ("a.safetensors", 1)):
        monkeypatch.setattr(sys, "argv", ["train", "average", *files, "-o", str(tmp_path / output)])
        with pytest.raises(SystemExit) as left:
            run(app)
        assert (left.value.code or 0) == code, capfd.readouterr().err
    assert len(load_weights(tmp_path / "c.safetensors").training["runs"]) == 2
    assert (tmp_path / "a.safetensors").read_bytes() == before
