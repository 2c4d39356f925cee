import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from train.features import CAFFE, IMAGENET, FeatureError, load_loss_network


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
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)
    assert CAFFE[1] == (1 / 255,) * 3


def test_slim_weights_see_the_image_with_reflection_and_their_maps(slim):
    file, tensors = slim
    image = torch.rand(1, 3, 32, 32)
    network = load_loss_network([file])
    x = F.pad(image, (1,) * 4, mode="reflect")
    expected = F.relu(F.conv2d(x, tensors["conv1_1.weight"], tensors["conv1_1.bias"]))
    found = network(image, ["relu1_1", "relu4_1", "relu5_1"])
    torch.testing.assert_close(found["relu1_1"], expected)
    assert {layer: tuple(value.shape[1:]) for layer, value in found.items()} == {
        "relu1_1": (3, 32, 32),
        "relu4_1": (9, 4, 4),
        "relu5_1": (7, 2, 2),
    }


def test_a_layer_comes_from_the_first_file_that_has_it(caffe, slim):
    network = load_loss_network([caffe[0], slim[0]])
    found = network(torch.rand(1, 3, 32, 32), ["relu2_1", "relu3_1"])
    assert found["relu2_1"].shape[1] == 6 and found["relu3_1"].shape[1] == 5


def test_torchvisions_names_are_the_papers_names(tmp_path):
    from torchvision.models import vgg19

    torch.manual_seed(0)
    model = vgg19(weights=None).eval()
    state = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("features.")}
    save_file(state, tmp_path / "tv.safetensors")
    image = torch.rand(1, 3, 32, 32)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    expected = {"relu3_1": 12, "relu5_1": 30}  # indices after the ReLU, as torchvision counts
    found = load_loss_network([tmp_path / "tv.safetensors"])(image, list(expected))
    with torch.no_grad():
        for layer, end in expected.items():
            torch.testing.assert_close(found[layer], model.features[:end]((image - mean) / deviation))


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
    with pytest.raises(FeatureError, match="is no loss network"):
        load_loss_network([tmp_path / "x.safetensors"])
    (tmp_path / "text.safetensors").write_text("no")
    for name in ("text.safetensors", "missing.safetensors"):
        with pytest.raises(FeatureError, match="cannot read the loss network"):
            load_loss_network([tmp_path / name])
