"""Hold the layers of the lake against each other and against staging: what one has and the next one lacks is a gap.

Each file can be as its manifest says while a folder of sessions, or a whole layer, is gone. So sessions are compared:
published files with raw partitions, raw with normalized and quarantine, bars with features and scores. A dataset that
was written once and has no session left is a gap as well (`lake.inventory`). Sessions that the settings let go by their
age are no gap. Nothing is changed, and no data file is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from champion import contracts, features
from champion.counting import quantity
from champion.lake import Damage, Lake, inventory, layout, partitions
from champion.lake.retention import first_kept, rule
from champion.objects import ObjectPath
from champion.pipeline.bars import BARS
from champion.pipeline.build import outdated_sessions
from champion.pipeline.datasets import FILLINGS, Filling
from champion.pipeline.retain import kept_years
from champion.pipeline.score import PREDICTIONS
from champion.settings import Settings

_FIRST_PUBLISHED = date(1994, 11, 3)  # the first session of the exchange
_BY_RAW = {filling.raw: filling for filling in FILLINGS}  # two exchanges publish bars, and a lake holds those of one
_LISTS = "`champion actions refresh`"
_REMEDIES = {
    "normalized_corporate_actions": _LISTS,
    "normalized_adjustment_factors": _LISTS,
    "normalized_symbol_changes": _LISTS,
    "normalized_symbol_master": "the next `champion daily` fetches today's list; earlier ones are in a backup of lake/",
    PREDICTIONS: "`champion score SESSION` for each; what earlier champions said is in a backup of lake/ alone",
    "quality_acceptances": "restore lake/quality from a backup, or `champion quality accept` each finding again",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """Sessions that a dataset lacks, or all of it where `sessions` is empty; whether work can go on without them."""

    dataset: str
    sessions: tuple[date, ...]
    reason: str
    remedy: str
    lost: bool = True

    @property
    def found(self) -> str:
        """All but the remedy, in a clause.

        >>> Gap("features_x", (date(2024, 1, 15),), "no features", "`champion features`").found
        'features_x: 1 session, 2024-01-15: no features'
        """
        if not self.sessions:
            return f"{self.dataset}: {self.reason}"
        first, last = self.sessions[0], self.sessions[-1]
        span = str(first) if first == last else f"{first} to {last}"
        return f"{self.dataset}: {quantity(len(self.sessions), 'session')}, {span}: {self.reason}"


def gaps(settings: Settings, today: date, *, files: bool = True) -> list[Gap]:
    """Return what is missing in staging and lake as of `today`; nothing where all layers agree.

    Without `files`, the sizes of data files are left to a caller that hashes them.

    Raises:
        LakeError: a manifest is damaged.
    """
    layers = _Layers(settings, today)
    found = [gap for filling in _BY_RAW.values() for gap in _of_publication(layers, filling)]
    found += [gap for name in layers.feature_datasets for gap in _of_features(layers, name)]
    found += _of_scores(layers)
    found += [gap for name in contracts.names() for gap in _files(layers, name)] if files else []
    named = {gap.dataset for gap in found if gap.lost}
    return [*found, *(gap for gap in _emptied(layers) if gap.dataset not in named)]


def damages(settings: Settings, today: date) -> list[Damage]:
    """Return the gaps that lose rows of the lake, as its damage; what is not made yet, or not in staging, is none.

    Damaged files are not among them: `Lake.verify` hashes each.
    """
    root = settings.lake
    folders = {name: layout.dataset_folder(root, contracts.load(name)) for name in contracts.names()}
    return [
        Damage(folders[gap.dataset], gap.found.partition(": ")[2], gap.remedy)
        for gap in gaps(settings, today, files=False)
        if gap.lost
    ]


class _Layers:
    """The sessions of every layer, each read once."""

    def __init__(self, settings: Settings, today: date) -> None:
        self.settings, self.lake, self.today = settings, Lake(settings.lake), today
        self._sessions: dict[str, frozenset[date]] = {}

    def sessions(self, name: str) -> frozenset[date]:
        """Return the sessions that a dataset has whole: one that lacks a group of columns does not count."""
        if name not in self._sessions:
            contract = contracts.load(name)
            by_group = [partitions.sessions(self.lake.root, contract, group) for group in layout.groups(contract)]
            self._sessions[name] = frozenset.intersection(*map(frozenset, by_group))
        return self._sessions[name]

    def kept(self, name: str, sessions: Iterable[date]) -> tuple[date, ...]:
        """Return those sessions, in order, that the settings do not let go by their age."""
        years = rule(name, kept_years(self.settings)).keep_years
        first = first_kept(self.today, years) if years else date.min
        return tuple(sorted(session for session in sessions if session >= first))

    @property
    def feature_datasets(self) -> list[str]:
        """The datasets of features, without carried state, that have sessions."""
        found = [name for name in contracts.names() if name.startswith("features_") and not name.endswith("_state")]
        return [name for name in found if self.lake.sessions(name)]

    @cached_property
    def staged_files(self) -> frozenset[str]:
        """The paths of all files in staging, as in the archive."""
        root = self.settings.staging
        return frozenset(
            os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - a history has 20,000 files
            for folder, _, names in os.walk(root)
            for name in names
        )

    def staged(self, raw: str) -> frozenset[date]:
        """Return the sessions of which staging has a published file that fills a raw dataset."""
        files = self.staged_files
        if not files:
            return frozenset()
        days = (_FIRST_PUBLISHED + timedelta(days=n) for n in range((self.today - _FIRST_PUBLISHED).days + 1))
        publications = [each.publication for each in FILLINGS if each.raw == raw]
        return frozenset(day for day in days if any(path in files for one in publications for path in one.paths(day)))

    def remedy(self, name: str, sessions: Sequence[date]) -> str:
        """Return what brings these sessions of a dataset back; without sessions, all of it."""
        return remedy(self.settings, name, _span(sessions) if sessions else self.span)

    @cached_property
    def span(self) -> str:
        """The first and last session that any layer or staging knows, as arguments of a command."""
        names = [BARS, "raw_equity_ohlc", *self.feature_datasets, PREDICTIONS]
        known = frozenset[date]().union(*map(self.sessions, names), self.staged(FILLINGS[0].raw))
        return _span(tuple(sorted(known))) if known else "START END"


def _of_publication(layers: _Layers, filling: Filling) -> Iterator[Gap]:
    raw, normalized = layers.sessions(filling.raw), layers.sessions(filling.normalized)
    staged = layers.staged(filling.raw)
    for name, lacking, beside in (
        (filling.raw, normalized - raw, filling.normalized),
        (filling.normalized, raw - normalized, filling.raw),
    ):
        if missing := layers.kept(name, lacking):
            yield Gap(name, missing, f"missing, though {beside} has them", layers.remedy(BARS, missing))
    if unstaged := layers.kept(filling.raw, raw - staged):
        reason = "in the lake, but the published file is no longer in staging/"
        yield Gap(filling.raw, unstaged, reason, f"`champion backfill {_span(unstaged)}` fetches it again", lost=False)
    if waiting := layers.kept(filling.raw, staged - raw - normalized):
        reason = "fetched, and not in the lake"
        yield Gap(filling.raw, waiting, reason, f"`champion backfill {_span(waiting)}`", lost=False)
    if short := layers.kept(filling.quarantine, _rows_unaccounted(layers, filling, sorted(raw & normalized))):
        reason = "rows were refused, and are not in quarantine"
        yield Gap(filling.quarantine, short, reason, layers.remedy(BARS, short))


def _rows_unaccounted(layers: _Layers, filling: Filling, sessions: Sequence[date]) -> list[date]:
    """Return the sessions with more raw rows than normalized and quarantined ones together."""
    counted: dict[str, dict[date, int]] = {}
    for name in filling.names:
        contract = contracts.load(name)
        found = partitions.among(layers.lake.root, contract, None, sessions)
        counted[name] = {session: one.manifest.current.rows for session, one in found.items()}
    raw, quarantine, normalized = (counted[name] for name in filling.names)
    return [s for s in sessions if raw.get(s, 0) > normalized.get(s, 0) + quarantine.get(s, 0)]


def _of_features(layers: _Layers, name: str) -> Iterator[Gap]:
    held, bars = layers.sessions(name), layers.sessions(BARS)
    if not held:
        return
    option = _feature_set_option(name)
    if missing := layers.kept(name, {s for s in bars - held if min(held) < s < max(held)}):
        yield Gap(name, missing, "missing between others", f"`champion features {_span(missing)}{option}`")
    if later := layers.kept(name, {s for s in bars if s > max(held)}):
        yield Gap(name, later, "not built yet", f"`champion features {_span(later)}{option}`", lost=False)
    if gone := layers.kept(BARS, held - bars):
        yield Gap(BARS, gone, f"missing, though {name} has features of them", layers.remedy(BARS, gone))
        return
    chosen = next((each for each in tuple(features.FEATURE_SETS.values()) if each.contract == name), None)
    if chosen is not None and features.is_shipped(chosen) and (old := outdated_sessions(layers.lake, date.max, chosen)):
        reason = "not made from the bars and actions that the lake holds, or not whole"
        yield Gap(name, tuple(old), reason, f"`champion features {_span(old)}{option}`", lost=False)


def _of_scores(layers: _Layers) -> list[Gap]:
    gone = layers.kept(BARS, layers.sessions(PREDICTIONS) - layers.sessions(BARS))
    return [Gap(BARS, gone, f"missing, though {PREDICTIONS} has them", layers.remedy(BARS, gone))] if gone else []


def _files(layers: _Layers, name: str) -> Iterator[Gap]:
    """Find data files that are gone or of another size than their manifest says; their bytes are for `lake verify`."""
    if isinstance(layers.lake.root, ObjectPath):
        return
    contract, wrong = contracts.load(name), set[date]()
    for group in layout.groups(contract):
        for found in partitions.find(layers.lake.root, contract, group):
            if not found.is_whole(found.manifest.current.inputs):
                wrong.add(found.session)
    if wrong:
        reason = "a data file is missing or of another size than its manifest says"
        yield Gap(name, tuple(sorted(wrong)), reason, layers.remedy(name, sorted(wrong)))


def _emptied(layers: _Layers) -> Iterator[Gap]:
    """Yield the datasets that were written once and are empty, unless the settings let sessions go by their age."""
    for name in inventory.emptied(layers.lake.root):
        harmless = name.endswith("_state") or bool(rule(name, kept_years(layers.settings)).keep_years)
        reason = "it was written once and has no session left"
        yield Gap(name, (), reason, layers.remedy(name, ()), lost=not harmless)


def remedy(settings: Settings, name: str, span: str) -> str:
    """Return the command that brings sessions of a dataset back, or what only a backup can; `span` is its arguments."""
    if name.startswith("features_"):
        return f"`champion features {span}{_feature_set_option(name.removesuffix('_state'))}`"
    if name == "quality_findings":
        return f"`champion quality check {span}`"
    archive = ", or `champion lake restore` from the archive" if settings.lake_archive else ""
    return _REMEDIES.get(name) or f"`champion backfill {span}`{archive}"


def _feature_set_option(name: str) -> str:
    version = next((v for v, each in tuple(features.FEATURE_SETS.items()) if each.contract == name), "module:NAME")
    return "" if version == "v1" else f" --feature-set {version}"


def _span(sessions: Sequence[date]) -> str:
    return f"{sessions[0]} {sessions[-1]}"
