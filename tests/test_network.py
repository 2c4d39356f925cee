import pytest
import torch
import torch.nn.functional as F
from comparing import relative_distance

from multistyle.grid import cut_from_grid, pad_to_grid
from multistyle.network import (
    PHOTO,
    NetworkConfig,
    StyleNetwork,
    UpsampledConvolution,
    conditional_instance_norm,
)


def one_hot(style: int, styles: int = 4) -> torch.Tensor:
    return torch.eye(styles)[style][None]


def test_published_shape_has_the_published_number_of_parameters():
    network = StyleNetwork(NetworkConfig(), styles=7)
    assert network.table.numel() == 7 * 3206
    assert sum(p.numel() for p in network.parameters()) - network.table.numel() == 1_674_432


def test_norm_equals_torch_instance_norm_with_scale_and_shift():
    x, scale, shift = torch.randn(2, 5, 7, 9), torch.randn(2, 5), torch.randn(2, 5)
    expected = F.instance_norm(x) * scale[..., None, None] + shift[..., None, None]
    assert relative_distance(conditional_instance_norm(x, scale, shift), expected) < 1e-4


def test_norm_takes_its_statistics_in_float32():
    x = torch.randn(1, 2, 8, 8) + 300  # the squares overflow float16
    got = conditional_instance_norm(x.half(), torch.ones(1, 2), torch.zeros(1, 2))
    assert got.dtype == torch.float16 and torch.isfinite(got).all()
    assert got.float().std() == pytest.approx(1, abs=0.1)


def test_norm_keeps_channels_last():
    x = torch.randn(2, 5, 8, 8).contiguous(memory_format=torch.channels_last)
    y = conditional_instance_norm(x, torch.ones(2, 5), torch.zeros(2, 5))
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (2, 3), (5, 4), (8, 8), (13, 17), (31, 64)])
def test_any_size_comes_back_at_its_own_size(network, height, width):
    image = torch.rand(2, 3, height, width)
    painted = network(image, one_hot(1).expand(2, -1))
    assert painted.shape == image.shape
    assert torch.isfinite(painted).all() and painted.min() >= 0 and painted.max() <= 1


def test_padding_reflects_then_replicates_and_leaves_the_picture_in_place():
    image = torch.arange(6.0).view(1, 1, 2, 3).expand(1, 3, 2, 3)
    padded = pad_to_grid(image)
    assert padded.shape == (1, 3, 12, 12)
    assert torch.equal(cut_from_grid(padded, 2, 3), image)
    assert padded[0, 0, 4].tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0, 0, 0, 0]
    on_grid = torch.rand(1, 3, 8, 12)
    assert torch.equal(pad_to_grid(on_grid), F.pad(on_grid, (4,) * 4, mode="reflect"))
    assert pad_to_grid(torch.rand(3, 1, 1)).shape == (3, 12, 12)


def test_photo_is_the_picture_itself_exactly(network):
    image = torch.rand(1, 3, 19, 23)
    assert torch.equal(network(image, one_hot(PHOTO)), image)


def test_photos_share_of_a_blend_is_the_pictures_share_of_the_output(network):
    image, blend = torch.rand(1, 3, 12, 12), torch.tensor([[0.3, 0.7, 0.0, 0.0]])
    painted = cut_from_grid(network.paint(pad_to_grid(image), blend), 12, 12)
    assert relative_distance(network(image, blend), 0.3 * image + 0.7 * painted) < 1e-4
    assert relative_distance(network(image, one_hot(1)), painted) > 1e-3, "photo's row should be seen by the network"


def test_every_style_paints_its_own_picture(network):
    image = torch.rand(1, 3, 16, 16)
    painted = [network(image, one_hot(style)) for style in range(4)]
    for a in range(4):
        for b in range(a):
            assert relative_distance(painted[a], painted[b]) > 0.01


def test_a_batch_of_blends_equals_them_one_at_a_time(network):
    images, blends = torch.rand(5, 3, 16, 20), torch.softmax(torch.randn(5, 4), dim=1)
    together = network(images, blends)
    for image, blend, painted in zip(images, blends, together):
        assert relative_distance(network(image[None], blend[None])[0], painted) < 1e-4


def test_a_blend_mixes_scales_and_shifts(network):
    """A pair's picture is that of a network with one row: the mean of the two."""
    image = torch.rand(1, 3, 16, 16)
    merged = StyleNetwork(network.config, 4).eval()
    state = {**network.state_dict(), "table": network.table.clone()}
    state["table"][1] = (network.table[1] + network.table[2]) / 2
    merged.load_state_dict(state)
    pair = network(image, torch.tensor([[0.0, 0.5, 0.5, 0.0]]))
    assert relative_distance(pair, merged(image, one_hot(1))) < 1e-4


def test_a_constant_field_equals_the_plain_blend(network):
    image, blend = torch.rand(2, 3, 13, 18), torch.softmax(torch.randn(2, 4), dim=1)
    field = blend[..., None, None].expand(-1, -1, 13, 18)
    assert relative_distance(network(image, field), network(image, blend)) < 1e-4


def test_a_field_paints_each_part_in_its_own_style(network):
    """Statistics are of the whole picture, so parts are compared with a twin that shares them: the field mirrored."""
    image = torch.rand(1, 3, 24, 64)
    field = torch.zeros(1, 4, 24, 64)
    field[:, 1, :, :32], field[:, 2, :, 32:] = 1, 1
    painted = network(image, field)
    one, two = network(image, one_hot(1)), network(image, one_hot(2))
    left, right = painted[..., :8], painted[..., -8:]
    assert (left - one[..., :8]).abs().mean() < (left - two[..., :8]).abs().mean()
    assert (right - two[..., -8:]).abs().mean() < (right - one[..., -8:]).abs().mean()
    field[:, 2, :, 32:], field[:, PHOTO, :, 32:] = 0, 1
    assert torch.equal(network(image, field)[..., 32:], image[..., 32:])


def test_a_given_norm_is_asked_once_a_layer_in_order(network):
    seen = []

    def record(x, scale, shift):
        seen.append(x.shape[1])
        return conditional_instance_norm(x, scale, shift)

    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(network(image, one_hot(1), record), network(image, one_hot(1)))
    assert seen == network.channels


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_and_blends_in_float32(network, precision):
    image, blend = torch.rand(1, 3, 32, 32), torch.tensor([[0.0, 0.6, 0.4, 0.0]])
    with torch.autocast("cpu", precision):
        half = network(image, blend)
    assert half.dtype == torch.float32
    assert (half - network(image, blend)).abs().mean() < 0.02


def test_upsampling_is_followed_by_the_convolution_with_the_edge_continued():
    x = torch.rand(1, 3, 5, 6)
    layer = UpsampledConvolution(3, 2, "nearest")
    large = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = F.conv2d(F.pad(large, (1,) * 4, mode="reflect"), layer.weight)
    assert relative_distance(layer(x), expected) < 1e-5
    smooth = UpsampledConvolution(3, 2, "bilinear")(torch.full((1, 3, 5, 6), 0.7))
    assert relative_distance(smooth, smooth[..., :1, :1].expand_as(smooth)) < 1e-5


def test_bilinear_upsampling_attenuates_the_copies_of_a_slope_more_than_nearest():
    ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16).contiguous()
    steps = {}
    for mode in ("nearest", "bilinear"):
        layer = UpsampledConvolution(1, 1, mode)
        layer.weight.data.fill_(1 / 9)
        second = layer(ramp)[0, 0, 16, 8:-8].diff().diff()  # of a straight slope it is 0
        steps[mode] = second.norm()
    assert steps["bilinear"] < 0.01 * steps["nearest"]


def test_wrong_shapes_are_named(network):
    with pytest.raises(ValueError, match=r"image of shape \(B, 3, H, W\), got \(3, 8, 8\)"):
        network(torch.rand(3, 8, 8), one_hot(1))
    with pytest.raises(ValueError, match=r"blend of shape \(1, 4\) or \(1, 4, 8, 8\), got \(4,\)"):
        network(torch.rand(1, 3, 8, 8), one_hot(1)[0])


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"stem": 4}, "stem and head kernels are odd"),
        ({"head": 17}, "at most 15 px, not 17"),
        ({"head": "9"}, "stem and head kernels are odd"),
        ({"head": 9.0}, "stem and head kernels are odd"),
        ({"widths": (0, 1, 1)}, "three widths, integers from 1 to 4096"),
        ({"widths": (1, 2)}, "three widths"),
        ({"widths": ("a", "b", "c")}, "three widths"),
        ({"widths": ("a",)}, "three widths"),
        ({"widths": None}, "three widths"),
        ({"widths": (1, True, 1)}, "three widths"),
        ({"widths": (1, 1, 20_000)}, "from 1 to 4096"),
        ({"widths": tuple(range(10**6))}, "three widths"),
        ({"widths": (4096, 4096, 4096)}, "at most 100,000,000 parameters, not"),
        ({"blocks": -1}, "blocks must be an integer from 0 to 1000"),
        ({"blocks": 30_000_000}, "blocks must be an integer from 0 to 1000, not 30000000"),
        ({"blocks": 1e9}, "blocks must be"),
        ({"blocks": 1.5}, "blocks must be"),
        ({"blocks": True}, "blocks must be"),
        ({"blocks": float("nan")}, "blocks must be"),
        ({"upsampling": "cubic"}, "upsampling is"),
        ({"upsampling": ["nearest"]}, "upsampling is"),
    ],
)
def test_impossible_shapes_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message) as raised:
        NetworkConfig(**wrong)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("config", [NetworkConfig(), NetworkConfig((4, 6, 8), 1, 3, 5, "bilinear")])
def test_parameters_are_counted_without_building(config):
    built = StyleNetwork(config, 2).state_dict()
    assert config.parameters == sum(tensor.numel() for name, tensor in built.items() if name != "table")
