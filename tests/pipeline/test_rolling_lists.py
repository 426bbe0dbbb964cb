"""Dated copies of lots, and index histories, from a folder into the lake: good ones are loaded, others named."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from champion.contracts.datasets import INDEX_HISTORY, LOTS, REFUSED_LISTS
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.reference import lots
from champion.market.reference.rolling_lists import merged_history
from champion.pipeline.reference import rolling_lists
from champion.settings import Settings
from champion.simulate import SimulatedArchive


@pytest.fixture
def workspace(tmp_path: Path) -> Settings:
    """A workspace without bars, and an archive without files."""
    (tmp_path / "archive").mkdir()
    return Settings(home=tmp_path / "home", archive=str(tmp_path / "archive"))


def test_dated_copies_of_lots_answer_for_their_dates(workspace: Settings, archive: SimulatedArchive) -> None:
    root, current = Path(workspace.archive), (archive.root / rolling_lists.LOTS_PATH).read_text()
    months = re.findall("[A-Z]{3}-[0-9]{2}", current.partition("\n")[0])
    earlier = current
    for month, replaced in zip(months, ("FEB-24", "MAR-24", "APR-24", "JUN-24"), strict=True):
        earlier = earlier.replace(month, replaced)

    def put(day: str, text: str) -> None:
        path = root / f"content/fo/snapshots/{day}/fo_mktlots.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    put("2024-02-05", earlier)
    put("2024-02-15", earlier.replace("50 ", "75 "))
    put("2024-03-01", "<html>")
    put("foo", earlier)
    put("20240206", earlier)
    put("2199-01-01", earlier)
    result = rolling_lists.refresh_lots(workspace)
    assert result.outcome == "written"
    assert sorted(refused.split("/")[3].partition(":")[0] for refused in result.refused) == [
        "2024-03-01",
        "20240206",
        "2199-01-01",
        "foo",
    ]
    lake = Lake(workspace.lake)
    assert {path.split("/")[3] for path in lake.scan(REFUSED_LISTS).collect()["path"]} == {
        "2024-03-01", "20240206", "2199-01-01", "foo",
    }  # fmt: skip
    rows = lake.scan(LOTS).collect()
    assert lake.sessions(LOTS) == [date(2024, 2, 5), date(2024, 2, 15)]
    assert lots.lot(rows, "NIFTY", date(2024, 3, 28), date(2024, 2, 14)) == 50
    assert lots.lot(rows, "NIFTY", date(2024, 3, 28), date(2024, 2, 15)) == 75
    assert lots.eligible(rows, date(2024, 4, 30))
    with pytest.raises(UsageError, match="2024-02-05 to 2024-02-14, 2024-02-15 to 2024-04-30"):
        lots.for_date(rows, date(2024, 5, 1))
    assert rows["known_at"].dt.date().unique().sort().to_list() == [date(2024, 2, 5), date(2024, 2, 15)]
    assert rolling_lists.refresh_lots(workspace).outcome == "already"
    sessions = [date(2024, 2, 1), date(2024, 2, 5), date(2024, 4, 30)]
    assert rolling_lists.covered(lake, sessions)["F&O lots"] == (LOTS, 2, date(2024, 2, 5), date(2024, 4, 30), 0)
    late = {**lake.scan(LOTS).collect().row(0, named=True), "list_date": date(2024, 6, 3)}
    late["expiry_month"] = date(2024, 6, 1)
    lake.write(LOTS, date(2024, 6, 3), pl.DataFrame([late], lake.scan(LOTS).collect_schema()), {"list": "later"})
    sessions += [date(2024, 5, 2), date(2024, 5, 3), date(2024, 6, 3)]
    assert rolling_lists.covered(lake, sessions)["F&O lots"] == (LOTS, 3, date(2024, 2, 5), date(2024, 6, 30), 2)


def test_malformed_history_is_set_aside_and_the_others_are_loaded(workspace: Settings) -> None:
    folder = Path(workspace.archive) / "indices/history"
    folder.mkdir(parents=True)
    good = '"Index Name","Date","Open","High","Low","Close"\n"NIFTY 50","06 May 2024","1","3","1","2"'
    (folder / "good.csv").write_text(good)
    (folder / "bad.csv").write_text(good[:-1])
    (folder / "page.csv").write_text("<html>")
    result = rolling_lists.refresh_histories(workspace)
    assert result.note == "1 row of 1 file; 2 files refused"
    assert re.search(r"page\.csv: .* an HTML page; .*bad\.csv: the file ends within line 2", "; ".join(result.refused))
    lake = Lake(workspace.lake)
    assert lake.scan(INDEX_HISTORY).select("index_id", "close").collect().rows() == [("NSE:NIFTY 50", 2.0)]
    (folder / "page.csv").unlink()
    (folder / "bad.csv").write_text(good.replace('"2"', '"2.5"'))  # corrected: read last, so it counts
    rolling_lists.refresh_histories(workspace)
    assert lake.rows(INDEX_HISTORY) == 2
    assert merged_history(lake.scan(INDEX_HISTORY).collect(), "NSE:NIFTY 50")["close"].to_list() == [2.5]
