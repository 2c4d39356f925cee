"""The README's tables from result files: python -m benchmarks.report benchmarks/results/throughput-*.json [--readme]

One row per device. CPUs show only ratios, because other work on the machine changes the seconds. With --readme, the
tables replace the text between `<!-- throughput -->` and `<!-- /throughput -->` in README.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from multistyle.errors import MultistyleError
from multistyle.files import atomic_write
from multistyle.messages import tell

from .parts.command import run
from .parts.contenders import PEER

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- throughput -->", "<!-- /throughput -->"
OURS = ("multistyle", "multistyle compiled")


def tables(results: list[dict[str, Any]]) -> str:
    """All tables, in Markdown, from results of benchmarks.throughput."""
    devices = [device for result in results for device in result["devices"]]
    parts = [speed_table(devices), cost_table(devices)]
    for result in results:
        if "together" in result:
            found = result["together"]
            parts.append(f"{len(found['alone'])} at once: {found['efficiency']:.2f} of the sum of each alone.")
    return "\n\n".join(parts)


def speed_table(devices: list[dict[str, Any]]) -> str:
    """Speed relative to the peer by size, and time relative to the floor, for the largest batch measured."""
    sizes = sorted({row["size"] for device in devices for row in device["rows"]})
    head = [
        "device",
        "precision",
        *(f"{size} px: eager" for size in sizes),
        *(f"{size} px: compiled" for size in sizes),
    ]
    head.append("over the floor, eager and compiled")
    rows = []
    for device in devices:
        line = [device["name"], device["precision"]]
        line += [speed(device, name, size) for name in OURS for size in sizes]
        middle = sizes[len(sizes) // 2]
        line.append(", ".join(f"{find(device, name, middle)['over the floor']:.1f}" for name in OURS))
        rows.append(line)
    return markdown(head, rows)


def find(device: dict[str, Any], name: str, size: int) -> dict[str, Any]:
    """The row of `name` at `size` with the largest batch."""
    there = [row for row in device["rows"] if row["name"] == name and row["size"] == size]
    return max(there, key=lambda row: row["batch"])


def speed(device: dict[str, Any], name: str, size: int) -> str:
    """Speed relative to the peer; on a GPU, also pictures per second."""
    row = find(device, name, size)
    absolute = f" ({row['pictures per second']:.0f}/s, {row['batch']} at once)" if device["device"] != "cpu" else ""
    return f"{row['speed']:.1f}x{absolute}"


def cost_table(devices: list[dict[str, Any]]) -> str:
    """The other costs, each relative to another one from the same run."""
    head = [
        "device",
        "peak memory, eager, over the peer's",
        "all styles over 1",
        "1,024 rows over 32",
        "file to file over in memory",
        "start-up to the first picture over importing torch",
    ]
    rows = []
    for device in devices:
        blends, files, start = (device[key] for key in ("blends", "files", "start-up"))
        memory = device["memory"]
        parts = sum(start[part] for part in ("torch", "multistyle", "weights", "first picture"))
        rows.append(
            [
                device["name"],
                f"{memory['multistyle'] / memory[PEER]:.2f}",
                f"{blends['1 style']['speed'] / blends['all styles']['speed']:.2f}",
                f"{blends['32 rows']['speed'] / blends['1024 rows']['speed']:.2f}",
                f"{1 / files['file to file']['speed']:.2f}",
                f"{parts / start['torch']:.2f}",
            ]
        )
    return markdown(head, rows)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(_lines([head, ["---"] * len(head), *rows]))


def _lines(rows: list[list[str]]) -> Iterator[str]:
    for row in rows:
        yield f"| {' | '.join(row)} |"


def insert(text: str, generated: str) -> str:
    """`text` with `generated` between the two marks. Raises `MultistyleError` if a mark is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MultistyleError(f"README.md should have the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def main(
    files: Annotated[list[Path], typer.Argument(help="Result files of benchmarks.throughput.")],
    readme: Annotated[bool, typer.Option("--readme", help="Put the tables into README.md.")] = False,
) -> None:
    """Print the README's tables."""
    try:
        generated = tables([json.loads(file.read_text(encoding="utf-8")) for file in files])
    except OSError as error:
        raise MultistyleError(f"cannot read {error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise MultistyleError(f"a file is not a result of benchmarks.throughput: {error!r}") from error
    if not readme:
        for line in generated.splitlines():
            tell(line)
        return
    text = insert(README.read_text(encoding="utf-8"), generated)
    with atomic_write(README) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
