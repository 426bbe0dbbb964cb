"""The pages build without a warning, their commands and names exist, and every command is documented."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import champion
from champion import plots
from champion.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "benchmarks").rglob("README.md"))]
PAGES += sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/howto/*.md")])
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def prose(path: Path) -> str:
    """Return the text of a page without its code blocks, or of a notebook's markdown cells."""
    if path.suffix == ".md":
        return re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each call of `champion` in the page's shell blocks."""
    for block in blocks(page.read_text(), "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            ends = [place for place, word in enumerate(words) if word in {"&&", "||", "|", ";", "&", ">"}]
            for start, end in pairwise([-1, *ends, len(words)]):
                call = words[start + 1 : end]
                while call and (call[0] == "export" or re.fullmatch(r"[A-Z_]+=.*", call[0])):
                    call = call[1:]
                if call[:1] == ["champion"]:
                    yield call[1:]


def found(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command or group that the words name, and the remaining words."""
    command, rest = typer.main.get_command(app), list(words)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        if command.name == "schedule" and rest[0] not in command.commands:
            rest = ["add", *rest]  # it may be left out
        assert rest[0] in command.commands, f"there is no champion {' '.join(words)}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_command_on_a_page_parses(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my-notebooks").mkdir()  # the reader's own folder
    monkeypatch.chdir(tmp_path)
    for words in typed(page):
        command, rest = found(words)
        is_group = hasattr(command, "commands") and not command.invoke_without_command
        assert not is_group or "--help" in rest, f"champion {' '.join(words)} names a group"
        if not {"--help", "-h"} & {*rest}:
            command.make_context("champion", rest)  # fails on wrong arguments


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_command_in_a_sentence_exists(path: Path) -> None:
    for text in re.findall(r"`champion ([a-z][^`]*)`", prose(path).replace("\n", " ")):
        command, rest = found(text.split())
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.split("=")[0] for word in rest if word.startswith("-")} <= known | {"--help", "-h"}, text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_target_and_script_on_a_page_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {*re.findall(r"[`\n]make ([a-z]+)", page.read_text())} <= {*targets}
    scripts = re.findall(r"\b((?:benchmarks|tests|docs)/[\w/]+\.py)", page.read_text())
    assert [script for script in scripts if not (ROOT / script).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_champion_name_in_python_on_a_page_exists(page: Path) -> None:
    for block in blocks(page.read_text(), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("champion"):
                assert all(hasattr(import_module(str(node.module)), name.name) for name in node.names), block
        for chain in re.findall(r"\bch\.([a-z_]\w*(?:\.\w+)*)", block):
            thing: Any = champion
            for name in chain.split("."):
                thing = getattr(thing, name)


def test_welcome_notebook_and_lab_page_link_every_notebook() -> None:
    welcome, page = prose(ROOT / "notebooks" / "welcome.ipynb"), (ROOT / "docs" / "howto" / "lab.md").read_text()
    linked = {*re.findall(r"\]\(([^)]+\.ipynb)\)", welcome)}
    assert linked == {str(path.relative_to(ROOT / "notebooks")) for path in NOTEBOOKS} - {"welcome.ipynb"}
    explorers = {path.stem for path in NOTEBOOKS if path.parent.name == "explore"}
    assert {name for name in re.findall(r"`(\w+)`", page) if name in explorers} == explorers


def test_every_figure_is_shown_with_its_docstring() -> None:
    page = (ROOT / "docs" / "reference" / "figures.md").read_text()
    for name in plots.__all__:
        first = (getattr(plots, name).__doc__ or "").strip().splitlines()[0]
        assert f"## {name}\n\n{first}\n\n![{name}](../images/figures/{name}.png)" in page, "run docs/images.py"


def test_the_schedule_page_lists_every_deployment_and_its_queue() -> None:
    page = (ROOT / "docs" / "howto" / "schedule.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in page.splitlines() if line.startswith("| ")]
    on_page = {name: queue.split(" ")[0] for row in rows[1:] for name in row[0].split(", ") for queue in [row[2]]}
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert on_page == {one["name"]: one["work_pool"]["work_queue_name"] for one in deployments}


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


def test_every_local_link_has_a_target() -> None:
    for page in [*PAGES, *(ROOT / "docs" / "reference").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
