"""From files of an archive to members and sectors in the lake: revisions, refusals, confirmations, replays."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from copies import with_warehouse
from typer.testing import CliRunner, Result

from champion import contracts, warehouse, workspace
from champion.base import clock
from champion.cli.app import app
from champion.contracts.datasets import (
    BARS,
    CONSTITUENTS,
    CONTRADICTIONS,
    FEATURES,
    INDEX_CHANGES,
    INDEX_MEMBERS,
    REFUSED_LISTS,
    SECTORS,
)
from champion.errors import LakeError, ModelError, UsageError
from champion.lake import Lake
from champion.market.identity.isin import check_digit
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.reference.indices.index_lists import REGISTER_SOURCE, ListFile, normalize_changes
from champion.market.reference.indices.sectors import unknown_share
from champion.modeling.universe import Universe, find
from champion.pipeline.ingest.reference_lists import kept_lists
from champion.pipeline.ingest.symbol_master import company_sectors
from champion.pipeline.operations import index_evidence
from champion.pipeline.provenance import downstream, upstream
from champion.pipeline.reference import index_lists, list_files, membership, refused_lists, universe_lists
from champion.settings import Settings

HEADER = "Company Name,Industry,Symbol,Series,ISIN Code\n"
BANK = "content/indices/ind_niftybanklist.csv"
NAMES = [f"B{number}" for number in range(14)]


def listing(names: list[str], industry: str = "Financial Services") -> str:
    bodies = {name: f"INE{int(name[1:]):03d}A0101" for name in names}
    lines = [f"{name} Ltd.,{industry},{name},EQ,{body}{check_digit(body)}\n" for name, body in bodies.items()]
    return HEADER + "".join(lines)


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def copy_of(day: str) -> str:
    return f"content/indices/snapshots/{day}/ind_niftybanklist.csv"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A workspace with two copies of a list and a table of changes in its archive, which notebooks open."""
    root = tmp_path / "archive"
    put(root, copy_of("2023-01-10"), listing(NAMES[:12]))
    put(root, copy_of("2024-01-10"), listing([*NAMES[1:12], NAMES[12]]))
    monkeypatch.setenv("CHAMPION_HOME", str(tmp_path / "home"))
    workspace.settings.cache_clear()
    yield Settings(home=tmp_path / "home", archive=str(root))
    workspace.settings.cache_clear()


def test_copies_become_members_and_sectors_of_their_dates(settings: Settings) -> None:
    result = index_lists.refresh(settings)
    assert result.outcome == "written", result
    lake = Lake(settings.lake)
    assert lake.sessions(CONSTITUENTS) == [date(2023, 1, 10), date(2024, 1, 10)]
    stored = lake.scan(INDEX_MEMBERS, date(2024, 1, 10)).collect()
    left = stored.filter(symbol="B0").select("member_from", "member_until", "until_basis", "instrument_id").row(0)
    assert left == (date(2023, 1, 10), date(2024, 1, 10), "between lists", "NSE:B0")
    assert lake.scan(SECTORS).collect()["sector"].unique().to_list() == ["Financial Services"]
    assert membership.coverage(lake) == {"NIFTY BANK": (date(2023, 1, 10), date(2024, 1, 10))}


def test_repeated_refresh_writes_nothing(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake = Lake(settings.lake)
    before = {name: lake.digest(name) for name in (CONSTITUENTS, INDEX_CHANGES, INDEX_MEMBERS, SECTORS)}
    assert index_lists.refresh(settings).outcome == "already"
    assert {name: lake.digest(name) for name in before} == before


def test_malformed_list_is_set_aside_and_the_others_are_loaded(settings: Settings) -> None:
    put(Path(settings.archive), copy_of("2023-06-10"), "<!DOCTYPE html><html>")
    put(Path(settings.archive), copy_of("2023-07-10"), listing(NAMES[:11]))
    result = index_lists.refresh(settings)
    assert result.note.endswith("2 files refused")
    assert [refused.partition(": ")[0] for refused in result.refused] == [copy_of("2023-06-10"), copy_of("2023-07-10")]
    assert "found an HTML page" in result.refused[0]
    assert "11 securities, expected 12" in result.refused[1]
    found = {path: reason for path, (_, reason) in refused_lists.files(settings).items()}
    assert [f"{path}: {reason}" for path, reason in found.items()] == list(result.refused)
    index_lists.refresh(settings)  # refuses both again
    rows = Lake(settings.lake).scan(REFUSED_LISTS).collect()
    assert (rows["path"] + ": " + rows["reason"]).to_list() == list(result.refused)
    digest = sha256(Path(settings.archive, copy_of("2023-07-10")).read_bytes()).hexdigest()
    assert rows["source_sha256"].to_list() == ["", digest]
    assert Lake(settings.lake).sessions(CONSTITUENTS) == [date(2023, 1, 10), date(2024, 1, 10)]


def test_moved_folder_of_lists_is_accepted_by_the_printed_command_and_reaches_the_warehouse(
    settings: Settings, migrated: Settings, tmp_path: Path
) -> None:
    lists = Path(settings.archive).rename(tmp_path / "lists")
    (tmp_path / "archive").mkdir()
    with_warehouse(settings, migrated)

    def run(*arguments: str) -> Result:
        home = {"CHAMPION_HOME": str(settings.home), "CHAMPION_ARCHIVE": settings.archive}
        return CliRunner(env={**home, "CHAMPION_LISTS": str(lists)}).invoke(app, arguments)

    try:
        assert "2 versions in staging" in run("lists", "refresh").output
        members = "select count() from index_members where index_name = 'NIFTY BANK'"
        assert warehouse.sql(settings, members).item() == 13
        lists = lists.rename(tmp_path / "moved")
        refused = run("lists", "refresh")
        assert refused.exit_code != 0
        (command,) = re.findall(r"champion (archive add \S+)", str(refused.exception))
        assert "set CHAMPION_LISTS back" in str(refused.exception)
        assert run(*command.split()).exit_code == 0
        assert run("lists", "refresh").exit_code == 0
    finally:
        warehouse.close()


def test_list_that_the_exchange_serves_unchanged_is_confirmed_once_a_day(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake, today = Lake(settings.lake), clock.today()
    folders = [settings.staging]
    copies = list(kept_lists(folders, list_files.PATTERNS[1]))
    kept = [replace(copies[-1], origin=f"https://exchange/{BANK}")]
    before = today - timedelta(30)
    served = [replace(one, fetched_at=clock.now() - timedelta(30), session=before) for one in kept]
    for _ in range(2):
        one = index_lists._Refresh(lake, SymbolHistory())
        index_lists._commit_lists(one, [*copies, *served])
        index_lists._commit_changes(one, [], {BANK: served[0]})
        index_lists.derive(lake)
        rows = lake.scan(INDEX_CHANGES).collect()
        assert rows.select("change", "effective", "source").rows() == [("none", today, "nse_index_list")]
    assert lake.scan(CONSTITUENTS, before, before).collect()["as_of_from"].unique().to_list() == [before]
    assert membership.coverage(lake)["NIFTY BANK"] == (date(2023, 1, 10), today)


def test_register_and_press_releases_date_the_change(settings: Settings) -> None:
    changes = (
        "index,effective,out,in,press_release,remark\nNIFTY BANK,2023-09-29,B0,B12,ind_prs17082023,\n"
        "NIFTY BANK,2024-01-10,,,,no change since\n"
    )
    put(Path(settings.archive), "content/indices/index_changes.csv", changes)
    index_lists.refresh(settings)
    rows = Lake(settings.lake).scan(INDEX_MEMBERS).collect()
    assert rows.filter(symbol="B12").select("member_from", "from_basis", "from_after").row(0) == (
        date(2023, 9, 29),
        "press release",
        None,
    )
    # A corrected table replaces the earlier one, whose rows stay in the lake as a revision.
    put(Path(settings.archive), "content/indices/index_changes.csv", changes.replace("2023-09-29", "2023-09-28"))
    index_lists.refresh(settings)
    rows = Lake(settings.lake).scan(INDEX_MEMBERS).collect()
    assert rows.filter(symbol="B12")["member_from"].to_list() == [date(2023, 9, 28)]
    # What is announced for a later date says nothing of the other changes until then.
    put(Path(settings.archive), "content/indices/index_changes.csv", changes.replace("2024-01-10", "2199-01-10"))
    index_lists.refresh(settings)
    assert membership.coverage(Lake(settings.lake))["NIFTY BANK"][1] == clock.today()


def test_archive_without_lists_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    settings = Settings(home=tmp_path / "home", archive=str(tmp_path / "archive"))
    result = index_lists.refresh(settings)
    assert (result.outcome, result.rows) == ("absent", 0)
    assert Lake(settings.lake).sessions(INDEX_MEMBERS) == []


def test_members_and_sectors_are_answered_as_of_a_date(settings: Settings) -> None:
    index_lists.refresh(settings)
    assert workspace.members("Nifty Bank", "2023-06-30")["symbol"].to_list() == sorted(NAMES[:12])
    assert "B12" in workspace.members("NIFTY BANK", "2024-01-10")["symbol"].to_list()
    with pytest.raises(UsageError, match="cover 2023-01-10 to 2024-01-10"):
        workspace.members("NIFTY BANK", "2024-01-11")
    # The last list counts on the day itself, as for a person on that day, but not later.
    then = workspace.members("NIFTY BANK", "2023-06-30", known="2023-06-30")
    assert then["symbol"].to_list() == sorted(NAMES[:12])
    with pytest.raises(UsageError, match="covers 2023-01-10 to 2023-06-30"):
        workspace.members("NIFTY BANK", "2023-07-01", known="2023-06-30")
    assert workspace.sectors("2023-06-30").height == 12
    assert workspace.sectors("2023-06-30", fill_backward=True).filter(basis="later list")["symbol"].to_list() == ["B12"]
    assert workspace.sectors("2023-01-10", known="2023-06-30").filter(symbol="B12").is_empty()
    for day, known in (("2023-01-09", None), ("2024-01-11", None), ("2023-07-01", "2023-06-30")):
        covered = "2023-01-10 to " + ("2023-06-30" if known else "2024-01-10")
        with pytest.raises(UsageError, match=f"sectors on {day} are not known: index lists cover {covered}"):
            workspace.sectors(day, known)


def test_universe_filters_by_index_and_sector(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake, days = Lake(settings.lake), [date(2023, 6, 1), date(2024, 1, 10)]
    rows = pl.DataFrame(
        [(f"NSE:{name}", day) for day in days for name in ("B0", "B5", "B12", "B13")],
        {"instrument_id": pl.String, "trade_date": pl.Date},
        orient="row",
    )
    kept = membership.keep(rows, lake, "NIFTY BANK", ())
    assert kept.rows() == [("NSE:B0", days[0]), ("NSE:B5", days[0]), ("NSE:B5", days[1]), ("NSE:B12", days[1])]
    unknown = membership.keep(rows, lake, "", ("Unknown",))
    assert unknown.filter(trade_date=days[1])["instrument_id"].to_list() == ["NSE:B13"]
    late = rows.with_columns(pl.col("trade_date") + timedelta(30))
    for filters in (("NIFTY BANK", ()), ("", ("Unknown",))):
        with pytest.raises(UsageError, match="not known"):
            membership.keep(late, lake, *filters)
    assert membership.keep(rows, lake, "", ()).equals(rows)


def test_universe_whose_lists_do_not_cover_a_run_is_refused_before_it(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake, days = Lake(settings.lake), [date(2023, 1, 9), date(2023, 1, 10), date(2024, 1, 10), date(2024, 1, 11)]
    bars, features = contracts.load(BARS), contracts.load(FEATURES)
    parts: list[tuple[contracts.Contract, str | None, list[str]]] = [(bars, None, list(bars.polars_schema))]
    parts += [(features, group, [*features.ungrouped, *features.groups[group]]) for group in features.groups]
    for (contract, group, columns), day in itertools.product(parts, days):
        empty = pl.DataFrame(schema=contract.polars_schema).select(columns)
        lake.write(contract.name, day, empty, {"of": "test"}, group)
    bank, known = Universe(index="Nifty Bank"), Universe(sectors=("Unknown",))
    for universe in (bank, known):
        universe_lists.require_known(lake, universe, days[1:3])
        universe_lists.require_known(lake, replace(universe, min_age=1), days[:3])
        for wrong in (days[:2], days[2:]):
            with pytest.raises(UsageError, match=r"are not known: .* cover 2023-01-10 to 2024-01-10"):
                universe_lists.require_known(lake, universe, wrong)
    with pytest.raises(UsageError, match="the members of NIFTY BANK on 2023-01-09 to 2024-01-11 are not known"):
        CliRunner().invoke(app, ["train", "--universe", bank.text], catch_exceptions=False)
    for arguments, error, message in (
        (["train", "--universe", '{"kind": "equity"}'], LakeError, "with no current features: run `champion features"),
        (["train", "--end", "2001-01-01"], ModelError, "no features from the start to 2001-01-01"),
        (["train", "--model", "logistik"], ModelError, "model 'logistik' is not known; did you mean 'logistic'?"),
        (["train", "--model", "xgboost"], ModelError, "model 'xgboost' is not known; did you mean 'lightgbm'?"),
        (["train", "--universe", "nifty"], UsageError, 'the members of an index are \'{"index": "NIFTY 500"}\''),
        (["train", "--universe", "liqud"], UsageError, "did you mean 'liquid'?"),
        (["train", "--target", "rnak"], UsageError, "target 'rnak' is not known"),
        (["train", "--feature-set", "v9"], UsageError, "v9"),
        (["score", "2001-01-01"], LakeError, "no bars of session 2001-01-01"),
    ):
        with pytest.raises(error, match=message):
            CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert {path.name for path in settings.home.iterdir()} <= {"lake", "staging", "home.json"}  # nothing was started
    with pytest.raises(ModelError, match="has no version 7; registered: none"):
        CliRunner().invoke(app, ["models", "promote", "7"], catch_exceptions=False)


def test_universe_says_what_its_lists_leave_unknown(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake, days = Lake(settings.lake), [date(2023, 6, 1), date(2024, 1, 10)]
    rows = pl.DataFrame({"instrument_id": ["NSE:B5"] * 2, "trade_date": days})
    found = universe_lists.notes(lake, Universe(index="Nifty Bank", sectors=("Healthcare",)), rows)
    assert found == [
        "NIFTY BANK on 2024-01-10: 12 members, 12 of them without a bar: B1, B10, B11, B12, B2, B3, ...",
        "NIFTY BANK: no list between 2023-01-10 and 2024-01-10; a change in between counts from the later one",
        "shares traded on 2024-01-10: sectors: no rows",
    ]
    assert universe_lists.notes(lake, Universe(), rows) == []
    traded = rows.with_columns(turnover=pl.Series([3.0, 1.0])).with_columns(pl.Series("instrument_id", ["NSE:B5", "X"]))
    named = membership.with_sectors(traded, lake)
    assert named["sector"].to_list() == ["Financial Services", "Unknown"]
    assert unknown_share(named) == "sector unknown for 50.0% of 2 rows and 25.0% of turnover"


def test_wrong_number_of_companies_is_reported_wherever_members_are_used(settings: Settings) -> None:
    half = "index,effective,out,in,press_release,remark\nNIFTY BANK,2023-09-29,B0,B5,ind_prs17082023,\n"
    put(Path(settings.archive), "content/indices/index_changes.csv", half)  # B5 is in the index; B12 was meant
    index_lists.refresh(settings)
    lake, days = Lake(settings.lake), [date(2023, 6, 1), date(2023, 12, 29)]
    (wrong,) = membership.open_evidence(lake).sizes.rows()
    assert wrong == ("NIFTY BANK", date(2023, 9, 29), date(2024, 1, 9), 11, 12, 12)
    reported = "NIFTY BANK: 11 companies instead of 12 on 103 dates between 2023-09-29 and 2024-01-09"
    check = index_evidence.check(settings)
    assert check.state == "warning"
    assert reported in check.found
    rows = pl.DataFrame({"instrument_id": ["NSE:B5"] * 2, "trade_date": days})
    noted = "NIFTY BANK has 11 companies instead of 12 on 92 dates between 2023-09-29 and 2023-12-29"
    assert any(note.startswith(noted) for note in universe_lists.notes(lake, Universe(index="NIFTY BANK"), rows))
    for known in (None, "2024-01-10"):
        with pytest.warns(UserWarning, match="NIFTY BANK on 2023-12-29 has 11 companies instead of 12"):
            assert set(workspace.members("NIFTY BANK", "2023-12-29", known=known)["surplus"]) == {-1}
        assert set(workspace.members("NIFTY BANK", "2023-09-28", known=known)["surplus"]) == {0}
    shown = CliRunner().invoke(app, ["lists", "ls"]).output
    assert "11 companies instead of 12" in " ".join(shown.split())


def test_universe_text_names_lists_only_if_it_uses_them() -> None:
    assert "index" not in Universe().text
    chosen = Universe(index="NIFTY 500", sectors=("Healthcare",))
    assert find(chosen.text) == chosen
    assert find({"sectors": "Healthcare"}).sectors == ("Healthcare",)


def test_digest_of_a_universe_changes_with_its_members_only(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake = Lake(settings.lake)
    before = membership.digests(lake, "NIFTY BANK", (), date(2023, 12, 31))
    assert membership.digests(lake, "", (), date(2023, 12, 31)) == {}
    put(Path(settings.archive), copy_of("2024-03-10"), listing([*NAMES[2:12], NAMES[12], NAMES[13]]))
    index_lists.refresh(settings)
    assert membership.digests(lake, "NIFTY BANK", (), date(2023, 12, 31)) != before  # B1's end is known now
    after = membership.digests(lake, "NIFTY BANK", (), date(2024, 12, 31))
    shutil.rmtree(Path(settings.archive) / "content/indices/snapshots/2024-03-10")
    index_lists.refresh(settings)
    assert membership.digests(lake, "NIFTY BANK", (), date(2024, 12, 31)) == after  # staging keeps what was read


def test_members_are_traced_to_their_files_and_back(settings: Settings) -> None:
    index_lists.refresh(settings)
    for name in (INDEX_MEMBERS, CONTRADICTIONS):
        up = upstream.back(settings, name, date(2024, 1, 10))
        assert up.is_whole
        assert {node.name for node in up.nodes.values()} == {name, CONSTITUENTS, "2 published files"}
    manifest = Lake(settings.lake).manifest(CONSTITUENTS, date(2023, 1, 10))
    assert manifest is not None
    down = downstream.forward(settings, manifest.current.inputs["list"])
    assert {node.name for node in down.nodes.values()} >= {CONSTITUENTS, INDEX_MEMBERS, SECTORS, CONTRADICTIONS}


def test_withdrawing_lists_leaves_the_sectors_of_the_others_then_none(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake, rows = Lake(settings.lake), pl.DataFrame({"instrument_id": ["NSE:B5"], "trade_date": [date(2023, 1, 10)]})
    index_lists.withdraw(settings, "NIFTY BANK", date(2024, 1, 10), "wrong", "asha")
    assert company_sectors(lake)["sector"].unique().to_list() == ["Financial Services"]
    assert membership.with_sectors(rows, lake)["sector"].to_list() == ["Financial Services"]
    index_lists.withdraw(settings, "NIFTY BANK", date(2023, 1, 10), "wrong", "asha")
    assert company_sectors(lake).is_empty()
    assert membership.coverage(lake) == {}
    assert membership.with_sectors(rows, lake)["sector"].to_list() == [None]


def test_member_without_an_instrument_is_shown_with_its_dates_wherever_members_are_used(settings: Settings) -> None:
    index_lists.refresh(settings)
    lake, days = Lake(settings.lake), [date(2023, 6, 1), date(2023, 9, 1), date(2023, 12, 1)]
    register = pl.DataFrame(
        {
            "index_name": ["NIFTY BANK"] * 4,
            "effective": [date(2023, 5, 2), date(2023, 10, 4), date(2023, 5, 2), date(2023, 10, 4)],
            "company": ["Unlisted Bank Ltd.", "Unlisted Bank Ltd.", "B3 Ltd.", "B3 Ltd."],
            "is_inclusion": [True, False, False, True],
        }
    )
    file = ListFile("IndexInclExcl.xlsx", "0" * 64, clock.now())
    rows = normalize_changes(register, SymbolHistory(), REGISTER_SOURCE, file)
    lake.write(INDEX_CHANGES, file.list_date, contracts.load(INDEX_CHANGES).conform(rows), {"register": "test"})
    empty = pl.DataFrame(schema=contracts.load(BARS).polars_schema)
    for day in days:
        lake.write(BARS, day, empty, {"bars": "none"})
    index_lists.derive(lake)
    lost = [("NIFTY BANK", "Unlisted Bank Ltd.", days[0], date(2023, 10, 3))]
    assert membership.open_evidence(lake).unresolved.rows() == lost
    text = "1 member: Unlisted Bank Ltd. (2023-06-01 to 2023-10-03)"
    reported = f"members without an instrument are in no universe (NIFTY BANK: {text})"
    assert reported in index_evidence.check(settings).found
    noted = {  # each range of dates names who is absent in it, not only its last session
        span: universe_lists.notes(
            lake, Universe(index="NIFTY BANK"), pl.DataFrame({"instrument_id": ["B5"] * 2, "trade_date": span})
        )
        for span in ((days[0], days[2]), (days[1], days[2]), (days[2], days[2]))
    }
    found = [[note for note in notes if "no bar can be of" in note] for notes in noted.values()]
    assert found == [
        [f"NIFTY BANK: no bar can be of {text}"],
        [f"NIFTY BANK: no bar can be of {text.replace('06-01', '09-01')}"],
        [],
    ]
    shown = " ".join(CliRunner().invoke(app, ["lists", "ls"]).output.split())
    assert "Members without an instrument" in shown
    assert "Unlisted Bank Ltd. (2023-06-01 to 2023-10-03)" in shown
