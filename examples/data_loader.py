"""Train on pictures of which half are painted at random.

python examples/data_loader.py PHOTOS [WORKERS]

PHOTOS is a folder with a sub-folder for each class. On a GPU, batches are painted there; without one, the workers of
the loader paint. Writes the first batch to batch.png.
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.utils import save_image

from multistyle import RandomStyle

SIZE = 224  # px


def main(photos, workers="2"):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    style = RandomStyle(p=0.5)
    crop = [v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.ToImage()]
    transform = v2.Compose(crop if device == "cuda" else [*crop, style])  # v2.ToImage: tensors are the faster kind
    loader = DataLoader(ImageFolder(photos, transform), batch_size=32, shuffle=True, num_workers=int(workers))
    normalize = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.485, 0.456, 0.406], [0.23] * 3)])
    layers = [nn.Conv2d(3, 16, 7, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(16, len(loader.dataset.classes))).to(device)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step, (images, labels) in enumerate(loader):
        images = images.to(device)
        if device == "cuda":
            images = style(images)
        if step == 0:
            save_image(images.float() / 255, "batch.png")
        loss = nn.functional.cross_entropy(model(normalize(images)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step}: loss {loss:.3f}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
