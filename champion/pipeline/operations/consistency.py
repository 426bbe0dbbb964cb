"""Compare the layers of the lake with each other and with staging, and report missing sessions as gaps.

If a folder of sessions or a whole layer is lost, every remaining file can still match its manifest. So sessions are
compared: published files with raw partitions, raw with normalized and quarantine, bars with features and scores. A
dataset that was written once and has no sessions left is a gap too (`lake.inventory`). Sessions that retention removed
are not. Nothing is changed, and only `verify` reads data files.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from champion import contracts, features
from champion.base import clock
from champion.base.counting import quantity
from champion.contracts import datasets
from champion.contracts.datasets import BARS, PREDICTIONS, RAW_BARS, feature_datasets, kept_years
from champion.errors import LakeError
from champion.lake import Damage, Lake, backend, inventory, layout, partitions
from champion.lake.retention import first_kept, rule
from champion.pipeline.feature_store.build import outdated_sessions
from champion.pipeline.ingest.datasets import DATASET_SPECS, LIST_SPECS, DatasetSpec
from champion.pipeline.operations.checks import Check, first
from champion.settings import Settings

_FIRST_PUBLISHED = date(1994, 11, 3)  # the first session of the exchange
_BY_RAW = {spec.raw: spec for spec in DATASET_SPECS}  # two exchanges publish bars, and a lake holds those of one
_SHOWN = 6
_REMEDIES = {
    **dict.fromkeys((datasets.ACTIONS, datasets.FACTORS, datasets.CHANGES), "`champion actions refresh`"),
    **dict.fromkeys(
        (datasets.SYMBOLS, datasets.LOTS),
        "the next `champion daily` fetches today's list; earlier ones are in a backup of lake/",
    ),
    datasets.INDEX_HISTORY: "the next `champion daily` reads the files in staging/ again",
    **dict.fromkeys(
        (PREDICTIONS, datasets.TARGETS),
        "`champion score SESSION` for each; scores of earlier champions are only in a backup of lake/",
    ),
    datasets.ACCEPTANCES: "restore lake/quality from a backup, or `champion quality accept` each finding again",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """The sessions that a dataset lacks, or the whole dataset if `sessions` is empty; `lost` if rows are lost."""

    dataset: str
    sessions: tuple[date, ...]
    reason: str
    remedy: str
    lost: bool = True

    @property
    def found(self) -> str:
        """Everything but the remedy, as text.

        >>> Gap("features_x", (date(2024, 1, 15),), "no features", "`champion features`").found
        'features_x: 1 session, 2024-01-15: no features'
        """
        if not self.sessions:
            return f"{self.dataset}: {self.reason}"
        start, end = self.sessions[0], self.sessions[-1]
        span = str(start) if start == end else f"{start} to {end}"
        return f"{self.dataset}: {quantity(len(self.sessions), 'session')}, {span}: {self.reason}"


def gaps(settings: Settings, today: date, *, files: bool = True) -> list[Gap]:
    """Return what is missing in staging and lake as of `today`; empty if all layers agree.

    Without `files`, the sizes of data files are not checked, for callers that hash the files.

    Raises:
        LakeError: a manifest is damaged.
    """
    layers = _Layers(settings, today)
    missing = [gap for spec in _BY_RAW.values() for gap in _of_publication(layers, spec)]
    missing += [gap for name in layers.feature_datasets for gap in _of_features(layers, name)]
    if gone := layers.kept(BARS, layers.sessions(PREDICTIONS) - layers.sessions(BARS)):
        missing.append(Gap(BARS, gone, f"missing, though {PREDICTIONS} has them", layers.remedy(BARS, gone)))
    missing += [gap for name in contracts.names() for gap in _files(layers, name)] if files else []
    named = {gap.dataset for gap in missing if gap.lost}
    for name in inventory.emptied(layers.lake.root):
        if name not in named:  # it is not lost if retention may remove sessions
            harmless = name.endswith("_state") or bool(rule(name, kept_years(settings)).keep_years)
            reason = "it was written once and has no session left"
            missing.append(Gap(name, (), reason, layers.remedy(name, ()), lost=not harmless))
    return missing


def check(settings: Settings) -> Check:
    """Check that staging and the layers of the lake agree, for the doctor; failed if rows are lost."""
    found = sorted(gaps(settings, clock.today()), key=lambda gap: not gap.lost)
    if not found:
        return Check("layers", "ok", "staging and the layers of the lake agree")
    remedies = "; ".join(dict.fromkeys(gap.remedy for gap in found[:_SHOWN]))
    return Check("layers", "failed" if found[0].lost else "warning", first(_SHOWN, [g.found for g in found]), remedies)


def damages(settings: Settings, today: date) -> list[Damage]:
    """Return the gaps with lost rows as damage of the lake.

    Sessions that are not built yet, or not in staging, and damaged files are left out: `Lake.verify` hashes all files.
    """
    lost = [gap for gap in gaps(settings, today, files=False) if gap.lost]
    folders = {gap.dataset: layout.dataset_folder(settings.lake, contracts.load(gap.dataset)) for gap in lost}
    return [Damage(folders[gap.dataset], gap.found.partition(": ")[2], gap.remedy) for gap in lost]


def last_month(today: date) -> tuple[date, date]:
    """Return the first and last date of the month before.

    >>> last_month(date(2025, 1, 15))
    (datetime.date(2024, 12, 1), datetime.date(2024, 12, 31))
    """
    end = today.replace(day=1) - timedelta(days=1)
    return end.replace(day=1), end


def verify(settings: Settings) -> dict[str, int]:
    """Hash and count all files of the lake again, and return the number of sessions of each dataset.

    Raises:
        LakeError: files are damaged, or a layer lacks sessions of another one; with the remedy for each.
    """
    lake = Lake(settings.lake)
    wrong = [damage for name in contracts.names() for damage in lake.verify(name) if not damage.harmless]
    if wrong := wrong or damages(settings, clock.today()):
        shown = "; ".join(f"{damage.path}: {damage.reason}; {damage.remedy}" for damage in wrong[:5])
        raise LakeError(f"{len(wrong)} damaged: {shown}")
    return {name: len(lake.sessions(name)) for name in contracts.names()}


def kept(settings: Settings, name: str, days: Iterable[date], today: date) -> tuple[date, ...]:
    """Return the sessions or months of a dataset, in order, that retention does not remove from the lake."""
    years = rule(name, kept_years(settings)).keep_years
    oldest = first_kept(today, years) if years else date.min
    return tuple(sorted(day for day in days if day >= oldest))


class _Layers:
    """The sessions of every layer, each read once."""

    def __init__(self, settings: Settings, today: date) -> None:
        self.settings, self.lake, self.today = settings, Lake(settings.lake), today
        self._sessions: dict[str, frozenset[date]] = {}

    def sessions(self, name: str) -> frozenset[date]:
        """Return the sessions that a dataset has with all its groups of columns."""
        if name not in self._sessions:
            contract = contracts.load(name)
            by_group = [partitions.sessions(self.lake.root, contract, group) for group in layout.groups(contract)]
            self._sessions[name] = frozenset.intersection(*map(frozenset, by_group))
        return self._sessions[name]

    def kept(self, name: str, sessions: Iterable[date]) -> tuple[date, ...]:
        """Return the sessions, in order, that retention does not remove."""
        return kept(self.settings, name, sessions, self.today)

    @property
    def feature_datasets(self) -> list[str]:
        """The datasets of features, without carried state, that have sessions."""
        return [name for name in feature_datasets() if self.lake.sessions(name)]

    @cached_property
    def staged_files(self) -> frozenset[str]:
        """The archive paths of all files in staging."""
        root = self.settings.staging
        return frozenset(
            os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - a history has 20,000 files
            for folder, _, names in os.walk(root)
            for name in names
        )

    def staged(self, raw: str) -> frozenset[date]:
        """Return the sessions for which staging has a published file of a raw dataset."""
        if not (files := self.staged_files):
            return frozenset()
        days = (_FIRST_PUBLISHED + timedelta(days=n) for n in range((self.today - _FIRST_PUBLISHED).days + 1))
        publications = [each.publication for each in DATASET_SPECS if each.raw == raw]
        return frozenset(day for day in days if any(path in files for one in publications for path in one.paths(day)))

    def remedy(self, name: str, sessions: Sequence[date]) -> str:
        """Return the command that restores these sessions of a dataset; without sessions, all of it."""
        return remedy(self.settings, name, _span(sessions) if sessions else self.span)

    @cached_property
    def span(self) -> str:
        """The first and last session in any layer or in staging, as arguments of a command."""
        names = [BARS, RAW_BARS, *self.feature_datasets, PREDICTIONS]
        known = frozenset[date]().union(*map(self.sessions, names), self.staged(DATASET_SPECS[0].raw))
        return _span(tuple(sorted(known))) if known else "START END"


def _of_publication(layers: _Layers, spec: DatasetSpec) -> Iterator[Gap]:
    raw, normalized = layers.sessions(spec.raw), layers.sessions(spec.normalized)
    staged = layers.staged(spec.raw)
    lacks = (spec.raw, normalized - raw, spec.normalized), (spec.normalized, raw - normalized, spec.raw)
    for name, lacking, beside in lacks:
        if missing := layers.kept(name, lacking):
            yield Gap(name, missing, f"missing, though {beside} has them", layers.remedy(spec.raw, missing))
    if unstaged := layers.kept(spec.raw, raw - staged):
        reason = "in the lake, but the published file is no longer in staging/"
        yield Gap(spec.raw, unstaged, reason, f"{_load(spec.raw)} {_span(unstaged)}` fetches it again", lost=False)
    if waiting := layers.kept(spec.raw, staged - raw - normalized):
        reason, remedy_ = "fetched, and not in the lake", f"{_load(spec.raw)} {_span(waiting)}`"
        yield Gap(spec.raw, waiting, reason, remedy_, lost=False)
    sessions = sorted(raw & normalized)
    parts = (partitions.among(layers.lake.root, contracts.load(name), None, sessions) for name in spec.names)
    rows, refused, accepted = ({day: one.manifest.current.rows for day, one in each.items()} for each in parts)
    lost = [day for day in sessions if rows.get(day, 0) > accepted.get(day, 0) + refused.get(day, 0)]
    if short := layers.kept(spec.quarantine, lost):
        reason = "rows were refused, and are not in quarantine"
        yield Gap(spec.quarantine, short, reason, layers.remedy(spec.raw, short))


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
        reason = "outdated or incomplete: built from other bars or actions than the lake holds"
        yield Gap(name, tuple(old), reason, f"`champion features {_span(old)}{option}`", lost=False)


def _files(layers: _Layers, name: str) -> Iterator[Gap]:
    """Yield a gap for data files that are missing or differ in size from their manifest; `lake verify` hashes them."""
    if backend.of(layers.lake.root).is_remote:
        return
    contract = contracts.load(name)
    stored = (one for group in layout.groups(contract) for one in partitions.find(layers.lake.root, contract, group))
    if wrong := {one.session for one in stored if not one.is_whole(one.manifest.current.inputs)}:
        reason = "a data file is missing or of another size than its manifest says"
        yield Gap(name, tuple(sorted(wrong)), reason, layers.remedy(name, sorted(wrong)))


def remedy(settings: Settings, name: str, span: str) -> str:
    """Return the command that restores sessions of a dataset, or the advice to use a backup; `span` is its range."""
    if name.startswith("features_"):
        return f"`champion features {span}{_feature_set_option(name.removesuffix('_state'))}`"
    if name == datasets.FINDINGS:
        return f"`champion quality check {span}`"
    archive = ", or `champion lake restore` from the archive" if settings.lake_archive else ""
    return _REMEDIES.get(name) or f"{_load(name)} {span}`{archive}"


def _load(name: str) -> str:
    """Return the beginning of the command that loads the published files of a dataset; a range and a quote follow."""
    return f"`champion {'lists fetch' if any(name in spec.names for spec in LIST_SPECS) else 'backfill'}"


def _feature_set_option(name: str) -> str:
    version = next((v for v, each in tuple(features.FEATURE_SETS.items()) if each.contract == name), "module:NAME")
    return "" if version == "v1" else f" --feature-set {version}"


def _span(sessions: Sequence[date]) -> str:
    return f"{sessions[0]} {sessions[-1]}"
