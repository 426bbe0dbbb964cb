"""Fetch and ingest several publications of one session: each has its own datasets and counts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from copies import with_warehouse

from champion import warehouse
from champion.errors import FormatError, UsageError, WrongSession
from champion.lake import Lake
from champion.pipeline.ingest import symbol_master
from champion.pipeline.ingest.datasets import LISTS, PUBLICATIONS, dataset_spec
from champion.pipeline.ingest.fetch import FetchResult, digest, fetch, staged
from champion.pipeline.ingest.ingest import DATASETS, IngestResult, ingest
from champion.pipeline.maintenance.load_warehouse import load
from champion.settings import Settings
from champion.sources import Published, full_bhavcopy, indices, udiff
from champion.sources.indices import INDEX_CLOSES
from champion.sources.masters import HEADER
from champion.sources.publications import BHAVCOPY, BSE_BHAVCOPY, DELIVERY, bhavcopy_paths
from champion.sources.table import Publication

SESSION, NEXT = date(2022, 5, 4), date(2022, 5, 5)
SIMULATED = (BHAVCOPY, DELIVERY, INDEX_CLOSES)
BAR = "20MICRONS, EQ, 04-May-2022, 83.05, 84.70, 84.70, 77.55, 80.75, 79.90, 81.29, 207894, 169.00, 4916, 110453, 53.13"
NIFTY = "Nifty 50,04-05-2022,17096.6,17132.85,16623.95,16677.6,-391.5,-2.29,320143123,26821.07,20.5,4.2,1.3"
UDIFF = (
    "2022-05-04,2022-05-04,CM,NSE,STK,1,INE144J01027,20MICRONS,EQ,,,,,20 MICRONS,84.70,84.70,77.55,79.90,80.75,83.05,,"
    "79.90,,,207894,16900123.45,4916,F1,1,,,,,"
)


def put(archive: Path, publication: Publication, *lines: str, session: date = SESSION, place: int = 0) -> Path:
    path = archive / publication.paths(session)[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """One session, published as a full report and as index closes."""
    put(tmp_path / "archive", DELIVERY, *full_bhavcopy.HEADERS, BAR)
    put(tmp_path / "archive", INDEX_CLOSES, *indices.HEADERS, NIFTY)
    return tmp_path / "archive"


@pytest.fixture
def workspace(published: Path, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", archive=str(published))


def run(settings: Settings, *publications: Publication) -> tuple[FetchResult, IngestResult]:
    chosen = publications or PUBLICATIONS
    found = fetch(settings, SESSION, NEXT, publications=chosen)
    return found, ingest(Lake(settings.lake), staged(settings, SESSION, NEXT, chosen))


def test_one_file_serves_two_publications(workspace: Settings) -> None:
    found, result = run(workspace)
    assert (found.sessions, found.absent, found.failed) == ([SESSION], [NEXT], [])
    assert result.sessions.select(
        "session", "publication", "rows", "raw", "normalized", "rejected", "outcome"
    ).rows() == [
        (SESSION, "bhavcopy", 1, 1, 1, 0, "written"),
        (SESSION, "delivery", 1, 1, 1, 0, "written"),
        (SESSION, "index closes", 1, 1, 1, 0, "written"),
    ]
    assert result.of(DELIVERY)["file"].to_list() == result.of(BHAVCOPY)["file"].to_list()
    lake = Lake(workspace.lake)
    assert {name for name in DATASETS if lake.sessions(name)} == {
        name for entry in map(dataset_spec, SIMULATED) for name in (entry.raw, entry.normalized)
    }
    bars, delivered = (lake.scan(f"normalized_equity_{name}").collect() for name in ("ohlc", "delivery"))
    assert bars.select("instrument_id", "volume", "turnover").rows() == [("NSE:20MICRONS", 207894, 16900000.0)]
    assert delivered.select("instrument_id", "delivered_volume").rows() == [("NSE:20MICRONS", 110453)]
    assert bars["event_id"].item() != delivered["event_id"].item()
    assert run(workspace)[1].totals == result.totals | {"written": 0, "already": 3}


def test_ingest_parses_a_new_bhavcopy_once(workspace: Settings) -> None:
    reads: list[str] = []

    def read(name: str, content: bytes, session: date) -> Published:
        reads.append(name)
        return BHAVCOPY.read(name, content, session)

    found = fetch(workspace, SESSION, NEXT, publications=(replace(BHAVCOPY, read=read),))
    reads.clear()
    assert ingest(Lake(workspace.lake), found.staged).totals["written"] == 1
    assert reads == [found.staged[0].file.name]


def test_a_better_format_replaces_the_full_report(workspace: Settings, published: Path) -> None:
    run(workspace)
    before = digest(staged(workspace, SESSION, NEXT))
    put(published, BHAVCOPY, udiff.HEADERS[1], UDIFF)
    shutil.make_archive(str(published / "packed"), "zip", published, bhavcopy_paths(SESSION)[0])
    (published / "packed.zip").replace(published / bhavcopy_paths(SESSION)[0])
    fetch(workspace, SESSION, NEXT, refresh=True)
    assert digest(staged(workspace, SESSION, NEXT)) != before
    result = run(workspace)[1]
    assert result.sessions["outcome"].to_list() == ["written", "already", "already"]
    lake = Lake(workspace.lake)
    assert lake.scan("normalized_equity_ohlc").collect().select("source", "turnover").rows() == [
        ("nse_cm_udiff", 16900123.45)
    ]
    manifest = lake.manifest("raw_equity_ohlc", SESSION)
    assert manifest is not None
    assert len(manifest.parts) == 2, "what was believed before is still there"


def test_a_session_without_index_closes_is_complete(workspace: Settings, published: Path) -> None:
    (published / INDEX_CLOSES.paths(SESSION)[0]).unlink()
    found, result = run(workspace)
    assert (found.sessions, found.failed) == ([SESSION], [])
    assert result.totals | {"sessions": 1, "files": 2, "rejected": 0} == result.totals


def test_without_a_bhavcopy_there_is_no_session(workspace: Settings, published: Path) -> None:
    (published / DELIVERY.paths(SESSION)[0]).unlink()
    found, _ = run(workspace)
    assert (found.sessions, found.absent) == ([], [SESSION, NEXT])


def test_a_file_refused_for_two_publications_is_renamed_once(workspace: Settings) -> None:
    found = fetch(workspace, SESSION, SESSION)
    kept = workspace.staging / DELIVERY.paths(SESSION)[0]
    kept.write_text(kept.read_text()[:-4])  # damaged after it was fetched and found whole
    result = ingest(Lake(workspace.lake), found.staged)
    assert [session for session, _ in result.failed] == [SESSION, SESSION]
    assert all("it was cut off" in error for _, error in result.failed)
    assert result.totals["written"] == 1, "the index closes went their way"
    assert not kept.exists()
    assert len([file for file in kept.parent.iterdir() if "refused" in file.name]) == 1
    assert run(workspace)[1].totals["failed"] == 0


def test_a_refused_file_does_not_stop_the_other_files_of_a_session(workspace: Settings, published: Path) -> None:
    path = published / DELIVERY.paths(SESSION)[0]
    put(published, INDEX_CLOSES, *indices.HEADERS, NIFTY.replace("04-05", "03-05"))
    found, result = run(workspace)
    assert [(session, type(error)) for session, error in found.failed] == [(SESSION, WrongSession)]
    assert result.sessions["publication"].to_list() == ["bhavcopy", "delivery"]
    path.write_text(path.read_text()[:-4])
    found = fetch(workspace, SESSION, SESSION, refresh=True)
    assert [type(error) for _, error in found.failed] == [FormatError, FormatError, WrongSession]


def test_bse_needs_its_own_workspace(workspace: Settings, published: Path, tmp_path: Path) -> None:
    put(published, BSE_BHAVCOPY, udiff.HEADERS[1], UDIFF.replace(",NSE,", ",BSE,").replace(",EQ,", ",X,"))
    bse = workspace.model_copy(update={"home": tmp_path / "bse"})
    result = run(bse, BSE_BHAVCOPY)[1]
    assert result.sessions["publication"].to_list() == ["BSE bhavcopy"]
    bars = Lake(bse.lake).scan("normalized_equity_ohlc").collect()
    assert bars.select("instrument_id", "exchange", "source").rows() == [("BSE:20MICRONS", "BSE", "bse_cm_udiff")]
    with pytest.raises(UsageError, match="the lake holds bars of BSE, these files are of NSE"):
        run(bse)
    run(workspace)
    with pytest.raises(UsageError, match="the lake holds bars of NSE, these files are of BSE"):
        run(workspace, BSE_BHAVCOPY)
    with pytest.raises(UsageError, match="the lake holds bars of no exchange, these files are of BSE, NSE"):
        run(workspace.model_copy(update={"home": tmp_path / "both"}), BHAVCOPY, BSE_BHAVCOPY)


def test_the_warehouse_has_all_publications_and_lists(workspace: Settings, migrated: Settings, published: Path) -> None:
    run(with_warehouse(workspace, migrated))
    listed = published / symbol_master.EQUITY_LIST
    listed.parent.mkdir(parents=True)
    listed.write_text(f"{','.join(HEADER)}\n20MICRONS,20 Microns Limited,EQ,06-OCT-2008,5,1,INE144J01027,5\n")
    symbol_master.refresh(workspace)
    loaded = {result.table: result.rows for result in load(workspace, SESSION, SESSION)}
    assert loaded == dict.fromkeys(
        (
            "raw_equity_ohlc",
            "normalized_equity_ohlc",
            "normalized_equity_delivery",
            "normalized_index_ohlc",
            "normalized_symbol_master",  # read long after the sessions of the range: a list tells of all of them
        ),
        1,
    )
    listed_name = "select company_name from symbol_master where company_name <> ''"
    assert warehouse.sql(workspace, listed_name).item() == "20 Microns Limited"
    shares = "select delivered_share, close from normalized_equity_delivery join equity_ohlc using (trade_date, symbol)"
    assert warehouse.sql(workspace, shares).rows() == [(110453 / 207894, 79.9)]


def test_every_publication_fills_its_own_three_datasets() -> None:
    own = [name for publication in PUBLICATIONS for name in dataset_spec(publication).names]
    assert len(own) == len(set(own)) == 3 * len(PUBLICATIONS)


def test_the_simulated_archive_has_three_publications_per_session(ingested: Settings) -> None:
    lake = Lake(ingested.lake)
    sessions = lake.sessions("normalized_equity_ohlc")
    for entry in map(dataset_spec, SIMULATED):
        assert lake.sessions(entry.normalized) == lake.sessions(entry.raw) == sessions
        assert lake.rows(entry.normalized) == lake.rows(entry.raw) > 0
        assert lake.sessions(entry.quarantine) == []


def test_real_sessions_between_legacy_and_udiff(nse: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, archive=str(nse))
    first, last = date(2023, 12, 1), date(2023, 12, 4)
    found = fetch(settings, first, last)
    assert (found.sessions, found.absent) == ([first, last], [date(2023, 12, 2), date(2023, 12, 3)])
    lake = Lake(settings.lake)
    result = ingest(lake, found.staged)
    assert result.totals["rejected"] == 0
    lines = sum(len(received.file.path.read_bytes().splitlines()) - 1 for received in found.staged)
    assert result.totals["rows"] == result.totals["normalized"] == lines > 10_000
    both = lake.scan("normalized_equity_ohlc").join(
        lake.scan("normalized_equity_delivery"), on=["trade_date", "instrument_id"], suffix="_delivered"
    )
    assert both.filter(pl.col("volume") == pl.col("volume_delivered")).select(pl.len()).collect().item() == lines / 2


def test_bars_alone_are_fetched_by_default() -> None:
    assert not set(PUBLICATIONS) & set(LISTS)
