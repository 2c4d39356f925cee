import pytest
import torch
from comparing import relative_distance

from multistyle.blend import Regions
from multistyle.errors import MultistyleError
from multistyle.network import StyleNetwork
from multistyle.strip_painter import StripPainter
from multistyle.strip_source import PhotoSource
from multistyle.strips import BYTES_PER_PIXEL, needs_strips, paint_strips
from multistyle.stylizer import Stylizer

GREY_LEVEL = 1 / 255


def assert_same(tiled: torch.Tensor, whole: torch.Tensor) -> None:
    """What strips promise: the picture of one pass but for rounding, and no pixel off by a grey level."""
    assert relative_distance(tiled, whole) < 1e-3 and (tiled - whole).abs().max() < GREY_LEVEL


@pytest.mark.parametrize("height, width", [(203, 97), (64, 64), (97, 301), (1, 500), (333, 3), (5, 5)])
@pytest.mark.parametrize("mix", ["starry=0.6,scream=0.3,photo=0.1", "photo"])
def test_tiles_equal_the_whole(stylizer, height, width, mix):
    photo = torch.rand(3, height, width)
    blend = stylizer.blend(mix)
    tiled = paint_strips(stylizer.one_pass, photo, blend, side=64)
    assert_same(tiled, stylizer(photo, blend))


@pytest.mark.parametrize("kernel", [3, 9, 15])
@pytest.mark.parametrize("estimate", [False, True])
def test_the_margin_covers_every_kernel(model, kernel, estimate):
    """Estimated from a picture no larger than the reduced one, the statistics are exact too."""
    config = model.network.config.__class__(widths=(3, 4, 5), blocks=3, stem=kernel, head=kernel)
    network = StyleNetwork(config, 4).eval().requires_grad_(False)
    network.table.add_(torch.randn_like(network.table))
    model.network = network
    stylizer, photo = Stylizer(model, "cpu"), torch.rand(3, 230, 80)
    whole = stylizer(photo, "scream")
    tiled = paint_strips(stylizer.one_pass, photo, stylizer.blend("scream"), side=64, estimate=estimate)
    assert len(StripPainter(network, stylizer.device, PhotoSource(photo, stylizer.blend("scream")), 64 * 64).strips) > 3
    assert_same(tiled, whole)


def test_half_precision_features_stay_within_a_grey_level(stylizer, monkeypatch):
    monkeypatch.setattr("multistyle.strip_painter.FULL_PRECISION", 0)
    stylizer.one_pass.network.blocks[0].weight.mul_(
        1e-6
    )  # a trained layer's scale is anything: normalization undoes it
    photo, blend = torch.rand(3, 203, 97), stylizer.blend("starry=0.6,scream=0.3,photo=0.1")
    difference = (paint_strips(stylizer.one_pass, photo, blend, side=64) - stylizer(photo, blend)).abs().max()
    assert 0 < difference < GREY_LEVEL


def test_bytes_go_in_and_come_out(stylizer):
    photo = torch.randint(0, 256, (3, 150, 70), dtype=torch.uint8)
    blend = stylizer.blend("wave")
    tiled = paint_strips(stylizer.one_pass, photo, blend, side=64)
    assert tiled.dtype == torch.uint8
    assert (tiled / 255 - stylizer(photo / 255, blend)).abs().max() < GREY_LEVEL
    assert torch.equal(paint_strips(stylizer.one_pass, photo, stylizer.blend("photo"), side=64), photo)


@pytest.mark.parametrize("estimate", [False, True])
def test_regions_are_tiled_too(stylizer, estimate):
    photo, masks = torch.rand(3, 170, 60), torch.zeros(2, 170, 60)
    masks[0, :, :30], masks[1, 90:, 20:] = 1, 1
    regions = Regions(masks, [stylizer.blend("starry"), stylizer.blend("photo")], stylizer.blend("wave"))
    tiled = paint_strips(stylizer.one_pass, photo, regions, side=64, estimate=estimate)
    assert_same(tiled, stylizer(photo, regions.field()))
    assert torch.equal(tiled[:, 90:, 30:], photo[:, 90:, 30:])


def test_an_estimate_from_a_smaller_picture_is_near(stylizer, monkeypatch):
    monkeypatch.setattr("multistyle.strip_painter.ESTIMATE_SIZE", 100)
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 10), scale_factor=20.0, mode="bicubic")[0].clamp(0, 1)
    blend = stylizer.blend("starry")
    tiled = paint_strips(stylizer.one_pass, photo, blend, side=64, estimate=True)
    difference = (tiled - stylizer(photo, blend)).abs().mean()
    assert GREY_LEVEL / 100 < difference < 0.1


def test_progress_counts_to_its_total(stylizer):
    seen = []
    paint_strips(
        stylizer.one_pass, torch.rand(3, 200, 64), stylizer.blend("wave"), side=64, progress=lambda *at: seen.append(at)
    )
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1)) and {total for _, total in seen} == {len(seen)}


def test_small_tiles_are_refused(stylizer):
    with pytest.raises(MultistyleError, match="at least 64"):
        paint_strips(stylizer.one_pass, torch.rand(3, 8, 8), stylizer.blend("wave"), side=63)


def test_what_fits_is_not_tiled(stylizer):
    assert not needs_strips(stylizer.one_pass, 64, 64)
    assert needs_strips(stylizer.one_pass, 10**6, 10**6)


def test_the_memory_of_one_pass_is_no_more_than_expected(program):
    """Of the shipped network, in a process that has held nothing larger."""
    done = program("one_pass_memory")
    assert done.returncode == 0, done.stderr
    assert BYTES_PER_PIXEL / 4 < float(done.stdout) < BYTES_PER_PIXEL * 1.25
