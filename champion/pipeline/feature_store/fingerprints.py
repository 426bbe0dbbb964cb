"""Fingerprints of the inputs of each session's features: of its bars, its actions, and all earlier ones (`history`).

A session's partition records all three. A corrected bar, or a late action, changes `history` of its session and of all
later ones. Partitions with consistent records were built from the same past, so that past need not be read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import polars as pl

from champion import contracts, features
from champion.contracts.datasets import BARS
from champion.features import FeatureSet
from champion.lake import Lake, partitions
from champion.market.actions.adjustment import effective_factors
from champion.pipeline.ingest.corporate_actions import factor_lines

_ID = "instrument_id"


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """A feature set, and the inputs that each session's features should be built from, in order of sessions."""

    lake: Lake
    chosen: FeatureSet
    factors: pl.DataFrame
    made_from: Mapping[date, Mapping[str, str]]

    @property
    def sessions(self) -> list[date]:
        """All sessions with bars, in order."""
        return list(self.made_from)

    def stale(self, start: date | None = None) -> list[date]:
        """Return the sessions from `start` on whose features are missing or were built from other inputs."""
        contract = contracts.load(self.chosen.contract)
        sessions = [session for session in self.made_from if start is None or session >= start]
        current = set(sessions)
        for group in self.groups:
            stored = partitions.among(self.lake.root, contract, group, sessions)
            current &= {session for session, part in stored.items() if part.is_whole(self.made_from[session])}
        return [session for session in sessions if session not in current]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of columns that the features are stored in."""
        return tuple(contracts.load(self.chosen.contract).groups)

    def recorded(self, session: date) -> Mapping[str, str]:
        """Return the recorded inputs of the session's features; empty if a group is missing or differs."""
        manifests = [self.lake.manifest(self.chosen.contract, session, group) for group in self.groups]
        inputs = [dict(manifest.current.inputs) for manifest in manifests if manifest]
        return inputs[0] if len(inputs) == len(manifests) and all(each == inputs[0] for each in inputs) else {}

    def common_history(self, sessions: list[date]) -> str | None:
        """Return the recorded `history` of the last of these sessions, None if they were built from different pasts.

        The sessions are consecutive; the history before the first is the present one.
        """
        before = self.sessions.index(sessions[0]) - 1
        history = self.made_from[self.sessions[before]]["history"] if before >= 0 else ""
        for session in sessions:
            recorded = self.recorded(session)
            own = {name: recorded.get(name, "") for name in ("bars", "actions")}
            history = _link(history, session, **own)
            if recorded != {**self.made_from[session], **own, "history": history}:
                return None
        return history


def plan(lake: Lake, end: date, chosen: FeatureSet, factors: pl.DataFrame) -> BuildPlan:
    """Return the inputs that each session's features up to `end` should be built from."""
    made_from: dict[date, Mapping[str, str]] = {}
    history, identity = "", features.identity(chosen)
    stored = partitions.find(lake.root, contracts.load(BARS), None, end=end)
    bars = {partition.session: partition.manifest.current.sha256 for partition in stored}
    for session, lines in factor_lines(factors, list(bars)):
        own = {"bars": bars[session], "actions": sha256(lines.encode()).hexdigest()}
        history = _link(history, session, **own)
        made_from[session] = {**own, "history": history, "feature_set": identity, "features": features.VERSION}
    return BuildPlan(lake, chosen, factors, made_from)


def bars_seen(bars: pl.DataFrame) -> pl.DataFrame:
    """Return one hash per instrument over its bars as traded, independent of their order.

    Polars guarantees equal hashes only within one version: after an upgrade all instruments count as changed.
    """
    columns = [name for name in bars.columns if name != _ID]
    hashed = bars.select(_ID, pl.struct(columns).hash(0).reinterpret(signed=True).alias("bars_seen"))
    return hashed.group_by(_ID).agg(pl.col("bars_seen").bitwise_xor())


def actions_seen(factors: pl.DataFrame, session: date) -> pl.DataFrame:
    """Return one hash per instrument over the factors of its actions up to `session`."""
    order = [_ID, "ex_date", "price_factor", "volume_factor"]
    past = effective_factors(factors).filter(pl.col("ex_date") <= session).select(order).sort(order)
    numbered = past.with_columns(number=pl.int_range(pl.len()).over(_ID))  # equal rows must not cancel each other
    hashed = pl.struct(*order[1:], "number").hash(0).reinterpret(signed=True).alias("actions_seen")
    return numbered.select(_ID, hashed).group_by(_ID).agg(pl.col("actions_seen").bitwise_xor())


def _link(history: str, session: date, bars: str, actions: str) -> str:
    return sha256(f"{history} {session} {bars} {actions}".encode()).hexdigest()
