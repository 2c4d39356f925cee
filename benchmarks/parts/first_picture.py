"""The program whose start is timed: python -m benchmarks.parts.first_picture WEIGHTS DEVICE PRECISION

Loads a weight file, paints one picture of 512 px, and prints the seconds of each step as JSON.
"""

import json
import sys
import time


def main(weights: str, device: str, precision: str) -> None:
    times = [time.perf_counter()]
    import torch

    times.append(time.perf_counter())
    from multistyle.stylizer import load_stylizer

    times.append(time.perf_counter())
    stylizer = load_stylizer(weights, device, precision)
    times.append(time.perf_counter())
    stylizer(torch.rand(3, 512, 512)).cpu()
    times.append(time.perf_counter())

    from multistyle.messages import tell

    steps = ("torch", "multistyle", "weights", "first picture")
    tell(json.dumps({step: after - before for step, before, after in zip(steps, times, times[1:])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
