"""Print the peak memory of one pass of the shipped network, in bytes a pixel for each channel of full size."""

import torch

from benchmarks.parts.memory import added_memory
from multistyle.stylizer import load_stylizer

SIDE = 1200  # px

stylizer = load_stylizer(device="cpu")
stylizer(torch.rand(3, 64, 64))
photo = torch.rand(3, SIDE, SIDE)
print(added_memory(lambda: stylizer(photo), stylizer.device) / SIDE**2 / stylizer.one_pass.network.config.widths[0])
