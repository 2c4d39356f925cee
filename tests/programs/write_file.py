"""A command that prints while it has a file open to write to: write_file.py PATH"""

import os

import typer

from multistyle.cli.running import run

app = typer.Typer()


@app.command()
def write(path: str) -> None:
    with open(path, "w") as file:
        os.write(1, b"noise")
        os.write(2, b"noise")
        file.write("text")


run(app)
