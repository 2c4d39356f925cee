"""RandomStyle: what it paints, what it leaves alone, and that its draws can be repeated."""

import copy
import os
import pickle

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

import multistyle
from benchmarks import augmentation
from multistyle import RandomStyle
from multistyle.errors import ImageError, MultistyleError
from multistyle.stylizer import load_stylizer


@pytest.fixture
def style(weight_file):
    """A function that makes a transform with the tiny model; it paints every image unless `p` says otherwise."""
    return lambda **options: RandomStyle(**{"p": 1.0, "weights": weight_file} | options)


def grey_levels(a, b) -> float:
    return float((a.float() - b.float()).abs().max()) * (1 if a.dtype == torch.uint8 else 255)


def test_images_are_painted_and_everything_else_is_untouched(style):
    sample = {
        "image": tv_tensors.Image(torch.rand(3, 20, 30)),
        "boxes": tv_tensors.BoundingBoxes([[1, 2, 9, 9]], format="XYXY", canvas_size=(20, 30)),
        "mask": tv_tensors.Mask(torch.ones(1, 20, 30, dtype=torch.uint8)),
        "label": torch.tensor(3),
        "weight": torch.rand(3, 20, 30),
        "name": "a.jpg",
    }
    painted = style()(sample)
    assert isinstance(painted["image"], tv_tensors.Image) and painted["image"].shape == (3, 20, 30)
    assert not torch.equal(painted["image"], sample["image"])
    assert all(painted[key] is sample[key] for key in sample if key != "image")
    image, label = style()(sample["image"], sample["label"])
    assert label is sample["label"] and not torch.equal(image, sample["image"])


def test_it_paints_what_the_stylizer_paints(style, weight_file):
    photo, stylizer = torch.rand(3, 20, 30), load_stylizer(weight_file, "cpu")
    painted = style(styles=["wave"], strength=0.7)(photo)
    assert grey_levels(painted, stylizer(photo, "wave", 0.7)) < 0.01


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_keep_their_dtype_and_agree(style, dtype):
    pixels = torch.randint(256, (3, 20, 30), dtype=torch.uint8)
    image = pixels if dtype == torch.uint8 else (pixels.double() / 255).to(dtype)
    torch.manual_seed(1)
    painted = style()(image)
    torch.manual_seed(1)
    expected = style()(pixels.float() / 255)
    assert painted.dtype == dtype
    found = painted.float() / (255 if dtype == torch.uint8 else 1)
    assert (found - expected).norm() / expected.norm() < 0.02


def test_a_pil_image_is_painted_as_its_pixels(style):
    pixels = torch.randint(256, (3, 20, 30), dtype=torch.uint8)
    torch.manual_seed(1)
    painted = style()(F.to_pil_image(pixels))
    torch.manual_seed(1)
    assert isinstance(painted, Image.Image) and painted.mode == "RGB"
    assert torch.equal(F.pil_to_tensor(painted), style()(pixels))


def test_each_image_of_a_batch_has_its_own_mix(style, weight_file):
    photo = torch.rand(3, 16, 24)
    batch = photo.expand(8, -1, -1, -1)
    random_style = style(mixed=2)
    painted = random_style(batch)
    assert len({tuple(image.flatten().tolist()) for image in painted}) == 8
    torch.manual_seed(1)
    params = random_style.make_params([batch])
    assert ((params["blends"][:, 1:] > 0).sum(1) <= 2).all() and torch.allclose(params["blends"].sum(1), torch.ones(8))
    painted = random_style.transform(batch, params)
    stylizer = load_stylizer(weight_file, "cpu")
    for image, blend in zip(painted, params["blends"]):
        assert grey_levels(image, stylizer(photo, blend)) < 0.1
    grid = random_style.transform(batch.reshape(2, 4, 3, 16, 24), params)
    assert torch.equal(grid.reshape(8, 3, 16, 24), painted)


def test_frames_of_a_video_and_images_side_by_side_have_one_mix(style):
    photo = torch.rand(3, 16, 24)
    video = tv_tensors.Video(photo.expand(2, 3, 3, 16, 24))
    painted = style()(video)
    assert isinstance(painted, tv_tensors.Video) and painted.shape == video.shape
    for clip in painted:
        assert grey_levels(clip, clip[:1].expand_as(clip)) < 0.01
    assert grey_levels(painted[0], painted[1]) > 1
    left, right = style()((tv_tensors.Image(photo), tv_tensors.Image(photo)))
    assert torch.equal(left, right)


def test_as_many_are_painted_as_p_says_and_the_others_are_the_same_bits(style):
    batch = torch.rand(400, 3, 4, 4)
    painted = style(p=0.3)(batch)
    changed = (painted != batch).flatten(1).any(1)
    assert 80 <= int(changed.sum()) <= 160
    assert style(p=0)(batch) is batch
    assert torch.equal(style(strength=0)(batch), batch)


def test_strengths_fill_their_range_and_styles_are_those_asked_for(style):
    params = style(styles=["starry", "wave"], strength=(0.2, 0.6)).make_params([torch.rand(300, 3, 4, 4)])
    strengths = 1 - params["blends"][:, 0]
    assert 0.19 < strengths.min() < 0.23 and 0.57 < strengths.max() < 0.61
    assert (params["blends"][:, 2] == 0).all() and (params["blends"][:, [1, 3]].mean(0) > 0.1).all()


def test_size_is_that_of_painting_and_the_result_has_the_size_of_the_image(style, weight_file):
    photo = torch.rand(3, 20, 30)
    painted = style(size=60, styles=["wave"], strength=1)(photo)
    assert painted.shape == photo.shape
    large = multistyle.resize_image(photo, 60)
    expected = multistyle.resize_image(load_stylizer(weight_file, "cpu")(large, "wave"), 30)
    assert grey_levels(painted, expected) < 0.01


def test_draws_follow_the_global_seed_or_the_generator(style):
    batch = torch.rand(4, 3, 8, 8)
    for options in (lambda: {}, lambda: {"generator": torch.Generator().manual_seed(5)}):
        torch.manual_seed(1)
        first = style(**options())(batch)
        torch.manual_seed(1)
        again = style(**options())
        assert torch.equal(again(batch), first) and not torch.equal(again(batch), first)
    torch.manual_seed(2)
    other = style(generator=torch.Generator().manual_seed(5))(batch)
    assert torch.equal(other, first), "the global seed does not matter if there is a generator"


def test_a_batch_can_be_trained_on_and_asks_for_no_gradients_itself(style):
    layer = torch.nn.Conv2d(3, 2, 3)
    painted = style(p=0.5)(torch.rand(8, 3, 8, 8, requires_grad=True))
    layer(painted).sum().backward()
    assert layer.weight.grad.abs().sum() > 0 and not painted.requires_grad


def test_a_copy_draws_the_same_and_carries_no_network(style):
    random_style, batch = style(generator=torch.Generator().manual_seed(5)), torch.rand(2, 3, 16, 16)
    fresh = len(pickle.dumps(random_style))
    random_style(batch)
    assert len(pickle.dumps(random_style)) < fresh + 100 < 20_000
    assert not random_style.state_dict() and not list(random_style.parameters())
    for other in (pickle.loads(pickle.dumps(random_style)), copy.deepcopy(random_style)):
        state = random_style.generator.get_state()
        assert torch.equal(other(batch), random_style(batch))
        random_style.generator.set_state(state)


class Photos(Dataset):
    """The same photo many times."""

    def __init__(self, transform) -> None:
        self.photo, self.transform = torch.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8), transform

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int):
        return self.transform(self.photo), index


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def paintings(transform, workers: int, context: str) -> torch.Tensor:
    """One epoch."""
    loader = DataLoader(Photos(transform), 2, num_workers=workers, multiprocessing_context=context)
    return torch.cat([images for images, _ in loader])


@needs_fork
@pytest.mark.parametrize("seeded", [False, True], ids=["global", "generator"])
def test_workers_draw_different_mixes_which_can_be_repeated(style, seeded):
    def epochs(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        transform = style(generator=torch.Generator().manual_seed(3) if seeded else None)
        return torch.cat([paintings(transform, 2, "fork") for _ in range(2)])

    first = epochs(1)
    assert len({tuple(image.flatten().tolist()) for image in first}) == 16, "workers or epochs draw the same mixes"
    assert torch.equal(epochs(1), first) and not torch.equal(epochs(2), first)


@needs_fork
def test_workers_may_be_spawned(style):
    transform = v2.Compose([style(generator=torch.Generator().manual_seed(3)), v2.ToDtype(torch.float32)])
    torch.manual_seed(1)
    spawned = paintings(transform, 1, "spawn")
    torch.manual_seed(1)
    forked = paintings(transform, 1, "fork")
    assert (spawned - forked).norm() / forked.norm() < 1e-4


@pytest.mark.parametrize(
    "options, message",
    [
        ({"p": 1.5}, "p is a probability between 0 and 1, not 1.5"),
        ({"p": "often"}, "p is a probability"),
        ({"styles": ["stary"]}, "unknown style 'stary'; did you mean starry?"),
        ({"styles": ["photo"]}, "unknown style 'photo'"),
        ({"styles": "starry"}, "styles is a list of names"),
        ({"styles": []}, "styles is a list of names"),
        ({"mixed": 0}, "mixed is a number of styles, at least 1"),
        ({"strength": (0.8, 0.2)}, "a range of strengths is"),
        ({"strength": (0.8, 1.2)}, "between 0 and 1, not 1.2"),
        ({"strength": (0.1, 0.2, 0.3)}, "a range (low, high)"),
        ({"size": 0}, "at least 1 pixel"),
        ({"weights": "none.safetensors"}, "cannot read none.safetensors"),
    ],
)
def test_wrong_arguments_are_found_at_once(style, options, message):
    with pytest.raises(MultistyleError) as caught:
        style(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "image, message",
    [
        (Image.new("L", (8, 8)), "mode RGB, not L; put v2.RGB() before it"),
        (torch.rand(1, 8, 8), "(..., 3, H, W), not (1, 8, 8)"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "not torch.int64"),
    ],
)
def test_other_images_are_refused_whether_they_would_be_painted_or_not(style, image, message):
    with pytest.raises(ImageError) as caught:
        style(p=0)(image)
    assert message in str(caught.value)


def test_normalized_images_are_refused(style):
    with pytest.raises(ImageError, match="in \\[0, 1\\]; got values from"):
        style()(torch.randn(3, 8, 8))


def test_the_benchmark_prints_a_ratio_for_each_loader(weight_file, invoke, monkeypatch):
    monkeypatch.setattr("benchmarks.parts.turns.TURNS", 2)
    done = invoke(augmentation.main, "--count", 2, "--batch", 2, "--workers", 0, "--weights", weight_file)
    assert done.exit_code == 0, done.exception
    rows = [line.rsplit(maxsplit=1) for line in done.stdout.splitlines()]
    assert (
        rows[0] == ["plain loading", "1.00"]
        and [name.split(",")[0] for name, _ in rows[1:]] == ["p=0.5"] * 2 + ["p=1"] * 2
    )
    assert all(float(ratio) > 0 for _, ratio in rows)
