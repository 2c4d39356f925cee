"""The command `page`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MultistyleError
from ..messages import tell
from .options import ModelOptions, command, load_model
from .running import FAILURE, USAGE, failing_with, showing


@command
def page(
    model: ModelOptions,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others can use it unless it is this machine's own.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8000,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in the browser.")] = False,
    static: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the page to DIR for a static host instead; the visitor's browser paints."
        ),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="DIST", help="With --static: the folder dist of onnxruntime-web. Default: a public CDN."),
    ] = None,
) -> None:
    """Mix painters in the browser: multistyle page"""
    if static is not None:
        write(model, static, runtime)
        return
    from ..device import choose_device, choose_precision
    from ..page.serve import check_packages, listen, serve

    with failing_with(USAGE):
        if runtime is not None:
            raise MultistyleError("--runtime is for --static; add that, or leave --runtime out")
        choose_precision(model.precision, choose_device(model.device))
        check_packages()
    with failing_with(FAILURE), listen(host, port) as listening:
        from ..page.app import build_app
        from ..stylizer import load_stylizer

        stylizer = load_stylizer(model.weights, model.device, model.precision, model.compile, model.style_file or [])
        with showing("thumbnails") as show:
            app = build_app(stylizer, host, arguments(model), show)
        serve(app, listening, host, not no_open)


def write(model: ModelOptions, folder: Path, runtime: Path | None) -> None:
    """Write the page for a static host."""
    from ..page.static_page import check_static, write_static_page

    with failing_with(USAGE):
        check_static(folder, runtime)
    with failing_with(FAILURE), showing(str(folder)) as show:
        write_static_page(load_model(model), folder, runtime, show)
    tell(f"{folder}/  put it on any web server; to try it: python -m http.server --directory {folder}")


def arguments(model: ModelOptions) -> list[str]:
    """The options of other commands that give them the same styles."""
    files: list[tuple[str, Path]] = [("--weights", model.weights)] if model.weights else []
    files += [("--style-file", file) for file in model.style_file or []]
    return [word for option, file in files for word in (option, str(file))]
