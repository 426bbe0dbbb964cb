"""`--help` of every command has an example that parses and explains every option; the shell completes names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from champion.cli.app import app


def commands(group: Any, path: str = "champion") -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_an_example_that_parses(path: str) -> None:
    command = COMMANDS[path]
    example = re.search(r"Example: (champion .*)", command.help or "")
    assert example, "no line `Example: champion ...` in its docstring"
    words = shlex.split(example[1].split(" > ")[0])
    assert " ".join(words).startswith(path)
    command.make_context(path, words[len(path.split()) :])


@pytest.mark.parametrize("path", COMMANDS)
def test_help_fits_80_columns_and_its_example_one_line(path: str) -> None:
    done = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(app, [*path.split()[1:], "--help"])
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert max(map(len, lines)) <= 80
    (example,) = re.findall(r"Example: champion .*", COMMANDS[path].help or "")
    assert example in map(str.strip, lines), "an example that is wrapped cannot be copied"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_argument_and_option_is_explained(path: str) -> None:
    silent = [one.name for one in COMMANDS[path].params if not getattr(one, "help", None)]
    assert not silent


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("champion lake metadata normalized_index_oh", "normalized_index_ohlc"),
        ("champion notebook run qual", "quality"),
        ("champion sql --name mov", "movers"),
    ],
)
def test_the_shell_completes(typed: str, offered: str) -> None:
    variables = {"_CHAMPION_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'champion'; from champion.cli import main; main()"]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [offered], done.stderr


def test_version_option_prints_the_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"champion {metadata.version('champion')}\n")
