import pytest
import torch

from multistyle.network import conditional_instance_norm
from train.losses.regularizers import CELLS, NOISE, SpikeMeter, draw_disturbance, hatch_loss, shift_loss, weave_loss


def test_a_spike_below_full_size_is_measured_and_the_norm_is_the_norm():
    meter, x = SpikeMeter(full=64), torch.randn(1, 2, 32, 32)
    scale, shift = torch.randn(1, 2), torch.randn(1, 2)
    assert torch.equal(meter(x, scale, shift), conditional_instance_norm(x, scale, shift))
    assert meter.penalty == 0, "noise has no value beyond six deviations"
    x[0, 0, 5, 5] = 1000.0
    meter(x, scale, shift)
    expected = ((32**2 - 1) ** 0.5 - 6) ** 2 / x.numel()  # all of a channel's deviation in one of its pixels
    assert float(meter.penalty) == pytest.approx(expected, rel=0.01)
    at_full_size = SpikeMeter(full=32)
    at_full_size(x, scale, shift)
    assert at_full_size.penalty == 0


def test_what_moves_with_the_photo_costs_nothing_and_grids_and_noise_cost_their_squares():
    photos, blend = torch.rand(2, 3, 64, 64), torch.ones(2, 1)
    drawn = draw_disturbance(torch.Generator().manual_seed(0), 64)
    shift = drawn._replace(noise=torch.zeros(3, 64, 64))

    def grid(image, blend):
        pattern = torch.zeros_like(image)
        pattern[..., ::4] = 0.2
        return image + pattern

    def invert(image, blend):
        return 1 - image

    assert shift_loss(invert, photos, blend, invert(photos, blend), shift) == 0
    loss = shift_loss(invert, photos, blend, invert(photos, blend), drawn)
    assert float(loss) == pytest.approx(NOISE**2, rel=0.1)
    loss = shift_loss(grid, photos, blend, grid(photos, blend), shift)
    assert float(loss) == pytest.approx(0.2**2 / 2, rel=0.1), "half of the columns differ"


def test_noise_weaves_once_a_perfect_weave_fully_and_other_periods_hardly():
    noise = torch.rand(2, 3, 128, 128)
    torch.testing.assert_close(weave_loss(noise), torch.tensor(1.0), rtol=0.1, atol=0)
    pattern = torch.zeros(1, 3, 128, 128)
    pattern[..., ::4] = 0.2
    torch.testing.assert_close(weave_loss(pattern + 0.3), torch.tensor(CELLS**2.0), rtol=0.02, atol=0)
    slope = torch.linspace(0, 1, 128).expand(1, 3, 128, 128)
    assert weave_loss(slope[..., 8:-8]) < 2 and weave_loss(torch.full((1, 3, 64, 64), 0.4)) < 1e-6
    off_grid = torch.zeros(1, 3, 126, 126)
    off_grid[..., ::7] = 0.2
    assert weave_loss(off_grid[..., :124, :124]) < 5, "another period is no weave"


@pytest.mark.parametrize("down, right", [(0.17, 0.055), (0.33, -0.05), (0.25, 0.0)])
def test_hatching_is_seen_at_any_frequency_however_faint_and_noise_edges_and_strokes_are_none(down, right):
    rows, columns = torch.arange(176.0)[:, None], torch.arange(176.0)
    hatching = torch.sin(2 * torch.pi * (down * rows + right * columns)).expand(1, 3, -1, -1)
    noise = 0.5 + 0.01 * torch.randn(1, 3, 176, 176)
    assert hatch_loss(noise) == pytest.approx(1, abs=0.05)
    assert hatch_loss(0.5 + 0.02 * hatching) > 4
    assert hatch_loss(noise + 0.01 * hatching) > 1.5
    half = torch.cat([noise[..., :88], torch.rand(1, 3, 176, 88)], dim=3)
    assert hatch_loss(half + 0.01 * hatching) > 1.2 > 1.1 > hatch_loss(half), "a rough half does not hide it"
    strokes = 0.5 + 0.1 * torch.sin(2 * torch.pi * (0.06 * rows + 0.04 * columns)) + noise
    assert hatch_loss(strokes) < 1.2 and hatch_loss((torch.hypot(rows - 80, columns - 80) < 50) + noise) < 1.2


def test_a_flat_picture_has_no_hatching_and_a_gradient():
    flat = torch.full((1, 3, 64, 64), 0.4, requires_grad=True)
    hatch_loss(flat).backward()
    assert hatch_loss(flat) < 1 and flat.grad.isfinite().all()
