"""The pages: they build without a warning, every command in them is one there is, every command is in them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from champion.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")])


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each call of `champion` in the page's blocks of shell."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words[:1] == ["champion"]:
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_command_on_a_page_is_one_there_is(page: Path) -> None:
    for words in commands(page):
        command, rest = typer.main.get_command(app), list(words)
        while hasattr(command, "commands"):
            assert rest, f"{page.name}: champion {' '.join(words)} names a group, not a command"
            assert rest[0] in command.commands, f"{page.name}: champion {' '.join(words)}"
            command, rest = command.commands[rest[0]], rest[1:]
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        unknown = {word.split("=")[0] for word in rest if word.startswith("-")} - known - {"--help", "-h"}
        assert not unknown, f"{page.name}: champion {' '.join(words)}"


def test_the_pages_build_without_a_warning_and_name_every_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(tmp_path / "html")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "html" / "reference" / "cli.html").read_text()
    group = typer.main.get_command(app)
    assert all(f"champion {name}" in page for name in group.commands)  # type: ignore[attr-defined]
    assert "scan_adjusted" in (tmp_path / "html" / "reference" / "api.html").read_text()


def test_every_local_link_leads_somewhere() -> None:
    for page in [*PAGES, *(ROOT / "docs" / "reference").glob("*.md"), ROOT / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
