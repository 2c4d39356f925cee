"""The command `folder`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MultistyleError
from ..messages import say, tell
from .options import LookOptions, ModelOptions, StripOptions, command, prepare
from .running import FAILURE, INTERRUPTED, USAGE, failing_with, progress_bar

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..folder_plan import FolderPlan
    from ..jobs import Outcome

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
) -> None:
    """Paint a folder; a stopped run continues: multistyle folder photos paintings --mix random --seed 7"""
    from ..blend import mix_text
    from ..folder import paint_folder
    from ..folder_plan import parse_part, plan_folder

    with failing_with(USAGE):
        for name, value in (("--seed", seed), ("--copies", copies)):
            if value is not None and mix != RANDOM:
                raise MultistyleError(f"{name} is for --mix random; add that, or leave {name} out")
        plan = plan_folder(source, target, copies, None if part is None else parse_part(part))
    stylizer, options = prepare(model, look, [] if mix in (None, RANDOM) else [mix], strips)
    with failing_with(USAGE):
        mixed = mix_text(stylizer.blend(options.blend, options.strength), stylizer.names)
        outcomes = paint_folder(stylizer, plan, options, (seed or 0) if mix == RANDOM else None)
    tell(f"mix {RANDOM if mix == RANDOM else mixed}")
    failures = [*plan.unreadable, *paint_all(plan, outcomes)]
    for failure in failures:
        say(f"error: {failure}")
    tell(summary(plan, len(plan.jobs) - len(failures) + len(plan.unreadable)))
    if failures:
        raise typer.Exit(FAILURE)


def paint_all(plan: FolderPlan, outcomes: Generator[Outcome, None, None]) -> list[str]:
    """Paint with progress, and return one line for each failed picture. Ctrl-C or a full disk ends the command."""
    failures = []
    try:
        with progress_bar() as bar:
            task = bar.add_task("", total=len(plan.jobs))
            for outcome in outcomes:
                if outcome.error:
                    failures.append(str(outcome.error))
                bar.update(task, advance=1, description=f"{outcome.job.name}  {bar.tasks[0].speed or 0:.1f}/s")
    except (KeyboardInterrupt, MultistyleError) as end:
        outcomes.close()  # waits for the pictures that are being written
        reason = [str(end)] if isinstance(end, MultistyleError) else []
        for failure in [*plan.unreadable, *failures, *reason]:
            say(f"error: {failure}")
        painted = sum(os.path.isfile(job.target) for job in plan.jobs)
        say(f"stopped: {summary(plan, painted)}; the same command continues from here")
        raise typer.Exit(FAILURE if reason else INTERRUPTED) from None
    return failures


def summary(plan: FolderPlan, painted: int) -> str:
    from ..folder_plan import describe_files

    there = f", {plan.done} existed already" if plan.done else ""
    others = f", skipped: {describe_files(plan.passed_over)}" if plan.passed_over else ""
    return f"{painted} of {len(plan.jobs)} painted into {plan.target}{there}{others}"
