"""What an instrument is: a company's share, a fund unit, a debenture, from its ISIN, series, symbol and name.

1. A bar's own ISIN, series and symbol decide by the first rule of `kind_rules.RULES` that applies (`kind`).
2. Full bhavcopies have no ISIN. A bar that its own columns do not decide has the kind on which the instrument's other
   bars agree, then that of the exchange's lists (`classify`, `with_kinds`).
3. What none of them decides, and where they contradict each other, is `unknown`. It is never taken for a share.

A kind belongs to the identity of an instrument, as `instrument_id` itself: like it, its evidence may be of any session
that was published by the moment of the question, also from a later one than the bar's. In the files of 2019 to 2024 no
instrument has bars of two kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import product
from string import ascii_uppercase, digits
from typing import TypeAlias

import polars as pl

from champion.base.counting import known_names
from champion.contracts.instrument_kinds import KINDS, UNKNOWN, WINDOW
from champion.errors import UsageError
from champion.market.reference.kind_rules import NO_ISIN, RULES, Rule

__all__ = [
    "COLUMN", "OtherEvidence", "classify", "clickhouse", "evidence", "kind", "of_kinds", "require_kinds", "with_kinds",
    "with_windows",
]  # fmt: skip
__dir__ = __all__.copy

COLUMN = "instrument_kind"
"""The column that `with_kinds` adds."""
OtherEvidence: TypeAlias = Callable[[list[str]], pl.DataFrame]
"""Return instrument_id and instrument_kind of some instruments, from evidence beyond one bar (`classify`)."""
_ID = "instrument_id"
_FORM = r"^[A-Z]{2}[A-Z0-9]{9}[0-9]$"
_MARKS = {"#": digits, "?": digits + ascii_uppercase}
_EACH = [_ID, "isin", "series", "symbol"]
_SHARE = "^([^:]+:[^:]+):"  # the id of a share, in that of a further series
_PREFIX = 3  # characters of an ISIN before the issuer
_NONE = "no rule covers its ISIN and series"


def kind(isin: pl.Expr, series: pl.Expr, symbol: pl.Expr, name: pl.Expr | None = None) -> pl.Expr:
    """Return the kind that the columns of one bar show, one of `KINDS`; `unknown` where they decide nothing.

    `name` is the published name, where a list has one.

    >>> bars = pl.DataFrame({"i": ["INE002A01018", "INF204KB14I2", None], "s": ["EQ"] * 3, "t": ["A", "B", "C-RE"]})
    >>> bars.select(kind(pl.col("i"), pl.col("s"), pl.col("t"))).to_series().to_list()
    ['equity', 'fund', 'rights_entitlement']
    """
    return _first_rule(isin, series, symbol, name, [rule.kind for rule in RULES], UNKNOWN).alias(COLUMN)


def evidence(isin: pl.Expr, series: pl.Expr, symbol: pl.Expr, name: pl.Expr | None = None) -> pl.Expr:
    """Return as text why `kind` returns what it does, with the ISIN and series it was read from.

    >>> bar = pl.DataFrame({"i": ["INE002A01018"], "s": ["EQ"], "t": ["RELIANCE"]})
    >>> bar.select(evidence(pl.col("i"), pl.col("s"), pl.col("t"))).item()
    'ISIN INE002A01018, series EQ: type 01: a fully paid equity share; the series says only how it is settled'
    """
    reason = _first_rule(isin, series, symbol, name, [rule.reason for rule in RULES], _NONE)
    return pl.format("ISIN {}, series {}: {}", isin.fill_null("none"), series, reason).alias("evidence")


def with_kinds(bars: pl.DataFrame, other_evidence: OtherEvidence) -> pl.DataFrame:
    """Return the bars in the same order with `instrument_kind`: by their own columns, else by `other_evidence`.

    `bars` need instrument_id, symbol, isin and series. `other_evidence` is called only if the columns of a bar do not
    decide; where it does not decide either, the kind is `unknown`.
    """
    kinds = _of_each(bars.select(_EACH).unique(), other_evidence)
    return bars.join(kinds, on=_EACH, how="left", nulls_equal=True, maintain_order="left")


def of_kinds(bars: pl.LazyFrame, kinds: Collection[str], other_evidence: OtherEvidence) -> pl.LazyFrame:
    """Return the bars whose instrument has one of the kinds, in the same order and columns; see `with_kinds`.

    Raises:
        UsageError: one of `kinds` is not a kind.
    """
    wanted = require_kinds(kinds)
    each = _of_each(bars.select(_EACH).unique().collect(), other_evidence)
    chosen = each.filter(pl.col(COLUMN).is_in(wanted)).select(_EACH)
    return bars.join(chosen.lazy(), on=_EACH, how="semi", nulls_equal=True, maintain_order="left")


def _of_each(each: pl.DataFrame, other_evidence: OtherEvidence) -> pl.DataFrame:
    """Return the kind of each combination of instrument_id, isin, series and symbol."""
    own = each.with_columns(kind(pl.col("isin"), pl.col("series"), pl.col("symbol")))
    undecided = own.filter(pl.col(COLUMN) == UNKNOWN)
    if undecided.is_empty():
        return own
    other = other_evidence(undecided[_ID].unique().sort().to_list()).select(_ID, _other=COLUMN)
    joined = own.join(other, on=_ID, how="left")
    chosen = pl.when(pl.col(COLUMN) == UNKNOWN).then(pl.col("_other").fill_null(UNKNOWN)).otherwise(COLUMN)
    return joined.select(*_EACH, chosen.alias(COLUMN))


def classify(bars: pl.DataFrame | pl.LazyFrame, listed: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return one row per instrument: instrument_id, symbol, isin, series, instrument_kind, evidence; sorted by id.

    `bars` need instrument_id, symbol, isin, series and trade_date; only those published by the moment of the question.
    Symbol and series are the latest, isin the latest known one. `listed` are rows of the exchange's lists
    (instrument_id, isin, company and list_date), which decide where no bar does.

    >>> from datetime import date
    >>> bars = {"instrument_id": ["N:A"] * 2, "symbol": ["A"] * 2, "isin": [None, "INF204KB14I2"], "series": ["EQ"] * 2}
    >>> found = classify(pl.DataFrame({**bars, "trade_date": [date(2024, 1, 15), date(2024, 1, 16)]}))
    >>> found.select("instrument_kind", "evidence").row(0)
    ('fund', 'ISIN INF204KB14I2, series EQ: INF: units of a mutual fund, exchange-traded or closed-ended')
    """
    isin, series, symbol = pl.col("isin"), pl.col("series"), pl.col("symbol")
    each = bars.lazy().group_by(_ID, "symbol", "isin", "series").agg(last=pl.col("trade_date").max()).collect()
    each = each.sort(_ID, "last", "symbol", "series", "isin", nulls_last=False)
    own = each.with_columns(kind(isin, series, symbol), evidence(isin, series, symbol))
    decided = own.filter(pl.col(COLUMN) != UNKNOWN)
    agreed = decided.group_by(_ID, maintain_order=True).agg(
        kinds=pl.col(COLUMN).unique(maintain_order=True), last_evidence=pl.col("evidence").last()
    )
    latest = own.group_by(_ID, maintain_order=True).agg(
        symbol.last(), isin.drop_nulls().last(), series.last(), pl.col("evidence").last()
    )
    joined = latest.join(agreed, on=_ID, how="left").join(_by_list(listed), on=_ID, how="left")
    count = pl.col("kinds").list.len().fill_null(0)
    contradiction = pl.lit("the instrument's bars contradict each other: ") + pl.col("kinds").list.join(", ")
    return joined.select(
        _ID, "symbol", "isin", "series",
        pl.when(count == 1).then(pl.col("kinds").list.first())
        .when(count == 0).then(pl.col("_listed_kind").fill_null(UNKNOWN))
        .otherwise(pl.lit(UNKNOWN)).alias(COLUMN),
        pl.when(count == 1).then("last_evidence")
        .when(count == 0).then(pl.coalesce("_listed_evidence", "evidence"))
        .otherwise(contradiction).alias("evidence"),
    ).sort(_ID)  # fmt: skip


def with_windows(instruments: pl.DataFrame) -> pl.DataFrame:
    """Return instruments of `classify` with `window_of`: the instrument in which a trading window trades, else null.

    It is the share of the same symbol, whose id lacks the series, else the instrument with the same ISIN, as the units
    of a trust; null if `instruments` has neither.

    >>> share = {"instrument_id": "NSE:A", "isin": "INE002A01018", "instrument_kind": "equity"}
    >>> window = share | {"instrument_id": "NSE:A:BL", "instrument_kind": "trading_window"}
    >>> with_windows(pl.DataFrame([share, window]))["window_of"].to_list()
    [None, 'NSE:A']
    """
    is_window = pl.col(COLUMN) == WINDOW
    others = instruments.filter(~is_window)
    by_isin = others.drop_nulls("isin").group_by("isin").agg(_same=pl.col(_ID).min())
    share = pl.col(_ID).str.extract(_SHARE)
    own = pl.when(share.is_in(others[_ID].implode())).then(share)
    found = instruments.join(by_isin, on="isin", how="left", maintain_order="left")
    return found.with_columns(window_of=pl.when(is_window).then(pl.coalesce(own, "_same"))).drop("_same")


def clickhouse() -> str:
    """Return `kind` as a ClickHouse expression of the columns code, series and symbol, for views.

    `code` is characters 1 to 3, 8 and 9 of a well-formed ISIN, else `-`. Names are not used.

    >>> clickhouse().splitlines()[3]
    "    code = 'INE01', 'equity',"
    """
    lines = [f"    {_in_sql(rule)}, '{rule.kind}'," for rule in RULES if not rule.name]
    return "\n".join(["multiIf(", *lines, f"    '{UNKNOWN}'", ")"])


def require_kinds(kinds: Collection[str]) -> tuple[str, ...]:
    """Return the kinds in the order of `KINDS`, without duplicates.

    Raises:
        UsageError: one of them is not a kind; the message lists the kinds.

    >>> require_kinds(["fund", "equity"])
    ('equity', 'fund')
    """
    for wrong in sorted(set(kinds) - set(KINDS)):
        raise UsageError(f"no kind of instrument is called {wrong!r}: {known_names(wrong, KINDS)}")
    return tuple(one for one in KINDS if one in kinds)


def _by_list(listed: pl.DataFrame | None) -> pl.DataFrame:
    """Return instrument_id, kind and evidence by each instrument's latest list that decides one."""
    if listed is None:
        schema = dict.fromkeys((_ID, "_listed_kind", "_listed_evidence"), pl.String())
        return pl.DataFrame(schema=schema)
    columns = pl.col("isin"), pl.lit("EQ"), pl.col("symbol"), pl.col("company").str.to_uppercase()
    rows = listed.with_columns(kind(*columns), evidence(*columns)).filter(pl.col(COLUMN) != UNKNOWN)
    latest = rows.sort("list_date").group_by(_ID, maintain_order=True).last()
    dated = pl.format("list of {}: {}", "list_date", "evidence")
    return latest.select(_ID, _listed_kind=COLUMN, _listed_evidence=dated)


def _first_rule(
    isin: pl.Expr, series: pl.Expr, symbol: pl.Expr, name: pl.Expr | None, values: Sequence[str], otherwise: str
) -> pl.Expr:
    """Return the value of the first rule that applies to a row."""
    formed = isin.str.contains(_FORM).fill_null(value=False)
    code = pl.when(formed).then(isin.str.slice(0, 3) + isin.str.slice(7, 2)).otherwise(pl.lit(NO_ISIN))
    chosen: pl.Expr = pl.lit(otherwise)
    for rule, value in reversed(list(zip(RULES, values, strict=True))):
        if rule.name and name is None:
            continue
        chosen = pl.when(_applies(rule, code, series, symbol, name)).then(pl.lit(value)).otherwise(chosen)
    return chosen


def _applies(rule: Rule, code: pl.Expr, series: pl.Expr, symbol: pl.Expr, name: pl.Expr | None) -> pl.Expr:
    conditions = []
    if rule.isin:
        conditions.append(code == rule.isin if len(rule.isin) != _PREFIX else code.str.starts_with(rule.isin))
    if rule.series:
        conditions.append(series.is_in(expanded(rule.series)))
    if rule.symbol:
        conditions.append(symbol.str.contains(rule.symbol))
    if rule.name and name is not None:
        conditions.append(name.str.contains(rule.name))
    return pl.all_horizontal(conditions)


def _in_sql(rule: Rule) -> str:
    whole = len(rule.isin) != _PREFIX
    conditions = [f"code = '{rule.isin}'" if whole else f"startsWith(code, '{rule.isin}')"] if rule.isin else []
    if rule.series:
        patterns = rule.series.replace("#", "[0-9]").replace("?", "[0-9A-Z]").split()
        conditions.append(f"match(series, '^({'|'.join(patterns)})$')")
    if rule.symbol:
        escaped = rule.symbol.replace("\\", "\\\\")
        conditions.append(f"match(symbol, '{escaped}')")
    return " and ".join(conditions)


def expanded(series: str) -> list[str]:
    """Return the series of a rule: `#` replaced by each digit, `?` by each digit and letter.

    >>> len(expanded("GS N?")), expanded("GS E#")[:3]
    (37, ['GS', 'E0', 'E1'])
    """
    places = ([_MARKS.get(mark, mark) for mark in one] for one in series.split())
    return ["".join(letters) for one in places for letters in product(*one)]
