import subprocess
import sys
from pathlib import Path

from benchmarks.tiling import enlarge
from multistyle.image import read_image

ROOT = Path(__file__).parents[1]


def test_enlarged_photos_have_the_pixels_asked_for(sample, tmp_path):
    pixels = enlarge(sample, 0.5, tmp_path / "a.png")
    assert abs(pixels - 500_000) < 2000
    assert read_image(tmp_path / "a.png")[0].numel() == pixels


def test_the_tiling_benchmark_prints_a_row_for_each_size(sample, weight_file):
    command = [
        sys.executable,
        "-m",
        "benchmarks.tiling",
        str(sample),
        "--megapixels",
        "0.1,0.2",
        "--weights",
        str(weight_file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    rows = done.stdout.splitlines()
    assert done.returncode == 0 and len(rows) == 3 and "1.00x" in rows[1], done.stderr
