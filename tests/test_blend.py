import pytest
import torch

from multistyle.blend import Regions, blend_vector, is_constant, mix_text, parse_mix, with_strength
from multistyle.errors import BlendError

NAMES = ["photo", "starry", "scream", "wave"]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("starry", {"starry": 1.0}),
        ("starry=0.7,scream=0.3", {"starry": 0.7, "scream": 0.3}),
        (" starry = 7 , scream=3e0 ", {"starry": 7.0, "scream": 3.0}),
        ("starry,scream=.5", {"starry": 1.0, "scream": 0.5}),
    ],
)
def test_mixes_are_read(text, expected):
    assert parse_mix(text) == expected


@pytest.mark.parametrize("blend", ["starry=7,scream=3", {"starry": 0.7, "scream": 0.3}, [0, 70, 30, 0]])
def test_every_way_to_say_a_blend_is_the_same_blend(blend):
    torch.testing.assert_close(blend_vector(blend, NAMES), torch.tensor([0, 0.7, 0.3, 0]))
    batch = blend_vector(torch.tensor([[0, 7, 3, 0], [5, 0, 0, 0]]), NAMES)
    torch.testing.assert_close(batch, torch.tensor([[0, 0.7, 0.3, 0], [1, 0, 0, 0]]))


def test_one_style_is_exactly_one_whatever_its_scale():
    for weight in (1e-300, 0.1, 3, 1e308):
        assert blend_vector({"wave": weight}, NAMES).tolist() == [0, 0, 0, 1]
    assert blend_vector([1e308] * 4, NAMES).tolist() == [0.25] * 4


@pytest.mark.parametrize(
    "blend, message",
    [
        ("stary", "unknown style 'stary'; did you mean starry"),
        ("zzz", "known: photo, starry"),
        ("starry=-1", "got -1"),
        ("starry=inf", "got inf"),
        ("starry=nan", "got nan"),
        ("starry=much", "should be a number, not 'much'"),
        ("starry=", "should be a number"),
        ("starry=0,scream=0", "all weights are zero"),
        ("starry=1,starry=2", "named twice"),
        ("", "NAME=WEIGHT"),
        ("starry,,wave", "NAME=WEIGHT"),
        ([1, 2], "4 weights"),
        (torch.zeros(0, 4), "4 weights"),
        (torch.tensor([[0, 1.0, 0, 0], [0, 0, 0, 0]]), "all weights are zero"),
        (None, "a blend is"),
        (torch.tensor([0, 1j, 0, 0]), "a blend is"),
        ([torch.ones(2), torch.ones(2)], "a blend is"),
        (object(), "a blend is"),
    ],
)
def test_what_is_no_blend_is_named(blend, message):
    with pytest.raises(BlendError, match=message) as raised:
        blend_vector(blend, NAMES)
    assert "\n" not in str(raised.value)


def test_strength_leaves_the_rest_to_photo():
    blend = blend_vector("starry=3,scream=1", NAMES)
    torch.testing.assert_close(with_strength(blend, 0.6), torch.tensor([0.4, 0.45, 0.15, 0]))
    assert torch.equal(with_strength(blend, 1), blend)
    assert with_strength(blend, 0).tolist() == [1, 0, 0, 0]
    for wrong in (-0.1, 1.1, float("nan"), "half", None):
        with pytest.raises(BlendError, match="a strength is .*between 0 and 1"):
            with_strength(blend, wrong)


def test_a_blend_is_described_as_a_mix_that_reads_back():
    blend = blend_vector("scream=1,starry=3", NAMES)
    assert mix_text(blend, NAMES) == "starry=0.75,scream=0.25"
    torch.testing.assert_close(blend_vector(mix_text(blend, NAMES), NAMES), blend)


def test_a_field_is_a_blend_for_every_pixel():
    field = torch.zeros(4, 2, 3)
    field[1], field[2, :, 1:] = 2, 6
    weights = blend_vector(field, NAMES)
    torch.testing.assert_close(weights[:, 0, 0], torch.tensor([0, 1.0, 0, 0]))
    torch.testing.assert_close(weights[:, 1, 2], torch.tensor([0, 0.25, 0.75, 0]))
    torch.testing.assert_close(with_strength(weights, 0.5)[:, 1, 2], torch.tensor([0.5, 0.125, 0.375, 0]))
    assert not is_constant(weights) and is_constant(weights[:, :, :1])


def test_regions_claim_share_and_leave_the_rest():
    one, two, rest = torch.eye(4)[1:]
    left, all_of_it = torch.tensor([[1.0, 0.2, 0.0]]), torch.ones(1, 3)
    field = Regions([left], [one], rest).field()
    torch.testing.assert_close(field[1, 0], torch.tensor([1, 0.2, 0]))
    torch.testing.assert_close(field[3, 0], torch.tensor([0, 0.8, 1]))
    shared = Regions([left, all_of_it], [one, two], rest).field()
    torch.testing.assert_close(shared[1, 0], torch.tensor([1 / 2, 1 / 6, 0]))
    torch.testing.assert_close(shared.sum(0), torch.ones(1, 3))
    assert shared[3].abs().max() == 0


ONE = torch.tensor([0.0, 1.0])


@pytest.mark.parametrize(
    "masks, blends, rest, message",
    [
        ([], [], ONE, "at least one mask"),
        ([torch.ones(2, 2)], [], ONE, "got 1 and 0"),
        ([torch.ones(2, 2)], [ONE, ONE], ONE, "got 1 and 2"),
        ([torch.ones(1, 2, 2)], [ONE], ONE, r"got shape \(1, 2, 2\)"),
        ([torch.ones(2, 0)], [ONE], ONE, r"got shape \(2, 0\)"),
        ([torch.full((2, 2), 255.0)], [ONE], ONE, "from 255 to 255"),
        ([torch.tensor([[0.5, float("nan")]])], [ONE], ONE, "from nan"),
        ([torch.tensor([[-0.1, 1.0]])], [ONE], ONE, "from -0.1 to 1"),
        ([torch.ones(2, 2, dtype=torch.int64)], [ONE], ONE, "got torch.int64"),
        ([torch.ones(2, 2, dtype=torch.bool)], [ONE], ONE, "got torch.bool"),
        (["sky.png"], [ONE], ONE, "got str"),
        ([torch.ones(2, 2)], ["starry"], ONE, "blend .* got str"),
        ([torch.ones(2, 2)], [ONE[None]], ONE, r"got shape \(1, 2\)"),
        ([torch.ones(2, 2)], [torch.tensor([0.5, 0.4])], ONE, "sum 0.9"),
        ([torch.ones(2, 2)], [torch.tensor([-0.5, 1.5])], ONE, "least -0.5"),
        ([torch.ones(2, 2)], [torch.tensor([float("nan"), 1])], ONE, "sum nan"),
        ([torch.ones(2, 2)], [ONE], torch.tensor([float("inf"), 0]), "sum inf"),
        ([torch.ones(2, 2)], [torch.tensor([0, 1])], ONE, "got torch.int64"),
        ([torch.ones(2, 2)], [ONE], torch.tensor([0, 1.0, 0]), "same styles; got 2 and 3"),
    ],
)
def test_what_are_no_regions_is_named(masks, blends, rest, message):
    with pytest.raises(BlendError, match=message) as raised:
        Regions(masks, blends, rest)
    assert "\n" not in str(raised.value)


def test_masks_are_bytes_or_floats_of_any_precision():
    for mask in (torch.full((1, 2), 255).byte(), torch.ones(1, 2).half(), torch.ones(1, 2).double()):
        regions = Regions([mask], [ONE], ONE.flip(0))
        assert regions.field()[:, 0, 0].tolist() == [0, 1]
        assert regions.fitted(5, 7).field().shape == (2, 5, 7)


def test_rounding_above_one_is_no_error():
    regions = Regions([torch.full((1, 2), 1 + 1e-6)], [ONE], ONE.flip(0))
    torch.testing.assert_close(regions.field(), torch.tensor([[[0.0, 0.0]], [[1.0, 1.0]]]))


def test_a_mask_of_another_size_is_fitted_and_parts_of_a_field_are_the_fields_parts():
    mask = torch.zeros(3, 4)
    mask[:, :2] = 1
    regions = Regions([mask], [torch.eye(4)[1]], torch.eye(4)[2]).fitted(9, 16)
    field = regions.field()
    assert field.shape == (4, 9, 16)
    assert field[1, :, :4].eq(1).all() and field[2, :, 12:].eq(1).all()
    rows, columns = torch.tensor([8, 0, 0]), torch.tensor([15, 2])
    assert torch.equal(regions.field(rows, columns), field[:, rows][:, :, columns])
