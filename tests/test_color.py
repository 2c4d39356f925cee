import pytest
import torch
from comparing import relative_distance

from multistyle.color import from_oklab, luminance, to_oklab
from multistyle.painting import keep_colors


def test_oklab_of_known_colours():
    """Ottosson's published values: white is (1, 0, 0), and sRGB red is about (0.628, 0.225, 0.126)."""
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]).T[:, None]
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.6280, 0.2249, 0.1258]]).T[:, None]
    assert relative_distance(to_oklab(colours), expected) < 1e-3


def test_there_and_back():
    image = torch.rand(3, 16, 16)
    assert relative_distance(from_oklab(to_oklab(image)), image) < 1e-4
    assert relative_distance(keep_colors(image, image), image) < 1e-4


def test_lightness_is_the_paintings_and_hue_the_photos():
    painting, photo = 0.3 + 0.4 * torch.rand(3, 16, 16), 0.3 + 0.4 * torch.rand(3, 16, 16)
    kept, of_photo = to_oklab(keep_colors(painting, photo)), to_oklab(photo)
    assert relative_distance(kept[0], to_oklab(painting)[0]) < 2e-3
    cosine = torch.cosine_similarity(kept[1:], of_photo[1:], dim=0)
    assert (cosine[of_photo[1:].norm(dim=0) > 0.02] > 0.99).all()
    assert (kept[1:].norm(dim=0) <= of_photo[1:].norm(dim=0) + 2e-3).all()


def test_a_grey_photo_stays_grey_and_black_and_white_hold_no_chroma():
    grey = torch.rand(1, 8, 8).expand(3, -1, -1)
    kept = keep_colors(torch.rand(3, 8, 8), grey)
    assert (kept.amax(0) - kept.amin(0)).max() < 2e-3
    for shade in (0.0, 1.0):
        flat = keep_colors(torch.full((3, 8, 8), shade), torch.rand(3, 8, 8))
        torch.testing.assert_close(flat, torch.full((3, 8, 8), shade), atol=0.02, rtol=0)


def test_luminance_of_grey_is_the_grey():
    assert luminance(torch.full((3, 2, 2), 0.4)).flatten().tolist() == pytest.approx([0.4] * 4)
