"""Photos and paintings for training, from folders and tar archives."""

from __future__ import annotations

import csv
import io
import itertools
import signal
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from multistyle.errors import ImageError, MultistyleError, suggestion
from multistyle.image import read_image, resize_image
from multistyle.messages import say
from multistyle.weights import Style

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
MEMORY = 4 << 30  # bytes of decoded photos that a process keeps
PIXELS = 1.5  # of a photo, over those of the square on its shorter side


class DataError(MultistyleError):
    """Photos or paintings that are not there or cannot be used."""


class Photos:
    """The pictures of folders (nested) and tar archives, decoded when asked for; `small` sets are kept, others are not.

    sources: folders and .tar files; size: shorter side (px) a photo is reduced to. A broken picture is named on
    standard error once and never asked for again. Raises `DataError` where there is no picture at all.
    """

    def __init__(self, sources: Sequence[Path], size: int) -> None:
        self.size = size
        self.entries = [entry for source in sources for entry in _list_pictures(Path(source))]
        if not self.entries:
            raise DataError(f"no pictures in {', '.join(map(str, sources))}; give a folder or a .tar of photos")
        self.small = len(self.entries) * 3 * PIXELS * size**2 <= MEMORY
        self._cache: dict[int, Tensor] = {}
        self._broken = torch.zeros(len(self.entries), dtype=torch.bool).share_memory_()  # one list for all workers

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Tensor:
        """Photo `index` as bytes, (3, H, W); a broken one is stood in for by the next that is whole."""
        for step in range(len(self)):
            photo = self._get((index + step) % len(self))
            if photo is not None:
                return photo
        raise DataError(f"none of the {len(self)} pictures can be read")

    def _get(self, index: int) -> Tensor | None:
        if index in self._cache:
            return self._cache[index]
        if self._broken[index]:
            return None
        try:
            photo = (fit_shorter(self._read(index), self.size) * 255).round().byte()
        except (ImageError, OSError) as error:
            self._broken[index] = True
            say(f"skipped: {error}")
            return None
        if self.small:
            self._cache[index] = photo
        return photo

    def _read(self, index: int) -> Tensor:
        path, offset, length, name = self.entries[index]
        if not length:
            return read_image(path)
        with path.open("rb") as archive:
            archive.seek(offset)
            member = io.BytesIO(archive.read(length))
        member.name = f"{path}/{name}"
        return read_image(member)


def _list_pictures(source: Path) -> Iterator[tuple[Path, int, int, str]]:
    """(file, offset, length, name) of each picture; length 0 means the whole file."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in PICTURES and path.is_file():
                yield path, 0, 0, path.name
        return
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                if member.isfile() and member.size and Path(member.name).suffix.lower() in PICTURES:
                    yield source, member.offset_data, member.size, member.name
    except OSError as error:
        raise DataError(f"cannot read the photos in {source}: {error.strerror or error}") from error
    except tarfile.TarError as error:
        raise DataError(f"{source} is neither a folder nor an uncompressed tar archive ({error})") from error


def fit_shorter(image: Tensor, size: int) -> Tensor:
    """`image` (3, H, W) reduced to a shorter side of `size` px; a smaller one stays as it is."""
    height, width = image.shape[1:]
    if min(height, width) <= size:
        return image
    return resize_image(image, round(max(height, width) * size / min(height, width)))


class Batches(Dataset):
    """Random crops of photos, the next batches prepared while one is used.

    Batch n depends on the seed and n alone, so a run that goes on later sees what it would have seen. A crop is a
    square of 1 to photo_size / crop times the size asked for, reduced to it, and mirrored half of the time; a photo
    smaller than the crop is enlarged. rows: which of a batch to prepare, all by default.
    """

    def __init__(self, photos: Photos, batch: int, crop: int, seed: int, rows: slice = slice(None)) -> None:
        self.photos, self.batch, self.crop, self.seed, self.rows = photos, batch, crop, seed, rows

    def __getitem__(self, step: int) -> Tensor:
        """Batch `step`, its `rows`: (B, 3, crop, crop), float32 in [0, 1]."""
        draws = torch.Generator().manual_seed(step_seed(self.seed, step, 0))
        indices = torch.randint(len(self.photos), (self.batch,), generator=draws).tolist()
        crops = [torch.rand(4, generator=draws).tolist() for _ in indices]
        chosen = list(zip(indices, crops))[self.rows]
        return torch.stack([self._crop(self.photos[index], *crop) for index, crop in chosen])

    def _crop(self, photo: Tensor, zoom: float, down: float, right: float, mirror: float) -> Tensor:
        height, width = photo.shape[1:]
        shorter = min(height, width)
        side = shorter if shorter <= self.crop else round(self.crop + zoom * (shorter - self.crop))
        top, left = int(down * (height - side + 1)), int(right * (width - side + 1))
        square = photo[:, top : top + side, left : left + side].float() / 255
        if side != self.crop:
            square = F.interpolate(square[None], (self.crop,) * 2, mode="bilinear", antialias=True)[0].clamp(0, 1)
        return square.flip(2) if mirror < 0.5 else square

    def from_step(self, step: int, workers: int = 0) -> Iterator[Tensor]:
        """Batches `step`, `step` + 1, ... without end, prepared ahead: one by a thread, or some by `workers`."""
        if workers:
            steps = itertools.count(step)
            yield from DataLoader(self, None, sampler=steps, num_workers=workers, worker_init_fn=_ignore_interrupts)
            return
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.__getitem__, step)
            while True:
                batch = ahead.result()
                step += 1
                ahead = pool.submit(self.__getitem__, step)
                yield batch


def _ignore_interrupts(worker: int) -> None:
    """Ctrl-C reaches the whole process group, and the step under way still needs its photos."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def step_seed(seed: int, step: int, purpose: int) -> int:
    """A seed for one step of a run and one purpose, 0 the photos, 1 all else; no two of a run share it."""
    return (seed * 1_000_003 + step) * 2 + purpose


def read_paintings(folder: Path, names: Sequence[str], size: int) -> tuple[list[Style], list[Tensor]]:
    """The paintings NAME.jpg (or another format) in `folder`, in the order of `names`, or all by name where empty.

    Each is reduced to a longer side of `size` px. Artist, title and year come from `folder`/catalogue.tsv where there
    is one (tab-separated, with a header naming at least the column `name`). Raises `DataError`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of paintings")
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES}
    if not files:
        raise DataError(f"no pictures in {folder}; give a folder of paintings, each named after its style")
    for name in names:
        if name not in files:
            raise DataError(f"no painting of {name!r} in {folder}; {suggestion(name, files)}")
    known = _read_catalogue(folder / "catalogue.tsv")
    names = list(names) or list(files)
    styles = [Style(name, **known.get(name, {})) for name in names]
    return styles, [read_painting(files[name], size) for name in names]


def read_painting(file: Path, size: int) -> Tensor:
    """The painting in `file`, (3, H, W), reduced to a longer side of `size` px. Raises `DataError` for a smaller one."""
    painting = read_image(file)
    longer = max(painting.shape[1:])
    if longer < size:
        raise DataError(f"{file}, {longer} px, is too small for a style_size of {size}; enlarge it or lower style_size")
    return resize_image(painting, size)


def _read_catalogue(file: Path) -> dict[str, dict[str, str]]:
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened, delimiter="\t"))
    return {row.get("name", ""): {key: row.get(key) or "" for key in ("title", "artist", "year")} for row in rows}
