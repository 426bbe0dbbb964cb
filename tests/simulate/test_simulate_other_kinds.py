"""The simulated securities that are no company shares: there from a hundred instruments on, and beside the shares."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.market.identity.isin import is_valid
from champion.market.reference import instrument_kind
from champion.simulate import other_kinds, publish
from champion.simulate.calendar import sessions
from champion.sources.parse import parse
from champion.sources.publications import bhavcopy_paths

START, END = date(2024, 7, 1), date(2024, 7, 12)
WANTED = {"fund", "dvr", "rights_entitlement", "partly_paid", "reit_invit", "preference", "warrant", "gold_bond"}


def published(root: Path, instruments: int) -> pl.DataFrame:
    """Return the rows of every UDiFF file of an archive."""
    made = publish(root, instruments=instruments, start=START, end=END)
    files = ((root / bhavcopy_paths(session)[0], session) for session in made.sessions)
    return pl.concat(parse(path.name, path.read_bytes(), session).rows for path, session in files).drop("row_number")


def test_shares_trade_as_they_would_without_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = published(tmp_path / "both", other_kinds.SMALLEST)
    monkeypatch.setattr(other_kinds, "SMALLEST", other_kinds.SMALLEST + 1)
    alone = published(tmp_path / "alone", 100)
    symbols = [one.symbol for one in other_kinds.build(101, 7)]
    order = ["TradDt", "TckrSymb", "SctySrs"]
    shares = both.filter(~pl.col("TckrSymb").is_in(symbols)).sort(order)
    assert shares.equals(alone.sort(order))
    assert both.height > alone.height


def test_every_kind_is_among_them_with_a_valid_isin(tmp_path: Path) -> None:
    rows = published(tmp_path, other_kinds.SMALLEST)
    found = rows.select(
        "ISIN", "TckrSymb", instrument_kind.kind(pl.col("ISIN"), pl.col("SctySrs"), pl.col("TckrSymb"))
    ).unique()
    assert set(found["instrument_kind"]) >= WANTED | {"equity", "debt", "government"}
    assert "unknown" not in set(found["instrument_kind"])
    assert all(is_valid(isin) for isin in found["ISIN"])
    assert other_kinds.build(99, 7) == ()


def test_rights_trade_for_a_week_and_funds_come_and_go() -> None:
    days = sessions(date(2024, 1, 1), date(2024, 12, 31))
    others = other_kinds.build(other_kinds.SMALLEST, 7)
    planned = other_kinds.events(others, days)
    spans = {one.symbol: (planned.first[place], planned.last[place]) for place, one in enumerate(others)}
    begin, end = spans["SATPURA-RE"]
    assert end - begin + 1 == other_kinds.RIGHTS_SESSIONS
    assert spans["KONKANBANK"][0] > 0
    assert spans["TAPTIMID"][1] < len(days) - 1
    assert spans["KAVERIBEES"] == (0, len(days) - 1)
