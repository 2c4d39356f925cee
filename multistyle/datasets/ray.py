"""Paint a data set on a Ray cluster, by the same code that paints a folder on one machine."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MultistyleError, as_line
from ..files import make_folder, remove_stale
from ..folder_plan import Job
from ..jobs import Files, Outcome, drawing, paint_jobs
from ..messages import printable
from ..painting import PaintOptions
from ..stylizer import Stylizer
from ..weights import Model
from .cluster import Workers, workers
from .plan import DataPlan, name_in
from .record import record_failures, recording
from .shards import paint_shard
from .stores import InPlaces

if TYPE_CHECKING:
    from ray.data import Dataset

SHARE = 64  # jobs that a worker takes at a time, at most; what is lost if it dies
SHARES = 4  # for each worker, at least, so that all end at about the same time
NOTHING = -1  # instead of a number


@dataclass(frozen=True)
class Task:
    """What every worker does with its jobs."""

    model: Model
    plan: DataPlan  # without jobs and sizes
    options: PaintOptions
    seed: int | None
    device: str
    precision: str
    compile: bool
    default: str


def paint_on_ray(
    stylizer: Stylizer,
    plan: DataPlan,
    options: PaintOptions = PaintOptions(),
    seed: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Generator[Outcome, None, None]:
    """Paint what is left of `plan` on the Ray cluster that this program is connected to; yields an `Outcome` for each.

    stylizer: its model and default style go to the workers; it paints nothing itself.
    plan: from `plan_data`. If its jobs are shards, a shard that lacks pictures is an outcome with an error.
    options, seed: as in `paint_folder`, and with the same results to within one grey level.
    device, precision: of the workers; see `cluster.workers` and `OnePass`.

    Records mixes in blends.csv, or in a file beside each shard, and failures in failures.csv. A worker that dies is
    replaced by another, which paints its share. Raises `BlendError`, `DeviceError` and, while it runs,
    `MultistyleError` if the disk is full, a record cannot be written, or Ray fails.
    """
    draw = drawing(stylizer, options, seed)
    group = workers(device)
    mixes = None
    if seed is not None and not plan.shards:
        mixes = {name_in(plan.target, job): str(draw(job).blend) for job in plan.folder.jobs}
    bare = replace(plan, folder=plan.folder._replace(jobs=[]), sizes=None)
    one_pass = stylizer.one_pass
    task = Task(one_pass.model, bare, options, seed, group.device, precision, one_pass.compiled, one_pass.default)
    return _paint(plan, task, group, mixes)


def _paint(plan: DataPlan, task: Task, group: Workers, mixes: dict[str, str] | None) -> Generator[Outcome, None, None]:
    jobs, failures = plan.folder.jobs, {}
    left = {name_in(plan.target, job) for job in jobs}
    if plan.target.local:
        make_folder(plan.folder.target)
        remove_stale(plan.folder.target, nested=True)
    with recording(plan, mixes):
        try:
            for batch in _batches(plan, task, group) if jobs else ():
                for number, error in zip(batch["number"], batch["error"]):
                    if number == NOTHING:
                        raise MultistyleError(error)
                    job = jobs[number]
                    left.discard(name := name_in(plan.target, job))
                    if error:
                        failures[name] = error
                    yield Outcome(job, MultistyleError(error) if error else None)
        finally:
            record_failures(plan, failures, left)
            if plan.target.local:
                remove_stale(plan.folder.target, nested=True)  # of workers that died


def _batches(plan: DataPlan, task: Task, group: Workers) -> Iterator[Any]:
    """Batches of rows with the number of a job and its error, empty if it is done."""
    with _quietly():
        try:
            yield from _dataset(plan, task, group).iter_batches(batch_size=None, batch_format="numpy")
        except (GeneratorExit, KeyboardInterrupt, MultistyleError):
            raise
        except Exception as error:  # of Ray, of many kinds
            raise MultistyleError(as_line(error, "the Ray cluster has failed")) from error


def _dataset(plan: DataPlan, task: Task, group: Workers) -> Dataset:
    import ray
    from ray.data import ActorPoolStrategy

    sizes = plan.sizes or {}
    rows = [
        {
            "number": number,
            "name": os.fsencode(job.name),
            "photo": os.fsencode(job.photo),
            "target": os.fsencode(job.target),
            "copy": NOTHING if job.copy is None else job.copy,
            "size": sizes.get(job.name, 0),
        }
        for number, job in enumerate(plan.folder.jobs)
    ]
    share = 1 if plan.shards else min(SHARE, -(-len(rows) // (SHARES * group.number)))
    attempts = ray.remote(Attempts).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    dataset = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // share))
    return dataset.map_batches(
        Painter,
        fn_constructor_args=(task, attempts),
        batch_size=None,
        batch_format="numpy",
        compute=ActorPoolStrategy(size=min(group.number, -(-len(rows) // share))),
        num_cpus=group.cpus,
        num_gpus=group.gpus,
    )


class Attempts:
    """Counts how often each share has been begun. One process of a run holds it; losing it only restarts the count."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def begin(self, share: int) -> int:
        """The number of this attempt, from 1. share: the number of its first job."""
        self.counts[share] += 1
        return self.counts[share]


class Painter:
    """A worker: holds one stylizer, and paints the jobs of a batch of rows.

    attempts: a handle of `Attempts`. Ray begins a share again if its worker died; a share that kills every worker fails
    after some attempts, and the others go on.
    """

    attempts_allowed = 3

    def __init__(self, task: Task, attempts: Any) -> None:
        self.task, self.attempts = task, attempts
        self.stylizer = Stylizer(task.model, task.device, task.precision, task.compile, task.default)
        self.draw = drawing(self.stylizer, task.options, task.seed)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        import ray

        numbers = {_job(batch, row): int(number) for row, number in enumerate(batch["number"])}
        if ray.get(self.attempts.begin.remote(min(numbers.values()))) > self.attempts_allowed:
            why = f"given up after {self.attempts_allowed} workers died of this picture or of one painted with it"
            return {
                "number": list(numbers.values()),
                "error": [f"cannot paint {self.task.plan.source.name_of(job.name)}: {why}" for job in numbers],
            }
        found: list[tuple[int, str]] = []
        try:
            for job, error in self.shards(list(numbers)) if self.task.plan.shards else self.pictures(batch):
                found.append((numbers[job], printable(str(error or ""))))
        except MultistyleError as error:  # a full disk: the whole run ends
            found.append((NOTHING, printable(str(error))))
        return {"number": [number for number, _ in found], "error": [error for _, error in found]}

    def pictures(self, batch: dict[str, Any]) -> Iterator[Outcome]:
        plan, jobs = self.task.plan, [_job(batch, row) for row in range(len(batch["number"]))]
        sizes = {job.name: int(size) for job, size in zip(jobs, batch["size"])}
        store = Files() if plan.files else InPlaces(plan.source, plan.target, sizes)
        return paint_jobs(self.stylizer, jobs, self.task.options, self.draw, store)

    def shards(self, jobs: list[Job]) -> Iterator[Outcome]:
        plan = self.task.plan
        for job in jobs:
            try:
                rows = paint_shard(
                    self.stylizer, job.name, plan.source, plan.target, self.task.options, self.draw, plan.copies
                )
            except MultistyleError as error:
                yield Outcome(job, error)
                continue
            failed = [row for row in rows if row.error]
            lacks = f"{plan.target.name_of(job.name)} lacks {len(failed)} of {len(rows)} paintings"
            yield Outcome(job, MultistyleError(f"{lacks}, first: {failed[0].error}") if failed else None)


def _job(batch: dict[str, Any], row: int) -> Job:
    name, photo, target = (os.fsdecode(batch[column][row]) for column in ("name", "photo", "target"))
    copy = int(batch["copy"][row])
    return Job(name, Path(photo), Path(target), None if copy == NOTHING else copy)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Ray Data's own progress and log lines."""
    from ray.data import DataContext

    context, logger = DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, context.print_on_execution_start, logger.level
    context.enable_progress_bars, context.print_on_execution_start = False, False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = before[:2]
        logger.setLevel(before[2])
