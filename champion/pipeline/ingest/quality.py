"""Quality gates over sessions of the lake, their findings, and the findings that a person accepted.

Every command that builds features, trains, scores or loads the warehouse calls `require_passed` for the sessions that
it reads, so nothing is derived from a session that failed a gate.
"""

import getpass
from collections.abc import Sequence
from datetime import date, timedelta
from functools import reduce
from itertools import groupby

import polars as pl

from champion import contracts, workspace
from champion.base import clock
from champion.contracts.datasets import (
    ACCEPTANCES,
    BARS,
    CONSTITUENTS,
    CONTRADICTIONS,
    FACTORS,
    FINDINGS,
    INDEX_MEMBERS,
    QUARANTINED_BARS,
)
from champion.errors import QualityGateError, UsageError
from champion.lake import Lake
from champion.market import gate_report, quality_gates
from champion.market.acceptance import ACCEPTED, accepted_rows, key, parse_key
from champion.market.actions import action_questions
from champion.market.equity_bars import EQUITY_SERIES
from champion.market.gate_report import GateReport, require
from champion.market.identity.succession import Contradiction
from champion.market.identity.symbol_runs import invalid
from champion.market.quality_gates import GateInputs
from champion.market.reference.indices.membership import stored, stored_aside
from champion.market.reference.indices.sizes import Size, sizes, wrong_sizes
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.ingest.symbol_changes import review_history
from champion.settings.quality_limits import Limits

__all__ = ["CHECKED", "accept", "accepted", "check", "record", "recorded", "require", "require_passed"]


CHECKED = (BARS, QUARANTINED_BARS, FACTORS, ACCEPTANCES, CONSTITUENTS, INDEX_MEMBERS, CONTRADICTIONS)
"""The datasets that `check` reads, without `identity`."""


def check(
    lake: Lake,
    start: date,
    end: date,
    *,
    as_of: date | None = None,
    limits: Limits | None = None,
    identity: bool = False,
) -> GateReport:
    """Evaluate the quality gates for the sessions from `start` to `end`, compared with the sessions before.

    Completeness, rejected rows, row count and churn are reported for the worst session, and shares of bars for the
    worst year, so that good sessions do not hide a bad one. With `as_of`, freshness is checked too; with `identity`,
    contradictions between symbols, ISINs and the list of symbol changes, which reads all bars of the lake.

    Raises:
        QualityGateError: the range has no session.
    """
    if not (sessions := lake.sessions(BARS, start, end)):
        raise QualityGateError(f"no sessions in the lake from {start} to {end}: ingest them first")
    factors, acceptances = known_factors(lake), accepted(lake).select(list(ACCEPTED))
    questions = action_questions.questions(factors, lake.sessions(BARS))
    contradictions = _contradictions(lake, sessions) if identity else None
    index_lists = _index_lists(lake, sessions)

    def evaluate(first: date, last: date, fresh_at: date | None) -> GateReport:
        """Evaluate the gates over at most one year: six years together would need gigabytes of memory."""
        earlier = lake.sessions(BARS, end=first - timedelta(days=1))[-quality_gates.LOOKBACK :]
        context = lake.scan(BARS, min([first, *earlier]), last).select(quality_gates.COLUMNS).collect()
        within = pl.col("session").is_between(first, last)
        bars = context.filter(pl.col("trade_date") >= first)
        rejected = lake.scan(QUARANTINED_BARS, first, last).select("session").collect()
        wrong, waiting = None if contradictions is None else contradictions.filter(within), questions.filter(within)
        unused = None if index_lists is None else index_lists.filter(within)
        inputs = GateInputs(bars, context, rejected, factors, limits or Limits(), acceptances, wrong, waiting, unused)
        return quality_gates.evaluate_gates(inputs, fresh_at)

    years = [list(year) for _, year in groupby(sessions, key=lambda session: session.year)]
    reports = [evaluate(year[0], year[-1], as_of if year is years[-1] else None) for year in years]
    return reduce(GateReport.worse, reports)


def require_passed(lake: Lake, start: date, end: date, limits: Limits | None = None) -> None:
    """Require that all sessions from `start` to `end` pass the gates of severity 'error'.

    Raises:
        QualityGateError: some fail; it names the findings, and the command that accepts one.
    """
    if lake.sessions(BARS, start, end):
        require(check(lake, start, end, limits=limits))


def record(lake: Lake, start: date, end: date, report: GateReport) -> int:
    """Commit the findings by session and return their number; they replace the earlier findings of the range."""
    by_session = report.findings.partition_by("session", as_dict=True)
    for session in sorted({session for (session,) in by_session} | set(lake.sessions(FINDINGS, start, end))):
        rows = by_session.get((session,), report.findings.clear())
        lake.write(FINDINGS, session, rows, {"findings": str(rows.hash_rows(seed=0).sum())})
    return report.findings.height


def recorded(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the recorded findings: key, severity, state ('open' or 'accepted'), session, gate, symbol, detail.

    Errors come first. A finding that got worse after it was accepted is open.
    """
    findings, acceptances = lake.scan(FINDINGS, start, end).collect(), accepted(lake).select(list(ACCEPTED))
    place = ["session", "gate", "instrument_id"]
    less_is_worse = pl.col("gate").is_in(gate_report.LESS_IS_WORSE)
    covered = pl.concat(
        accepted_rows(findings.filter(less_is_worse == least), acceptances, -1 if least else 1)
        for least in (True, False)
    ).select(*place, state=pl.lit("accepted"))
    rows = findings.join(covered, on=place, how="left").sort(place)
    keys = [key(*one) for one in rows.select("gate", "session", "instrument_id").iter_rows()]
    severity = pl.when(pl.col("gate").is_in(quality_gates.ERRORS)).then(pl.lit("error")).otherwise(pl.lit("warning"))
    judged = rows.with_columns(pl.Series("key", keys, pl.String), pl.col("state").fill_null("open"), severity=severity)
    columns = ("key", "severity", "state", "session", "gate", "symbol", "detail")
    return judged.select(columns).sort("severity", "session", "key")


def accepted(lake: Lake, start: date | None = None, end: date | None = None) -> pl.DataFrame:
    """Return the acceptances of findings of these sessions, oldest first (contract quality_acceptances)."""
    return lake.scan(ACCEPTANCES, start, end).collect().sort("accepted_at", "session", "gate", "instrument_id")


def accept(lake: Lake, keys: Sequence[str], reason: str, limits: Limits | None = None) -> pl.DataFrame:
    """Record that a person accepts these findings, and why; return the new rows of quality_acceptances.

    An acceptance covers one finding at its present value: if it gets worse, or another one appears, the gate fails
    again. The gates are evaluated again here, so only present findings can be accepted. All keys are accepted, or none.

    Raises:
        UsageError: the reason is empty, or a key names no finding; it lists the findings of that session.
    """
    if not reason.strip():
        raise UsageError("accepting a finding needs --reason: the lake records it")
    if not keys:
        raise UsageError("name at least one finding; `champion quality list` shows them")
    findings = pl.concat(_finding(lake, text, limits) for text in dict.fromkeys(keys)).with_columns(
        reason=pl.lit(reason.strip()),
        accepted_by=pl.lit(getpass.getuser()),
        accepted_at=pl.lit(clock.now()).cast(pl.Datetime("ms", "UTC")),
    )
    rows = findings.select(list(contracts.load(ACCEPTANCES).polars_schema))
    for (session,), of_session in rows.partition_by("session", as_dict=True).items():
        assert isinstance(session, date)  # noqa: S101 - the type of the partition's key
        lake.append(ACCEPTANCES, session, of_session)
    return rows


def _finding(lake: Lake, text: str, limits: Limits | None) -> pl.DataFrame:
    gate, session, instrument_id = parse_key(text)
    if session not in lake.sessions(BARS, session, session):
        raise UsageError(f"{text}: the lake has no session {session}")
    since = session.replace(month=1, day=1)  # a gap needs the bar before it, which can be months old
    findings = check(lake, since, session, limits=limits, identity=gate == "identity").findings.filter(session=session)
    if (row := findings.filter(gate=gate, instrument_id=instrument_id)).is_empty():
        keys = [key(*one) for one in findings.select("gate", "session", "instrument_id").rows()]
        shown = f"its findings are {', '.join(keys[:10])}" if keys else "it has no findings"
        raise UsageError(f"{text} is no finding of session {session}: {shown}")
    return row


def _contradictions(lake: Lake, sessions: Sequence[date]) -> pl.DataFrame:
    """Return contradictions of the symbol history as findings, each on the first session on or after its date.

    Invalid ISINs of these sessions are included, once for each symbol.
    """
    history, contradictions = review_history(lake)
    shares = lake.scan(BARS, sessions[0], sessions[-1]).filter(pl.col("series").is_in(EQUITY_SERIES))
    for symbol, isin, day in invalid(shares.select("symbol", "isin", session="trade_date")).iter_rows():
        contradictions += (Contradiction("isin_invalid", day, symbol, f"{isin!r} is no ISIN"),)
    details, symbols = dict[tuple[date, str], list[str]](), dict[tuple[date, str], str]()
    for one in contradictions:
        session = next((day for day in sessions if day >= one.session), None)
        if session is not None and one.session >= sessions[0]:
            place = session, f"NSE:{history.name(one.symbol, session)}"
            symbols[place] = one.symbol
            details.setdefault(place, []).append(f"{one.kind}: {one.detail}")
    rows = [
        (session, "identity", instrument_id, symbols[session, instrument_id], None, float(len(texts)), "; ".join(texts))
        for (session, instrument_id), texts in sorted(details.items())
    ]
    return pl.DataFrame(rows, schema=gate_report.FINDINGS, orient="row")


def _index_lists(lake: Lake, sessions: Sequence[date]) -> pl.DataFrame | None:
    """Return the lists and changes of indices that are not used, and wrong numbers of members, by session.

    Each is on the first session on or after its date; a wrong number of companies on the first one of its span.

    Changes of the register are left out: its earlier decades contradict the lists of today in many names. None if the
    lake has no lists.
    """
    if (read := workspace.last_derived(lake, INDEX_MEMBERS)) is None:
        return None
    unused = lake.scan(CONTRADICTIONS, read, read).collect()
    rows = unused.filter(pl.col("basis") != "register")
    found: dict[tuple[date, str], list[str]] = {}
    for index, kind, dated, subject, reason in rows.select("index_name", "kind", "dated", "subject", "reason").rows():
        session = next((day for day in sessions if day >= dated), None)
        if session is not None and dated >= sessions[0]:
            what = f"list of {dated}" if kind == "list" else f"{subject} {kind} on {dated}"
            found.setdefault((session, index), []).append(f"{what}: {reason}")
    members, lists = lake.scan(INDEX_MEMBERS, read, read).collect(), lake.scan(CONSTITUENTS).collect()
    wrong = wrong_sizes(members, stored(members).covered, sizes(lists, stored_aside(unused)))
    days = lake.sessions(BARS)  # of the whole lake: a finding has one session, whatever range is checked
    for index, first, last, count, smallest, largest in wrong.rows():
        session = next((day for day in days if first <= day <= last), None)
        if session is not None and session in set(sessions):
            text = f"{count} companies instead of {Size(smallest, largest)} from {first} to {last}"
            found.setdefault((session, index), []).append(text)
    findings = [
        (session, "index_lists", index, index, None, float(len(texts)), "; ".join(texts))
        for (session, index), texts in sorted(found.items())
    ]
    return pl.DataFrame(findings, schema=gate_report.FINDINGS, orient="row")
