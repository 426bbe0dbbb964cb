"""Laws of identity on random markets: renames, splits, reused symbols, mistyped ISINs and lists with errors."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings, strategies as st

from champion.market.identity import symbol_history
from champion.market.identity.isin import check_digit
from champion.market.identity.succession import Contradiction
from champion.market.identity.symbol_history import SymbolHistory

LAW = settings(max_examples=80)
FIRST, STEP, SESSIONS = date(2020, 1, 1), 12, 60  # a session every 12 days: 16 of them are a long gap
SCHEMA = {"symbol": pl.String, "isin": pl.String, "session": pl.Date, "prev_close": float, "close": float}


@dataclass(frozen=True)
class Bar:
    """A bar of the market, and its company."""

    company: int
    symbol: str
    isin: str | None
    number: int
    prev_close: float
    close: float


@dataclass(frozen=True)
class Market:
    """The bars in order, and the true renames: number of the session, old symbol, new symbol."""

    bars: tuple[Bar, ...]
    renames: tuple[tuple[int, str, str], ...]


@dataclass
class Company:
    """A company, while the market is generated."""

    symbol: str
    close: float
    serial: int = 1
    traded: bool = False


def day(number: int) -> date:
    return FIRST + timedelta(days=number * STEP)


def isin(company: int, serial: int) -> str:
    body = f"INE{company:03d}A{serial:02d}01"[:11].ljust(11, "0")
    return f"{body}{check_digit(body)}"


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Companies that list, rename, split, pause and stop; a symbol is reused 17 sessions after its last bar."""
    rng = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - a market, not a secret
    symbols = [f"S{n}" for n in range(7)]
    free = dict.fromkeys(symbols, -1)  # symbol to the first session on which it may be taken
    bars, renames = [], []
    alive: dict[int, Company] = {}
    company = 0
    for number in range(SESSIONS):
        ready = [symbol for symbol, since in free.items() if since <= number]
        if len(alive) < 4 and ready and rng.random() < 0.5:
            company += 1
            symbol = rng.choice(ready)
            del free[symbol]
            alive[company] = Company(symbol, 40.0 * 1.9**company)
        for one, state in list(alive.items()):
            symbol, serial, close, traded = state.symbol, state.serial, state.close, state.traded
            if traded and rng.random() < 0.03:
                del alive[one]
                free[symbol] = number + 17
                continue
            ready = [other for other, since in free.items() if since <= number]
            if traded and ready and rng.random() < 0.08:
                after = rng.choice(ready)
                del free[after]
                free[symbol] = number + 17
                renames.append((number, symbol, after))
                symbol = state.symbol = after
            elif traded and rng.random() < 0.05:
                serial = state.serial = serial + 1
                state.close = close / 5  # the previous close stays as traded
            elif traded and rng.random() < 0.1:
                continue
            after_close = state.close * rng.uniform(0.97, 1.03)
            bars.append(Bar(one, symbol, isin(one, serial), number, close, after_close))
            state.close, state.traded = after_close, True
    return Market(tuple(bars), tuple(renames))


def named(
    bars: Sequence[Bar], listed: Sequence[tuple[int, str, str]] = ()
) -> tuple[SymbolHistory, Sequence[Contradiction]]:
    rows = [(bar.symbol, bar.isin, day(bar.number), bar.prev_close, bar.close) for bar in bars]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy()
    known = SymbolHistory(tuple(sorted((day(number), before, after) for number, before, after in listed)))
    return known.review(symbol_history.securities(symbol_history.listings(frame)))


def names(lineage: SymbolHistory, bars: Sequence[Bar]) -> list[str]:
    return [lineage.name(bar.symbol, day(bar.number)) for bar in bars]


def assert_companies(found: Sequence[str], market: Market) -> None:
    """Assert that each name has one company, and each company one name."""
    pairs = {(bar.company, name) for bar, name in zip(market.bars, found, strict=True)}
    assert len(pairs) == len({company for company, _ in pairs}), "a company was cut in two"
    assert len(pairs) == len({name for _, name in pairs}), "two companies were merged"


@st.composite
def typos(draw: st.DrawFn) -> Market:
    """A market in which some bars have no ISIN, a placeholder, a mistyped ISIN or that of another company."""
    market = draw(markets())
    rng = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311
    seen: dict[str, int] = {}
    for bar in market.bars:
        seen.setdefault(bar.isin or "", bar.number)
    wrong: list[str | None] = [None, "DUMMY", "INE000000000", "INE", "INE999999999"]
    kept, last = [], dict[str, int]()
    turns = {(number, after): turn for turn, (number, _, after) in enumerate(market.renames)}
    turn, stints = dict[str, int](), list[tuple[int, int | None, str | None]]()
    for bar in market.bars:
        turn[bar.symbol] = turns.get((bar.number, bar.symbol), turn.get(bar.symbol, -1))
        stints.append((bar.company, turn[bar.symbol], bar.isin))
    right = Counter(stints)  # two right ones are left of each
    for place, bar in enumerate(market.bars):
        of_same = stints[place]
        if rng.random() < 0.06 and place - last.get(bar.symbol, -99) > 6 and right[of_same] > 2:
            last[bar.symbol] = place
            right[of_same] -= 1
            mistyped = (bar.isin or "")[:11] + str((int((bar.isin or "0")[-1]) + 1) % 10)
            own = {one.isin for one in market.bars if one.symbol == bar.symbol and one.company != bar.company}
            known = [one for one, since in seen.items() if since < bar.number and one not in own] or [mistyped]
            kept.append(replace(bar, isin=rng.choice([*wrong, mistyped, rng.choice(known)])))
        else:
            kept.append(bar)
    return replace(market, bars=tuple(kept))


rows_of_lists = st.lists(
    st.tuples(st.integers(0, SESSIONS), *[st.sampled_from([f"S{n}" for n in range(7)] + ["NEVER"])] * 2), max_size=12
)


@LAW
@given(markets())
def test_bars_alone_distinguish_all_companies(market: Market) -> None:
    assert_companies(names(named(market.bars)[0], market.bars), market)


@LAW
@given(markets(), st.randoms(use_true_random=False))
def test_the_true_list_agrees_and_nothing_is_contradicted(market: Market, rng: random.Random) -> None:
    some = [one for one in market.renames if rng.random() < 0.7]
    lineage, found = named(market.bars, some)
    assert_companies(names(lineage, market.bars), market)
    assert {one.kind for one in found} <= {"symbol_reused"}


@LAW
@given(markets(), st.randoms(use_true_random=False))
def test_wrong_dates_change_no_name(market: Market, rng: random.Random) -> None:
    off = [(number + rng.randint(-4, 4), before, after) for number, before, after in market.renames]
    assert_companies(names(named(market.bars, off)[0], market.bars), market)


@LAW
@given(markets(), rows_of_lists)
def test_rows_on_the_date_of_a_rename_change_no_name(market: Market, wrong: list[tuple[int, str, str]]) -> None:
    """A row may be reversed, or continue or precede a rename on its date: the bars decide."""
    dates = [number for number, _, _ in market.renames]
    reversed_rows = [(number, after, before) for number, before, after in market.renames]
    known = [row for row in wrong if dates and "NEVER" not in row]
    same_date = [(dates[number % len(dates)], before, after) for number, before, after in known]
    assert_companies(names(named(market.bars, [*reversed_rows, *same_date])[0], market.bars), market)


@LAW
@given(markets())
def test_without_isins_the_true_list_splits_no_company(market: Market) -> None:
    """A symbol may trade again after a long gap; without ISINs, a new company under it cannot be recognised."""
    bars = [replace(bar, isin=None) for bar in market.bars]
    found: dict[int, set[str]] = defaultdict(set)
    for bar, name in zip(bars, names(named(bars, market.renames)[0], bars), strict=True):
        found[bar.company].add(name)
    assert all(len(some) == 1 for some in found.values())


@LAW
@given(markets(), rows_of_lists)
def test_no_row_of_a_list_splits_or_merges_a_company_that_trades(
    market: Market, wrong: list[tuple[int, str, str]]
) -> None:
    """For any list, adjacent bars of a company under one symbol have one name, and two bars of a session two names."""
    found = names(named(market.bars, [*market.renames, *wrong])[0], market.bars)
    before: dict[tuple[int, str], str] = {}
    sessions: dict[int, list[str]] = defaultdict(list)
    for bar, name in zip(market.bars, found, strict=True):
        assert before.setdefault((bar.company, bar.symbol), name) == name or bar.symbol not in name
        before[bar.company, bar.symbol] = name
        sessions[bar.number].append(name)
    assert all(len(set(some)) == len(some) for some in sessions.values())


@LAW
@given(markets(), rows_of_lists)
def test_without_isins_no_row_splits_a_symbol_that_trades(market: Market, wrong: list[tuple[int, str, str]]) -> None:
    bars = [replace(bar, isin=None) for bar in market.bars]
    before: dict[str, tuple[int, int, str]] = {}
    for bar, name in zip(bars, names(named(bars, wrong)[0], bars), strict=True):
        company, number, was = before.get(bar.symbol, (0, -99, ""))
        if company == bar.company and bar.number - number == 1:
            assert was == name
        before[bar.symbol] = (bar.company, bar.number, name)


@LAW
@given(typos())
def test_typos_and_placeholders_neither_split_nor_merge(market: Market) -> None:
    assert_companies(names(named(market.bars)[0], market.bars), market)


@LAW
@given(typos(), rows_of_lists, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    market: Market, wrong: list[tuple[int, str, str]], rng: random.Random
) -> None:
    mixed, rows = list(market.bars), list(wrong)
    rng.shuffle(mixed)
    rng.shuffle(rows)
    assert named(mixed, rows) == named(market.bars, wrong)


@LAW
@given(markets(), st.integers(5, SESSIONS))
def test_later_changes_do_not_change_names(market: Market, now: int) -> None:
    then = [bar for bar in market.bars if bar.number <= now]
    early = named(then, [one for one in market.renames if one[0] <= now])[0]
    assert names(early, then) == names(named(market.bars, market.renames)[0], then)
