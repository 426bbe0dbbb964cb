"""A paper account: what the champion's published scores would have earned since its promotion.

It trades by the rule that the version was trained for. It follows only scores that were published after
the promotion and before the next session opened, because no order could have followed later ones. A session that is
scored again later stays as it was: the lake keeps the earlier scores as a revision. Nor does a session that is left out
move another decision: these are on the fixed calendar of `construction.decision_days`. So no later score changes the
past of the account. Before its promotion the champion has no paper account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from champion.base.clock import INDIA
from champion.base.counting import quantity
from champion.contracts.datasets import BARS, PREDICTIONS
from champion.lake import Lake
from champion.market.envelope import session_open
from champion.pipeline.models import portfolio
from champion.pipeline.models.portfolio_report import SimulatedAccount, simulated
from champion.pipeline.models.recipes import Construction
from champion.tracking.promotion_ledger import Entry

_MOMENT = timedelta(milliseconds=1)
_TO_THE_END = 1_000_000  # sessions after the last score


@dataclass(frozen=True, slots=True)
class PaperAccount:
    """The account of a champion since its promotion.

    `version` and `since`, the date of the promotion in India, are None without a champion. `followed` counts the
    sessions whose scores the account follows, `late` those whose scores were published too late.

    >>> nothing = PaperAccount(None, None, 0, 0, SimulatedAccount(None, "there is no champion"))
    >>> nothing.text, nothing.figures
    ('not simulated: there is no champion', {'paper_sessions': 0.0, 'paper_late': 0.0})
    """

    version: int | None
    since: date | None
    followed: int
    late: int
    account: SimulatedAccount

    @property
    def text(self) -> str:
        """One sentence about the account, or why there is none."""
        if self.version is None:
            return self.account.text
        late = f"; {quantity(self.late, 'session')} left out, scored after the next open" if self.late else ""
        return f"version {self.version}, champion since {self.since}: {self.account.text}{late}"

    @property
    def figures(self) -> dict[str, float]:
        """The figures of the account, each as paper_<name>, with paper_sessions and paper_late; for MLflow and JSON."""
        counted = {"paper_sessions": float(self.followed), "paper_late": float(self.late)}
        return counted | {f"paper_{name}": value for name, value in self.account.figures.items()}


def paper_account(
    lake: Lake, champion: Entry | None, end: date, construction: Construction | None = None
) -> PaperAccount:
    """Return the paper account of a champion up to the session `end`; no later score or bar is used.

    `champion` is the entry of the promotion ledger that made it champion, such as `promotion.current_champion` returns;
    `construction` is what `recipes.tagged` returns for its version, by default the default rule.

    >>> from pathlib import Path
    >>> paper_account(Lake(Path("lake")), None, date(2024, 1, 15)).text
    'not simulated: there is no champion yet'
    """
    if champion is None:
        return PaperAccount(None, None, 0, 0, SimulatedAccount(None, "there is no champion yet"))
    promoted = champion.effective or champion.at
    since = promoted.astimezone(INDIA).date()
    scores = as_known(lake, champion.version, since, end)
    on_time = in_time(scores, promoted)
    followed = on_time["trade_date"].n_unique()
    late = scores["trade_date"].n_unique() - followed
    if not followed:
        account = SimulatedAccount(None, "no score since then was published before the next session opened")
    else:
        account = simulated(lambda: _follow(lake, on_time.drop("ingest_time", "open"), end, construction), lake)
    return PaperAccount(champion.version, since, followed, late, account)


def in_time(scores: pl.DataFrame, promoted: datetime | None = None) -> pl.DataFrame:
    """Return the scores (as of `as_known`) that orders at the next open could follow.

    They were published after the version was `promoted`, and before the session after theirs opened. The paper account
    and the published targets follow these.

    >>> opened = datetime(2024, 1, 16, 3, 45, tzinfo=UTC)
    >>> written = [opened - timedelta(hours=9), opened]
    >>> in_time(pl.DataFrame({"score": [0.1, 0.2], "ingest_time": written, "open": [opened] * 2}))["score"].to_list()
    [0.1]
    """
    since = pl.lit(value=True) if promoted is None else pl.col("ingest_time") >= promoted
    return scores.filter(since, pl.col("ingest_time") < pl.col("open"))


def as_known(lake: Lake, version: int, since: date, end: date) -> pl.DataFrame:
    """Return the version's scores with ingest_time and the next open, as the lake held them when that session opened.

    Where it held none by then, they are the first ones.

    >>> from pathlib import Path
    >>> as_known(Lake(Path("lake")), 1, date(2024, 1, 15), date(2024, 1, 16)).columns
    ['trade_date', 'instrument_id', 'score', 'ingest_time', 'open']
    """

    def read(first: date, last: date, as_of: datetime | None = None) -> pl.DataFrame:
        rows = lake.scan(PREDICTIONS, first, last, as_of=as_of).filter(pl.col("model_version") == version)
        return rows.select("trade_date", "instrument_id", "score", "ingest_time").collect()

    opens = _next_opens(lake, since)
    scores = read(since, end)
    newest = lake.scan(PREDICTIONS, since, end).group_by("trade_date").agg(pl.col("ingest_time").max()).collect()
    written = newest.join(opens, on="trade_date").filter(pl.col("ingest_time") >= pl.col("open"))
    parts = {day: found.parts for day in written["trade_date"] if (found := lake.manifest(PREDICTIONS, day))}
    again = [row for row in written.select("trade_date", "open").iter_rows() if len(parts.get(row[0], ())) > 1]
    kept = [read(day, day, opened - _MOMENT) for day, opened in again]
    current = scores.filter(~pl.col("trade_date").is_in([day for day, _ in again]))
    return pl.concat([current, *kept]).join(opens, on="trade_date").sort("trade_date", "instrument_id")


def _follow(lake: Lake, scores: pl.DataFrame, end: date, construction: Construction | None) -> portfolio.Portfolio:
    arrays = portfolio.market(lake, scores, after=_TO_THE_END, end=end)
    return portfolio.simulate(scores, *(construction or ()), arrays=arrays, lake=lake)


def _next_opens(lake: Lake, since: date) -> pl.DataFrame:
    """Return trade_date of each session and `open`, when the session after it opened; far ahead for the last one."""
    days = lake.sessions(BARS, since)
    opens = list(map(session_open, days[1:]))
    far = [datetime.max.replace(tzinfo=UTC)] if days else []
    known = pl.DataFrame({"trade_date": days, "open": [*opens, *far]})
    return known.cast({"trade_date": pl.Date, "open": pl.Datetime("ms", "UTC")})
