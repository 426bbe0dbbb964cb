"""Wrong index lists: dates that cannot be right, corrections, withdrawals, typing errors, and any order of arrival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest

from champion import workspace
from champion.base import clock
from champion.contracts.datasets import (
    BARS,
    CONSTITUENTS,
    CONTRADICTIONS,
    INDEX_BARS,
    INDEX_MEMBERS,
    LIST_DECISIONS,
    REVISIONS,
    SECTORS,
)
from champion.errors import UsageError
from champion.lake import Lake
from champion.market.identity.isin import check_digit
from champion.market.reference.indices.index_lists import as_known
from champion.pipeline.ingest import symbol_master
from champion.pipeline.ingest.reference_lists import list_archives
from champion.pipeline.reference import index_lists, membership, refused_lists
from champion.pipeline.reference.benchmarks import benchmark
from champion.settings import Settings

BANK, FILE = "NIFTY BANK", "ind_niftybanklist.csv"
NAMES = [f"BANK{number:02}" for number in range(30)]
DAYS = [date(2023, month, 10) for month in (1, 3, 5, 7, 9)]
TODAY = clock.today()
HEADER = "Company Name,Industry,Symbol,Series,ISIN Code\n"
CHANGES = "content/indices/index_changes.csv"


def listing(names: list[str]) -> str:
    bodies = {name: f"INE{int(name[-2:]):03d}A0101" for name in names}
    lines = [f"{name} Ltd.,Financial Services,{name},EQ,{body}{check_digit(body)}\n" for name, body in bodies.items()]
    return HEADER + "".join(lines)


def of(step: int) -> str:
    """Return the true list of a step: two members give way to two others."""
    return listing(NAMES[2 * step : 2 * step + 12])


TRUE = {f"content/indices/snapshots/{day}/{FILE}": of(step) for step, day in enumerate(DAYS)}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A workspace with the true lists in its archive."""
    root = tmp_path / "archive"
    put(root, TRUE)
    monkeypatch.setenv("CHAMPION_HOME", str(tmp_path / "home"))
    workspace.settings.cache_clear()
    yield Settings(home=tmp_path / "home", archive=str(root))
    workspace.settings.cache_clear()


def put(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def state(
    settings: Settings, names: tuple[str, ...] = (CONSTITUENTS, REVISIONS, INDEX_MEMBERS, SECTORS)
) -> list[object]:
    """Return the rows of the datasets, without the times at which they were read or derived."""
    lake = Lake(settings.lake)
    return [lake.scan(name).drop("ingest_time").collect().rows() for name in names]


def answers(known: date | None) -> list[list[str]]:
    """Return the members on each date of a list, as known on a date."""
    days = [day for day in DAYS[::2] if known is None or day <= known]
    return [workspace.members(BANK, day, known=known)["symbol"].to_list() for day in days]


def test_any_order_of_arrival_gives_the_same_lists_members_and_answers(settings: Settings, tmp_path: Path) -> None:
    index_lists.refresh(settings)
    expected, known = state(settings), [DAYS[2] + timedelta(40), TODAY]
    then = [answers(day) for day in known]
    paths = Random(5).sample(sorted(TRUE), len(TRUE))  # noqa: S311 - no secret
    other = Settings(home=tmp_path / "other", archive=str(tmp_path / "slow"))
    for place, path in enumerate(paths):
        put(tmp_path / "slow", {path: TRUE[path]})
        if place % 2 == 0 or place == len(paths) - 1:  # some arrive together
            index_lists.refresh(other)
    last = Lake(other.lake).scan(INDEX_MEMBERS, DAYS[-1], DAYS[-1]).drop("ingest_time").collect().rows()
    assert last == Lake(settings.lake).scan(INDEX_MEMBERS, DAYS[-1], DAYS[-1]).drop("ingest_time").collect().rows()
    assert state(other, (CONSTITUENTS, REVISIONS)) == expected[:2]
    workspace.settings.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAMPION_HOME", str(other.home))
        assert [answers(day) for day in known] == then


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"content/indices/{FILE}", "a file in a folder does not say of which day it is"),
        (f"content/indices/snapshots/2090-01-01/{FILE}", "is dated 2090-01-01, after the day on which it was read"),
        (f"content/indices/snapshots/foo/{FILE}", "its folder 'foo' is no date"),
        (f"content/indices/snapshots/2022-13-45/{FILE}", "its folder '2022-13-45' is no date"),
        (f"content/indices/snapshots/2022-W10-1/{FILE}", "is no date"),
        (f"content/indices/snapshots/20220310/{FILE}", "is no date"),
        (f"content/indices/snapshots/2022-03-10/{FILE.upper()}", f"Name it as the exchange does: {FILE}"),
        ("content/indices/snapshots/2022-03-10/ind_niftybanklist (1).csv", f"Name it as the exchange does: {FILE}"),
        ("content/indices/snapshots/2022-03-10/nifty.txt", "such as ind_nifty50list.csv"),
    ],
)
def test_list_without_a_date_that_can_be_right_is_refused(settings: Settings, path: str, reason: str) -> None:
    before = index_lists.refresh(settings), state(settings)
    put(Path(settings.archive), {path: of(9)})
    result = index_lists.refresh(settings)
    assert [refused.partition(": ")[0] for refused in result.refused] == [path]
    assert reason in result.refused[0]
    ((refused, (_, why)),) = refused_lists.files(settings).items()
    assert (refused, f"{path}: {why}") == (path, result.refused[0])
    assert state(settings) == before[1]
    assert membership.coverage(Lake(settings.lake)) == {BANK: (DAYS[0], DAYS[-1])}


def test_list_that_an_earlier_version_took_under_a_wrong_date_leaves_the_lake(settings: Settings) -> None:
    index_lists.refresh(settings)
    true, lake = state(settings), Lake(settings.lake)
    future = date(2090, 1, 1)
    path = f"content/indices/snapshots/{future}/{FILE}"
    put(Path(settings.archive), {path: of(9)})
    with list_archives(settings) as (archive,):  # as earlier versions did
        archive.fetch_list(path)
    for name in (CONSTITUENTS, INDEX_MEMBERS, SECTORS):
        day = lake.sessions(name)[-1]
        rows = lake.scan(name, day, day).collect().with_columns(list_date=pl.lit(future))
        lake.write(name, future, rows, {"list": "of an earlier version"})
    (Path(settings.archive) / path).unlink()
    index_lists.refresh(settings)
    assert state(settings) == true
    assert answers(None) == [sorted(NAMES[2 * step : 2 * step + 12]) for step in (0, 2, 4)]


def test_correction_is_known_from_its_reading_and_the_first_version_before(settings: Settings) -> None:
    index_lists.refresh(settings)
    first = answers(TODAY - timedelta(1))
    corrected = listing([*NAMES[4:15], NAMES[20]])
    put(Path(settings.archive), {sorted(TRUE)[2]: corrected})
    for _ in range(2):
        index_lists.refresh(settings)
        lake = Lake(settings.lake)
        assert lake.scan(REVISIONS).collect()["list_date"].unique().to_list() == [DAYS[2]]
        assert lake.scan(CONSTITUENTS).collect()["list_date"].unique().sort().to_list() == DAYS
        assert answers(TODAY - timedelta(1)) == first
        assert answers(DAYS[2])[1] == sorted(NAMES[4:16])
        for known in (TODAY, None):
            assert answers(known)[1] == sorted([*NAMES[4:15], NAMES[20]])
    # Between both commits of a correction, the lines of the first version are in two datasets: they count once.
    (old,) = lake.scan(REVISIONS).collect().partition_by("list_date")
    both = pl.concat([lake.scan(CONSTITUENTS).collect(), old.select(lake.scan(CONSTITUENTS).collect_schema().names())])
    then = as_known(both, old, TODAY - timedelta(1))
    assert then.filter(list_date=DAYS[2]).height == 12
    # Taken back: the first version is read a second time, and is a correction too.
    put(Path(settings.archive), {sorted(TRUE)[2]: TRUE[sorted(TRUE)[2]]})
    index_lists.refresh(settings)
    assert answers(None) == first == answers(TODAY - timedelta(1))


@pytest.mark.parametrize(("wrong_day", "is_deleted"), [(date(2022, 12, 1), True), (date(2023, 12, 1), False)])
def test_withdrawn_list_leaves_the_state_of_a_lake_that_never_had_it(
    settings: Settings, wrong_day: date, *, is_deleted: bool
) -> None:
    index_lists.refresh(settings)
    true, known = state(settings), answers(DAYS[-1])
    path = f"content/indices/snapshots/{wrong_day}/{FILE}"
    put(Path(settings.archive), {path: listing(NAMES[17:29])})
    index_lists.refresh(settings)
    assert state(settings) != true
    if is_deleted:
        (Path(settings.archive) / path).unlink()
        asked = index_lists.refresh(settings).note
        assert (
            f"1 list no longer in the folder, but still used: {BANK} {wrong_day}; put the files back, or run" in asked
        )
    with pytest.raises(UsageError, match=f"there is no list of {BANK} of 2023-05-11; there are lists of"):
        index_lists.withdraw(settings, BANK, date(2023, 5, 11), "typing error", "asha")
    with pytest.raises(UsageError, match="needs a reason"):
        index_lists.withdraw(settings, BANK, wrong_day, " ", "asha")
    done = index_lists.withdraw(settings, "Nifty Bank", wrong_day, "typing error", "asha")
    again = index_lists.withdraw(settings, BANK, wrong_day, "typing error", "ravi")
    assert (done.endswith("is withdrawn: typing error"), f"withdrawn by asha on {TODAY}" in again) == (True, True)
    assert (state(settings), answers(DAYS[-1])) == (true, known)
    assert "in the folder" not in index_lists.refresh(settings).note
    assert state(settings) == true
    lake = Lake(settings.lake)
    assert membership.open_evidence(lake).withdrawn.select("of_date", "who").rows() == [(wrong_day, "asha")]
    assert lake.rows(LIST_DECISIONS) == 1
    index_lists.reinstate(settings, BANK, wrong_day, "it was right", "asha")
    assert wrong_day in lake.scan(CONSTITUENTS).collect()["list_date"].to_list()


def test_same_file_under_the_right_date_counts_after_the_withdrawal(settings: Settings) -> None:
    wrong, right = (f"content/indices/snapshots/{day}/{FILE}" for day in ("2023-02-11", "2023-11-10"))
    put(Path(settings.archive), {right: of(5)})
    index_lists.refresh(settings)
    true = state(settings, (CONSTITUENTS, REVISIONS))
    (Path(settings.archive) / wrong).parent.mkdir()
    put(Path(settings.archive), {wrong: of(5)})
    index_lists.refresh(settings)
    index_lists.withdraw(settings, BANK, date(2023, 2, 11), "it is of November", "asha")
    assert state(settings, (CONSTITUENTS, REVISIONS)) == true
    put(Path(settings.archive), {wrong: listing(NAMES[1:13])})  # another file of the date is not concerned
    index_lists.refresh(settings)
    assert Lake(settings.lake).scan(CONSTITUENTS).filter(list_date=date(2023, 2, 11)).collect().height == 12


def test_typing_errors_of_the_table_of_changes_are_named_and_the_others_count(settings: Settings) -> None:
    table = (
        "index,effective,out,in,press_release,remark\n"
        "NIFTY BANK,2023-02-15,BANK00;BANK01,BANK12;BANK13,ind_prs10022023,\n"
        "NIFTY BANKS,2023-04-12,BANK02,BANK14,ind_prs05042023,\n"
        "NIFTY BANK,2023-08-16,BANK06,BANNK18,ind_prs10082023,\n"
        "NIFTY BANK,2023-10-15,BANK08,BANK166,ind_prs10102023,\n"
        "NIFTY BANK,2023-11-01,,,,no change since\n"
    )
    put(Path(settings.archive), {CHANGES: table})
    index_lists.refresh(settings)
    lake = Lake(settings.lake)
    rows = lake.scan(CONTRADICTIONS).select("index_name", "dated", "kind", "subject", "reason").collect().rows()
    symbol, index = "no bar, no list and no rename knows", "there is no list of index 'NIFTY BANKS'; did you mean"
    assert rows == [
        (BANK, date(2023, 8, 16), "in", "BANNK18", f"{symbol} 'BANNK18'; did you mean 'BANK18'?"),
        (BANK, date(2023, 10, 15), "in", "BANK166", f"{symbol} 'BANK166'; did you mean 'BANK16'?"),
        ("NIFTY BANKS", date(2023, 4, 12), "in", "BANK14", f"{index} 'NIFTY BANK'?"),
        ("NIFTY BANKS", date(2023, 4, 12), "out", "BANK02", f"{index} 'NIFTY BANK'?"),
    ]
    joined = lake.scan(INDEX_MEMBERS, DAYS[-1]).filter(symbol="BANK12").collect().row(0, named=True)
    assert (joined["member_from"], joined["from_basis"]) == (date(2023, 2, 15), "press release")
    # After the last list, nothing is complete from the refused change on.
    assert membership.coverage(lake)[BANK][1] == date(2023, 10, 14)


def test_answer_as_known_says_what_was_not_known_by_then(settings: Settings) -> None:
    index_lists.refresh(settings)
    before, between = DAYS[0] - timedelta(1), DAYS[1]
    since = f"its first list is known since {DAYS[0]}"
    with pytest.raises(UsageError, match=f"{BANK} were not known by {before}: {since}. Ask with `known` from this"):
        workspace.members(BANK, DAYS[0], known=before)
    covers = f"what was known then covers {DAYS[0]} to {between}, and all evidence {DAYS[0]} to {DAYS[-1]}"
    with pytest.raises(UsageError, match=f"on {DAYS[3]} were not known by {between}: {covers}. Ask with a later"):
        workspace.members(BANK, DAYS[3], known=between)
    for known in (None, between):
        with pytest.raises(UsageError, match="did you mean 'NIFTY BANK'"):
            workspace.members("NIFTY BANC", DAYS[0], known=known)
        with pytest.raises(UsageError, match="on 1999-01-01 are not known: its lists and changes cover"):
            workspace.members(BANK, "1999-01-01", known=known)


def test_file_that_is_refused_in_the_folder_of_lists_is_named_once(settings: Settings, tmp_path: Path) -> None:
    with_lists = Settings(home=settings.home, archive=settings.archive, lists=str(tmp_path / "lists"))
    path = min(TRUE)
    put(tmp_path / "lists", {path: of(0).replace("BANK03", "BANK04"), sorted(TRUE)[1]: of(1)})
    (refused,) = index_lists.refresh(with_lists).refused
    assert [f"{name}: {why}" for name, (_, why) in refused_lists.files(with_lists).items()] == [refused]
    recorded = refused_lists.record(with_lists, [refused])  # as a refresh of another process at the same time
    assert recorded == 0


def test_file_that_is_refused_after_a_readable_version_is_named_until_it_is_replaced(settings: Settings) -> None:
    index_lists.refresh(settings)
    path = min(TRUE)
    put(Path(settings.archive), {path: of(0).replace("BANK03", "BANK04")})
    (refused,) = index_lists.refresh(settings).refused
    assert [f"{name}: {why}" for name, (_, why) in refused_lists.files(settings).items()] == [refused]
    put(Path(settings.archive), {path: of(0)})
    assert index_lists.refresh(settings).refused == ()
    assert refused_lists.files(settings) == {}


def test_lists_of_archive_and_folder_both_count_and_the_same_file_counts_once(
    settings: Settings, tmp_path: Path
) -> None:
    index_lists.refresh(settings)
    expected = state(settings)
    first, *rest = sorted(TRUE)
    put(tmp_path / "archive-2", {path: TRUE[path] for path in (first, *rest[:2])})
    put(tmp_path / "lists", {path: TRUE[path] for path in rest[1:]})
    both = Settings(home=tmp_path / "home-2", archive=str(tmp_path / "archive-2"), lists=str(tmp_path / "lists"))
    index_lists.refresh(both)
    assert state(both) == expected


def test_lists_of_the_folder_are_loaded_while_the_archive_does_not_answer(tmp_path: Path) -> None:
    put(tmp_path / "lists", TRUE)
    closed = Settings(home=tmp_path / "home", archive="http://127.0.0.1:9", lists=str(tmp_path / "lists"))
    result = index_lists.refresh(closed)
    assert Lake(closed.lake).sessions(CONSTITUENTS) == DAYS
    assert "127.0.0.1:9" in result.note


def test_industry_of_an_instrument_as_of_a_date_is_the_one_known_then(settings: Settings, ingested: Settings) -> None:
    source, lake = Lake(ingested.lake), Lake(settings.lake)
    session = source.sessions(BARS)[0]
    bars = source.scan(BARS, session, session).collect()
    lake.write(BARS, session, bars, {"copy": "bars"})
    symbol, isin, share = bars.filter(series="EQ").select("symbol", "isin", "instrument_id").row(0)
    for industry in ("Power", "Chemicals"):  # the second file corrects the first: it is known from today on
        named = of(4).replace(of(4).splitlines()[-1], f"Share Ltd.,{industry},{symbol},EQ,{isin}")
        put(Path(settings.archive), {f"content/indices/snapshots/{session}/{FILE}": named})
        index_lists.refresh(settings)
        for as_of, known in ((session, "Power"), (None, industry)):
            found = symbol_master.register(lake, as_of).filter(instrument_id=share)
            assert found["industry"].to_list() == [known], as_of


def test_benchmark_with_a_long_gap_names_it_or_is_null_after_it(ingested: Settings, tmp_path: Path) -> None:
    source, lake = Lake(ingested.lake), Lake(tmp_path / "lake")
    days = source.sessions(BARS)[:30]
    for place, day in enumerate(days):
        lake.write(BARS, day, source.scan(BARS, day, day).head(1).collect(), {"copy": "bars"})
        if not 5 <= place < 20:
            lake.write(INDEX_BARS, day, source.scan(INDEX_BARS, day, day).collect(), {"copy": "index"})
    first, last = days[0], days[-1]
    with pytest.raises(UsageError, match=f"25 of 30 sessions, first {days[5]}; covered: {first} to {days[4]}"):
        benchmark("NIFTY500", first, last, lake=lake)
    estimate = benchmark("Nifty-500", first, last, allow_gaps=True, lake=lake)
    assert [place for place, level in enumerate(estimate["level"]) if level is not None] == [0, 1, 2, 3, 4]
    price = benchmark("CNX 500", first, last, "price", allow_gaps=True, lake=lake)
    assert [place for place, level in enumerate(price["level"]) if level is None] == [*range(5, 20)]
