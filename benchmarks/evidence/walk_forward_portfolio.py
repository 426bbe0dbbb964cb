"""What the out-of-sample scores of a case of `walk_forward.py` would have earned: the default rule, after all costs."""

import zipfile
from datetime import date
from typing import Any

import polars as pl

from benchmarks.meter import MIRROR
from champion.lake import Lake
from champion.pipeline.models.portfolio import market, simulate
from champion.pipeline.reference.membership import with_sectors
from champion.portfolio.attribution import (
    CHARACTERISTICS,
    by_group,
    by_instrument,
    capacity,
    characteristics,
    exposures,
    quantile_groups,
)
from champion.portfolio.construction import Rule
from champion.portfolio.report import years
from champion.portfolio.simulator import MarketRules, Simulation

RULE, RULES = Rule(), MarketRules()
_PRODUCTS = MIRROR.with_name("nse_products")
_TOTAL_RETURN = _PRODUCTS / "derived/anuj_tri/nifty50_tri_2015_2025.csv.zip"
_CRORE, _LAKH, _BASIS_POINTS = 1e7, 1e5, 1e4
_SHOWN = 0.005  # of the capital
_KEY = ["trade_date", "instrument_id"]


def earned(lake: Lake, scores: pl.DataFrame) -> dict[str, Any]:
    """Return the figures of the account, of its benchmarks, with other capital and impact, and the profit by group."""
    known = scores.select(*_KEY, "score")
    arrays = market(lake, known, after=RULE.every)
    found = simulate(known, RULE, RULES, lake=lake, arrays=arrays)
    account, equal = found.account, _growth(found.benchmark.account)
    days = found.growth["trade_date"]
    nifty = _nifty(days[0], days[-1])
    return {
        "from": str(days[0]),
        "to": str(days[-1]),
        "summary": found.summary,
        "equal": equal,
        "nifty": nifty,
        "capacity": capacity(arrays, found.construction.weights, RULES).to_dicts(),
        "profit": account.account["equity"][-1] - RULES.capital,
        "groups": _groups(lake, account, characteristics(arrays)),
        "cuts": dict(account.cuts["reason"].value_counts(sort=True).iter_rows()),
        "fills": account.trades.height,
    }


def _growth(account: pl.DataFrame) -> float:
    """Return the growth a year of an account, from the session before its first trade."""
    first = max(int((account["bought"] > 0).arg_max() or 0) - 1, 0)
    equity, days = account["equity"][first:], account["trade_date"][first:]
    return float((equity[-1] / equity[0]) ** (1 / years(days[0], days[-1]))) - 1


def _nifty(first: date, last: date) -> float | None:
    """Return the growth a year of the total return index of NIFTY 50; None without its file."""
    if not _TOTAL_RETURN.exists():
        return None
    with zipfile.ZipFile(_TOTAL_RETURN) as archive:
        rows = pl.read_csv(archive.read("nifty50_tri.csv"))
    levels = rows.select(day=pl.col("timestamp").str.slice(0, 10).str.to_date(), level="close").sort("day")
    inside = levels.filter(pl.col("day").is_between(first, last))
    level, days = inside["level"], inside["day"]
    return float((level[-1] / level[0]) ** (1 / years(days[0], days[-1]))) - 1


def _groups(lake: Lake, account: Simulation, known: pl.DataFrame) -> dict[str, Any]:
    """Return the profit by group, as a share of the capital, the ten largest instruments and the mean exposures."""
    sectors = with_sectors(account.positions.select(_KEY), lake).rename({"sector": "group"})
    named = {name: quantile_groups(known, name) for name in CHARACTERISTICS} | {"sector": sectors}
    shares = {
        name: {
            group: profit / RULES.capital
            for group, profit in by_group(account, groups).select("group", "profit").iter_rows()
        }
        for name, groups in named.items()
    }
    shown = exposures(account, known, sectors)
    means = shown.filter(pl.col("exposure").is_in(CHARACTERISTICS)).group_by("exposure").agg(pl.col("value").mean())
    sessions = account.account.height
    by_sector = shown.filter(exposure="sector").group_by("name").agg(pl.col("value").sum() / sessions)
    each = by_instrument(account)
    top = float(each["profit"].head(10).sum()) / RULES.capital
    return {
        "profit": shares,
        "exposure": dict(means.iter_rows()) | {"sectors": dict(by_sector.sort("value", descending=True).iter_rows())},
        "best_ten": top,
        "instruments": each.height,
    }


_COLUMNS = (
    "model", "universe", "net", "gross", "charges, bp", "impact, bp", "turnover", "cash", "Sharpe", "drawdown", "equal",
    "NIFTY 50", "net less equal",
)  # fmt: skip
HEAD = f"""
## What the scores would have earned

The default rule holds the best {RULE.top} shares equally, keeps a share down to rank
{RULE.top * (1 + RULE.buffer):.0f}, and decides on the first session of each week. A cash account of
{RULES.capital / _CRORE:g} crore rupees at a discount broker buys and sells at the next session's average price, at most
{RULES.participation:.0%} of its volume, with square-root impact, pays all charges, and holds no short position. Figures
are growth a year (365.25 days) from the first trade. `gross` has charges and impact added back. `equal` holds all
scored shares equally, decided on the same days and filled at the same prices, without costs; `NIFTY 50` is its
published total return. A share that ended pays its terms if they are known; any other without a bar for
{RULES.delisted_after} sessions is written off at a loss of {RULES.haircut:.0%}.

| {" | ".join(_COLUMNS)} |
|{"---|" * len(_COLUMNS)}
"""


def section(cases: list[tuple[str, str, dict[str, Any]]]) -> str:
    """Return the section of docs/models.md."""
    lines = [_line(*one) for one in cases]
    details = [line for one in cases for line in _details(*one)]
    return HEAD + "\n".join(lines) + "\n\n" + "\n".join(details)


def _line(model: str, universe: str, found: dict[str, Any]) -> str:
    s = found["summary"]
    nifty = "not at hand" if found["nifty"] is None else f"{found['nifty']:+.1%}"
    return (
        f"| {model} | {universe} | {s['net_return']:+.1%} | {s['gross_return']:+.1%} | {s['charges_bps']:.0f} "
        f"| {s['impact_bps']:.0f} | {s['turnover']:.1f} | {s['cash_share']:.0%} | {s['sharpe']:.2f} "
        f"| {s['max_drawdown']:.1%} | {found['equal']:+.1%} | {nifty} | {s['net_return'] - found['equal']:+.1%} |"
    )


def _details(model: str, universe: str, found: dict[str, Any]) -> list[str]:
    capitals = [one for one in found["capacity"] if one["impact"] == RULES.impact]
    impacts = [one for one in found["capacity"] if one["capital"] == RULES.capital]
    curve = ", ".join(
        f"{_rupees(one['capital'])} {one['net_return']:+.1%} ({one['unfilled_share']:.0%})" for one in capitals
    )
    coefficients = ", ".join(f"{one['impact']:g} {one['net_return']:+.1%}" for one in sorted(impacts, key=_impact))
    groups, facts = found["groups"], []
    for name, shares in groups["profit"].items():
        parts = ", ".join(f"{group} {share:+.0%}" for group, share in shares.items() if abs(share) >= _SHOWN)
        facts.append(f"profit by {name.replace('_', ' ')}, of the capital: {parts}")
    exposure = groups["exposure"]
    sectors = ", ".join(f"{name} {share:.0%}" for name, share in list(exposure["sectors"].items())[:5])
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found["cuts"].items())
    value = _rupees(exposure["traded_value"])
    held = f"mean beta {exposure['beta']:.2f}, volatility {exposure['volatility']:.1%} a session, traded value {value}"
    best = f"the ten best of {groups['instruments']:,} shares earned {groups['best_ten']:+.0%} of the capital"
    facts = [
        f"{found['from']} to {found['to']}: {found['fills']:,} fills; orders not filled whole: {reasons}",
        f"net return by capital (open orders, of the equity): {curve}; by impact at {_rupees(RULES.capital)}: "
        + coefficients,
        *facts,
        f"{held} rupees a session; largest sectors: {sectors}",
        f"{best}, all together {found['profit'] / RULES.capital:+.0%}",
    ]
    return [f"### {model}, universe {universe}, net", "", *(f"- {fact}" for fact in facts), ""]


def _impact(one: dict[str, Any]) -> float:
    return float(one["impact"])


def _rupees(amount: float) -> str:
    return f"{amount / _CRORE:,.0f} crore" if amount >= _CRORE else f"{amount / _LAKH:,.0f} lakh"
