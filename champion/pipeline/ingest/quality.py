"""Quality gates over sessions of the lake, their findings, and what a person accepted of them.

Every path that builds features, trains, scores or loads the warehouse asks `require_passed` for the sessions that it
reads anew. So nothing is made of sessions that failed a gate, whichever command was used.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import date, timedelta
from functools import reduce
from itertools import groupby

import polars as pl

from champion import contracts
from champion.base import clock
from champion.contracts.datasets import ACCEPTANCES, BARS, FINDINGS, QUARANTINED_BARS
from champion.errors import QualityGateError, UsageError
from champion.lake import Lake
from champion.market import quality_gates
from champion.market.acceptance import ACCEPTED, accepted_rows, key, parse_key
from champion.market.actions import action_questions
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.identity.succession import Contradiction
from champion.market.identity.symbol_runs import invalid
from champion.market.quality_gates import GateInputs, GateReport, require
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.ingest.symbol_changes import reviewed
from champion.settings.quality_limits import Limits

__all__ = [
    "accept",
    "accepted",
    "check",
    "record",
    "recorded",
    "require",
    "require_passed",
]


def check(
    lake: Lake,
    start: date,
    end: date,
    *,
    as_of: date | None = None,
    limits: Limits | None = None,
    identity: bool = False,
) -> GateReport:
    """Return what the gates say of the sessions from `start` to `end`, compared with those before.

    Completeness, rejected rows, row count and churn are those of the worst session, shares those of the worst year: a
    broken session does not hide among sound ones. `as_of`, if given, also judges freshness; `identity` also looks for
    contradictions between symbols, ISINs and the list of symbol changes, which reads all bars of the lake.

    Raises:
        QualityGateError: the range has no session at all.
    """
    sessions = lake.sessions(BARS, start, end)
    if not sessions:
        raise QualityGateError(f"no sessions in the lake from {start} to {end}: ingest them first")
    context = _Context(
        lake,
        limits or Limits(),
        known_factors(lake),
        accepted(lake),
        _contradictions(lake, sessions) if identity else None,
    )
    years = [list(year) for _, year in groupby(sessions, key=lambda session: session.year)]
    verdicts = [context.judge(year[0], year[-1], as_of if year is years[-1] else None) for year in years]
    return reduce(GateReport.worse, verdicts)


def require_passed(lake: Lake, start: date, end: date, limits: Limits | None = None) -> None:
    """Do nothing where all sessions from `start` to `end` pass the error gates, or there are none.

    Raises:
        QualityGateError: some do not; it names the findings, and the command that accepts one.
    """
    if lake.sessions(BARS, start, end):
        require(check(lake, start, end, limits=limits))


def record(lake: Lake, start: date, end: date, verdict: GateReport) -> int:
    """Commit the findings by session and return how many there are; what was found before and is gone now goes."""
    found = verdict.findings.partition_by("session", as_dict=True)
    sessions = {session for (session,) in found} | set(lake.sessions(FINDINGS, start, end))
    for session in sorted(sessions):
        rows = found.get((session,), verdict.findings.clear())
        lake.write(FINDINGS, session, rows, {"findings": str(rows.hash_rows(seed=0).sum())})
    return verdict.findings.height


def recorded(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the findings as last recorded: key, severity, state ('open' or 'accepted'), session, gate, symbol, detail.

    Errors come first. A finding that got worse after it was accepted is open.
    """
    found, known = lake.scan(FINDINGS, start, end).collect(), accepted(lake).select(list(ACCEPTED))
    place = ["session", "gate", "instrument_id"]
    covered = pl.concat(
        accepted_rows(found.filter((pl.col("gate") == "completeness") == least), known, -1 if least else 1)
        for least in (True, False)
    ).select(*place, state=pl.lit("accepted"))
    rows = found.join(covered, on=place, how="left").sort(place)
    keys = [key(*one) for one in rows.select("gate", "session", "instrument_id").iter_rows()]
    return rows.select(
        pl.Series("key", keys, pl.String),
        pl.when(pl.col("gate").is_in(quality_gates.ERRORS))
        .then(pl.lit("error"))
        .otherwise(pl.lit("warning"))
        .alias("severity"),
        pl.col("state").fill_null("open"),
        "session",
        "gate",
        "symbol",
        "detail",
    ).sort("severity", "session", "key")


def accepted(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the acceptances of findings of these sessions, oldest first; contract quality_acceptances."""
    return lake.scan(ACCEPTANCES, start, end).collect().sort("accepted_at", "session", "gate", "instrument_id")


def accept(lake: Lake, keys: Sequence[str], reason: str, limits: Limits | None = None) -> pl.DataFrame:
    """Record that a person accepts these findings, for a reason; return the new rows of quality_acceptances.

    An acceptance covers one finding, as bad as it is now: where it gets worse, or another one appears, the gate fails
    again. The gates look at the data anew, so nothing can be accepted that is not there. All keys are accepted,
    or none.

    Raises:
        UsageError: there is no reason, or a key names no finding; it lists the findings of that session.
    """
    if not reason.strip():
        raise UsageError("accepting a finding needs --reason: the lake keeps why")
    if not keys:
        raise UsageError("name at least one finding; `champion quality list` shows them")
    rows = [_finding(lake, text, limits) for text in dict.fromkeys(keys)]
    found = pl.concat(rows).with_columns(
        reason=pl.lit(reason.strip()),
        accepted_by=pl.lit(getpass.getuser()),
        accepted_at=pl.lit(clock.now()).cast(pl.Datetime("ms", "UTC")),
    )
    made = found.select(list(contracts.load(ACCEPTANCES).polars_schema))
    for (session,), of in made.partition_by("session", as_dict=True).items():
        assert isinstance(session, date)  # noqa: S101 - the type of the partition's key
        lake.append(ACCEPTANCES, session, of)
    return made


def _finding(lake: Lake, text: str, limits: Limits | None) -> pl.DataFrame:
    gate, session, instrument_id = parse_key(text)
    if session not in lake.sessions(BARS, session, session):
        raise UsageError(f"{text}: the lake has no session {session}")
    since = session.replace(month=1, day=1)  # a gap needs the bar before it, which can be months old
    found = check(lake, since, session, limits=limits, identity=gate == "identity").findings.filter(session=session)
    row = found.filter(gate=gate, instrument_id=instrument_id)
    if row.is_empty():
        there = [key(*one) for one in found.select("gate", "session", "instrument_id").rows()]
        shown = f"its findings are {', '.join(there[:10])}" if there else "it has no findings"
        raise UsageError(f"{text} is no finding of session {session}: {shown}")
    return row


def _contradictions(lake: Lake, sessions: Sequence[date]) -> pl.DataFrame:
    """Return as findings what the lineage does not follow, each on the first session on or after its date.

    Texts that are no ISIN are among them: those of the judged sessions, once for each symbol.
    """
    lineage, found = reviewed(lake)
    shares = lake.scan(BARS, sessions[0], sessions[-1]).filter(pl.col("series").is_in(EQUITY_SERIES))
    wrong = invalid(shares.select("symbol", "isin", session="trade_date")).iter_rows()
    found += tuple(Contradiction("isin_invalid", day, symbol, f"{isin!r} is no ISIN") for symbol, isin, day in wrong)
    rows: dict[tuple[date, str], list[str]] = {}
    symbols: dict[tuple[date, str], str] = {}
    for one in found:
        session = next((day for day in sessions if day >= one.session), None)
        if session is not None and one.session >= sessions[0]:
            place = session, f"NSE:{lineage.name(one.symbol, session)}"
            symbols[place] = one.symbol
            rows.setdefault(place, []).append(f"{one.kind}: {one.detail}")
    made = [
        (session, "identity", instrument_id, symbols[session, instrument_id], None, float(len(texts)), "; ".join(texts))
        for (session, instrument_id), texts in sorted(rows.items())
    ]
    return pl.DataFrame(made, schema=quality_gates.FINDINGS, orient="row")


class _Context:
    """What does not depend on the year that is judged."""

    def __init__(
        self,
        lake: Lake,
        limits: Limits,
        factors: pl.DataFrame,
        accepted: pl.DataFrame,
        contradictions: pl.DataFrame | None,
    ) -> None:
        self.lake, self.limits, self.factors = lake, limits, factors
        self.accepted, self.contradictions = accepted.select(list(ACCEPTED)), contradictions

    def judge(self, start: date, end: date, as_of: date | None) -> GateReport:
        """Judge at most a year: six of them at once would need gigabytes."""
        earlier = self.lake.sessions(BARS, end=start - timedelta(days=1))[-quality_gates.LOOKBACK :]
        context = self.lake.scan(BARS, min([start, *earlier]), end).select(quality_gates.COLUMNS).collect()
        refused = self.lake.scan(QUARANTINED_BARS, start, end).select("session").collect()
        bars, found = context.filter(pl.col("trade_date") >= start), self.contradictions
        asked = action_questions.questions(self.factors, self.lake.sessions(BARS))
        judged = GateInputs(
            bars,
            context,
            refused,
            self.factors,
            self.limits,
            self.accepted,
            None if found is None else found.filter(pl.col("session").is_between(start, end)),
            asked.filter(pl.col("session").is_between(start, end)),
        )
        return quality_gates.evaluate_gates(judged, as_of)
