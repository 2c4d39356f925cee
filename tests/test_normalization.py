import pytest
import torch
from comparing import relative_distance
from torch import Tensor

from multistyle.network import EPSILON, conditional_instance_norm, moments
from train.normalization import instance_norm, norm_and_spikes

LIMIT = 1.5


def features() -> tuple[Tensor, Tensor, Tensor]:
    """x (2, 5, 9, 7) with channels of different means and deviations, scales and shifts (2, 5), all with gradients."""
    spread = torch.tensor([0.003, 0.1, 1.0, 5.0, 50.0])[:, None, None]
    x = torch.randn(2, 5, 9, 7) * spread + torch.randn(2, 5, 1, 1)
    return x.requires_grad_(), torch.randn(2, 5, requires_grad=True), torch.randn(2, 5, requires_grad=True)


def plain_norm_and_spikes(x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    mean, variance = moments(x)
    deviations = (x - mean[..., None, None]) * torch.rsqrt(variance + EPSILON)[..., None, None]
    spikes = (deviations.abs() - LIMIT).clamp_min(0).square().mean()
    return conditional_instance_norm(x, scale, shift), spikes


def assert_same_gradients(found: Tensor, expected: Tensor, inputs: tuple[Tensor, ...], tolerance: float) -> None:
    ours, plain = torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs)
    for one, other in zip(ours, plain, strict=True):
        assert one.dtype == other.dtype
        assert relative_distance(one, other) < tolerance
        assert (one.flatten(2) if one.ndim == 4 else one).isfinite().all()


def test_the_norm_is_the_norm_and_its_gradient_that_of_autograd():
    inputs = features()
    found, expected = instance_norm(*inputs), conditional_instance_norm(*inputs)
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    assert_same_gradients((found * weights).sum(), (expected * weights).sum(), inputs, 1e-4)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_spikes_are_the_mean_square_of_what_exceeds_the_limit_with_their_gradient(share):
    inputs = features()
    (found, spikes), (expected, plain) = norm_and_spikes(*inputs, LIMIT), plain_norm_and_spikes(*inputs)
    assert torch.equal(found, expected)
    assert spikes > 0.01
    assert relative_distance(spikes, plain) < 1e-5
    weights = share * torch.randn_like(found)
    ours, theirs = (found * weights).sum() + 30 * spikes, (expected * weights).sum() + 30 * plain
    assert_same_gradients(ours, theirs, inputs if share else inputs[:1], 1e-4)


def test_each_channel_has_the_gradient_of_autograd_however_flat_it_is():
    x, scale, shift = (tensor.detach() for tensor in features())
    weights = torch.randn_like(x)
    for channel in range(x.shape[1]):
        one = (x[:, [channel]].clone().requires_grad_(), scale[:, [channel]], shift[:, [channel]])
        found, expected = (
            (norm(*one) * weights[:, [channel]]).sum() for norm in (instance_norm, conditional_instance_norm)
        )
        assert_same_gradients(found, expected, one[:1], 1e-3)


def test_in_half_precision_the_gradient_is_as_near_as_the_precision_allows():
    x, scale, shift = features()
    half = x.detach()[:, 2:].to(torch.bfloat16).requires_grad_()
    inputs = (half, scale[:, 2:], shift[:, 2:])
    found, expected = instance_norm(*inputs), conditional_instance_norm(*inputs)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    assert_same_gradients((found * weights).sum(), (expected * weights).sum(), inputs, 0.03)


def test_a_flat_channel_gives_its_shift_and_no_gradient_that_is_not_finite():
    x = torch.full((1, 2, 8, 8), 3.0, requires_grad=True)
    shift = torch.tensor([[0.5, -2.0]])
    painted, spikes = norm_and_spikes(x, torch.ones(1, 2), shift, LIMIT)
    torch.testing.assert_close(painted, shift[..., None, None].expand_as(x))
    (gradient,) = torch.autograd.grad((painted * torch.randn_like(painted)).sum() + spikes, x)
    assert gradient.isfinite().all()
