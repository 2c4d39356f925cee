"""Which file each painting of `stylize` goes to."""

from __future__ import annotations

import os
import string
from collections.abc import Sequence
from pathlib import Path

from ..errors import MultistyleError
from ..files import make_folder

STREAM = "-"  # as a photo: standard input; as an output: standard output
FIELDS = ("stem", "suffix", "name", "mix")  # of a template


def plan(photos: list[str], output: str, mix: str, inputs: Sequence[Path] = ()) -> list[tuple[str, Path | None]]:
    """Decide which photo goes to which file; None is standard output. Creates the output folders.

    output: a file, a folder, a template such as "out/{stem}_{mix}.jpg", or STREAM.
    mix: what is painted, for a template.
    inputs: other files that are read.

    Raises `MultistyleError` for outputs that are invalid, clash, or are inputs.
    """
    from ..files import check_not_inputs
    from ..folder_plan import PICTURES, painting_names
    from ..image import check_output, check_suffix

    if not output:
        raise MultistyleError("the name of the output is empty")
    for photo in photos:
        if not Path(photo).name:
            raise MultistyleError(f"{Path(photo)} is a folder, not a picture")
    if output == STREAM:
        return [(photo, None) for photo in photos]
    names = [Path("stdin" if photo == STREAM else Path(photo).name) for photo in photos]
    folder = Path(output)
    if is_template(output):
        targets = [fill(output, name, mix) for name in painting_names(names)]
        for target in targets:
            check_suffix(target)
        check_clashes(photos, targets)
        for target in targets:
            make_folder(target.parent)
    elif output.endswith(("/", os.sep)) or len(photos) > 1 or os.path.isdir(folder):
        if not os.path.isdir(folder) and not output.endswith(("/", os.sep)) and folder.suffix.lower() in PICTURES:
            raise MultistyleError(
                f"{len(photos)} photos need a folder to go to, and {output} names a picture; give NAME/"
            )
        check_clashes(photos, [folder / name for name in names])
        make_folder(folder)
        targets = [folder / name for name in painting_names(names)]
    else:
        targets = [folder]
    for target in targets:
        check_output(target)
    check_not_inputs(targets, [*(photo for photo in photos if photo != STREAM), *inputs])
    return list(zip(photos, targets, strict=True))


def is_template(output: str) -> bool:
    return "{" in output or "}" in output


def fill(template: str, name: Path, mix: str) -> Path:
    """`template` with its fields filled for the painting `name`. Raises `MultistyleError` for an unknown field."""
    values = dict(zip(FIELDS, (name.stem, name.suffix, name.name, mix), strict=True))
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    filled = ""
    try:
        for text, field, form, conversion in string.Formatter().parse(template):
            filled += text
            if field is not None:
                if field not in values or form or conversion:
                    raise MultistyleError(
                        f"unknown field {{{field}}} in the output {template}; use {known}, or {{{{ and }}}} for braces"
                    )
                filled += values[field]
    except ValueError as error:
        raise MultistyleError(
            f"the output {template} has a brace without its partner; fields are {known}, braces {{{{ and }}}}"
        ) from error
    return Path(filled)


def check_clashes(photos: list[str], targets: list[Path]) -> None:
    """Raise `MultistyleError` if two photos have the same target."""
    taken: dict[Path, str] = {}
    for photo, target in zip(photos, targets, strict=True):
        if target in taken:
            raise MultistyleError(f"{taken[target]} and {photo} would both be written to {target}; rename one")
        taken[target] = photo
