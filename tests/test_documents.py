"""The documents against the code: the painters' table, the commands and options they print, their links."""

import itertools
import os
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from multistyle.cli import app
from multistyle.painting import PaintOptions
from multistyle.weights import load_weights

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]
GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands


def options_of(command: str) -> set[str]:
    return {name for parameter in COMMANDS[command].params for name in (*parameter.opts, *parameter.secondary_opts)}


def table(text: str, first: str) -> list[list[str]]:
    """The cells of the Markdown table whose first heading is `first`, without its headings."""
    rows = re.search(rf"^\| {first} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]


def test_the_painters_table_is_the_catalogue_of_the_shipped_file_and_stands_once():
    styles = load_weights().catalogue[1:]
    expected = [[f"`{style.name}`", style.artist, style.title, style.year] for style in styles]
    assert table((ROOT / "weights" / "README.md").read_text(encoding="utf-8"), "style") == expected
    for document in DOCUMENTS:
        count = document.read_text(encoding="utf-8").count("| Vincent van Gogh |")
        assert not count or document.parent.name == "weights", document


def test_the_readmes_table_of_options_is_that_of_the_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.search(r"^\| option \| (.*) \|$", text, re.MULTILINE)[1].split(" | ")
    assert sorted(commands) == sorted(COMMANDS)
    rows = table(text, "option")
    for name, *marks in rows:
        having = {command for command, mark in zip(commands, marks, strict=True) if mark}
        assert having == {command for command in commands if name.strip("`") in options_of(command)}, name
    shared = {name for name in options_of("folder") & options_of("stylize") if name != "--help"}
    assert {name.strip("`") for name, *_ in rows} == shared


def test_the_table_of_python_options_is_that_of_paint_options():
    rows = table((ROOT / "docs" / "python.md").read_text(encoding="utf-8"), "field")
    assert [name.strip("`") for name, *_ in rows] == [field.name for field in fields(PaintOptions)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_printed_commands_exist_with_their_options(document):
    commands = re.sub(r"^```text\n.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^multistyle (.*)$", commands, re.MULTILINE):
        command, *words = line.split()
        if line.startswith("-"):
            assert {command, *words} <= {name for parameter in GROUP.params for name in parameter.opts}, line
            continue
        assert command in COMMANDS, line
        assert {word for word in words if word.startswith("-") and word != "-"} <= options_of(command), line


@pytest.mark.parametrize("document", ["README.md", "docs/scripts.md"])
def test_commands_print_what_the_documents_show(document, sample, tmp_path, monkeypatch):
    """Blocks of commands followed by a block of output, with one sentence between them at most."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "a.jpg", "b.jpg", "photos/a.jpg", "photos/b.jpg", "photos/c.jpg"):
        (tmp_path / name).write_bytes(sample.read_bytes())
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    pairs = [
        (one[2], two[2])
        for one, two in itertools.pairwise(blocks)
        if one[1] == "sh" and two[1] in ("text", "json") and two.start() - one.end() < 200
    ]
    assert pairs
    for commands, expected in pairs:
        printed = ""
        for line in commands.splitlines():
            done = CliRunner().invoke(app, shlex.split(line)[1:])
            assert done.exit_code == 0, done.stderr
            printed += done.stdout.replace(os.path.realpath(tmp_path), "/home/ada")
        assert re.sub(r'"seconds": [0-9.]+', "S", printed) == re.sub(r'"seconds": [0-9.]+', "S", expected)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere_and_code_has_a_language(document):
    text = document.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w*)$", text, re.MULTILINE)
    assert all(fences[::2]) and not any(fences[1::2]), "a fenced block without its language"
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", text):
        path = document.parent / target if target else document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor
