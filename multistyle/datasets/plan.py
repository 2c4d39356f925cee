"""Decide what is left to paint between two places: pictures, or tar shards of pictures. Writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import MultistyleError
from ..folder_plan import PICTURES, FolderPlan, Job, NoPicturesError, jobs_for, left_jobs, no_pictures, plan_folder
from .places import Place

SHARD = ".tar"


@dataclass(frozen=True)
class DataPlan:
    """What is left to paint from `source` into `target`."""

    source: Place
    target: Place
    folder: FolderPlan  # its jobs are paintings, or shards; their paths are relative unless they are files
    copies: int | None  # paintings of each picture, as in `plan_folder`
    files: bool = False  # both places are folders of pictures on this machine
    shards: bool = False  # each job is a shard
    sizes: Mapping[str, int] | None = None  # of the pictures in bytes, by name, unless they are files

    def painted(self) -> int:
        """How many of the jobs are done by now."""
        there = self.target.sizes()
        return sum(name_in(self.target, job) in there for job in self.folder.jobs)


def plan_data(source: str, target: str, copies: int | None = None) -> DataPlan:
    """Find what has no painting in `target` yet: pictures in `source`, or tar shards if it has no pictures.

    source, target: folders that all machines see, or URIs; see `Place`.
    copies: how many paintings each picture gets; see `plan_folder`.

    A shard has the same name in both places. Raises `MultistyleError` as `plan_folder` does, and if a place cannot be
    reached.
    """
    here, there = Place(source), Place(target)
    if here.local and there.local:
        try:
            return DataPlan(here, there, plan_folder(here.root, there.root, copies), copies, files=True)
        except NoPicturesError as error:
            plan = _plan_places(here, there, copies)
            if not plan.shards:
                raise error from None
            return plan
    if here.system == there.system and f"{there.root}/".startswith(f"{here.root}/"):
        raise MultistyleError(f"the output {there.title} is inside the input {here.title}; choose one outside it")
    return _plan_places(here, there, copies)


def _plan_places(source: Place, target: Place, copies: int | None) -> DataPlan:
    sizes = {name: size for name, size in source.sizes().items() if not _hidden(name)}
    suffixes = {name: Path(name).suffix.lower() for name in sizes}
    pictures = [Path(name) for name in sizes if suffixes[name] in PICTURES]
    shards = [Path(name) for name in sizes if suffixes[name] == SHARD]
    others = Counter(
        suffix or "without suffix"
        for suffix in suffixes.values()
        if suffix not in PICTURES and (pictures or suffix != SHARD)
    )
    if not pictures and not shards:
        raise no_pictures(source.title, others)
    jobs = jobs_for(pictures, Path(), Path(), copies, None) if pictures else [_shard_job(shard) for shard in shards]
    there = target.sizes()
    left = left_jobs(jobs, lambda target: target.as_posix() in there)
    folder = FolderPlan(Path(target.root), left, len(jobs) - len(left), (), others)
    return DataPlan(source, target, folder, copies, shards=not pictures, sizes=sizes)


def name_in(target: Place, job: Job) -> str:
    """The name of the job's target, relative to the place."""
    path = job.target.relative_to(target.root) if job.target.is_absolute() else job.target
    return path.as_posix()


def _shard_job(shard: Path) -> Job:
    return Job(shard.as_posix(), shard, shard)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
