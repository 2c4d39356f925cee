import os
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from comparing import relative_distance
from safetensors.torch import load_file, save_file
from training import CONFIG, ROOT, after_step, command, make_trainer, run

from multistyle.errors import MultistyleError
from multistyle.image import read_image
from multistyle.network import PHOTO, StyleNetwork
from multistyle.weights import Style, default_weights, load_weights
from train.__main__ import app
from train.blends import draw_blends, draw_odds
from train.checkpoint import CheckpointError, save_checkpoint
from train.config import ConfigError, TrainConfig, read_config
from train.data import Photos
from train.fit import train_network
from train.tensorboard import TensorBoardLog
from train.trainer import schedule


def test_training_writes_a_model_its_facts_and_a_preview(material):
    run(material, material / "m.safetensors")
    model = load_weights(material / "m.safetensors")
    assert [style.name for style in model.catalogue] == ["photo", "dots", "lines"]
    assert model.training["steps"] == 6 and model.training["made"] == "here"
    assert model.training["config"]["crop"] == 32 and model.training["style"] > 0
    assert list(model.training["painters"]) == ["dots", "lines"] and model.training["painters"]["dots"]["style"] > 0
    assert read_image(material / "m.preview.png").shape == (3, 3 * 32, 3 * 32)


def test_training_lowers_the_loss(material):
    config = replace(CONFIG, steps=40, learning_rate=5e-3)
    trainer, photos = make_trainer(material, config), torch.rand(2, 3, 32, 32)
    losses = [float(trainer.step(photos).total) for _ in range(40)]
    assert sum(losses[-8:]) < 0.7 * sum(losses[:8])


@pytest.mark.parametrize("changes", [{}, {"repaint": 0.5, "favoured": ("dots",)}])
def test_a_continued_run_is_the_run_that_never_stopped(material, changes):
    config = replace(CONFIG, **changes)
    whole = run(material, material / "whole.safetensors", config)
    interrupted = after_step(make_trainer(material, config), 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train_network(interrupted, Photos([material / "photos"], CONFIG.photo_size), material / "cut.safetensors", {})
    assert load_weights(material / "cut.safetensors").training["steps"] == 3
    resumed = run(material, material / "cut.safetensors", config)
    assert resumed.done == 6
    for (name, a), b in zip(whole.model.network.state_dict().items(), resumed.model.network.state_dict().values()):
        assert torch.equal(a, b), name


def test_a_stopped_run_may_be_ended_where_it_stopped(material):
    """By a smaller number of steps: the weight file is then that of a whole run."""
    stopped = after_step(make_trainer(material), 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train_network(stopped, Photos([material / "photos"], CONFIG.photo_size), material / "m.safetensors", {})
    assert "painters" not in load_weights(material / "m.safetensors").training
    run(material, material / "m.safetensors", replace(CONFIG, steps=3))
    training = load_weights(material / "m.safetensors").training
    assert set(training["painters"]) == {"dots", "lines"} and training["config"]["steps"] == training["steps"] == 3


def test_a_finished_run_replaces_whatever_else_is_there(material):
    (material / "m.safetensors").write_bytes(b"no weight file")
    run(material, material / "m.safetensors")
    (material / "m.safetensors").write_bytes(b"no weight file")
    run(material, material / "m.safetensors")
    assert "painters" in load_weights(material / "m.safetensors").training


def test_a_signal_during_the_last_step_does_not_stop_a_run_that_is_complete(material):
    trainer = after_step(make_trainer(material), CONFIG.steps, lambda: os.kill(os.getpid(), signal.SIGINT))
    train_network(trainer, Photos([material / "photos"], CONFIG.photo_size), material / "m.safetensors", {})
    assert "painters" in load_weights(material / "m.safetensors").training


def test_a_step_that_does_not_fit_in_memory_is_one_line(material, monkeypatch):
    def full(*arguments):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("train.losses.objective.Objective.__call__", full)
    with pytest.raises(MultistyleError, match=f"with batch = {CONFIG.batch} and crop = {CONFIG.crop}; lower them"):
        run(material, material / "m.safetensors")


def test_a_new_run_starts_from_the_weights_of_a_network_of_the_same_shape(material):
    first = run(material, material / "m.safetensors")
    trainer = make_trainer(material, replace(CONFIG, upsampling="nearest"))
    trainer.start_from(load_weights(material / "m.safetensors"))
    assert torch.equal(trainer.model.network.table, first.model.network.table) and trainer.done == 0
    with pytest.raises(MultistyleError, match="cannot start from a network with"):
        make_trainer(material, replace(CONFIG, blocks=2)).start_from(first.model)


def test_painters_are_taken_over_by_name_and_new_ones_start_at_the_mean(material):
    model = run(material, material / "m.safetensors").model
    trainer, table = make_trainer(material), model.network.table
    trainer.start_from(replace(model, catalogue=[model.catalogue[0], Style("other"), model.catalogue[1]]))
    found, mean = trainer.model.network.table, table[1:].mean(0)
    assert [style.name for style in trainer.model.catalogue] == [style.name for style in model.catalogue]
    assert torch.equal(found, torch.stack([table[0], table[2], mean]))


def test_a_state_of_another_run_or_a_damaged_one_is_refused(material):
    output = material / "m.safetensors"
    run(material, output)
    with pytest.raises(CheckpointError, match="a run with batch = 2, not 3; delete it"):
        run(material, output, replace(CONFIG, batch=3))
    assert run(material, output, replace(CONFIG, steps=7)).done == 7


def without(state: dict, *path: str) -> dict:
    """A copy of nested dicts without the entry at `path`."""
    first, *rest = path
    return {
        key: without(value, *rest) if key == first else value for key, value in state.items() if rest or key != first
    }


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda state: b"", "cannot read the state of a run"),
        (lambda state: b"some text", "cannot read the state of a run"),
        (lambda state: b"PK\3\4" + bytes(100), "cannot read the state of a run"),
        (lambda state: [1, 2], "does not hold the state of a run"),
        (lambda state: without(state, "config"), "lacks config"),
        (lambda state: without(state, "step"), "lacks step"),
        (lambda state: without(state, "network"), "lacks network"),
        (lambda state: without(state, "optimizer"), "lacks optimizer"),
        (lambda state: state | {"step": "6"}, "lacks step"),
        (lambda state: state | {"step": -1}, "does not fit its network"),
        (lambda state: state | {"config": state["config"] | {"seed": torch.zeros(3)}}, "a run with seed = "),
        (lambda state: without(state, "network", "table"), "does not fit its network"),
        (lambda state: without(state, "optimizer", "state"), "does not fit its network"),
        (lambda state: without(state, "optimizer", "state", 0, "exp_avg"), "does not fit its network"),
        (lambda state: state | {"network": {"table": torch.zeros(3, 4)}}, "does not fit its network"),
    ],
)
def test_a_damaged_state_is_one_line(material, damage, message):
    file, trainer = material / "m.safetensors.state", make_trainer(material)
    trainer.step(torch.rand(2, 3, 32, 32))
    damaged = damage(trainer.state())
    file.write_bytes(damaged) if isinstance(damaged, bytes) else torch.save(damaged, file)
    with pytest.raises(CheckpointError, match=message) as raised:
        make_trainer(material).resume(file)
    assert "m.safetensors.state" in str(raised.value) and "delete it to start a new run" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_state_that_is_no_file_is_refused_at_once(material):
    os.mkfifo(material / "m.safetensors.state")
    with pytest.raises(CheckpointError, match="pipe or a device"):
        make_trainer(material).resume(material / "m.safetensors.state")


def test_a_disk_that_fills_while_the_state_is_saved_is_one_line(tmp_path):
    resource = pytest.importorskip("resource", reason="needs limits for files, which this system lacks")
    save_checkpoint(tmp_path / "m.state", {"step": 1})
    before, limits = (tmp_path / "m.state").read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="cannot write .*m.state: File too large"):
            save_checkpoint(tmp_path / "m.state", {"network": torch.rand(100, 100)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["m.state"] and (tmp_path / "m.state").read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_what_was_saved(material):
    output = material / "m.safetensors"
    run(material, output)
    before, state = output.read_bytes(), (material / "m.safetensors.state").read_bytes()
    trainer = make_trainer(material, replace(CONFIG, steps=9))
    after_step(trainer, 7, lambda: trainer.model.network.table.data.fill_(float("nan")))
    with pytest.raises(MultistyleError, match="loss is no longer finite at step 8"):
        train_network(trainer, Photos([material / "photos"], CONFIG.photo_size), output, {})
    assert output.read_bytes() == before and (material / "m.safetensors.state").read_bytes() == state


def test_drawn_blends_cover_the_simplex():
    blends = draw_blends(4000, 6, torch.Generator().manual_seed(0))
    torch.testing.assert_close(blends.sum(1), torch.ones(4000))
    assert (blends >= 0).all()
    used = (blends > 0).sum(1)
    corners = (used == 1).float().mean()
    assert 0.55 < corners < 0.65 and (used == 3).float().mean() > 0.05
    assert not (blends[used == 1, PHOTO] > 0).any(), "photo alone has nothing to learn"
    assert 0.1 < (blends[:, PHOTO] > 0).float().mean() < 0.2
    assert (blends[used == 1].sum(0)[1:] > 350).all(), "every painter gets its share"


def test_favoured_painters_are_drawn_twice_as_often():
    odds = draw_odds([Style("a"), Style("b"), Style("c")], ["b"])
    assert odds.tolist() == [1, 1, 2, 1]
    for kind in ("mixed", "single"):
        blends = draw_blends(6000, 4, torch.Generator().manual_seed(0), kind, odds)
        alone = (blends[(blends > 0).sum(1) == 1] > 0).float().mean(0)
        assert alone.tolist() == pytest.approx([0, 0.25, 0.5, 0.25], abs=0.03), kind
    even = draw_blends(6000, 4, torch.Generator().manual_seed(0))
    assert (even[(even > 0).sum(1) == 1] > 0).float().mean(0).tolist() == pytest.approx([0, *[1 / 3] * 3], abs=0.03)


def test_an_unknown_favoured_painter_is_one_line(material):
    with pytest.raises(ConfigError, match="favoured names 'dotts', which is not .* did you mean dots") as raised:
        make_trainer(material, replace(CONFIG, favoured=("dotts",)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("share, fewest, most", [(0.0, 0, 0), (0.5, 8, 22), (1.0, 30, 30)])
def test_a_share_of_the_steps_paints_the_enlarged_painting(material, monkeypatch, share, fewest, most):
    trainer, photos = make_trainer(material, replace(CONFIG, repaint=share, steps=30)), torch.rand(2, 3, 32, 32)
    learnt = []
    whole = trainer.loss.forward
    monkeypatch.setattr(trainer.loss, "forward", lambda seen, *rest: learnt.append(seen) or whole(seen, *rest))
    for _ in range(30):
        trainer.step(photos)
    assert fewest <= sum(not torch.equal(seen, photos) for seen in learnt) <= most
    assert all(seen.shape == photos.shape and not seen.requires_grad for seen in learnt)


def test_a_repainted_photo_is_the_half_size_painting_enlarged(material):
    trainer, photos, blend = make_trainer(material), torch.rand(2, 3, 32, 32), torch.eye(3)[:2]
    found = trainer.repaint(photos, blend)
    half = torch.nn.functional.interpolate(photos, scale_factor=0.5, mode="bilinear", antialias=True)
    painted = torch.nn.functional.interpolate(trainer.model.network(half, blend), (32, 32), mode="bicubic")
    assert found.shape == photos.shape and relative_distance(found, painted.clamp(0, 1)) < 1e-5


def test_the_objective_asks_for_the_blend(material):
    objective = make_trainer(material).objective
    photo = torch.rand(1, 3, 32, 32)
    own = objective.grams(photo)
    for layer, target in objective.blended_targets(photo, torch.tensor([[0.5, 0.2, 0.3]])).items():
        painters = objective.targets[layer]
        expected = 0.5 * own[layer][0] + 0.2 * painters[0] + 0.3 * painters[1]
        assert relative_distance(target[0], expected) < 1e-5
    losses = objective(photo, photo, torch.tensor([[1.0, 0.0, 0.0]]))
    assert max(losses.content.item(), losses.style.item()) < 1e-9 < losses.variation.item()


def test_learning_rate_rises_then_falls_to_nothing():
    config = TrainConfig(steps=100, warmup=10)
    rates = [schedule(step, config) for step in range(101)]
    assert rates[0] == 0.1 and rates[9] == rates[10] == 1 and rates[100] == 0
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(
    "text, message",
    [
        ("stepps = 3", "unknown key 'stepps'; did you mean steps"),
        ("steps = 'many'", "steps must be an integer, not 'many'"),
        ("steps = true", "steps must be an integer"),
        ("steps = 0", "steps must be from 1 to"),
        ("steps = 1e3", "steps must be an integer"),
        ("crop = -32", "crop must be from 32 to"),
        ("learning_rate = inf", "learning_rate must be above 0 and at most"),
        ("learning_rate = 0", "learning_rate must be above 0"),
        ("learning_rate = '1'", "learning_rate must be a number"),
        ("style_weight = nan", "style_weight must be from 0 to"),
        ("hatch_weight = -1", "hatch_weight must be from 0 to"),
        ("warmup = -1", "warmup must be from 0 to"),
        ("checkpoint_minutes = nan", "checkpoint_minutes must be from 0 to"),
        ("seed = 9223372036854775808", "seed must be from 0 to"),
        ("seed = 0x" + "f" * 5000, "seed must be from 0 to .* a number of thousands of digits"),
        ("seed = -1", "seed must be from 0 to"),
        ("channels_last = 1", "channels_last must be true or false"),
        ("schedule = ['cosine']", "schedule must be a string"),
        ("styles = [1]", "styles must be a list of strings"),
        ("style_layers = []", "style_layers must name at least one layer"),
        ("style_layers = 'relu1_1'", "style_layers must be a list of strings"),
        ("widths = ['a']", "widths must be a list of integers, not .'a'."),
        ("widths = [16, 32.0, 64]", "widths must be a list of integers"),
        ("widths = [4096, 4096, 4096]", "at most 100,000,000 parameters"),
        ("blocks = 30000000", "blocks must be an integer from 0 to 1000"),
        ("seed = " + "9" * 5000, "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("crop = 100", "crop must be a multiple of 16"),
        ("widths = [1, 2]", "three widths"),
        ("stem = 4", "kernels are odd"),
        ("= 3", "is not TOML"),
        ("precision = 'float16'", 'precision is "float32" or "bfloat16"'),
        ("batch = 4\naccumulate = 3", "batch must be a multiple of accumulate"),
        ("clip = nan", "clip must be above 0"),
        ("repaint = 1.5", "repaint must be from 0 to 1, not 1.5"),
        ("favoured = 'kiss'", "favoured must be a list of strings"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        read_config(tmp_path / "c.toml")
    assert "\n" not in str(raised.value) and "c.toml" in str(raised.value)


def test_a_config_that_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin.toml").write_bytes("# é".encode("latin-1"))
    for path, message in {"pipe": "a pipe or a device", "latin.toml": "is not TOML", "none": "No such file"}.items():
        with pytest.raises(ConfigError, match=message):
            read_config(tmp_path / path)


def test_every_shipped_recipe_is_one():
    for file in (Path(__file__).parents[1] / "train" / "configs").glob("*.toml"):
        read_config(file)
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(Path("missing.toml"))


def test_the_command_trains_stops_on_ctrl_c_and_goes_on(material):
    running = subprocess.Popen(command(material, 100_000), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if line.startswith("step "):
            break
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in rest and "continues from here" in rest
    done = load_weights(material / "m.safetensors").training["steps"]
    again = subprocess.run(command(material, done + 1), cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0 and f"continuing from step {done}" in again.stderr
    assert load_weights(material / "m.safetensors").training["steps"] == done + 1
    before = (material / "m.safetensors").read_bytes()
    assert subprocess.run(command(material, done + 1), cwd=ROOT, capture_output=True).returncode == 0
    assert (material / "m.safetensors").read_bytes() == before, "a finished run changes nothing"


def test_the_command_says_in_one_line_what_is_wrong(material):
    arguments = command(material, 3)
    arguments[arguments.index("--photos") + 1] = str(material / "nothing")
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot read") and done.stderr.count("\n") == 1


def test_one_painter_alone_is_trained_too(material):
    """A single style makes the network that of Johnson et al. 2016, but for the conditional normalization."""
    config = replace(CONFIG, styles=("dots",))
    assert draw_blends(200, 2, torch.Generator().manual_seed(0)).sum(1).allclose(torch.ones(200))
    model = run(material, material / "m.safetensors", config).model
    assert [style.name for style in model.catalogue] == ["photo", "dots"]


def test_single_blends_are_one_painter_each_and_all_of_them():
    blends = draw_blends(300, 4, torch.Generator().manual_seed(0), "single")
    assert (blends.max(1).values == 1).all() and (blends.sum(1) == 1).all()
    assert blends[:, PHOTO].sum() == 0 and (blends[:, 1:].sum(0) > 60).all()


def test_the_papers_recipe_trains(material, random_vgg):
    save_file(random_vgg((4, 6, 8, 8), (2, 2, 3, 3)), material / "vgg.safetensors")
    paper = read_config(ROOT / "train" / "configs" / "paper.toml")
    assert [schedule(step, paper) for step in (0, 1, 39_999)] == [1.0, 1.0, 1.0]
    small = {name: getattr(CONFIG, name) for name in ("style_size", "photo_size", "crop", "batch", "steps", "widths")}
    trainer = run(material, material / "m.safetensors", replace(paper, **small))
    assert load_weights(material / "m.safetensors").training["config"]["loss_network"] == "vgg16"
    assert trainer.done == 6


def test_a_loss_network_in_bfloat16_gives_nearly_the_same_losses_and_gradients(material):
    found = {}
    for precision in ("float32", "bfloat16"):
        trainer = make_trainer(material, replace(CONFIG, loss_precision=precision))
        losses = trainer.step(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        gradient = torch.cat([parameter.grad.flatten() for parameter in trainer.model.network.parameters()])
        assert gradient.dtype == losses.total.dtype == torch.float32
        found[precision] = torch.stack(losses), gradient
    (losses, gradient), (others, other) = found.values()
    assert 0 < (others - losses).norm() < 0.01 * losses.norm()
    assert 0 < (other - gradient).norm() < 0.4 * gradient.norm()  # max pooling jumps


def test_the_published_network_has_the_published_size():
    paper = read_config(ROOT / "train" / "configs" / "paper.toml")
    network = StyleNetwork(paper.network(), 2)
    assert sum(parameter.numel() for name, parameter in network.named_parameters() if name != "table") == 1_674_432


def test_a_state_older_than_a_key_of_the_recipe_goes_on(material):
    output = material / "m.safetensors"
    run(material, output)
    state_file = material / "m.safetensors.state"
    state = torch.load(state_file, weights_only=True)
    del state["config"]["precision"], state["config"]["favoured"], state["config"]["repaint"]
    torch.save(state, state_file)
    assert run(material, output, replace(CONFIG, steps=7)).done == 7
    with pytest.raises(CheckpointError, match="a run with precision = float32, not bfloat16"):
        run(material, output, replace(CONFIG, steps=8, precision="bfloat16"))


def test_curves_and_previews_for_tensorboard(material):
    pytest.importorskip("tensorboard", reason="needs the optional tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(material / "log")
    train_network(make_trainer(material), Photos([material / "photos"], 48), material / "m.safetensors", {}, log=log)
    events = EventAccumulator(str(material / "log"))
    events.Reload()
    assert {"total", "content", "style", "learning_rate", "images_per_second"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["previews"]
    last = events.Scalars("style")[-1]
    assert last.step == 6 and last.value == pytest.approx(load_weights(material / "m.safetensors").training["style"])


def test_a_missing_tensorboard_is_one_line(material, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MultistyleError, match="--log-dir needs TensorBoard: pip install tensorboard"):
        TensorBoardLog(material / "log")


def test_what_a_run_cannot_start_from_is_one_line(material, weight_file, capfd):
    """Weights of another format version, of another network, and no photos."""
    tensors, metadata = load_file(weight_file), {"format": "multistyle", "format_version": "2"}
    save_file(tensors, material / "newer.safetensors", metadata)
    (material / "empty").mkdir()
    for options, message in {
        ("--start", str(material / "newer.safetensors")): "format version '2'; upgrade multistyle",
        ("--start", str(default_weights())): "cannot start from a network with",
        ("--photos", str(material / "empty")): "no pictures in",
    }.items():
        words = command(material, 3)[3:]
        if options[0] in words:
            words[words.index(options[0]) + 1] = options[1]
        else:
            words += options
        with pytest.raises(MultistyleError, match=message) as raised:
            app(words, standalone_mode=False)
        assert "\n" not in str(raised.value)
    assert not (material / "m.safetensors").exists()


@pytest.fixture
def linked(material) -> Path:
    """The material, a recipe, a weight file, and links to a photo and a painting."""
    command(material, 3)
    run(material, material / "start.safetensors")
    (material / "to_photo.safetensors").symlink_to(material / "photos" / "a.png")
    os.link(material / "styles" / "dots.png", material / "to_painting.safetensors")
    (material / "state_is_config.state").symlink_to(material / "c.toml")
    (material / "preview_is_photo.preview.png").symlink_to(material / "photos" / "b.png")
    return material


@pytest.mark.parametrize(
    "output, message",
    [
        ("photos/a.png", "it is an input"),
        ("styles/dots.png", "it is an input"),
        ("vgg.safetensors", "it is an input"),
        ("c.toml", "it is an input"),
        ("start.safetensors", "it is an input"),
        ("to_photo.safetensors", "it is an input"),
        ("to_painting.safetensors", "it is an input"),
        ("state_is_config", "it is an input"),
        ("preview_is_photo", "it is an input"),
        ("photos/new.safetensors", "previews written there would count as such"),
        ("styles/new.safetensors", "previews written there would count as such"),
        ("nowhere/new.safetensors", "there is no folder"),
    ],
)
def test_a_run_never_replaces_what_it_reads(linked, output, message):
    words = [*command(linked, 3)[3:], "--start", str(linked / "start.safetensors")]
    words[words.index("--output") + 1] = str(linked / output)
    kept = {file: file.read_bytes() for file in linked.rglob("*") if file.is_file()}
    with pytest.raises(MultistyleError, match=message) as raised:
        app(words, standalone_mode=False)
    assert "\n" not in str(raised.value)
    assert {file: file.read_bytes() for file in linked.rglob("*") if file.is_file()} == kept


@pytest.mark.parametrize("output", ["", ".", "/"])
def test_a_run_needs_a_name_for_its_file(material, monkeypatch, output):
    monkeypatch.chdir(material)
    words = command(material, 3)[3:]
    words[words.index("--output") + 1] = output
    with pytest.raises(MultistyleError, match="it is a folder"):
        app(words, standalone_mode=False)


def test_a_photo_in_an_archive_is_not_replaced_either(material):
    with tarfile.open(material / "photos.tar", "w") as archive:
        archive.add(material / "photos", "photos")
    words = command(material, 3)[3:]
    for option in ("--photos", "--output"):
        words[words.index(option) + 1] = str(material / "photos.tar")
    with pytest.raises(MultistyleError, match="it is an input"):
        app(words, standalone_mode=False)


def test_workers_outlive_the_signals_that_stop_a_run(material):
    """A signal to the whole process group: the step under way gets its photos, and the run is saved."""
    words = [*command(material, 100_000), "--workers", "1"]
    running = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for line in running.stderr:
        if line.startswith("step "):
            break
    os.killpg(running.pid, signal.SIGTERM)
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in rest and "continues from here" in rest
    assert load_weights(material / "m.safetensors").training["steps"] > 0
