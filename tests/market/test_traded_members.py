"""Members of indices against the bars: the instrument that trades, no phantom, no step backward, no member for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

import polars as pl
from hypothesis import given, settings, strategies as st

from champion.market.identity.continuation import continuations
from champion.market.identity.isin import check_digit
from champion.market.identity.symbol_history import SymbolHistory
from champion.market.identity.symbol_runs import listings
from champion.market.reference.indices.membership import CHANGES_SCHEMA, LISTS_SCHEMA, memberships
from champion.market.reference.indices.sectors import industry_periods, sectors_on
from champion.market.reference.indices.traded import Traded
from champion.market.reference.life import QUIET

INDEX, START, LENGTH, OLDEST = "NIFTY TEST", date(2020, 1, 1), 200, 30
NO_CHANGES = pl.DataFrame(schema=CHANGES_SCHEMA)


def isin(issuer: int, number: int, kind: str = "INE{}A01") -> str:
    body = f"{kind.format(f'{issuer:03d}')}{number:02d}"
    return f"{body}{check_digit(body)}"


@dataclass(frozen=True)
class Company:
    """A company whose symbol, ISIN or both change once, and which may stop trading."""

    number: int
    changed: int
    has_new_symbol: bool
    has_new_isin: bool
    last: int

    def line(self, day: int) -> tuple[str, str]:
        """Return symbol and ISIN on a day."""
        is_new = day >= self.changed
        symbol = f"C{self.number}{'NEW' if is_new and self.has_new_symbol else ''}"
        return symbol, isin(self.number, 2 if is_new and self.has_new_isin else 1)

    def instrument(self, day: int) -> str:
        """Return the instrument on a day: only a rename with a new ISIN breaks it."""
        is_new = day >= self.changed and self.has_new_symbol and self.has_new_isin
        return f"NSE:C{self.number}{'NEW' if is_new else ''}"


def days(number: int) -> date:
    return START + timedelta(number)


def company(number: int, chance: Random) -> Company:
    # Lists go on naming a company that stops trading; one with two such companies would be set aside.
    last = chance.choice([LENGTH - 1, chance.randrange(LENGTH)]) if number == 0 else LENGTH - 1
    return Company(number, chance.randrange(1, LENGTH), chance.random() < 0.6, chance.random() < 0.6, last)


def bars(companies: list[Company], until: int = LENGTH - 1) -> Traded:
    rows = [
        (*one.line(day), days(day), 100.0, 100.0)
        for one in companies
        for day in range(min(one.last, until) + 1)
    ]  # fmt: skip
    columns = {
        "symbol": pl.String,
        "isin": pl.String,
        "session": pl.Date,
        "prev_close": pl.Float64,
        "close": pl.Float64,
    }
    runs = listings(pl.LazyFrame(rows, columns, orient="row"))
    history = renames(companies)
    names = [history.instrument(*span) for span in runs.select("symbol", "first").rows()]
    return Traded(
        runs.with_columns(pl.Series("instrument_id", names, pl.String)), [days(day) for day in range(until + 1)]
    )


def renames(companies: list[Company]) -> SymbolHistory:
    """Return the renames that an ISIN shows."""
    changes = [
        (days(one.changed), one.line(one.changed - 1)[0], one.line(one.changed)[0])
        for one in companies
        if one.has_new_symbol and not one.has_new_isin and one.changed <= one.last
    ]
    return SymbolHistory(tuple(sorted(changes)))


def lists(companies: list[Company], chance: Random) -> tuple[pl.DataFrame, dict[int, int]]:
    """Return lists of all companies with the content of up to `OLDEST` days before, and this day by list."""
    history, frames, content = renames(companies), [], {}
    for day in sorted({0, *chance.sample(range(LENGTH), 6)}):
        content[day] = max(0, day - chance.choice([0, 0, chance.randrange(OLDEST)]))
        dated = {"index_name": INDEX, "list_date": days(day), "seen_until": days(day), "known_on": days(day)}
        for one in companies:
            symbol, code = one.line(min(content[day], one.last))
            name = {"instrument_id": history.instrument(symbol, days(day)), "company": f"C{one.number} Ltd."}
            frames.append({**dated, "symbol": symbol, "isin": code, **name, "is_dummy": False, "industry": "Power"})
    return pl.DataFrame(frames, LISTS_SCHEMA | {"industry": pl.String()}, orient="row"), content


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_members_are_the_instruments_that_trade_whatever_stale_lists_say(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    companies = [company(number, chance) for number in range(6)]
    frame, content = lists(companies, chance)
    traded = bars(companies)
    found, periods = memberships(frame, NO_CHANGES, traded=traded), industry_periods(frame, traded=traded)
    last = max(content)
    for day in range(0, last + 1, 3):
        now = {row[0]: row[1] for row in found.on(INDEX, days(day)).select("instrument_id", "symbol").rows()}
        trading = {one.instrument(day): one.line(day)[0] for one in companies if day <= one.last}
        assert trading.items() <= now.items()
        # A list that names a dead member keeps it: without one, QUIET sessions without a bar end the membership.
        dead = {one.instrument(one.last) for one in companies if one.last < day < max(one.last + QUIET, last + 1)}
        gone = {one.instrument(one.last) for one in companies if last < one.last + QUIET <= day}
        assert set(now) - set(trading) <= dead
        assert not gone & set(now)
        sectors = dict(sectors_on(periods, days(day)).select("instrument_id", "symbol").rows())
        assert trading.items() <= sectors.items()


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(0, LENGTH - 1))
def test_answer_as_known_on_a_date_uses_no_later_bar(seed: int, known: int) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    companies = [company(number, chance) for number in range(6)]
    frame, _ = lists(companies, chance)
    then = memberships(frame, NO_CHANGES, known=days(known), traded=bars(companies))
    early = frame.filter(pl.col("list_date") <= days(known))
    alone = memberships(early, NO_CHANGES, known=days(known), traded=bars(companies, known))
    assert then.members.equals(alone.members)


def test_member_without_bars_leaves_after_forty_sessions_with_its_last_bar() -> None:
    companies = [
        Company(0, 1, has_new_symbol=False, has_new_isin=False, last=50),
        Company(1, 1, has_new_symbol=False, has_new_isin=False, last=LENGTH - 1),
    ]
    frame, _ = lists(companies, Random(3))  # noqa: S311
    early = frame.filter(pl.col("list_date") <= days(50))
    row = memberships(early, NO_CHANGES, traded=bars(companies)).members.filter(symbol="C0")
    assert row.select("member_until", "until_basis", "until_after").row(0) == (days(50 + QUIET), "no bar", days(50))
    until = memberships(early, NO_CHANGES, traded=bars(companies, 49 + QUIET)).members.filter(symbol="C0")
    assert until["member_until"].to_list() == [None]
    named = early.with_columns(list_date=pl.lit(days(150)))  # a list that names it later says that it stays
    later = memberships(pl.concat([early, named]), NO_CHANGES, traded=bars(companies)).members.filter(symbol="C0")
    assert later["member_until"].to_list() == [days(151)]


def runs_of(*rows: tuple[str, str, int, int, float, float]) -> pl.DataFrame:
    columns = ["instrument_id", "isin", "first", "last", "prev_close", "close"]
    return pl.DataFrame([(*row[:2], days(row[2]), days(row[3]), *row[4:]) for row in rows], columns, orient="row")


def test_share_continues_only_as_the_one_later_share_of_its_issuer() -> None:
    old, new = ("A", isin(1, 1), 0, 9, 10.0, 11.0), ("B", isin(1, 2), 10, 20, 50.0, 51.0)
    assert continuations(runs_of(old, new))["continued_as"].to_list() == ["B"]
    overlapping, other = ("B", isin(1, 2), 9, 20, 50.0, 51.0), ("B", isin(2, 2), 10, 20, 11.0, 51.0)
    partly, third = ("B", isin(1, 2, "IN9{}A01"), 10, 20, 11.0, 51.0), ("C", isin(1, 3), 12, 20, 50.0, 51.0)
    bond = ("B", isin(1, 2, "INE{}A07"), 10, 20, 11.0, 51.0)
    for others in ([overlapping], [other], [partly], [bond], [new, third]):
        assert continuations(runs_of(old, *others)).is_empty()
    # After a long gap, the published previous close must be the last close.
    far = ("B", isin(1, 2), 400, 420, 11.0, 51.0)
    assert continuations(runs_of(old, far))["continued_on"].to_list() == [days(400)]
    assert continuations(runs_of(old, (*far[:4], 12.0, 51.0))).is_empty()
