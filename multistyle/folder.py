"""Paint whole folders: a bad file does not stop the others, and a stopped run continues.

A painting appears complete or not at all, so a painting that exists is finished.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import nullcontext

from .files import make_folder, remove_stale
from .folder_mixes import BlendRecord
from .folder_plan import FolderPlan, Job
from .jobs import Drawing, Files, Outcome, drawing, paint_jobs
from .painting import PaintOptions
from .stylizer import Stylizer


def paint_folder(
    stylizer: Stylizer, plan: FolderPlan, options: PaintOptions = PaintOptions(), seed: int | None = None
) -> Generator[Outcome, None, None]:
    """Paint what is left of `plan`; yields an `Outcome` for each finished painting, as `paint_jobs` does.

    plan: from `plan_folder`.
    options: how each picture is painted.
    seed: if given, paint in random mixes, as `drawing` says, and record them in the output folder (see `BlendRecord`).

    Temporary files of a killed run are removed first, but not by the run of a part: on a shared folder without locks
    they may belong to another part. Raises `BlendError` at once, and `MultistyleError` if blends.csv is another kind
    of file; later, `MultistyleError` as `paint_jobs` does, or if the record cannot be written.
    """
    draw = drawing(stylizer, options, seed)
    record = None if seed is None else BlendRecord(plan.target, plan.part)
    return _paint_folder(stylizer, plan, options, draw, record)


def _paint_folder(
    stylizer: Stylizer, plan: FolderPlan, options: PaintOptions, draw: Drawing, record: BlendRecord | None
) -> Generator[Outcome, None, None]:
    def draw_and_record(job: Job) -> PaintOptions:
        drawn = draw(job)
        if record is not None:
            record.add({job.target: str(drawn.blend)})
        return drawn

    make_folder(plan.target)
    if plan.part is None:
        remove_stale(plan.target, nested=True)
    with record.running() if record else nullcontext():
        yield from paint_jobs(stylizer, plan.jobs, options, draw_and_record, Files())
