import pytest
import torch
from comparing import relative_distance

from multistyle.errors import BlendError, DeviceError, ImageError, MultistyleError
from multistyle.stylizer import Stylizer, load_stylizer
from multistyle.video.steady import Steady


def test_painters_are_all_styles_but_photo(stylizer, model):
    assert stylizer.painters == model.painters == ["starry", "scream", "wave"]


def test_every_way_to_say_a_blend_paints_the_same(stylizer):
    photo = torch.rand(3, 14, 18)
    painted = stylizer(photo, "starry=7,scream=3")
    assert painted.shape == photo.shape and painted.dtype == torch.float32
    for blend in ({"starry": 0.7, "scream": 0.3}, [0, 0.7, 0.3, 0], torch.tensor([0, 7.0, 3.0, 0])):
        assert relative_distance(stylizer(photo, blend), painted) < 1e-4


def test_one_photo_in_many_blends_and_many_photos_in_one(stylizer):
    photos, blends = torch.rand(3, 3, 12, 16), torch.eye(4)[1:]
    each = stylizer(photos, blends)
    for photo, blend, painted in zip(photos, blends, each):
        assert relative_distance(stylizer(photo, blend), painted) < 1e-4
    assert relative_distance(stylizer(photos[0], blends)[0], each[0]) < 1e-4
    assert relative_distance(stylizer(photos, "wave")[2], each[2]) < 1e-4
    assert stylizer(photos[:1], "wave").shape == (1, 3, 12, 16)
    with pytest.raises(MultistyleError, match="3 photos do not go with 2 blends"):
        stylizer(photos, blends[:2])


def test_no_blend_is_the_first_painter(stylizer):
    photo = torch.rand(3, 12, 12)
    assert torch.equal(stylizer(photo), stylizer(photo, "starry"))


def test_strength_and_photo(stylizer):
    photo = torch.rand(3, 12, 12)
    assert torch.equal(stylizer(photo, "photo"), photo)
    assert torch.equal(stylizer(photo, "starry", strength=0), photo)
    assert relative_distance(stylizer(photo, "starry", strength=0.25), stylizer(photo, "photo=3,starry=1")) < 1e-4


def test_the_result_is_in_range_even_where_rounding_is_not(stylizer):
    painted = stylizer(torch.ones(3, 32, 32), torch.rand(64, 4))
    assert painted.min() >= 0 and painted.max() <= 1


def test_interpolation_goes_from_one_blend_to_the_other(stylizer):
    photo = torch.rand(3, 12, 12)
    pictures = list(stylizer.interpolate(photo, "starry", "photo", 5))
    assert len(pictures) == 5
    assert relative_distance(pictures[0], stylizer(photo, "starry")) < 1e-4
    assert relative_distance(pictures[1], stylizer(photo, "starry=0.75,photo=0.25")) < 1e-4
    assert torch.equal(pictures[4], photo)
    assert len(list(stylizer.interpolate(photo, "starry", "wave", 1))) == 1
    with pytest.raises(MultistyleError, match="at least 1 step"):
        stylizer.interpolate(photo, "starry", "wave", 0)
    with pytest.raises(BlendError):
        stylizer.interpolate(photo, "starry", "wav", 2)


def test_catalogue(stylizer):
    assert [style.name for style in stylizer.styles] == stylizer.names == ["photo", "starry", "scream", "wave"]
    assert stylizer.styles[1].artist == "Vincent van Gogh"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precisions_run_and_return_float32(model, precision):
    photo = torch.rand(3, 24, 24)
    painted = Stylizer(model, "cpu", precision)(photo, "wave")
    assert painted.dtype == torch.float32
    assert (painted - Stylizer(model, "cpu")(photo, "wave")).abs().mean() < 0.02


def test_photos_that_are_none_are_refused(stylizer):
    with pytest.raises(ImageError, match=r"got values from 0 to 255"):
        stylizer(torch.tensor([0.0, 255.0]).expand(3, 4, 2))
    with pytest.raises(ImageError, match="got shape"):
        stylizer(torch.rand(1, 8, 8))


def test_devices_and_precisions_that_are_not_there_are_found_before_any_file_is_read(tmp_path):
    missing = tmp_path / "missing.safetensors"
    for device in ("cuda:99", "tpu", "meta", "cpu:1"):
        with pytest.raises(DeviceError, match="auto"):
            load_stylizer(missing, device)
    with pytest.raises(DeviceError, match="float32, bfloat16, float16"):
        load_stylizer(missing, "cpu", "int8")


def test_a_picture_beyond_memory_is_one_line(stylizer, monkeypatch):
    def out_of_memory(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...\nlong advice")

    monkeypatch.setattr(stylizer.one_pass.fast, "forward", out_of_memory)
    with pytest.raises(MultistyleError, match="16 x 8 px do not fit in the memory of cpu"):
        stylizer(torch.rand(3, 8, 16))


def test_a_constant_field_equals_the_plain_blend_bit_for_bit(stylizer):
    photo, blend = torch.rand(3, 14, 18), torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert torch.equal(stylizer(photo, blend[:, None, None].expand(-1, 5, 7)), stylizer(photo, blend))


def test_a_field_of_another_size_is_fitted(stylizer):
    photo, field = torch.rand(3, 16, 32), torch.zeros(4, 4, 8)
    field[1, :, :4], field[0, :, 4:] = 1, 1
    painted = stylizer(photo, field)
    assert torch.equal(painted[..., 24:], photo[..., 24:]), "photo's part is the photo"
    assert (painted[..., :8] - photo[..., :8]).abs().mean() > 0.02


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_sent_arrives_whole_and_in_order(model, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    stylizer = Stylizer(model, device)
    for _ in range(3):
        photos = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)
        sent = stylizer.one_pass.send(photos)
        assert sent.device.type == device and sent.dtype == torch.uint8
        painted = stylizer(sent / 255, "starry")
        assert torch.equal(sent.cpu(), photos)
        assert torch.equal(painted.cpu(), stylizer(photos / 255, "starry"))


def test_paintings_are_ordinary_tensors(stylizer):
    """They can be changed in place, and a network can learn from them."""
    photo, layer = torch.rand(3, 16, 16), torch.nn.Conv2d(3, 1, 3)
    for painted in (stylizer(photo), stylizer.paint(photo), stylizer.paint(photo, strips=64), Steady(stylizer)(photo)):
        layer(painted.mul_(0.5)[None]).sum().backward()
    assert layer.weight.grad is not None
