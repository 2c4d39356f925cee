"""Several processes and several parts of a batch take the steps of one."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from comparing import relative_distance
from conftest import PROGRAMS
from training import CONFIG, ROOT, command, make_trainer, run

import train.losses.regularizers
from multistyle.errors import DeviceError, MultistyleError
from multistyle.weights import load_weights
from train.losses.step_loss import StepLoss
from train.parallel import Team, choose_share


def torchrun(arguments: list[str]) -> subprocess.CompletedProcess:
    """Two processes, as torchrun starts them, on a port of their own."""
    words = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-m", *words]
    return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def losses_of(lines: str) -> list[list[float]]:
    return [[float(n) for n in re.findall(r"\d+\.\d+", line)[:4]] for line in re.findall("^step .*", lines, re.M)]


def test_two_processes_take_the_steps_of_one(material, monkeypatch, capfd):
    """A batch of 6: each has three rows, taken one by one; the second pass takes 0 and 2 of one, 4 of the other."""
    monkeypatch.setattr("train.progress.SECONDS", 0.0)
    rate = 3e-4  # small: Adam makes whole steps of the rounding of idle weights, and max pooling jumps
    one = run(material, material / "one.safetensors", replace(CONFIG, batch=6, learning_rate=rate))
    words = command(material, CONFIG.steps, batch=6)
    with (material / "c.toml").open("a") as recipe:
        recipe.write(f"accumulate = 3\nlearning_rate = {rate}")
    done = torchrun([str(PROGRAMS / "every_step.py"), *words[words.index("fit") :], "--workers", "1"])
    assert done.returncode == 0 and done.stderr.count("painters: 2; photos: 3") == 1, done.stderr
    found, expected = losses_of(done.stderr), losses_of(capfd.readouterr().err)
    assert len(found) == 6 and found[0] != found[5]
    for step in range(6):
        assert relative_distance(torch.tensor(found[step]), torch.tensor(expected[step])) < 5e-3, step
    photos, blends = torch.rand(2, 3, 32, 32), torch.eye(3)[1:]
    painted = one.model.network(photos, blends)
    two = load_weights(material / "m.safetensors").network(photos, blends)
    moved = (painted - make_trainer(material).model.network(photos, blends)).abs().mean()
    assert (painted - two).abs().mean() < 0.05 * moved


def test_a_failed_process_ends_the_run_with_its_message(material):
    words = command(material, 100_000)
    done = torchrun([str(PROGRAMS / "failing_process.py"), *words[words.index("fit") :]])
    assert done.returncode != 0 and done.stderr.count("error: this one has failed") == 1, done.stderr
    assert "[rank0]: Traceback" not in done.stderr, "the others end in a line too, or are ended"


def test_a_batch_that_cannot_be_shared_out_is_one_line(material):
    done = torchrun(command(material, 3, batch=1)[1:])
    assert done.returncode != 0
    assert done.stderr.count("error: a batch of 1 cannot be shared out evenly over 2 processes") == 1
    assert not (material / "m.safetensors").exists()


def gradients(material, config, photos):
    """Of the first step, on a network whose channels all have spikes."""
    trainer = make_trainer(material, config)
    trainer.optimizer.step = lambda: None
    losses = trainer.step(photos)
    return losses, [parameter.grad for parameter in trainer.model.network.parameters()]


@pytest.mark.parametrize("batch, accumulate", [(4, 2), (3, 3)])
def test_parts_of_a_batch_add_up_to_it(material, monkeypatch, batch, accumulate):
    monkeypatch.setattr(train.losses.regularizers, "SPIKE", 1.0)
    config, photos = replace(CONFIG, batch=batch, clip=float("inf")), torch.rand(batch, 3, 32, 32)
    losses, whole = gradients(material, config, photos)
    parted_losses, parted = gradients(material, replace(config, accumulate=accumulate), photos)
    assert relative_distance(torch.stack(parted_losses), torch.stack(losses)) < 1e-5
    assert max(map(relative_distance, parted, whole)) < 1e-3
    for left_out in ("spike_weight", "shift_weight", "weave_weight", "hatch_weight"):
        other = gradients(material, replace(config, **{left_out: 0.0}), photos)[1]
        assert max(map(relative_distance, other, whole)) > 0.01, left_out


def test_bfloat16_is_of_the_network_and_losses_stay_close_and_float32(material):
    photos = torch.rand(2, 3, 32, 32)
    dtypes = set()

    def note(module, inputs, output):
        dtypes.add(output.dtype)

    half = make_trainer(material, replace(CONFIG, precision="bfloat16"))
    half.model.network.blocks[0].register_forward_hook(note)
    full, found = make_trainer(material).step(photos), half.step(photos)
    assert dtypes == {torch.bfloat16} and found.total.dtype == torch.float32
    assert relative_distance(torch.stack(found), torch.stack(full)) < 0.05
    assert all(parameter.grad.dtype == torch.float32 for parameter in half.model.network.parameters())


def test_without_regularizers_the_network_is_run_once(material):
    trainer, calls = make_trainer(material, replace(CONFIG, spike_weight=0.0, shift_weight=0.0)), []
    assert isinstance(trainer.loss, StepLoss)
    trainer.model.network.register_forward_hook(lambda *_: calls.append(1))
    trainer.step(torch.rand(2, 3, 32, 32))
    assert len(calls) == 1


def test_rows_are_shared_out_in_order_and_evenly_or_not_at_all():
    assert [Team(rank, 3).rows(6) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    with pytest.raises(MultistyleError, match="a batch of 2 cannot be shared out evenly over 3 processes"):
        Team(0, 3).rows(2)
    with pytest.raises(MultistyleError, match="over 2 processes in 2 parts each"):
        Team(0, 2).rows(6, accumulate=2)


def test_a_team_names_no_single_device():
    with pytest.raises(DeviceError, match="use --device auto, cpu or cuda, not cuda:1"):
        choose_share("cuda:1", Team(0, 2))
    assert choose_share("cpu", Team(1, 2)).type == "cpu"
