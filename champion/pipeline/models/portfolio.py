"""What scores would have earned: the simulator with bars and corporate actions of a lake, and a benchmark."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from champion import workspace
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, DELIVERY
from champion.errors import UsageError
from champion.lake import Lake
from champion.market import quality_gates
from champion.market.acceptance import ACCEPTED, accepted_rows
from champion.market.actions.action_questions import label_gaps
from champion.pipeline.feature_store.risk_model import constructed
from champion.pipeline.ingest import quality
from champion.pipeline.ingest.bars import equity_bars
from champion.pipeline.ingest.corporate_actions import current_factors
from champion.pipeline.reference import membership
from champion.pipeline.reference.as_known import band_prices
from champion.portfolio import report, simulator
from champion.portfolio.arrays import FillPrice, MarketArrays, market_arrays
from champion.portfolio.construction import Construction, Rule, inputs_of
from champion.portfolio.contract_note import unchecked
from champion.portfolio.decisions import NO_SHORT
from champion.portfolio.endings import known_endings, reductions, valued, without_reduced
from champion.portfolio.inputs import (
    KEY,
    LeftOut,
    checked_scores,
    followed,
    require_day,
    require_frame,
    require_kind,
    require_sessions,
)
from champion.portfolio.simulator import MarketRules, Simulation
from champion.portfolio.unread_actions import unread_actions

_KEY = KEY
_COLUMNS = (*_KEY, "series", "open", "high", "low", "close", "prev_close", "volume", "turnover")
_FACTORS = ("instrument_id", "ex_date", "kind", "price_factor", "volume_factor")
_SHOWN = 3
_BEFORE = 40  # sessions before the first score, for the volatility of shares that skip some of them


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A simulated account with its benchmark: all scored instruments, equally weighted, without costs.

    The benchmark is decided on the same days and filled at the same prices. It does not depend on the capital: it holds
    fractions of shares, and neither volume nor cash cuts its orders; locked bars refuse them. `summary` has the figures
    of `portfolio.report.summary`, and counts the holdings that ended for an unknown reason (`unknown_ends`) and the
    actions of unknown amount of holdings (`unread_actions`). `left_out` counts the scores that the account does not
    follow, `construction` has the decisions and what the rule's limits leave in cash, and `market` is what was traded
    in.

    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> found = simulate(scores, Rule(top=1))
    >>> isinstance(found, Portfolio), found.benchmark.account["charges"].to_list()
    (True, [0.0, 0.0])
    >>> found.notes
    ()
    >>> found.growth.columns, found.costs.columns
    (['trade_date', 'net', 'gross', 'benchmark'], ['component', 'basis_points'])
    >>> found.active.height  # of the sessions after the first
    1
    """

    account: Simulation
    benchmark: Simulation
    summary: dict[str, float]
    construction: Construction
    left_out: LeftOut
    market: MarketArrays

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences to read with the figures.

        They name scores that were left out, what caps leave in cash, holdings that ended, actions of holdings whose
        amount is not known, holdings that were sold because of an undecided action, charges at the rates of an earlier
        day, and why there is no trade.
        """
        trades, cuts = self.account.trades, self.account.cuts
        refused = ", ".join(
            f"{reason} {count:,}" for reason, count in cuts["reason"].value_counts(sort=True).iter_rows()
        )
        no_order = "no session follows a decision, or the capital buys no whole share"
        nothing = f"there is no trade, so no figure is known: {f'orders refused: {refused}' if refused else no_order}"
        undecided = trades.filter(reason="undecided_action").select("instrument_id", "trade_date").unique().height
        forced = f"{quantity(undecided, 'sale')} because of an action whose effect is not known: see `trades`"
        paid = self.account.account.filter(pl.col("charges") > 0)["trade_date"]
        notes = (
            self.left_out.text,
            self.construction.text,
            _ends_text(self.account),
            _unread_text(_unread(self.account, self.market)),
            forced if undecided else "",
            "" if paid.is_empty() else unchecked(paid[-1]),
            nothing if trades.is_empty() else "",
        )
        return tuple(note for note in notes if note)

    @property
    def active(self) -> pl.DataFrame:
        """The net return of each session less the benchmark's: see `portfolio.report.active`."""
        return report.active(self.account, self.benchmark)

    @property
    def growth(self) -> pl.DataFrame:
        """The growth of account and benchmark: see `portfolio.report.growth`."""
        return report.growth(self.account, self.benchmark)

    @property
    def costs(self) -> pl.DataFrame:
        """The costs of a year by component: see `portfolio.report.costs`."""
        return report.costs(self.summary)


def simulate(
    scores: pl.DataFrame,
    rule: Rule | None = None,
    rules: MarketRules | None = None,
    *,
    short: Rule | None = None,
    fill: FillPrice | None = None,
    end: date | None = None,
    arrays: MarketArrays | None = None,
    lake: Lake | None = None,
) -> Portfolio:
    """Return what a long-only portfolio that follows scores would have earned after charges and impact.

    Scores of shares that trade in a series of small companies on the day of the score are left out, unless `rules.sme`.

    Args:
        scores: trade_date, instrument_id and score, as known after the close of trade_date, such as the out-of-sample
            scores of a model. Scores that a model was trained on show no skill. If the rule needs them, `volatility`
            and `sector` are added as known on the day, unless they are columns of the scores.
        rule: which instruments, how much and how often; by default the best 50, equally weighted, once a week.
        rules: capital, brokerage plan and market rules; by default 10 million rupees at a discount broker.
        short: the rule of a short leg. It is refused until the lake has the prices and lots of stock futures.
        fill: `average`, the default, fills at the next session's average price; `open` and `close` are sensitivities.
        end: the last session known: no later bar is used.
        arrays: the market of these scores, from `market`, to simulate several rules on. It has its price of fills and
            its end, so `fill` and `end` are refused with it.
        lake: by default that of this workspace.

    Raises:
        UsageError: there are no scores, no bars for any of them, or scores that `checked_scores` refuses; `fill` or
            `end` is given with `arrays`; or a short leg is asked for.

    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> simulate(scores, Rule(top=1)).account.account["positions"].to_list()
    [0, 1]
    """
    if short is not None:
        raise UsageError(f"no short leg is simulated. {NO_SHORT}: leave `short` out")
    rule = require_kind("rule", Rule() if rule is None else rule, Rule)
    rules = require_kind("rules", MarketRules() if rules is None else rules, MarketRules)
    if arrays is not None and (fill or end):
        raise UsageError("arrays have their own fill and end: give these to `market`, and arrays alone to `simulate`")
    require_frame("scores", scores, [*_KEY, "score"])
    known = checked_scores(scores, [name for name in inputs_of(rule) if name in scores.columns])
    if (scored := known.drop_nulls([*_KEY, "score"])).is_empty():
        raise UsageError("there are no scores to simulate; give trade_date, instrument_id and score")
    lake = lake or workspace.lake()
    if arrays is None:
        arrays = market(lake, scored, after=rule.every, fill=fill or "average", end=end)
    decisions, weights, left_out = decided(known, rule, rules, arrays, lake)
    account = simulator.simulate(arrays, decisions.weights, rules)
    benchmark = benchmark_account(arrays, weights, rules)
    counts = {
        "unknown_ends": float(account.cuts.filter(reason="written_off").height),
        "unread_actions": float(_unread(account, arrays).height),
    }
    return Portfolio(account, benchmark, report.summary(account, benchmark) | counts, decisions, left_out, arrays)


def decided(
    scores: pl.DataFrame, rule: Rule, rules: MarketRules, arrays: MarketArrays, lake: Lake
) -> tuple[Construction, pl.DataFrame, LeftOut]:
    """Return the decisions of a rule on checked scores, those of its benchmark, and the scores that are left out.

    The benchmark holds all scored instruments equally, and is decided on the days of the rule.

    >>> day = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> found = decided(day, Rule(top=1), MarketRules(), market(workspace.lake(), day, after=1), workspace.lake())
    >>> found[1].rows()
    [(datetime.date(2024, 1, 15), 'NSE:ACME', 0.98)]
    """
    inside, left_out = followable(scores, rule, rules, arrays, lake)
    found = constructed(lake, inside, rule)
    return found, _all_equally(inside, found.uninvested["trade_date"], rule.invested), left_out


def benchmark_account(arrays: MarketArrays, weights: pl.DataFrame, rules: MarketRules) -> Simulation:
    """Return the account of a benchmark's weights without costs, the same for small and large accounts.

    >>> day = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "weight": [0.98]})
    >>> benchmark_account(market(workspace.lake(), day, after=1), day, MarketRules()).account["charges"].to_list()
    [0.0, 0.0]
    """
    return simulator.simulate(arrays, weights, replace(rules.without_frictions(), bands=rules.bands, sme=rules.sme))


def phases(
    scores: pl.DataFrame,
    rule: Rule | None = None,
    rules: MarketRules | None = None,
    *,
    arrays: MarketArrays | None = None,
    lake: Lake | None = None,
    most: int = 5,
) -> pl.DataFrame:
    """Return the figures of the same rule decided on other days: phase, net_return, gross_return and active_return.

    A weekly rule could decide on any day of the week for no worse reason, so the spread of these rows is an error that
    a longer history does not remove. At most `most` phases are simulated, evenly spaced over `rule.every`, the
    rule's own among them. The other arguments are those of `simulate`.

    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> phases(scores, Rule(top=1, every=21), most=3)["phase"].to_list()
    [0, 7, 14]
    """
    rule = require_kind("rule", Rule() if rule is None else rule, Rule)
    count = min(most, rule.every)
    starts = sorted((rule.phase + place * rule.every // count) % rule.every for place in range(count))
    rows, names = list[dict[str, float]](), ("net_return", "gross_return", "active_return")
    for phase in starts:
        found = simulate(scores, replace(rule, phase=phase), rules, arrays=arrays, lake=lake)
        arrays = found.market
        rows.append({"phase": phase, **{name: found.summary[name] for name in names}})
    return pl.DataFrame(rows)


def market(
    lake: Lake, scores: pl.DataFrame, *, after: int, fill: FillPrice = "average", end: date | None = None
) -> MarketArrays:
    """Return the market of all scored instruments from the first score to `after` sessions after the last one.

    `end` is the last session known, by default that of the lake. Average prices are those of the full report, and price
    bands those of the lists of bands, where the lake has them. Corporate actions are the ones known today: each was
    announced before its ex-date. A gap above the quality gate's limit that no action explains, and that no person
    accepted, counts as an action of unknown effect, and so does an action of unknown amount that moved the price beyond
    what is explained (`unread_actions`). Shares that ended pay what `portfolio.endings` has, and shares that came back
    after a reduction of their number continue with the new number. Sessions are all those of the lake's bars, also if
    none of the instruments has a bar. The market of an instrument does not depend on the others.

    Raises:
        UsageError: the lake has no bars of these instruments and sessions, `after` is no number of sessions, or `end`
            no date.

    >>> scores = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"]})
    >>> market(workspace.lake(), scores, after=5).instruments
    ('NSE:ACME',)
    """
    require_frame("scores", scores, _KEY)
    require_sessions("after", after)
    require_day("end", end)
    start: date = scores["trade_date"].min()  # type: ignore[assignment]
    last: date = scores["trade_date"].max()  # type: ignore[assignment]
    if end is not None and end < start:
        raise UsageError(f"end is {end}, before the first score of {start}: give a later end, or earlier scores")
    until = [last, *[day for day in lake.sessions(BARS, start, end) if day > last][:after]][-1]
    until = until if end is None else min(until, end)
    instruments = scores["instrument_id"].unique()
    since = min([start, *lake.sessions(BARS, end=start)[-_BEFORE - 1 :]])
    bars = equity_bars(lake, since, until, kinds=None).select(_COLUMNS)  # the universe has chosen the kinds
    ends = known_endings().filter(pl.col("instrument_id").is_in(instruments.implode()), pl.col("last") >= since)
    read = pl.concat([instruments, ends["successor"].drop_nulls()]).unique()
    bars = bars.filter(pl.col("instrument_id").is_in(read.implode()))
    average = lake.scan(DELIVERY, since, until).select(*_KEY, "average_price").collect()
    held = bars.collect()
    for known_of_some in (average, band_prices(lake, start, until)):
        if known_of_some.height:  # a join with an empty frame costs as much as one with all bars
            held = held.join(known_of_some, on=_KEY, how="left")
    ended = valued(ends, held)
    held = held.filter(pl.col("instrument_id").is_in(instruments.implode()))
    if held.filter(pl.col("trade_date") >= start).is_empty():
        raise UsageError(
            f"the lake has no bars of {quantity(len(instruments), 'scored instrument')} from {start} on, first "
            f"{instruments.sort()[0]}"
        )
    factors = current_factors(lake)
    known = factors.filter(pl.col("price_factor").is_not_null()).select(_FACTORS)
    sessions = lake.sessions(BARS, since, until)  # also those in which no scored instrument was traded
    unread = unread_actions(factors, sessions).filter(pl.col("instrument_id").is_in(instruments.implode()))
    moved = unread.filter("moved").select("instrument_id", "session")
    undecided = pl.concat([label_gaps(factors), _unexplained_gaps(lake, held, factors), moved])
    reduced = reductions(ends, held)
    known = pl.concat([without_reduced(known, reduced, "ex_date"), reduced.select(_FACTORS)])
    undecided = without_reduced(undecided, reduced, "session")
    return market_arrays(
        held, known, undecided, endings=ended, unread=unread, fill=fill, start=start, sessions=sessions
    )


def _unread(account: Simulation, arrays: MarketArrays) -> pl.DataFrame:
    """Return the actions of unknown amount of shares that the account held at the close before them."""
    if account.positions.is_empty() or arrays.unread.is_empty():
        return arrays.unread.clear()
    days = pl.DataFrame({"session": arrays.sessions[1:], "trade_date": arrays.sessions[:-1]})
    held = account.positions.filter(pl.col("quantity") > 0).select(*_KEY)
    return arrays.unread.join(days, on="session").join(held, on=_KEY, how="semi").drop("trade_date")


def _unread_text(unread: pl.DataFrame) -> str:
    first = "; ".join(
        f"{name} on {session}: {purpose}"
        for name, session, purpose in unread.select("instrument_id", "session", "purpose").head(_SHOWN).iter_rows()
    )
    told = f"{quantity(unread.height, 'corporate action')} of holdings whose amount is not known paid nothing: {first}"
    return told if unread.height else ""


def _ends_text(account: Simulation) -> str:
    """Return one sentence on the holdings that ended and what they lost; empty without any."""
    ends = account.cuts.filter(pl.col("reason").is_in(["ended", "written_off"]))
    words = {
        "written_off": "for an unknown reason, at their last close less the haircut",
        "ended": "by known terms (`portfolio/endings.csv`)",
    }
    parts = [
        f"{of.height:,} {text}: {', '.join(of['instrument_id'].head(_SHOWN))}"
        for reason, text in words.items()
        if (of := ends.filter(reason=reason)).height
    ]
    lost = account.account["write_offs"].sum()
    changed = f"gained {-lost:,.0f}" if lost < 0 else f"lost {lost:,.0f}"
    return f"{quantity(ends.height, 'holding')} ended and {changed} rupees; {'; '.join(parts)}" if parts else ""


def _unexplained_gaps(lake: Lake, bars: pl.DataFrame, factors: pl.DataFrame) -> pl.DataFrame:
    """Return instrument_id and session of the gaps that nothing explains and no person accepted as a move."""
    found = quality_gates.unexplained(bars, factors).select(
        "instrument_id", session="trade_date", gate=pl.lit("unexplained_gaps"), value=pl.col("gap").cast(pl.Float64)
    )
    moved = accepted_rows(found, quality.accepted(lake).select(list(ACCEPTED)))
    return found.join(moved, on=["instrument_id", "session"], how="anti").select("instrument_id", "session")


def followable(
    scores: pl.DataFrame, rule: Rule, rules: MarketRules, arrays: MarketArrays, lake: Lake
) -> tuple[pl.DataFrame, LeftOut]:
    """Return the checked scores that an account can follow, with what the rule needs, and the count of the others.

    Raises:
        UsageError: no score is left.

    >>> day = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> arrays = market(workspace.lake(), day, after=1)
    >>> followable(day, Rule(top=1), MarketRules(), arrays, workspace.lake())[1].counts
    {}
    """
    inside, left_out = followed(scores, arrays.sessions, arrays.instruments, _small(arrays, rules))
    inside = with_inputs(inside, rule, arrays, lake)
    if rule.weighting == "inverse_volatility":
        left_out = replace(left_out, volatility=inside["volatility"].null_count())
    return inside, left_out


def with_inputs(scores: pl.DataFrame, rule: Rule, arrays: MarketArrays, lake: Lake) -> pl.DataFrame:
    """Return the scores with the volatility and sector that the rule needs; an unknown volatility is null.

    >>> day = pl.DataFrame({"trade_date": [date(2024, 1, 15)], "instrument_id": ["NSE:ACME"], "score": [1.0]})
    >>> arrays = market(workspace.lake(), day, after=1)
    >>> with_inputs(day, Rule(weighting="inverse_volatility"), arrays, workspace.lake())["volatility"].to_list()
    [None]
    """
    needed = [name for name in inputs_of(rule) if name not in scores.columns]
    if "volatility" in needed:
        scores = scores.with_columns(arrays.long(scores, arrays.volatility).replace(0.0, None).alias("volatility"))
    if "sector" in needed:
        scores = membership.with_sectors(scores, lake)
    return scores


def _all_equally(scores: pl.DataFrame, days: pl.Series, invested: float) -> pl.DataFrame:
    """Return the weights of all scored instruments, equally weighted, on the days of decision."""
    chosen = scores.filter(pl.col("trade_date").is_in(days.implode())).sort(_KEY)
    return chosen.select(*_KEY, weight=(invested / pl.len()).over("trade_date"))


def _small(arrays: MarketArrays, rules: MarketRules) -> pl.DataFrame:
    """Return trade_date and instrument_id of small companies that must not be bought."""
    rows, places = (arrays.sme & (not rules.sme)).nonzero()
    return pl.DataFrame(
        {
            "trade_date": [arrays.sessions[row] for row in rows],
            "instrument_id": [arrays.instruments[place] for place in places],
        },
        schema={"trade_date": pl.Date, "instrument_id": pl.String},
    )
