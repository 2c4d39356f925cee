import os

import pytest
import torch
import torch.nn.functional as F
from comparing import relative_distance
from safetensors.torch import save_file
from torch import nn

from train.losses.loss_network import BLOCKS, CAFFE, TORCHVISIONS, FeatureError, load_loss_network


@pytest.fixture
def caffe(tmp_path, random_vgg):
    tensors = random_vgg((4, 6), (2, 1))
    save_file(tensors, tmp_path / "caffe.safetensors")
    return tmp_path / "caffe.safetensors", tensors


@pytest.fixture
def slim(tmp_path, random_vgg):
    tensors = random_vgg((3, 4, 5, 6, 7))
    tensors["conv4_1.to_vgg19.weight"], tensors["conv4_1.to_vgg19.bias"] = torch.randn(9, 6, 1, 1), torch.zeros(9)
    save_file(tensors, tmp_path / "slim.safetensors")
    return tmp_path / "slim.safetensors", tensors


def test_caffe_weights_see_bytes_less_the_mean_with_zero_padding(caffe):
    file, tensors = caffe
    image = torch.rand(1, 3, 16, 16)
    x = image * 255 - torch.tensor([123.68, 116.779, 103.939]).view(3, 1, 1)
    expected = F.relu(F.conv2d(x, tensors["conv1_1.weight"], tensors["conv1_1.bias"], padding=1))
    got = load_loss_network([file])(image, ["relu1_1"])["relu1_1"]
    assert relative_distance(got, expected) < 1e-5
    assert CAFFE[1] == (1 / 255,) * 3


def test_slim_weights_see_the_image_with_reflection_and_their_maps(slim):
    file, tensors = slim
    image = torch.rand(1, 3, 32, 32)
    network = load_loss_network([file])
    x = F.pad(image, (1,) * 4, mode="reflect")
    expected = F.relu(F.conv2d(x, tensors["conv1_1.weight"], tensors["conv1_1.bias"]))
    found = network(image, ["relu1_1", "relu4_1", "relu5_1"])
    assert relative_distance(found["relu1_1"], expected) < 1e-5
    assert {layer: tuple(value.shape[1:]) for layer, value in found.items()} == {
        "relu1_1": (3, 32, 32),
        "relu4_1": (9, 4, 4),
        "relu5_1": (7, 2, 2),
    }


def test_a_layer_comes_from_the_first_file_that_has_it(caffe, slim):
    network = load_loss_network([caffe[0], slim[0]])
    found = network(torch.rand(1, 3, 32, 32), ["relu2_1", "relu3_1"])
    assert found["relu2_1"].shape[1] == 6 and found["relu3_1"].shape[1] == 5


@pytest.mark.parametrize(
    "architecture, ends",  # indices after the ReLU, as torchvision counts
    [("vgg19", {"relu3_1": 12, "relu5_1": 30}), ("vgg16", {"relu2_2": 9, "relu3_3": 16, "relu5_3": 30})],
)
def test_torchvisions_names_are_the_papers_names(tmp_path, monkeypatch, architecture, ends):
    from torchvision import models

    monkeypatch.setattr(models.VGG, "__init__", thin_vgg)
    model = getattr(models, architecture)(weights=None).eval()
    save_file(model.state_dict(), tmp_path / "tv.safetensors")
    image = torch.rand(1, 3, 32, 32)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in TORCHVISIONS[architecture])
    found = load_loss_network([tmp_path / "tv.safetensors"], architecture)(image, list(ends))
    with torch.no_grad():
        for layer, end in ends.items():
            assert relative_distance(found[layer], model.features[:end]((image - mean) / deviation)) < 1e-5
    other = {"vgg19": "vgg16", "vgg16": "vgg19"}[architecture]
    with pytest.raises(FeatureError, match=f"does not have the layers of {other}; the recipe's loss_network"):
        load_loss_network([tmp_path / "tv.safetensors"], other)


def thin_vgg(self, features, **_):
    """A VGG of torchvision's without its classifier, every width divided by 16."""
    nn.Module.__init__(self)
    thin = {3: 3} | {width: width // 16 for width in (64, 128, 256, 512)}
    layers = [
        nn.Conv2d(thin[layer.in_channels], thin[layer.out_channels], 3, padding=1)
        if isinstance(layer, nn.Conv2d)
        else layer
        for layer in features
    ]
    self.features = nn.Sequential(*layers)


def test_a_file_of_another_architecture_is_refused_whatever_its_form(tmp_path, random_vgg):
    save_file(random_vgg((2, 2, 2, 2), BLOCKS["vgg16"]), tmp_path / "caffe16.safetensors")
    load_loss_network([tmp_path / "caffe16.safetensors"], "vgg16").require(["relu4_3"])
    with pytest.raises(FeatureError, match="does not have the layers of vgg19"):
        load_loss_network([tmp_path / "caffe16.safetensors"], "vgg19")


def test_average_pooling_takes_means_where_max_pooling_takes_the_largest(caffe):
    file, tensors = caffe
    image = torch.rand(1, 3, 16, 16)
    for pooling, pool in {"max": F.max_pool2d, "average": F.avg_pool2d}.items():
        found = load_loss_network([file], pooling=pooling)(image, ["relu1_2", "relu2_1"])
        below = pool(found["relu1_2"], 2)
        expected = F.relu(F.conv2d(below, tensors["conv2_1.weight"], tensors["conv2_1.bias"], padding=1))
        assert relative_distance(found["relu2_1"], expected) < 1e-5


def test_gradients_reach_the_image_and_not_the_network(slim):
    network = load_loss_network([slim[0]])
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    network(image, ["relu5_1"])["relu5_1"].sum().backward()
    assert image.grad.abs().sum() > 0
    assert not list(network.parameters())


def test_what_is_no_loss_network_is_named(tmp_path, caffe):
    with pytest.raises(FeatureError, match="no layer relu5_1; it has relu1_1, relu1_2, relu2_1"):
        load_loss_network([caffe[0]]).require(["relu5_1"])
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(FeatureError, match="is not a loss network"):
        load_loss_network([tmp_path / "x.safetensors"])
    (tmp_path / "text.safetensors").write_text("no")
    for name, message in {"text": "cannot read the loss network", "missing": "No such file"}.items():
        with pytest.raises(FeatureError, match=message):
            load_loss_network([tmp_path / f"{name}.safetensors"])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"conv1_1.bias": None}, "it lacks conv1_1.bias"),
        ({"conv2_1.bias": torch.zeros(7)}, "conv2_1 should have 6 biases"),
        ({"conv2_1.bias": torch.zeros(6, 1)}, "conv2_1 should have 6 biases"),
        ({"conv1_2.weight": torch.zeros(4, 5, 3, 3)}, r"conv1_2 should have the shape \(channels, 4, 3, 3\)"),
        ({"conv1_1.weight": torch.zeros(4, 1, 3, 3)}, r"the shape \(channels, 3, 3, 3\), not \(4, 1, 3, 3\)"),
        ({"conv1_1.weight": torch.zeros(4, 3, 5, 5)}, "should have the shape"),
        ({"conv1_1.weight": torch.zeros(27)}, "should have the shape"),
        ({"conv1_1.weight": torch.zeros(0, 3, 3, 3)}, "should have the shape"),
        ({"conv1_1.weight": torch.full((4, 3, 3, 3), float("nan"))}, "conv1_1.weight holds other values than finite"),
        ({"conv1_1.bias": torch.zeros(4, dtype=torch.int32)}, "conv1_1.bias holds other values"),
        ({"conv1_1.to_vgg19.weight": torch.zeros(9, 4, 1, 1)}, "it lacks conv1_1.to_vgg19.bias"),
        ({"conv1_1.to_vgg19.bias": torch.zeros(9)}, "it lacks conv1_1.to_vgg19.weight"),
        ({"conv1_1.to_vgg19.weight": torch.zeros(9, 3, 1, 1), "conv1_1.to_vgg19.bias": torch.zeros(9)}, "4, 1, 1"),
        ({"conv5_1.to_vgg19.weight": torch.zeros(9, 4, 1, 1)}, "without its layer"),
    ],
)
def test_damaged_loss_networks_are_refused_when_they_are_read(caffe, changes, message):
    file, tensors = caffe
    save_file({key: value for key, value in {**tensors, **changes}.items() if value is not None}, file)
    with pytest.raises(FeatureError, match=message) as raised:
        load_loss_network([file])
    assert str(file) in str(raised.value) and "\n" not in str(raised.value)


def test_a_loss_network_that_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FeatureError, match="pipe or a device"):
        load_loss_network([tmp_path / "pipe"])
