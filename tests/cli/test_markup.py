"""Markup, formulas and TeX in symbols of the archive are text wherever they are shown."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import polars as pl
import pytest
from typer.testing import CliRunner

from champion.cli.app import app
from champion.lake import Lake
from champion.pipeline.ingest import symbol_changes
from champion.pipeline.ingest.fetch import fetch, staged
from champion.pipeline.ingest.ingest import ingest
from champion.pipeline.ingest.rename_instruments import rename_instruments
from champion.pipeline.operations.session_report import session_report
from champion.pipeline.operations.session_report_html import render
from champion.runner import html_report
from champion.runner.outcome import Outcome, Verdict
from champion.settings import Settings
from champion.simulate import SimulatedArchive

FIRST, LAST = date(2024, 8, 26), date(2024, 8, 30)
EVIL = {
    "symbol": [
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "<img src=x onerror=alert(1)>",
        r"$\frac{$",
        "A&B'",
        "[/red]",
    ],
    "name": ["<svg/onload=alert(1)>", "=HYPERLINK('http://x')", "</title><script>", "$$", "{{ 7 * 7 }}", "[bold]"],
}


class Markup(HTMLParser):
    """The scripts, event handlers and Content-Security-Policy of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.policy, self.scripts, self.handlers = "", 0, list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag."""
        given = dict(attrs)
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given.get("content") or ""
        self.scripts += tag == "script"
        self.handlers += [name for name in given if name.startswith("on")]


@pytest.fixture(scope="module")
def hostile(archive: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with ingested sessions that have hostile symbols and names."""
    folder = tmp_path_factory.mktemp("hostile")
    for path in archive.root.rglob("*BhavCopy_NSE_CM_0_0_0_202408*.zip"):
        target = folder / "archive" / path.relative_to(archive.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(renamed(path))
    settings = Settings(home=folder / "home", archive=str(folder / "archive"))
    fetch(settings, FIRST, LAST)
    symbol_changes.refresh(settings)
    ingest(Lake(settings.lake), staged(settings, FIRST, LAST)).require_complete()
    rename_instruments(settings).require_complete()
    return settings


def renamed(path: Path) -> bytes:
    """Return a published file with hostile symbols and names for its first shares."""
    with zipfile.ZipFile(path) as packed:
        (name,) = packed.namelist()
        rows = pl.read_csv(packed.read(name), infer_schema=False)
    shares = rows.filter(pl.col("SctySrs") == "EQ")["TckrSymb"].unique(maintain_order=True).sort()[: len(EVIL["name"])]
    old, new = shares.to_list(), EVIL["symbol"]
    names = pl.col("TckrSymb").replace_strict(old, EVIL["name"], default=pl.col("FinInstrmNm"))
    text = rows.with_columns(FinInstrmNm=names).with_columns(pl.col("TckrSymb").replace(old, new)).write_csv()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, text)
    return content.getvalue()


def test_hostile_symbols_are_ingested_unchanged(hostile: Settings) -> None:
    bars = Lake(hostile.lake).scan("normalized_equity_ohlc", LAST, LAST).collect()
    assert set(EVIL["symbol"]) <= set(bars["symbol"])


def test_session_report_shows_hostile_symbols_as_text(hostile: Settings) -> None:
    seen = session_report(hostile, LAST)
    assert set(EVIL["symbol"]) & set(seen.movers["symbol"]), "some of them moved most"
    found = Markup(render(seen, hostile.home))
    assert (found.scripts, found.handlers) == (0, [])
    assert found.policy.startswith("default-src 'none'")


def test_terminal_shows_hostile_symbols_as_text(hostile: Settings) -> None:
    done = CliRunner().invoke(app, ["report", str(LAST)], env=hostile.environment())
    assert done.exit_code == 0, done.output
    shown = [symbol for symbol in EVIL["symbol"] if symbol in done.output]
    assert shown, "some of them moved most"


def test_notebook_page_runs_no_script(hostile: Settings, tmp_path: Path) -> None:
    bars = Lake(hostile.lake).scan("normalized_equity_ohlc", LAST, LAST).collect()
    shown = bars.filter(pl.col("symbol").is_in(EVIL["symbol"])).select("symbol", "close")
    html = {"text/html": shown._repr_html_(), "text/plain": str(shown)}
    library = {"text/html": "<div></div><SCRIPT>alert(1)</SCRIPT>", "text/plain": "<IPython.core.display.HTML object>"}
    scripted = {"text/html": "<table></table><script>alert(2)</script>", "text/plain": "its text"}
    v4 = nbformat.v4
    outputs = [v4.new_output("display_data", data=data) for data in (html, library, scripted)]  # type: ignore[no-untyped-call]
    cell = v4.new_code_cell("bars", outputs=outputs)  # type: ignore[no-untyped-call]
    nbformat.write(v4.new_notebook(cells=[cell]), tmp_path / "bars.ipynb")  # type: ignore[no-untyped-call]
    text = html_report.render(
        tmp_path / "bars.ipynb", "run", Verdict(Outcome.SUCCEEDED, 1.0), {"symbol": EVIL["symbol"][0]}, EVIL["name"][0]
    )
    found = Markup(text)
    assert found.policy.startswith("default-src 'none'"), "no script, no request"
    assert "script-src" not in found.policy
    assert text.index("Content-Security-Policy") < text.index("<script"), "before the first script"
    assert found.handlers == []
    assert "alert(1)</script>" not in text.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "").lower()
    assert "alert(2)" not in text
    assert "its text" in text


def test_value_with_empty_lines_is_text_in_the_heading(tmp_path: Path) -> None:
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "none.ipynb")  # type: ignore[no-untyped-call]
    value = "a\n\n# not a title\n\n![x](https://elsewhere/x.png)"
    text = html_report.render(tmp_path / "none.ipynb", "run", Verdict(Outcome.SUCCEEDED, 1.0), {"note": value})
    assert "<h1" not in text
    assert "<code>a<br/><br/># not a title<br/><br/>![x](https://elsewhere/x.png)</code>" in text
