from dataclasses import replace

import pytest
import torch
from comparing import relative_distance
from conftest import TINY

from multistyle.network import StyleNetwork
from train.normalization import instance_norm
from train.training_network import training_network


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_paintings_and_gradients_are_those_of_the_plain_network(upsampling):
    plain = StyleNetwork(replace(TINY, upsampling=upsampling), 4).double()
    for parameter in plain.parameters():
        parameter.data = torch.randn_like(parameter)
    fast = training_network(plain.config, 4).double()
    fast.load_state_dict(plain.state_dict())
    photos, blend = torch.rand(2, 3, 36, 24).double(), torch.rand(2, 4).double().softmax(1)
    expected, found = plain(photos, blend), fast(photos, blend, instance_norm)
    assert relative_distance(found, expected) < 1e-5
    weights = torch.randn_like(found)
    ours = torch.autograd.grad((found * weights).sum(), list(fast.parameters()))
    theirs = torch.autograd.grad((expected * weights).sum(), list(plain.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        assert relative_distance(one, other) < 1e-4


def test_its_parameters_are_those_of_the_plain_network():
    fast, plain = training_network(TINY, 3), StyleNetwork(TINY, 3)
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert all(parameter.requires_grad for parameter in fast.parameters())
