import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from comparing import relative_distance
from safetensors.torch import save_file
from typer.testing import CliRunner

from multistyle.errors import MultistyleError, WeightsError
from multistyle.image import write_image
from multistyle.stylizer import Stylizer
from multistyle.weights import Model, load_weights, save_weights
from train import add_style
from train.__main__ import app
from train.add_style import RowTrainer, draw_strengths, learn, nearest_mix, one_style, read_artist
from train.config import ConfigError, TrainConfig
from train.data import Batches, Photos, read_painting
from train.evaluation import centre_squares, painter_losses, set_apart
from train.listing import DataError
from train.losses.loss_network import load_loss_network
from train.losses.objective import Objective
from train.style_commands import known_median

CONFIG = TrainConfig(style_size=48, photo_size=48, crop=32, batch=2, widths=(4, 6, 8), blocks=1, stem=3, head=3)
ROOT = Path(__file__).parents[1]


@pytest.fixture
def material(tmp_path, model, random_vgg) -> Path:
    """A weight file with a recipe, a painting, five photos and a small random loss network."""
    for folder, names in {"photos": "abcde", "old": ["starry", "wave"], "new": ["dots"]}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            write_image(tmp_path / folder / f"{name}.png", torch.rand(3, 48, 56))
    save_file(random_vgg((4, 6, 8, 8, 8)), tmp_path / "vgg.safetensors")
    model.training["config"] = asdict(CONFIG)
    save_weights(tmp_path / "in.safetensors", model)
    return tmp_path


def make_objective(material: Path, *paintings: torch.Tensor) -> Objective:
    return Objective(CONFIG, load_loss_network([material / "vgg.safetensors"]), paintings)


def make_trainer(material: Path, model: Model) -> RowTrainer:
    objective = one_style(make_objective(material, torch.rand(3, 48, 48).round()))
    return RowTrainer(CONFIG, model.network, model.network.table[1:].mean(0), objective)


def run(material: Path, *options, name: str = "dots") -> str:
    """What the command says; a test for its success."""
    result = invoke(material, *options, name=name)
    assert result.exit_code == 0, result.output
    return result.stderr


def invoke(material: Path, *options, name: str = "dots"):
    return CliRunner().invoke(app, arguments(material, *options, name=name))


def arguments(material: Path, *options, name: str = "dots") -> list[str]:
    files = {
        "weights": "in.safetensors",
        "output": "out.safetensors",
        "photos": "photos",
        "features": "vgg.safetensors",
    }
    given = [word for option, file in files.items() for word in (f"--{option}", material / file)]
    return [*map(str, ["add-style", material / "new", "--name", name, *given, "--device", "cpu", *options])]


def test_the_command_appends_and_leaves_all_else_as_it_was(material):
    said = run(material, "--steps", 3, "--styles", material / "old", "--artist", "Somebody", "--year", "1900")
    assert "of 2 painters" in said and "step 0 " in said and "step 3 " in said and "x the catalogue's median" in said
    before, after = load_weights(material / "in.safetensors"), load_weights(material / "out.safetensors")
    assert after.catalogue[:-1] == before.catalogue
    assert (after.catalogue[-1].name, after.catalogue[-1].artist) == ("dots", "Somebody")
    facts = after.training["painters"]["dots"]
    assert facts["style"] > 0 and facts["photos"] == 3 and facts["paintings"] == 1
    old, new = before.network.state_dict(), after.network.state_dict()
    assert torch.equal(new["table"][:-1], old["table"])
    assert all(torch.equal(new[name], old[name]) for name in old if name != "table")
    photo, (a, b) = torch.rand(3, 20, 24), (Stylizer(model, "cpu") for model in (before, after))
    for style in before.catalogue:
        assert torch.equal(a(photo, style.name), b(photo, style.name)), style.name


def test_only_the_row_is_learnt_and_it_improves(material, model):
    trainer = make_trainer(material, model)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    judges = torch.rand(2, 3, 32, 32)
    batches = Batches(Photos([material / "photos"], 48), 2, 32, 0)
    found = list(learn(trainer, batches, judges, 40))
    assert [evaluation.steps for evaluation in found] == [0, 20, 40]
    assert trainer.best_evaluation.total == min(evaluation.total for evaluation in found) < 0.9 * found[0].total
    trainer.row.data.copy_(trainer.best)
    assert trainer.evaluate(judges, 0.0).total == pytest.approx(trainer.best_evaluation.total, rel=1e-4)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_it_stops_by_itself_when_nothing_is_gained(material, model, monkeypatch):
    monkeypatch.setattr(add_style, "EVERY", 1)
    trainer = make_trainer(material, model)
    monkeypatch.setattr(trainer, "step", lambda photos: setattr(trainer, "done", trainer.done + 1))
    rates = []
    monkeypatch.setattr(trainer, "restart", rates.append)
    found = list(learn(trainer, Batches(Photos([material / "photos"], 48), 2, 32, 0), torch.rand(1, 3, 32, 32), 1000))
    assert len(found) == 1 + add_style.PATIENCE * add_style.STAGES
    assert rates == [add_style.LEARNING_RATE / add_style.FALL, add_style.LEARNING_RATE / add_style.FALL**2]


def test_a_row_gone_astray_is_taken_back_to_the_best(material, model, monkeypatch):
    monkeypatch.setattr(add_style, "EVERY", 1)
    trainer = make_trainer(material, model)
    start = trainer.row.detach().clone()

    def step(photos):
        trainer.row.data.fill_(float("nan"))
        trainer.done += 1

    monkeypatch.setattr(trainer, "step", step)
    list(learn(trainer, Batches(Photos([material / "photos"], 48), 2, 32, 0), torch.rand(1, 3, 32, 32), 1000))
    assert torch.equal(trainer.best, start) and trainer.best_evaluation.steps == 0


def test_the_nearest_mix_of_a_painters_own_paintings_is_that_painter(material, model):
    objective, photos = make_objective(material, torch.rand(3, 48, 48)), torch.rand(2, 3, 32, 32)
    for row in (1, 3):
        blend = torch.eye(4)[row].expand(2, -1)
        grams = objective.grams(model.network(photos, blend))
        objective.targets = {layer: gram.mean(0, keepdim=True) for layer, gram in grams.items()}
        mix = nearest_mix(model.network, objective, photos)
        assert mix.shape == (4,) and mix[0] == 0 and mix[row] > 0.95
        torch.testing.assert_close(mix.sum(), torch.tensor(1.0))


def test_several_paintings_make_one_style_of_their_mean(material):
    works = [torch.rand(3, 48, 48), torch.rand(3, 48, 40)]
    each = [make_objective(material, work).targets for work in works]
    for layer, target in one_style(make_objective(material, *works)).targets.items():
        assert relative_distance(target, (each[0][layer] + each[1][layer]) / 2) < 1e-5
    found = read_artist([material / "old", material / "new" / "dots.png"], 48)
    assert len(found) == 3 and torch.equal(found[2], read_painting(material / "new" / "dots.png", 48))


def test_strengths_are_mostly_full_and_sum_to_one():
    blends = draw_strengths(2000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(blends.sum(1), torch.ones(2000))
    assert 0.2 < (blends[:, 0] > 0).float().mean() < 0.3 and (blends >= 0).all()


def test_photos_to_judge_by_are_not_learnt_from(material):
    photos = Photos([material / "photos"], 48)
    lessons, judges = set_apart(photos, 32)
    assert len(lessons) == 3 and judges.shape == (2, 3, 32, 32)
    squares = centre_squares([lessons[index] for index in range(3)], 32)
    assert all(not torch.equal(judge, square) for judge in judges for square in squares)
    assert centre_squares([torch.zeros(3, 10, 31, dtype=torch.uint8)], 32).shape == (1, 3, 32, 32)


def test_a_broken_photo_to_judge_by_takes_none_away_from_either_side(make_pictures):
    folder = make_pictures("many", "abcdef", 40, 40)
    for broken in "ac":
        (folder / f"{broken}.png").write_text("broken")
    lessons, judges = set_apart(Photos([folder], 40), 40)
    learnt = {bytes(lessons[index].numpy()) for index in range(len(lessons))}
    judged = {bytes((judge * 255).round().byte().numpy()) for judge in judges}
    assert judged and learnt and not learnt & judged and len(learnt | judged) == 4


def test_painters_are_measured_one_by_one(material, model):
    objective, photos = (
        make_objective(material, torch.rand(3, 48, 48), torch.zeros(3, 48, 48)),
        torch.rand(3, 3, 32, 32),
    )

    def network(some, blend):
        return model.network(some, torch.nn.functional.pad(blend, (0, 1)))

    found = painter_losses(network, objective, photos, ["a", "b"])
    for row, name in enumerate(("a", "b"), start=1):
        blend = torch.eye(3)[row].expand(3, -1)
        losses = objective(network(photos, blend), photos, blend)
        expected = {"content": losses.content.mean().item(), "style": losses.style.mean().item()}
        assert found[name] == pytest.approx(expected, rel=1e-3)


def test_the_header_stands_in_for_the_old_paintings(material, model):
    assert "does not contain" in run(material, "--steps", 1)
    model.training["painters"] = {"starry": {"style": 0.5}, "wave": {"style": 0.1}, "scream": {"style": 0.2}}
    save_weights(material / "in.safetensors", model)
    assert "median style loss is 0.200, according to the weight file" in run(material, "--steps", 1)
    painters = load_weights(material / "out.safetensors").training["painters"]
    assert list(painters) == ["starry", "wave", "scream", "dots"]


def test_ctrl_c_keeps_the_best_so_far(material):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "train", *arguments(material, "--steps", 1_000_000)]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)
    for line in running.stderr:
        if line.startswith("step 20 "):
            break
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in rest and "dots after step" in rest
    assert load_weights(material / "out.safetensors").catalogue[-1].name == "dots"


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("wave", [], "a style named wave already"),
        ("photo", [], "photo is the picture as it is"),
        ("a=b", [], "is not a style name"),
        ("dots", ["--photos", "nowhere"], "cannot read nowhere: No such file"),
        ("dots", ["--styles", "photos"], "is named after a style"),
        ("dots", ["--output", "nowhere/x"], "there is no folder nowhere"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(material, monkeypatch, name, options, message):
    monkeypatch.chdir(material)
    result = invoke(material, *options, name=name)
    assert isinstance(result.exception, MultistyleError) and message in str(result.exception)
    assert "\n" not in str(result.exception) and not (material / "out.safetensors").exists()


def test_too_small_or_missing_paintings_and_too_few_photos_are_errors(material, tmp_path):
    (tmp_path / "few").mkdir()
    write_image(tmp_path / "few" / "a.png", torch.rand(3, 20, 30))
    with pytest.raises(DataError, match="a.png, 30 px, is too small for a style_size of 48"):
        read_artist([tmp_path / "few"], 48)
    with pytest.raises(DataError, match="1 photo is not enough"):
        set_apart(Photos([tmp_path / "few"], 48), 32)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures in"):
        read_artist([tmp_path / "empty"], 48)


def test_a_file_without_a_recipe_or_of_another_version_is_refused(material, model, weight_file):
    for odd in ({"steps": 1}, {"config": {"depth": 1}}, {"config": [1]}, {"config": None}, [], "text", None, 3):
        with pytest.raises(ConfigError, match="does not contain the recipe it was trained with"):
            TrainConfig.from_header(odd, weight_file)
    for recipe in ({"steps": "6"}, {"widths": ["a"]}, {"crop": None}, {"seed": 2**63}, {"blocks": 30_000_000}):
        with pytest.raises(
            ConfigError, match=f"the recipe in the header of {weight_file} is invalid: {next(iter(recipe))}"
        ):
            TrainConfig.from_header({"config": recipe}, weight_file)
    TrainConfig.from_header(load_weights().training, weight_file)
    assert TrainConfig.from_header({"config": CONFIG.as_dict()}, weight_file) == CONFIG
    file = material / "in.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"format_version":"1"', b'"format_version":"9"'))
    error = invoke(material).exception
    assert isinstance(error, WeightsError) and "format version '9'; upgrade multistyle" in str(error)


def catalogue_command(*words) -> None:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_styles_move_between_files_by_command(material):
    run(material, "--steps", 1)
    source, target, style = (material / name for name in ("out.safetensors", "in.safetensors", "dots.safetensors"))
    catalogue_command("export-style", "dots", "-o", style, "--weights", source)
    catalogue_command("import-style", style, "--weights", target, "-o", target)
    photo = torch.rand(3, 20, 24)
    there, here = (Stylizer(load_weights(file), "cpu") for file in (source, target))
    assert torch.equal(there(photo, "dots"), here(photo, "dots"))
    catalogue_command("rename-style", "dots", "points", "--weights", target, "-o", target)
    catalogue_command("remove-style", "wave", "--weights", target, "-o", target)
    model = load_weights(target)
    assert [entry.name for entry in model.catalogue] == ["photo", "starry", "scream", "points"]
    assert "points" in model.training["painters"]


def test_a_cartridge_of_another_network_is_one_line(material, model):
    style, other = material / "wave.safetensors", material / "other.safetensors"
    catalogue_command("export-style", "wave", "-o", style, "--weights", material / "in.safetensors")
    model.network.down[0].weight.data.add_(1)
    save_weights(other, model)
    result = CliRunner().invoke(app, ["import-style", str(style), "--weights", str(other), "-o", str(other)])
    assert isinstance(result.exception, WeightsError) and "made for another network" in str(result.exception)


def test_odd_facts_in_a_header_count_as_none(model):
    for painters in (None, [], "text", 3, {"wave": None}, {"wave": [1]}, {"wave": {"style": "0.5"}}):
        model.training["painters"] = painters
        assert known_median(model) is None, painters
    odd = {"a": {"style": True}, "b": {"style": float("nan")}, "c": {"style": -1}, "d": {"style": 0.3}, "e": "text"}
    model.training["painters"] = odd
    assert known_median(model) == 0.3


@pytest.mark.parametrize("output", ["new/dots.png", "photos/a.png", "vgg.safetensors", "old/wave.png", "link.png"])
def test_add_style_never_replaces_what_it_reads(material, output):
    (material / "link.png").symlink_to(material / "photos" / "b.png")
    before = (material / output).read_bytes()
    result = invoke(material, "--styles", material / "old", "--output", material / output)
    assert isinstance(result.exception, MultistyleError) and "it is an input" in str(result.exception)
    assert (material / output).read_bytes() == before


def test_add_style_may_replace_the_weight_file_it_reads(material):
    run(material, "--steps", 1, "--output", material / "in.safetensors")
    assert load_weights(material / "in.safetensors").catalogue[-1].name == "dots"


def test_a_termination_signal_keeps_the_best_so_far(material, monkeypatch):
    step = RowTrainer.step

    def stepping(trainer, photos):
        step(trainer, photos)
        if trainer.done == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(RowTrainer, "step", stepping)
    result = invoke(material, "--steps", 1000)
    assert result.exit_code == 130 and "dots after step 0" in result.stderr
    assert load_weights(material / "out.safetensors").catalogue[-1].name == "dots"


def test_losses_that_are_never_finite_write_nothing(material, monkeypatch):
    monkeypatch.setattr("train.style_commands.nearest_mix", lambda network, *_: torch.full((4,), float("nan")))
    result = invoke(material, "--steps", 1)
    assert "no evaluation gave a finite loss" in str(result.exception) and not (material / "out.safetensors").exists()


def test_commands_for_styles_never_replace_what_they_read(material):
    style, weights = material / "wave.safetensors", material / "in.safetensors"
    catalogue_command("export-style", "wave", "-o", style, "--weights", weights)
    (material / "link.safetensors").symlink_to(weights)
    kept = {file: file.read_bytes() for file in (style, weights)}
    for words in (
        ["export-style", "wave", "-o", weights, "--weights", weights],
        ["export-style", "wave", "-o", material / "link.safetensors", "--weights", weights],
        ["import-style", style, "-o", style, "--weights", weights],
    ):
        result = CliRunner().invoke(app, [*map(str, words)])
        assert isinstance(result.exception, WeightsError) and "it is an input" in str(result.exception), words
    assert {file: file.read_bytes() for file in kept} == kept
