"""Every seisflow command in the README and the docs parses: its name, options and arguments exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from seisflow.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])


def commands(page: Path) -> list[str]:
    """Lines of the shell blocks that call seisflow, without comments."""
    blocks = re.findall(r"```(?:sh|console|bash)\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("seisflow ")]


CASES = [(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in commands(page)]


def parse(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    for mark in ("|", ">", "&&", "2>"):
        if mark in words:
            words = words[: words.index(mark)]
    root = typer.main.get_command(app)
    name, *arguments = words
    if name.startswith("-"):
        root.make_context("seisflow", words, resilient_parsing=True)
        return
    root.commands[name].make_context(name, arguments)


@pytest.mark.parametrize(("page", "line"), CASES)
def test_command_exists(page: str, line: str) -> None:
    parse(line)


def test_readme_has_its_promises() -> None:
    text = (ROOT / "README.md").read_text()
    assert len([line for name, line in CASES if name == "README.md"]) >= 8
    for target in ("demo", "test", "lint", "bench"):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "make demo" in text and "make test" in text


WRONG = [
    ("seisflow iterat --iteration 1", "iterat"),
    ("seisflow iterate --iterations 1", "No such option"),
    ("seisflow why", "issing"),
]


@pytest.mark.parametrize(("line", "complaint"), WRONG)
def test_wrong_commands_are_noticed(line: str, complaint: str) -> None:
    with pytest.raises(Exception, match=complaint):
        parse(line)


def test_links_in_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
