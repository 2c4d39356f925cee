"""Photos and paintings for training, from folders and tar archives."""

from __future__ import annotations

import csv
import io
import itertools
import signal
from collections.abc import Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from multistyle.errors import ImageError, MultistyleError, suggestion
from multistyle.files import NamedBytes, check_input
from multistyle.image import read_image, resize_image
from multistyle.messages import say
from multistyle.pixels import as_bytes, as_float
from multistyle.weights import PHOTO_STYLE, Style

from .listing import DataError, list_photos, pictures_in
from .losses.loss_network import SMALLEST

MEMORY = 4 << 30  # bytes of decoded photos that a process keeps
PIXELS = 1.5  # average pixels of a photo, relative to a square on its shorter side


class PhotoSet(Sized, Protocol):
    """What `Batches` draws from: `Photos`, or a part of them."""

    def __getitem__(self, index: int) -> Tensor:
        """Photo `index` as bytes, (3, H, W)."""


class Photos:
    """The pictures of folders (nested) and tar archives, decoded on demand. A `small` set is kept in memory.

    sources: folders and .tar files; size: shorter side (px) to which photos are reduced. A broken picture is named on
    standard error once and never read again. Hidden files are ignored. Raises `DataError` if there is no picture.
    """

    def __init__(self, sources: Sequence[Path], size: int) -> None:
        self.size = size
        self.entries = [entry for source in sources for entry in list_photos(Path(source))]
        if not self.entries:
            raise DataError(f"no pictures in {', '.join(map(str, sources))}; give a folder or a .tar of photos")
        self.small = len(self.entries) * 3 * PIXELS * size**2 <= MEMORY
        self._cache: dict[int, Tensor] = {}
        self._broken = torch.zeros(len(self.entries), dtype=torch.bool).share_memory_()  # one list for all workers

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def files(self) -> set[Path]:
        """The files that hold the photos: pictures and archives."""
        return {file for file, *_ in self.entries}

    def __getitem__(self, index: int) -> Tensor:
        """Photo `index` as bytes, (3, H, W); in place of a broken one, the next that can be read."""
        return next_readable(self, range(len(self)), index)[1]

    def get(self, index: int) -> Tensor | None:
        """Photo `index`, or None if it is broken."""
        if index in self._cache:
            return self._cache[index]
        if self._broken[index]:
            return None
        try:
            photo = as_bytes(fit_shorter(self._read(index), self.size))
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
            return read_image(NamedBytes(archive.read(length), f"{path}/{name}"))


def next_readable(photos: Photos, indices: Sequence[int], position: int) -> tuple[int, Tensor]:
    """The first photo from indices[position] on that can be read, with its index; after the last comes the first.

    Raises `DataError` if none of them can be read.
    """
    for step in range(len(indices)):
        index = indices[(position + step) % len(indices)]
        photo = photos.get(index)
        if photo is not None:
            return index, photo
    raise DataError(f"none of the {len(indices)} pictures can be read")


def fit_shorter(image: Tensor, size: int) -> Tensor:
    """`image` (3, H, W) reduced to a shorter side of `size` px; a smaller one stays as it is."""
    height, width = image.shape[1:]
    if min(height, width) <= size:
        return image
    return resize_image(image, round(max(height, width) * size / min(height, width)))


class Batches(Dataset):
    """Random crops of photos. The next batches are prepared while one is in use.

    Batch n depends only on the seed and n, so a resumed run sees what an uninterrupted one would. A crop is a square
    between the size asked for and the photo's shorter side, reduced to that size, and mirrored half of the time. A
    photo smaller than the crop is enlarged.

    photos: what to draw from; batch: crops in a batch; crop: their side in px; seed: of the draws; rows: which of a
    batch to prepare, all by default.
    """

    def __init__(self, photos: PhotoSet, batch: int, crop: int, seed: int, rows: slice = slice(None)) -> None:
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
        square = as_float(photo[:, top : top + side, left : left + side])
        if side != self.crop:
            square = F.interpolate(square[None], (self.crop,) * 2, mode="bilinear", antialias=True)[0].clamp(0, 1)
        return square.flip(2) if mirror < 0.5 else square

    def from_step(self, step: int, workers: int = 0) -> Iterator[Tensor]:
        """Batches `step`, `step` + 1, ... without end, prepared ahead by a thread, or by `workers` processes."""
        if workers:
            steps = itertools.count(step)
            yield from DataLoader(self, None, sampler=steps, num_workers=workers, worker_init_fn=_ignore_stop_signals)
            return
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.__getitem__, step)
            while True:
                batch = ahead.result()
                step += 1
                ahead = pool.submit(self.__getitem__, step)
                yield batch


def _ignore_stop_signals(worker: int) -> None:
    """A signal can reach the whole process group, and the current step still needs its photos."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def step_seed(seed: int, step: int, purpose: int) -> int:
    """A seed that no other step or purpose of the run has. purpose: 0 for the photos, 1 for everything else."""
    return (seed * 1_000_003 + step) * 2 + purpose


def read_paintings(folder: Path, names: Sequence[str], size: int) -> tuple[list[Style], list[Tensor]]:
    """The paintings NAME.jpg (or another format) in `folder`, in the order of `names`; all of them if that is empty.

    Each is reduced to a longer side of `size` px. Artist, title and year come from `folder`/catalogue.tsv if it exists
    (UTF-8, tab-separated, with a header that has at least the column `name`). Raises `DataError`.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder of paintings {folder}")
    files = _by_style(pictures_in(folder))
    if not files:
        raise DataError(f"no pictures in {folder}; give a folder of paintings, each named after its style")
    for name in names:
        if name not in files:
            raise DataError(f"no painting of {name!r} in {folder}; {suggestion(name, files)}")
    known = _read_catalogue(folder / "catalogue.tsv")
    names = list(names) or list(files)
    styles = [_style_of(files[name], known.get(name, {})) for name in names]
    return styles, [read_painting(files[name], size) for name in names]


def _by_style(files: Sequence[Path]) -> dict[str, Path]:
    """Paintings by the names of their styles. Raises `DataError` for two of one name."""
    found: dict[str, Path] = {}
    for file in files:
        other = found.setdefault(file.stem, file)
        if other != file:
            raise DataError(f"{other} and {file} are both named after the style {file.stem}; remove or rename one")
    return found


def _style_of(file: Path, facts: dict[str, str]) -> Style:
    """The style of the painting in `file`, with `facts` from the catalogue. Raises `DataError`, naming the file."""
    if file.stem == PHOTO_STYLE.name:
        raise DataError(f"{file}: the name photo is reserved for the unchanged picture; rename the file")
    try:
        return Style(file.stem, **facts)
    except MultistyleError as error:
        raise DataError(f"{file} cannot be a style: {error}") from error


def read_painting(file: Path, size: int) -> Tensor:
    """The painting in `file`, (3, H, W), reduced to a longer side of `size` px.

    Raises `DataError` if it is smaller than that or too narrow for a loss network, `ImageError` if it is not a picture.
    """
    check_input(file, DataError)
    painting = read_image(file)
    longer = max(painting.shape[1:])
    if longer < size:
        raise DataError(f"{file}, {longer} px, is too small for a style_size of {size}; enlarge it or lower style_size")
    painting = resize_image(painting, size)
    if min(painting.shape[1:]) < SMALLEST:
        raise DataError(f"{file} is too narrow: it has {min(painting.shape[1:])} px, and {SMALLEST} are needed")
    return painting


def _read_catalogue(file: Path) -> dict[str, dict[str, str]]:
    """Title, artist and year by the name of the style. Raises `DataError`."""
    if not file.exists():
        return {}
    check_input(file, DataError)
    try:
        content = file.read_bytes()
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter="\t")
        rows = list(reader)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file} is not UTF-8 text (line {line}); save it in that encoding") from error
    except csv.Error as error:
        raise DataError(f"{file} is not a tab-separated table ({error})") from error
    if "name" not in (reader.fieldnames or ()):
        raise DataError(f"{file} has no column called name; its first line should be name, artist, title, year")
    return {row["name"]: {key: row.get(key) or "" for key in ("title", "artist", "year")} for row in rows}
