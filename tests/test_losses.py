"""Hand-made answers."""

import pytest
import torch
from comparing import relative_distance

from train.losses.terms import (
    absolute_error,
    blend_grams,
    content_loss,
    gram,
    relative_error,
    style_loss,
    total_variation,
)


def test_gram_of_two_channels_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # (1, 2, 1, 2)
    assert gram(features).tolist() == [[[2.5, 5.5], [5.5, 12.5]]]


def test_gram_does_not_overflow_in_half_precision():
    assert torch.isfinite(gram(torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16))).all()
    features = torch.randn(1, 8, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        inside = gram(features)
    assert torch.equal(inside, gram(features))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_a_gram_is_that_of_autograd(layout):
    features = torch.randn(2, 5, 6, 4).contiguous(memory_format=layout).requires_grad_()
    flat = features.flatten(2)
    weights = torch.randn(2, 5, 5)  # not symmetric
    (expected,) = torch.autograd.grad((flat @ flat.transpose(1, 2) / 24 * weights).sum(), features)
    (found,) = torch.autograd.grad((gram(features) * weights).sum(), features)
    assert relative_distance(found, expected) < 1e-5


def test_relative_error_is_0_for_equal_and_1_for_nothing_and_one_number_a_sample():
    target = torch.randn(3, 4, 5)
    torch.testing.assert_close(relative_error(target, target), torch.zeros(3))
    torch.testing.assert_close(relative_error(torch.zeros_like(target), target), torch.ones(3))
    torch.testing.assert_close(
        relative_error(7 * target, 7 * torch.zeros_like(target) + 7), relative_error(target, torch.ones_like(target))
    )


def test_style_loss_sums_layers_and_none_outweighs_another():
    targets = {"small": torch.ones(1, 2, 2), "large": torch.full((1, 4, 4), 1e6)}
    halved = {layer: target / 2 for layer, target in targets.items()}
    torch.testing.assert_close(style_loss(halved, targets), torch.tensor([0.5]))


def test_content_loss_is_relative():
    features = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(content_loss(1.1 * features, features), torch.full((2,), 0.01))


def test_total_variation_of_a_checkerboard_is_2_and_of_a_field_0():
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    assert total_variation(board.expand(1, 3, 8, 8)).item() == 2
    assert total_variation(torch.full((1, 3, 8, 8), 0.3)).item() == 0


def test_blended_targets_are_weighted_means():
    targets = {"a": torch.stack([torch.eye(2), 3 * torch.eye(2)])}
    blended = blend_grams(targets, torch.tensor([[0.5, 0.5], [1.0, 0.0]]))["a"]
    assert blended[0].tolist() == [[2, 0], [0, 2]] and torch.equal(blended[1], torch.eye(2))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_pictures_have_finite_losses_and_gradients(value):
    features = torch.full((1, 2, 4, 4), value, requires_grad=True)
    loss = style_loss({"a": gram(features)}, {"a": torch.zeros(1, 2, 2)}) + content_loss(
        features, torch.zeros(1, 2, 4, 4)
    )
    loss.sum().backward()
    assert torch.isfinite(features.grad).all()


def test_absolute_errors_are_mean_squares_whatever_the_target():
    value, target = torch.tensor([[1.0, 2.0], [5.0, 5.0]]), torch.tensor([[0.0, 0.0], [5.0, 1.0]])
    assert absolute_error(value, target).tolist() == [2.5, 8.0]
    grams = {"a": torch.full((1, 2, 2), 3.0), "b": torch.ones(1, 3, 3)}
    targets = {"a": torch.ones(1, 2, 2), "b": torch.zeros(1, 3, 3)}
    assert style_loss(grams, targets, absolute_error).item() == 4 + 1
    assert content_loss(value, target, absolute_error).tolist() == [2.5, 8.0]
