"""The command `folder`."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ..errors import MultistyleError
from ..messages import say, tell
from .options import LookOptions, ModelOptions, StripOptions, command, prepare
from .running import FAILURE, INTERRUPTED, USAGE, failing_with, progress_bar

if TYPE_CHECKING:
    from ..folder_plan import FolderPlan
    from ..jobs import Outcome
    from ..painting import PaintOptions
    from ..stylizer import Stylizer

RANDOM = "random"


@command
def folder(
    source: Annotated[str, typer.Argument(metavar="IN_DIR", help="Folder of pictures; sub-folders are painted too.")],
    target: Annotated[str, typer.Argument(metavar="OUT_DIR", help="Folder for the paintings, created if missing.")],
    model: ModelOptions,
    look: LookOptions,
    strips: StripOptions,
    mix: Annotated[
        str | None,
        typer.Option(metavar="MIX", help="As in stylize; or random: a new mix for each picture, listed in blends.csv."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of --mix random. Default: 0.")] = None,
    copies: Annotated[
        int | None,
        typer.Option(help="Paintings of each picture, with --mix random: a.jpg becomes a_1.jpg, a_2.jpg, ..."),
    ] = None,
    part: Annotated[
        str | None, typer.Option(metavar="K/N", help="Paint part K of N only, for N machines or jobs at once.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Paint on this Ray cluster: HOST:PORT, or auto. Folders may be URIs (s3://...) or hold tar shards.",
        ),
    ] = None,
) -> None:
    """Paint a folder; a stopped run continues: multistyle folder photos paintings --mix random --seed 7"""
    from ..blend import mix_text

    with failing_with(USAGE):
        for name, value in (("--seed", seed), ("--copies", copies)):
            if value is not None and mix != RANDOM:
                raise MultistyleError(f"{name} is for --mix random; add that, or leave {name} out")
        if ray is not None and part is not None:
            raise MultistyleError("--ray shares out the work itself; leave --part out")
        work = plan_files(source, target, copies, part) if ray is None else plan_on_ray(source, target, copies)
    where = model if ray is None else replace(model, device="cpu")  # this program only leads the workers
    stylizer, options = prepare(where, look, [] if mix in (None, RANDOM) else [mix], strips)
    with ExitStack() as connection:
        if ray is not None:
            from ..datasets.cluster import connected

            with failing_with(FAILURE):
                connection.enter_context(connected(ray))
        with failing_with(USAGE):
            mixed = mix_text(stylizer.blend(options.blend, options.strength), stylizer.names)
            outcomes = work.start(stylizer, options, (seed or 0) if mix == RANDOM else None, model)
        tell(f"mix {RANDOM if mix == RANDOM else mixed}")
        failures = [*work.plan.unreadable, *paint_all(work, outcomes)]
        for failure in failures:
            say(f"error: {failure}")
        tell(summary(work))
    if failures:
        raise typer.Exit(FAILURE)


class Work(NamedTuple):
    """What a command has to paint."""

    plan: FolderPlan
    place: str  # where it goes
    start: Callable[[Stylizer, PaintOptions, int | None, ModelOptions], Generator[Outcome, None, None]]
    painted: Callable[[], int]  # how many of the plan's jobs are done by now


def plan_files(source: str, target: str, copies: int | None, part: str | None) -> Work:
    """The work of this program alone. Raises `MultistyleError`."""
    from ..folder import paint_folder
    from ..folder_plan import parse_part, plan_folder

    plan = plan_folder(source, target, copies, None if part is None else parse_part(part))
    return Work(
        plan,
        str(plan.target),
        lambda stylizer, options, seed, model: paint_folder(stylizer, plan, options, seed),
        lambda: sum(os.path.isfile(job.target) for job in plan.jobs),
    )


def plan_on_ray(source: str, target: str, copies: int | None) -> Work:
    """The work of a Ray cluster. Raises `MultistyleError`."""
    from ..datasets.cluster import check_ray
    from ..datasets.plan import plan_data
    from ..datasets.ray import paint_on_ray

    check_ray()
    data = plan_data(source, target, copies)
    return Work(
        data.folder,
        data.target.title,
        lambda stylizer, options, seed, model: paint_on_ray(
            stylizer, data, options, seed, model.device, model.precision
        ),
        data.painted,
    )


def paint_all(work: Work, outcomes: Generator[Outcome, None, None]) -> list[str]:
    """Paint with progress, and return one line for each failed picture. Ctrl-C or a full disk ends the command."""
    failures = []
    try:
        with progress_bar() as bar:
            task = bar.add_task("", total=len(work.plan.jobs))
            for outcome in outcomes:
                if outcome.error:
                    failures.append(str(outcome.error))
                bar.update(task, advance=1, description=f"{outcome.job.name}  {bar.tasks[0].speed or 0:.1f}/s")
    except (KeyboardInterrupt, MultistyleError) as end:
        outcomes.close()  # waits for the pictures that are being written
        reason = [str(end)] if isinstance(end, MultistyleError) else []
        for failure in [*work.plan.unreadable, *failures, *reason]:
            say(f"error: {failure}")
        say(f"stopped: {summary(work)}; the same command continues from here")
        raise typer.Exit(FAILURE if reason else INTERRUPTED) from None
    return failures


def summary(work: Work) -> str:
    from ..folder_plan import describe_files

    plan = work.plan
    there = f", {plan.done} existed already" if plan.done else ""
    others = f", skipped: {describe_files(plan.passed_over)}" if plan.passed_over else ""
    return f"{work.painted()} of {len(plan.jobs)} painted into {work.place}{there}{others}"
