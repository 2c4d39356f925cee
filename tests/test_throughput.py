"""The throughput benchmark's sums, peers and tables; no speed is asserted."""

import json
from contextlib import closing
from pathlib import Path

import pytest
import torch
from comparing import relative_distance

from benchmarks import throughput
from benchmarks.parts import contenders
from benchmarks.parts.contenders import Contender, build, check, names, pictures
from benchmarks.parts.machine import counted, describe, floor
from benchmarks.parts.painters import equal_mix
from benchmarks.parts.peers import johnson, with_rows
from benchmarks.parts.turns import TURNS, Remote, take_turns
from benchmarks.report import BEGIN, END, insert, tables
from multistyle.errors import MultistyleError
from multistyle.network import NetworkConfig, StyleNetwork
from multistyle.stylizer import Stylizer

ROOT = Path(__file__).parents[1]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("throughput-*.json"))


@pytest.mark.parametrize("size, operations", [(256, 20.2e9), (512, 80.6e9), (1024, 322.5e9)])
def test_operations_of_the_published_shape_are_the_published_ones(size, operations):
    work = counted(StyleNetwork(NetworkConfig(), 2), size, torch.float32)
    assert work["operations"] == pytest.approx(operations, rel=0.005)


def test_bytes_are_each_convolutions_input_and_output():
    network = StyleNetwork(NetworkConfig((1, 1, 1), blocks=0), 2)
    # in pixels of the picture: 3 + 1, 1 + 1/4, 1/4 + 1/16, 1/16 + 1/4, 1/4 + 1, 1 + 3
    assert counted(network, 8, torch.float16)["bytes"] == 2 * 64 * (4 + 1.25 + 0.3125 + 0.3125 + 1.25 + 4)


def test_the_floor_is_the_slower_of_the_two_limits():
    assert floor({"operations": 10, "bytes": 10}, {"operations": 5, "bytes": 2}) == 5
    assert floor({"operations": 10, "bytes": 1}, {"operations": 5, "bytes": 2}) == 2


def test_the_peer_has_the_parameters_of_the_original_and_keeps_sizes():
    network = johnson()
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_679_235
    assert network(torch.rand(2, 3, 24, 32)).shape == (2, 3, 24, 32)


def test_more_rows_paint_the_same(model):
    photo, blend = torch.rand(3, 16, 16), torch.tensor([0.1, 0.2, 0.3, 0.4])
    large = with_rows(model, 11)
    painted = Stylizer(large, "cpu")(photo, torch.cat([blend, torch.zeros(7)]))
    assert relative_distance(painted, Stylizer(model, "cpu")(photo, blend)) < 1e-4


def test_turns_are_medians_of_calls_and_speeds_are_over_the_first(monkeypatch):
    ticks = iter([2.0, 4.0, 3.0, 1.0, 8.0, 1.0] * TURNS)
    monkeypatch.setattr(contenders, "seconds", lambda run, device: next(ticks))
    group = [Contender("slow", lambda: None), Contender("fast", lambda: None, pictures=2)]
    found = take_turns(group, torch.device("cpu"))
    assert found["slow"]["seconds"] == 3 and found["fast"]["seconds"] == 0.5
    assert found["slow"]["speed"] == 1 and found["fast"]["speed"] == 6


def test_wrong_paintings_end_the_benchmark(model):
    stylizer = Stylizer(model, "cpu")
    photos = pictures(64, 1, stylizer.device)
    check(Contender("multistyle", lambda: stylizer(photos, equal_mix(stylizer, 2))), stylizer)
    with pytest.raises(AssertionError, match="multistyle is off by"):
        check(Contender("multistyle", lambda: stylizer(photos, equal_mix(stylizer, 1))), stylizer)
    with pytest.raises(AssertionError, match="not finite"):
        check(Contender("any", lambda: photos / 0), stylizer)


def test_all_contenders_run_and_take_their_turns(weight_file, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: None)
    cpu = torch.device("cpu")
    assert names(cpu) == ["johnson", "multistyle", "multistyle compiled", "multistyle width 1"]
    for name in names(cpu):
        contender = build(name, "cpu", 64, 2, str(weight_file), "float32")
        assert contender.run().shape == (2, 3, 64, 64) and contender.turn(cpu) > 0
    with closing(Remote("multistyle", "cpu", 64, 1, str(weight_file), "float32")) as remote:
        assert remote.turn(cpu) > 0
    assert {"name", "threads", "torch"} <= set(describe(cpu))


def test_a_contender_that_cannot_be_built_ends_the_benchmark(tmp_path):
    with pytest.raises(MultistyleError, match="multistyle cannot be measured"):
        Remote("multistyle", "cpu", 64, 1, str(tmp_path / "missing.safetensors"), "float32")


@pytest.mark.parametrize(
    "options, message",
    [
        (["--sizes", "100,x"], "sizes are whole numbers"),
        (["--sizes", "90"], "multiples of 4"),
        (["--devices", "tpu"], "unknown device"),
        (["--precision", "int8"], "unknown precision"),
    ],
)
def test_wrong_options_are_one_line(options, message, invoke):
    done = invoke(throughput.main, *options)
    assert isinstance(done.exception, MultistyleError) and message in str(done.exception)


def test_the_readmes_tables_are_generated_from_the_shipped_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert RESULTS, "no result is shipped"
    generated = tables([json.loads(file.read_text()) for file in RESULTS])
    assert insert(text, generated) == text, (
        "run python -m benchmarks.report benchmarks/results/throughput-*.json --readme"
    )


def test_tables_go_between_the_marks():
    assert insert(f"a {BEGIN} old {END} b", "new") == f"a {BEGIN}\n\nnew\n\n{END} b"
    with pytest.raises(MultistyleError, match="should have the marks"):
        insert("a", "new")
