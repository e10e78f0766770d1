"""A batch system as a template describes it: the head of a script, and the commands that send, list and cancel jobs.

Nothing is ever put into a shell's command line: commands are lists of words, and what a script needs of names and
paths it reads from a file.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, ValidationError

from seisflow.errors import ConfigError, InputError, WorkError
from seisflow.io.atomic import publish
from seisflow.schedulers.config import BATCH_SYSTEMS, BatchRun, Resources, clock

__all__ = ["Element", "Script", "System", "ask", "shipped_profile"]

_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 30.0
"""s that a command of a batch system may take."""


class Template(BaseModel):
    """What a file below ``systems/`` holds; see docs/clusters.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head: str
    description: str | None = None
    index: str
    first: int = 0
    submit: tuple[str, ...]
    on_stdin: bool = False
    number: str
    queue: tuple[str, ...]
    element: str
    over: tuple[str, ...]
    cancel: tuple[str, ...]


@dataclass(frozen=True)
class Element:
    """An element of an array as the system sees it.

    Parameters
    ----------
    index : int
        In the array, from 0.
    state : str
        In the system's own word.
    over : bool
        Whether it has ended, in whatever way.
    reason : str
        Why it waits or how it ended, as far as the system says.
    """

    index: int
    state: str
    over: bool
    reason: str = ""


@dataclass(frozen=True)
class Script:
    """A script that is sent: what it asks for, and what it does.

    Parameters
    ----------
    path : Path
        Where it is written.
    name : str
        Of the job.
    resources : Resources
    command : tuple of str
        Words of the command; the index of the element is added.
    logs : Path
        Folder of what elements say.
    count : int
        Elements; None for a job that is no array.
    """

    path: Path
    name: str
    resources: Resources
    command: tuple[str, ...]
    logs: Path
    count: int | None = None


def ask(words: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of a batch system; without a shell, and not for long.

    Raises
    ------
    WorkError
        If the command is not there or does not answer.
    """
    try:
        return subprocess.run(
            list(words), input=text or "", capture_output=True, text=True, timeout=_LONGEST, check=False
        )
    except FileNotFoundError:
        raise WorkError(
            f"{words[0]}: there is no such command here; run seisflow where the batch system can be reached, or use "
            "`run: local`"
        ) from None
    except subprocess.TimeoutExpired:
        raise WorkError(f"{words[0]}: no answer in {_LONGEST:g} s") from None


def said(answer: subprocess.CompletedProcess[str]) -> str:
    """What a command said, in one line."""
    lines = [line.strip() for line in (answer.stderr or answer.stdout).splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line)) or f"exit code {answer.returncode}"


class System:
    """A batch system by template.

    Parameters
    ----------
    run : BatchRun
    root : Path
        The project folder, for files that the profile names.
    """

    def __init__(self, run: BatchRun, root: Path) -> None:
        self.run, self.root = run, root
        self.template = _template(run, root)

    # ------------------------------------------------------------------ scripts

    def render(self, script: Script) -> str:
        """The script as text.

        Raises
        ------
        ConfigError
            If the template cannot be filled.
        """
        try:
            head = _fill(self.template.head, self._values(script)).rstrip("\n")
        except TemplateError as error:
            raise ConfigError(f"template of {self.run.system}: {error}") from None
        own = () if self.template.description else script.resources.lines
        python = self.run.python or sys.executable
        body = [
            f"index={self.template.index}",
            f'exec >>{shlex.quote(str(script.logs))}/"$index".log 2>&1',
            *self.run.setup,
            f'exec {shlex.join([python, *script.command])} "$index"',
        ]
        return "\n".join([head, *own, "", *body]) + "\n"

    def _values(self, script: Script) -> dict[str, Any]:
        asked = script.resources
        return {
            **{key: value for key, value in asked if key != "lines"},
            "lines": asked.lines,
            "clock": clock(asked.time) if asked.time else None,
            "name": _NAME.sub("-", script.name)[:40],
            "array": script.count is not None and script.count > 1,
            "count": script.count or 1,
            "at_once": self.run.at_once,
            "warning": self.run.warning,
            "script": str(script.path),
        }

    def write(self, script: Script) -> dict[str, str]:
        """Write the script and what belongs to it; returns the words that commands use."""
        if "\n" in str(script.path):
            raise InputError(
                f"{script.path!r}: a project below a folder with a line break cannot be sent to a queue"
            )
        script.logs.mkdir(parents=True, exist_ok=True)
        with publish(script.path) as path:
            path.write_text(self.render(script))
        words = {"script": str(script.path)}
        if self.template.description:
            target = script.path.with_suffix(".sub")
            with publish(target) as path:
                path.write_text(_fill(self.template.description, self._values(script)))
            words["description"] = str(target)
        return words

    # ------------------------------------------------------------------ jobs

    def check(self, script: Script) -> None:
        """Ask the system whether it would take a script, where it can be asked.

        Raises
        ------
        InputError
            With what the system said.
        """

    def submit(self, script: Script) -> str:
        """Send a script; returns the number of the job.

        Raises
        ------
        InputError
            With what the system said, if it refuses it.
        """
        words = self.write(script)
        text = script.path.read_text() if self.template.on_stdin else None
        answer = ask([*self._submit_words(script, words)], text)
        match = re.search(self.template.number, answer.stdout, re.MULTILINE)
        if answer.returncode or match is None:
            raise InputError(f"{self.run.system} refused {script.name}: {said(answer)}")
        return match[1]

    def _submit_words(self, script: Script, words: Mapping[str, str]) -> list[str]:
        return [word.format_map(words) for word in self.template.submit]

    def elements(self, job: str) -> list[Element] | None:
        """What the system lists of a job: nothing once it has forgotten it; None if it cannot be asked now."""
        try:
            answer = ask([word.format_map({"job": job}) for word in self.template.queue])
        except WorkError:
            return None
        digits = re.match(r"\d+", job)
        pattern = self.template.element.replace("{number}", digits[0] if digits else re.escape(job))
        found = []
        for match in re.finditer(pattern, answer.stdout, re.MULTILINE):
            index, state = int(match["index"] or self.template.first) - self.template.first, match["state"]
            found.append(Element(max(index, 0), state, state in self.template.over))
        return found

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs, whole arrays; those that are over already do not matter."""
        for job in jobs:
            ask([word.format_map({"job": job}) for word in self.template.cancel])


def _fill(text: str, values: Mapping[str, Any]) -> str:
    environment = SandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.from_string(text).render(**values)


def _template(run: BatchRun, root: Path) -> Template:
    if run.template is None:
        name: str = run.system
        source = (files("seisflow.schedulers") / "systems" / f"{name}.yaml").read_text()
    else:
        path = root / Path(run.template).expanduser()
        try:
            source, name = path.read_text(), str(path)
        except OSError as error:
            raise ConfigError(f"{path}: the template cannot be read ({error.strerror})") from None
    try:
        return Template.model_validate(yaml.safe_load(source))
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{name}: is no template: {error}") from None


def shipped_profile(name: str) -> str:
    """Text of a profile that comes with seisflow.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in (*BATCH_SYSTEMS, "dask"):
        raise InputError(f"{name}: there are profiles for {', '.join((*BATCH_SYSTEMS, 'dask'))}")
    return (files("seisflow.schedulers") / "profiles" / f"{name}.yaml").read_text()
