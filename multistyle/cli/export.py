"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..messages import tell
from .options import CatalogueOptions, command, input_files, load_model
from .running import FAILURE, USAGE, failing_with, progress_bar


@command
def export(
    output: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="File to write.")],
    catalogue: CatalogueOptions,
    precision: Annotated[str, typer.Option(help="Precision of the convolutions: float32 or float16.")] = "float32",
) -> None:
    """Write the network as an ONNX file with two inputs, picture and blend: multistyle export multistyle.onnx"""
    from ..onnx import check_export, export_onnx

    with failing_with(USAGE):
        check_export(output, precision, input_files(catalogue))
    with failing_with(FAILURE), progress_bar() as bar:
        task = bar.add_task(str(output), total=None)
        model = load_model(catalogue)
        worst = export_onnx(model, output, precision, lambda done, total: bar.update(task, completed=done, total=total))
    tell(f"{output}  {output.stat().st_size / 1e6:.1f} MB, within {worst:.2f} grey levels of PyTorch")
