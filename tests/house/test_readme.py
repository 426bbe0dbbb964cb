"""README: its figures agree with each other, with the other pages, and with the pictures that it shows."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS, IMAGES = ROOT / "docs", ROOT / "docs" / "images"
README = (ROOT / "README.md").read_text(encoding="utf-8")
[SUMMARY] = re.findall(r"```text\n(Champion demo.*?)```", README, re.DOTALL)
DEMO = dict(re.findall(r"^(\w[\w ,:]*?) {2,}(\S.*(?:\n {3,}.*)*)$", SUMMARY, re.MULTILINE))
PAGES = [ROOT / "README.md", *(path for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts)]

FIGURES = {
    "scoring.png": ("74837111f235", {r"of (\d+) instruments": "81"}),
}
"""For each picture of a demo result: the start of its SHA-256, and the figures that one can read in it.

A test cannot read the pixels. So a new picture needs a new digest here, and whoever enters it also checks the figures.
"""


def shown(page: Path) -> set[str]:
    """The names of the pictures that a page shows."""
    return set(re.findall(r"!\[[^\]]*\]\([^)]*?([\w-]+\.png)\)", page.read_text(encoding="utf-8")))


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_figures_of_the_demo_agree() -> None:
    net, benchmark, active = map(float, re.findall(r"([-+][\d.]+)%", DEMO["account, a year"]))
    assert active == pytest.approx(net - benchmark, abs=0.1)
    assert all(DEMO[f"gate: {rule}"].startswith("passed. ") for rule in ("data", "luck", "neutral skill"))
    sharpe, sessions = re.findall(r"is ([\d.]+) a year over (\d+) sessions", DEMO["gate: luck"])[0]
    (needed,) = re.findall(r"without skill\s+exceeds ([\d.]+)", DEMO["gate: luck"])
    assert float(sharpe) > float(needed)
    (ranked,) = re.findall(r"over\s+(\d+) sessions", DEMO["gate: neutral skill"])
    assert int(ranked) < int(sessions) < number(DEMO["sessions"])
    assert number(DEMO["feature rows"]) < number(DEMO["bars"])
    assert number(DEMO["bars"]) < 110 * number(DEMO["sessions"]), "a hundred companies, funds, bonds and rights"


def test_no_other_page_gives_the_demo_another_rank_ic() -> None:
    rank_ic = DEMO["rank IC, out of sample"].split()[0]
    for page in (DOCS / "index.md", DOCS / "tutorial.md", DOCS / "howto" / "own_model.md"):
        assert set(re.findall(r"rank IC (?:of )?(-?\d\.\d+)", page.read_text(encoding="utf-8"))) <= {rank_ic}, page.name


def test_the_figures_of_real_files_are_those_of_the_coverage_page() -> None:
    sessions, rows = re.findall(r"backfill 2024-01-01 2024-12-31 +# (\d+) sessions, ([\d,]+) rows", README)[0]
    assert f"| bhavcopy | nse_cm_udiff | 2024 | {sessions} | {rows} |" in (DOCS / "coverage.md").read_text(
        encoding="utf-8"
    )


def test_the_number_of_faults_is_that_of_the_faults_page() -> None:
    kills, others = re.findall(r"(\d+) kills and (\d+) other faults", README)[0]
    page = (DOCS / "faults.md").read_text(encoding="utf-8")
    [(page_kills, workspaces)] = re.findall(r"^(\d+) kills in (\d+) workspaces", page, re.MULTILINE)
    [cases] = re.findall(r"(\d+) cases, \1 equal", page)
    assert (kills, int(others)) == (page_kills, int(cases) - int(workspaces))


@pytest.mark.parametrize("name", FIGURES)
def test_pages_with_a_picture_give_the_figures_that_it_shows(name: str) -> None:
    digest, figures = FIGURES[name]
    assert hashlib.sha256((IMAGES / name).read_bytes()).hexdigest().startswith(digest), (
        "read the figures of the new picture"
    )
    pages = [page for page in PAGES if name in shown(page)]
    assert pages, "no page shows this picture"
    for page in pages:
        for pattern, figure in figures.items():
            assert set(re.findall(pattern, page.read_text(encoding="utf-8"))) == {figure}, page.name


def test_every_picture_is_shown_on_a_page() -> None:
    kept = {path.name for path in IMAGES.rglob("*.png")}
    assert kept - set().union(*map(shown, PAGES)) == set()
