"""Paint with ONNX Runtime and NumPy, at several scales.

python examples/onnx_loop.py multistyle.onnx IN OUT MIX [STROKE]

Write the file with `multistyle export multistyle.onnx`. Needs numpy, onnxruntime and pillow; neither PyTorch nor
multistyle. MIX and STROKE are as in `multistyle stylize`. multistyle/strokes.py explains the method.
"""

import json
import sys

import numpy as np
from PIL import Image, ImageOps

LONGEST = 800  # px; a picture of at most this size is painted in one pass
QUARTER = np.array([-0.03515625, 0.26171875, 0.87890625, -0.10546875], np.float32)  # bicubic, a quarter of a pixel off


def paint(session, photo, blend, stroke=1.0):
    """photo: float32 (1, 3, H, W), sRGB in [0, 1]; blend: float32 (1, S), summing to 1; stroke: 0 is one pass."""
    share = blend[0, 0]  # of photo
    if stroke == 0 or share == 1:
        return session.run(None, {"picture": photo, "blend": blend})[0]
    depth = np.log2(max(photo.shape[2:]) * stroke / LONGEST)
    return share * photo + (1 - share) * paint_scales(session, photo, blend, depth)


def paint_scales(session, photo, blend, depth):
    if depth <= 0:
        return network(session, photo, blend)
    start = double(paint_scales(session, halve(photo), blend, depth - 1), *photo.shape[2:])
    own = np.float32(max(0, 1 - depth))  # how much this level is as one pass would paint it
    share = 0.8 + 0.2 * own
    source = start + (0.5 + 0.5 * own) * (photo - start)
    finer = share * blend + (1 - share) * np.eye(1, blend.shape[1], dtype=np.float32)  # the rest is photo's
    painted = source + share * (network(session, source, finer) - source)
    fused = painted + start - double(halve(painted), *photo.shape[2:])
    return np.clip(fused + own * (painted - fused), 0, 1)


def network(session, picture, blend):
    """The painting without photo's share, which the file has added."""
    (painted,) = session.run(None, {"picture": picture, "blend": blend})
    return (painted - blend[0, 0] * picture) / (1 - blend[0, 0])


def halve(x):
    """Means of 2 x 2 pixels."""
    x = np.pad(x, [(0, 0), (0, 0), (0, x.shape[2] % 2), (0, x.shape[3] % 2)], "edge")
    x = (x[:, :, ::2] + x[:, :, 1::2]) / 2
    return (x[..., ::2] + x[..., 1::2]) / 2


def double(x, height, width):
    """Twice the size, bicubic, cut to height x width."""
    for _ in range(2):  # rows, then columns
        padded = np.pad(x, [(0, 0), (0, 0), (2, 2), (0, 0)], "edge")
        taps = [padded[:, :, n : n + x.shape[2]] for n in range(5)]
        pairs = [sum(map(np.multiply, QUARTER, taps[:4])), sum(map(np.multiply, QUARTER[::-1], taps[1:]))]
        x = np.stack(pairs, 3).reshape(*x.shape[:2], -1, x.shape[3]).swapaxes(2, 3)
    return x[:, :, :height, :width].clip(0, 1)


def blend_of(mix, names):
    """starry=0.7,scream=0.3 -> (1, S)."""
    parts = [part.partition("=") for part in mix.split(",")]
    weights = {name.strip(): float(number or 1) for name, _, number in parts}
    if unknown := weights.keys() - set(names):
        sys.exit(f"unknown styles: {', '.join(unknown)}; known: {', '.join(names)}")
    blend = np.array([[weights.get(name, 0) for name in names]], np.float32)
    return blend / blend.sum()


def main(file, source, target, mix, stroke="1"):
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [style["name"] for style in json.loads(session.get_modelmeta().custom_metadata_map["catalogue"])]
    stroke = {"auto": 1.0, "off": 0.0}.get(stroke) if stroke in ("auto", "off") else float(stroke)
    picture = ImageOps.exif_transpose(Image.open(source)).convert("RGB")
    photo = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255
    painted = paint(session, photo, blend_of(mix, names), stroke)
    Image.fromarray((painted[0].transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(target)


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:])
