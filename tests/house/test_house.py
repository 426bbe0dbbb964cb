"""Rules of the repository: dependencies, contracts, notebooks, licences."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from champion import contracts

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))


def locked() -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_the_lock_satisfies_pyproject(requirement: Requirement) -> None:
    assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)])


def test_conda_users_get_the_locked_versions() -> None:
    pins = dict(re.findall(r"- ([\w.-]+)==(\S+)", (ROOT / "environment.yml").read_text()))
    assert pins == {requirement.name: locked()[canonicalize_name(requirement.name)] for requirement in DIRECT}


def test_the_lock_is_hashed_and_names_no_host() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|file:|--index-url|--find-links", text)
    pinned = re.findall(r"^\S+==", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^\S+==\S+ (?:; .+ )?\\\n +--hash=sha256:", text, re.MULTILINE)) > 0
    assert "rfc3987-syntax" not in locked()


def test_every_schema_file_is_a_contract() -> None:
    versions = {path.stem for path in (ROOT / "schemas").glob("*.avsc")}
    assert versions == {f"{name}_v{contracts.load(name).version}" for name in contracts.names()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_clean(path: Path) -> None:
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["cells"][0]["cell_type"] == "markdown", "a notebook begins with its purpose"
    for cell in code:
        source = "".join(cell["source"])
        assert not cell["outputs"], "no outputs in git"
        assert cell["execution_count"] is None
        assert len([line for line in source.splitlines() if line.strip()]) <= 15, source
        assert not re.search(r"^\s*(def|class) ", source, re.MULTILINE), source
    if path.parent.name == "notebooks":
        assert code[0]["metadata"]["tags"] == ["parameters"], "typed parameters come first"


def test_ci_runs_on_every_python_that_pyproject_declares() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    declared = SpecifierSet(PROJECT["requires-python"])
    versions = [f"3.{minor}" for minor in range(8, 40) if declared.contains(f"3.{minor}.9")]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == versions
    assert {"run": ".ci/run", "env": {"PYTHON": "python${{ matrix.python }}"}} in workflow["jobs"]["test"]["steps"]


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text


def test_the_licences_page_lists_the_locked_packages() -> None:
    """`make licences` writes the page; this test compares names and versions only."""
    rows = re.findall(r"^\| ([\w.-]+) \| (\S+) \| (.+) \|$", (ROOT / "docs" / "licences.md").read_text(), re.MULTILINE)
    assert {canonicalize_name(name): version for name, version, _ in rows[1:]} == locked()
    unknown = [name for name, _, licence in rows if licence in {"not stated", "not installed on this platform"}]
    assert len(unknown) <= 2, unknown
