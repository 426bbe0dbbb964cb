"""What each session's features are made from: digests of its bars, of its actions, and of all that came before.

A session's partition records all three. So a corrected bar, or an action learned of late, changes `history` of its
session and of all later ones; and whether some partitions were made from one and the same past can be told from what
they recorded, without that past.
"""

from __future__ import annotations

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

_ID = "instrument_id"


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """One feature set, the sessions up to the last one asked for in order, and what each should be made from."""

    lake: Lake
    chosen: FeatureSet
    factors: pl.DataFrame
    made_from: Mapping[date, Mapping[str, str]]

    @property
    def sessions(self) -> list[date]:
        """All sessions with bars, in order."""
        return list(self.made_from)

    def steps(self, since: date, until: date) -> int:
        """Return how many sessions there are after `since` up to `until`."""
        return sum(since < session <= until for session in self.made_from)

    def stale(self, start: date | None = None) -> list[date]:
        """Return the sessions from `start` on whose features are missing or not made from what they should be."""
        contract = contracts.load(self.chosen.contract)
        asked = [session for session in self.made_from if start is None or session >= start]
        current = set(asked)
        for group in self.groups:
            found = partitions.among(self.lake.root, contract, group, asked)
            current &= {session for session, one in found.items() if one.is_whole(self.made_from[session])}
        return [session for session in asked if session not in current]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups the features are stored by."""
        return tuple(contracts.load(self.chosen.contract).groups)

    def recorded(self, session: date) -> Mapping[str, str]:
        """Return what the session's features were made from; nothing where a group is missing or differs."""
        found = [self.lake.manifest(self.chosen.contract, session, group) for group in self.groups]
        inputs = [dict(manifest.current.inputs) for manifest in found if manifest]
        return inputs[0] if len(inputs) == len(found) and all(one == inputs[0] for one in inputs) else {}

    def one_past(self, sessions: list[date]) -> str | None:
        """Return the history that the partitions of these sessions led to, or None where it was not one and the same.

        The sessions follow each other; before the first, history is what it is now.
        """
        before = self.sessions.index(sessions[0]) - 1
        running = self.made_from[self.sessions[before]]["history"] if before >= 0 else ""
        for session in sessions:
            was = self.recorded(session)
            running = _link(running, session, was.get("bars", ""), was.get("actions", ""))
            if was != {
                **self.made_from[session],
                **{n: was.get(n, "") for n in ("bars", "actions")},
                "history": running,
            }:
                return None
        return running


def plan(lake: Lake, end: date, chosen: FeatureSet, factors: pl.DataFrame) -> BuildPlan:
    """Return what each session's features up to `end` should be made from."""
    found: dict[date, Mapping[str, str]] = {}
    running, identity = "", features.identity(chosen)
    digests = _bars(lake, end)
    actions = _actions(factors, list(digests))
    for session, bars in digests.items():
        running = _link(running, session, bars, actions[session])
        found[session] = {
            "bars": bars,
            "actions": actions[session],
            "history": running,
            "feature_set": identity,
            "features": features.VERSION,
        }
    return BuildPlan(lake, chosen, factors, found)


def bars_seen(bars: pl.DataFrame) -> pl.DataFrame:
    """Return one number an instrument that any change of its bars as traded changes; the bars' order does not matter.

    Polars promises the same hash within one of its versions only: after another, all instruments count as changed.
    """
    columns = [name for name in bars.columns if name != _ID]
    hashed = bars.select(_ID, pl.struct(columns).hash(0).reinterpret(signed=True).alias("bars_seen"))
    return hashed.group_by(_ID).agg(pl.col("bars_seen").bitwise_xor())


def actions_seen(factors: pl.DataFrame, session: date) -> pl.DataFrame:
    """Return one number an instrument with actions up to `session` that any change of their factors changes."""
    order = [_ID, "ex_date", "price_factor", "volume_factor"]
    past = effective_factors(factors).filter(pl.col("ex_date") <= session).select(order).sort(order)
    numbered = past.with_columns(number=pl.int_range(pl.len()).over(_ID))  # two alike must not cancel each other
    what = pl.struct(*order[1:], "number").hash(0).reinterpret(signed=True).alias("actions_seen")
    return numbered.select(_ID, what).group_by(_ID).agg(pl.col("actions_seen").bitwise_xor())


def _bars(lake: Lake, end: date) -> dict[date, str]:
    found = partitions.find(lake.root, contracts.load(BARS), None, end=end)
    return {partition.session: partition.manifest.current.sha256 for partition in found}


def _actions(factors: pl.DataFrame, sessions: list[date]) -> dict[date, str]:
    """Return a digest of the factors that come into force with each session; dividends have none here."""
    order = ["ex_date", _ID, "price_factor", "volume_factor"]
    lines = effective_factors(factors).select(order).sort(order).rows()
    found: dict[date, str] = {}
    position = 0
    for session in sessions:
        new = []
        while position < len(lines) and lines[position][0] <= session:
            new.append(f"{lines[position]}\n")
            position += 1
        if not found:
            new = []  # ex-dates up to the first session have no bars before them
        found[session] = sha256("".join(new).encode()).hexdigest()
    return found


def _link(running: str, session: date, bars: str, actions: str) -> str:
    return sha256(f"{running} {session} {bars} {actions}".encode()).hexdigest()
