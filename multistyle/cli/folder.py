"""The command `folder`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MultistyleError
from ..messages import say, tell
from .options import LookOptions, ModelOptions, StripOptions, command, prepare
from .running import FAILURE, USAGE, failing_with, progress_bar

RANDOM = "random"


@command
def folder(
    source: Annotated[Path, typer.Argument(metavar="IN_DIR", help="Folder of pictures; those inside it too.")],
    target: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Folder to paint into, made if missing.")],
    model: ModelOptions,
    look: LookOptions,
    strips: StripOptions,
    mix: Annotated[
        str | None,
        typer.Option(metavar="MIX", help="As for stylize; or random: one for each picture, listed in blends.csv."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of --mix random; another number, other mixes; default: 0.")] = None,
) -> None:
    """Paint a folder, going on where it was stopped: multistyle folder photos paintings --mix random --seed 7"""
    from ..blend import mix_text
    from ..folder import paint_folder, plan_folder

    with failing_with(USAGE):
        if seed is not None and mix != RANDOM:
            raise MultistyleError("--seed is for --mix random; add that, or leave --seed out")
        plan = plan_folder(source, target)
    stylizer, options = prepare(model, look, [] if mix in (None, RANDOM) else [mix], strips)
    with failing_with(USAGE):
        mixed = mix_text(stylizer.blend(options.blend, options.strength), stylizer.names)
        outcomes = paint_folder(stylizer, plan, options, (seed or 0) if mix == RANDOM else None)
    tell(f"mix {RANDOM if mix == RANDOM else mixed}")
    failures = []
    with failing_with(FAILURE), progress_bar() as bar:
        task = bar.add_task("", total=len(plan.jobs))
        for outcome in outcomes:
            if outcome.error:
                failures.append(str(outcome.error))
            bar.update(task, advance=1, description=f"{outcome.job.name}  {bar.tasks[0].speed or 0:.1f}/s")
    for failure in failures:
        say(f"error: {failure}")
    there = f", {plan.done} there already" if plan.done else ""
    tell(f"{len(plan.jobs) - len(failures)} of {len(plan.jobs)} painted into {target}{there}")
    if failures:
        raise typer.Exit(FAILURE)
