"""The shipped file's pixels, within one grey level, on 64 x 64 px in every style and one blend.

After a change of the weights that is meant: REFRESH_GOLDEN=1 pytest tests/test_golden.py
"""

import os
from pathlib import Path

import torch

from multistyle.image import read_image, write_image
from multistyle.stylizer import load_stylizer

GOLDEN = Path(__file__).parent / "assets" / "golden.png"


def test_the_shipped_file_paints_the_pixels_it_painted(sample):
    photo = read_image(sample)[:, 80:144, 100:164]
    stylizer = load_stylizer(device="cpu", precision="float32")
    painted = torch.cat([stylizer(photo, mix) for mix in (*stylizer.names, "starry=0.7,scream=0.3")], dim=2)
    if os.environ.get("REFRESH_GOLDEN"):
        write_image(GOLDEN, painted)
    golden = read_image(GOLDEN)
    assert golden.shape == painted.shape
    levels = ((painted - golden).abs() * 255).round().long().flatten().bincount(minlength=3)
    assert levels[2:].sum() == 0, f"pixels by grey levels off: {levels.tolist()}"
