"""Normalized bars to features in the lake, by session and feature group.

A feature knows its instrument's whole past, so a session's partition records digests of all that it was made from
(`champion.pipeline.feature_store.fingerprints`). A corrected bar, or an action learned of late, makes its session and
all later ones stale, and just those are made again: from carried state where there is one, with just the touched
instruments recomputed where the past is known to be the same otherwise, else from all bars
(`champion.pipeline.feature_store.strategies`).

A session's features are in the rupees and shares of that session: bars before it are adjusted for the actions up to
it, never for later ones. So a split changes no partition before its ex-date, and nothing looks ahead. Who compares
features across sessions brings them to one scale first (`adjust.rescale`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
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
from champion.pipeline.feature_store import fingerprints, state, strategies
from champion.pipeline.feature_store.contracts import ensure_contracts
from champion.pipeline.feature_store.fingerprints import BuildPlan
from champion.pipeline.feature_store.strategies import FeatureBatch
from champion.pipeline.ingest.corporate_actions import known_factors
from champion.pipeline.ingest.quality import require_passed
from champion.settings.quality_limits import Limits

_MANY = 20  # sessions: beyond, computing all of history once is cheaper than so many steps


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did: `sessions` has session, rows, outcome ('written' or 'already').

    `ways` says how what was written was made, in order: 'repaired', 'advanced', 'rebuilt'. `remembering` names the
    recursive features that carry no state, for which the bars of every instrument were read from the first on: `bars`
    many, in `seconds` of computing. Where nothing was written for them, they cost nothing.
    """

    sessions: pl.DataFrame
    ways: tuple[str, ...] = ()
    remembering: tuple[str, ...] = ()
    bars: int = 0
    seconds: float = 0.0

    @property
    def totals(self) -> dict[str, int]:
        """Sessions, rows, written, already."""
        written = int((self.sessions["outcome"] == "written").sum())
        return {
            "sessions": self.sessions.height,
            "rows": int(self.sessions["rows"].sum()),
            "written": written,
            "already": self.sessions.height - written,
        }

    @property
    def cost(self) -> str | None:
        """What recursive features without carried state have cost, in words; None where nothing was built for them."""
        if not self.remembering or not self.bars:
            return None
        return (
            f"{', '.join(self.remembering)}: recursive, computed from each instrument's first bar: "
            f"{quantity(self.bars, 'bar')} in {self.seconds:.1f} s"
        )


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
    """Commit the features of every session from `start` to `end` that are missing or made from other bars.

    Without `from_state` all is computed from whole histories: the same partitions, at more cost.

    With `limits`, every session that has no current features, also before `start`, must pass the quality gates: its
    bars are read. Commands, flows and notebooks give the limits of the settings; without them no gate is asked.

    Raises:
        QualityGateError: a session failed a gate, and nobody accepted the finding; nothing is built.
    """
    build = fingerprints.plan(lake, end, ensure_contracts(lake, feature_set), known_factors(lake))
    sessions = [session for session in build.sessions if session >= start]
    stale = build.stale(start)
    if stale and limits is not None:
        require_passed(lake, build.stale()[0], stale[-1], limits)
    taken: list[str] = []
    remembering = tuple(each.name for each in build.chosen.features if each.recursive and not each.carried)
    began = time.perf_counter()
    for way, made in _made(build, stale, from_state=from_state) if stale else ():
        taken.append(way)
        _write(build, made.sessions, made.rows, progress)
        if made.state is not None:
            state.write(build, made.sessions[-1], made.state)
    group = build.groups[0]
    found = [lake.manifest(build.chosen.contract, session, group) for session in sessions]
    account = {
        "session": sessions,
        "rows": [manifest.current.rows if manifest else 0 for manifest in found],
        "outcome": ["written" if session in set(stale) else "already" for session in sessions],
    }
    table = pl.DataFrame(account, schema={"session": pl.Date, "rows": pl.Int64, "outcome": pl.String})
    bars = lake.rows(BARS, end=stale[-1]) if stale and remembering else 0
    return BuildResult(table, tuple(dict.fromkeys(taken)), remembering, bars, time.perf_counter() - began)


def stale_sessions(lake: Lake, end: date, feature_set: str | FeatureSet = "v1") -> list[date]:
    """Return the sessions up to `end` whose features are missing or were made from other bars than the lake holds."""
    return fingerprints.plan(lake, end, ensure_contracts(lake, feature_set), known_factors(lake)).stale()


def outdated_sessions(lake: Lake, end: date, feature_set: str | FeatureSet = "v1") -> list[date]:
    """Return the sessions up to `end` that have features, but of other bars or actions than are known now."""
    held = set(lake.sessions(ensure_contracts(lake, feature_set).contract, end=end))
    return [session for session in stale_sessions(lake, end, feature_set) if session in held]


def _made(build: BuildPlan, stale: Sequence[date], *, from_state: bool) -> Iterator[tuple[str, FeatureBatch]]:
    """Yield the features of the stale sessions in order, made the cheapest way that is sure to be right."""
    since = state.latest(build, stale[0]) if from_state else None
    last = state.last(build)
    if from_state and since is None and last is not None and stale[0] <= last and last in build.made_from:
        touched = strategies.from_touched(build, [session for session in stale if session <= last], last)
        if touched is not None:
            yield "repaired", touched
            since, stale = last, [session for session in stale if session > last]
    if stale and since is not None and build.steps(since, stale[-1]) <= _MANY:
        yield from (("advanced", made) for made in strategies.from_state(build, since, stale))
    elif stale:
        yield from (("rebuilt", made) for made in strategies.from_histories(build, stale))


def _write(build: BuildPlan, sessions: Sequence[date], made: pl.DataFrame, progress: Progress) -> None:
    contract = contracts.load(build.chosen.contract)
    stamped = made.with_columns(feature_timestamp=session_close_expr(pl.col("trade_date")))
    by_session = stamped.partition_by("trade_date", as_dict=True, maintain_order=True)
    for done, session in enumerate(sessions, start=1):
        frame = by_session.get((session,), stamped.clear())  # a session without shares has no features, not old ones
        for group, columns in contract.groups.items():
            rows = frame.select(*contract.ungrouped, *columns)
            build.lake.write(contract.name, session, rows, build.made_from[session], group)
        progress(done, len(sessions), f"features of {session}")
