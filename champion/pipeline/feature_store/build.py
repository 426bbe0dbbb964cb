"""Build features from normalized bars into the lake, by session and feature group.

A feature may depend on the whole past of its instrument, so a session's partition records digests of all its inputs
(`champion.pipeline.feature_store.fingerprints`). A corrected bar, or a late action, makes its session and all later
ones stale, and only those are built again, by the cheapest strategy (`champion.pipeline.feature_store.strategies`):
from carried state; with only the changed instruments recomputed; or from all bars.

A session's features are in the rupees and shares of that session: earlier bars are adjusted for the actions up to it,
not for later ones. So a split changes no partition before its ex-date, and there is no look-ahead. To compare features
across sessions, rescale them first (`adjustment.rescale`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from champion import contracts
from champion.base.counting import quantity
from champion.base.progress import Progress, silent
from champion.contracts.datasets import BARS
from champion.features import FeatureSet
from champion.lake import Lake
from champion.market.envelope import session_close_expr
from champion.pipeline.feature_store import fingerprints, strategies
from champion.pipeline.feature_store.contracts import ensure_contracts
from champion.pipeline.feature_store.fingerprints import BuildPlan
from champion.pipeline.feature_store.state import last_state, latest_state, write_state
from champion.pipeline.feature_store.strategies import FeatureBatch
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.ingest.quality import require_passed
from champion.settings.quality_limits import Limits

_MAX_STEPS = 20  # sessions: for more, one rebuild from all bars is cheaper than advancing


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The result of a build: `sessions` has session, rows, outcome ('written' or 'already').

    `strategies` names the strategies used, in order: 'repaired', 'advanced', 'rebuilt'. `stateless` names the recursive
    features that carry no state; for these, all `bars` from each instrument's first were read, in `seconds`.
    """

    sessions: pl.DataFrame
    strategies: tuple[str, ...] = ()
    stateless: tuple[str, ...] = ()
    bars: int = 0
    seconds: float = 0.0

    @property
    def totals(self) -> dict[str, int]:
        """Sessions, rows, written, already."""
        sessions, written = self.sessions.height, int((self.sessions["outcome"] == "written").sum())
        rows = int(self.sessions["rows"].sum())
        return {"sessions": sessions, "rows": rows, "written": written, "already": sessions - written}

    @property
    def cost(self) -> str | None:
        """The cost of recursive features without carried state, as a sentence; None if none were built."""
        if not self.stateless or not self.bars:
            return None
        return (
            f"{', '.join(self.stateless)}: recursive, computed from each instrument's first bar: "
            f"{quantity(self.bars, 'bar')} in {self.seconds:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class RebuildComparison:
    """The compared sessions, their number of rows, and the sessions that differ in any bit of any feature."""

    sessions: Sequence[date]
    rows: int
    differing: Sequence[date]


def build_features(
    lake: Lake,
    start: date,
    end: date,
    *,
    feature_set: str | FeatureSet = "v1",
    from_state: bool = True,
    limits: Limits | None = None,
    progress: Progress = silent,
) -> BuildResult:
    """Commit the features of the sessions from `start` to `end` that are missing or built from other bars or actions.

    Without `from_state`, features are built from whole histories: the same partitions at a higher cost.

    With `limits`, every session without current features, also before `start`, must pass the quality gates, because its
    bars are read. Commands, flows and notebooks pass the limits of the settings; without `limits` no gate is checked.

    Raises:
        QualityGateError: a session fails a gate, and its finding is not accepted; nothing is built.
    """
    build = fingerprints.plan(lake, end, ensure_contracts(lake, feature_set), known_factors(lake))
    sessions = [session for session in build.sessions if session >= start]
    stale = build.stale(start)
    if stale and limits is not None:
        require_passed(lake, build.stale()[0], stale[-1], limits)
    used: list[str] = []
    stateless = tuple(each.name for each in build.chosen.features if each.recursive and not each.carried)
    began = time.perf_counter()
    for strategy, batch in _batches(build, stale, from_state=from_state) if stale else ():
        used.append(strategy)
        _write(build, batch.sessions, batch.rows, progress)
        if batch.state is not None:
            write_state(build, batch.sessions[-1], batch.state)
    manifests = [lake.manifest(build.chosen.contract, session, build.groups[0]) for session in sessions]
    rows = [manifest.current.rows if manifest else 0 for manifest in manifests]
    table = pl.DataFrame({"session": sessions, "rows": rows}, schema={"session": pl.Date, "rows": pl.Int64})
    was_stale = pl.col("session").is_in(stale)
    table = table.with_columns(outcome=pl.when(was_stale).then(pl.lit("written")).otherwise(pl.lit("already")))
    bars = lake.rows(BARS, end=stale[-1]) if stale and stateless else 0
    return BuildResult(table, tuple(dict.fromkeys(used)), stateless, bars, time.perf_counter() - began)


def stale_sessions(lake: Lake, end: date, feature_set: str | FeatureSet = "v1") -> list[date]:
    """Return the sessions up to `end` whose features are missing or were built from other bars or actions."""
    return fingerprints.plan(lake, end, ensure_contracts(lake, feature_set), known_factors(lake)).stale()


def outdated_sessions(lake: Lake, end: date, feature_set: str | FeatureSet = "v1") -> list[date]:
    """Return the sessions up to `end` that have features, but from other bars or actions than the present ones."""
    held = set(lake.sessions(ensure_contracts(lake, feature_set).contract, end=end))
    return [session for session in stale_sessions(lake, end, feature_set) if session in held]


def compare_with_rebuild(lake: Lake, start: date, end: date, *, feature_set: str = "v1") -> RebuildComparison:
    """Compare the features in the lake with features computed from whole histories; nothing is written.

    Stale sessions are left out: they are known to differ until the next build.
    """
    build = fingerprints.plan(lake, end, ensure_contracts(lake, feature_set), known_factors(lake))
    stale = set(build.stale(start))
    sessions = [session for session in build.sessions if session >= start and session not in stale]
    if not sessions:
        return RebuildComparison([], 0, [])
    rows, differing = 0, list[date]()
    contract = contracts.load(build.chosen.contract)
    for batch in strategies.from_histories(build, sessions):
        in_batch = pl.col("trade_date").is_in(list(batch.sessions))
        stored = lake.scan(contract.name, batch.sessions[0], batch.sessions[-1]).filter(in_batch).collect()
        differing += _differing(batch.rows, stored, contract.polars_schema)
        rows += batch.rows.height
    return RebuildComparison(sessions, rows, differing)


def _batches(build: BuildPlan, stale: Sequence[date], *, from_state: bool) -> Iterator[tuple[str, FeatureBatch]]:
    """Yield the features of the stale sessions in order, by the cheapest strategy that is certain to be correct."""
    since = latest_state(build, stale[0]) if from_state else None
    last = last_state(build)
    if from_state and since is None and last is not None and stale[0] <= last and last in build.made_from:
        touched = strategies.from_touched(build, [session for session in stale if session <= last], last)
        if touched is not None:
            yield "repaired", touched
            since, stale = last, [session for session in stale if session > last]
    if stale and since is not None and sum(since < day <= stale[-1] for day in build.sessions) <= _MAX_STEPS:
        yield from (("advanced", batch) for batch in strategies.from_state(build, since, stale))
    elif stale:
        yield from (("rebuilt", batch) for batch in strategies.from_histories(build, stale))


def _write(build: BuildPlan, sessions: Sequence[date], rows: pl.DataFrame, progress: Progress) -> None:
    contract = contracts.load(build.chosen.contract)
    stamped = rows.with_columns(feature_timestamp=session_close_expr(pl.col("trade_date")))
    by_session = stamped.partition_by("trade_date", as_dict=True, maintain_order=True)
    for done, session in enumerate(sessions, start=1):
        frame = by_session.get((session,), stamped.clear())  # a session without shares is written empty
        for group, columns in contract.groups.items():
            part = frame.select(*contract.ungrouped, *columns)
            build.lake.write(contract.name, session, part, build.made_from[session], group)
        progress(done, len(sessions), f"features of {session}")


def _differing(rebuilt: pl.DataFrame, stored: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> list[date]:
    """Return the sessions whose rows differ, compared with the contract's types."""
    key = ["trade_date", "instrument_id"]
    columns = [name for name in stored.columns if name in rebuilt.columns]
    typed = rebuilt.select(pl.col(name).cast(schema[name]) for name in columns).sort(key)
    stored = stored.select(columns).sort(key)
    if typed.equals(stored):
        return []
    sessions = sorted(set(typed["trade_date"]) | set(stored["trade_date"]))
    return [day for day in sessions if not typed.filter(trade_date=day).equals(stored.filter(trade_date=day))]
