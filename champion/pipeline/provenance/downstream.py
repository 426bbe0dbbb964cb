"""From one published file forward to everything it touched: rows, features, models, predictions.

What was made of the file itself says so by its digest. Features of later sessions know its bars through their recorded
history; a model has seen it if its training reached that session; a prediction has, if its bars or its model have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from champion import contracts, features
from champion.base import clock
from champion.base.atomic_files import sha256
from champion.contracts.datasets import (
    ACTIONS,
    BARS,
    FACTORS,
    FINDINGS,
    PREDICTIONS,
    PUBLISHED_LISTS,
    feature_datasets,
)
from champion.errors import UsageError
from champion.lake import Lake
from champion.pipeline.feature_store import fingerprints
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.ingest.datasets import DATASET_SPECS, DatasetSpec
from champion.pipeline.models.evaluate import TRAIN_END
from champion.pipeline.provenance.graph import Node, State, Trace
from champion.pipeline.provenance.upstream import is_made_from
from champion.settings import Settings
from champion.sources.download import staging_records
from champion.sources.download.staging_records import Staged
from champion.tracking import registry, runs

_PREFIX = 8  # characters of a SHA-256 that name a file
_SHOWN = 5


def forward(settings: Settings, which: str) -> Trace:
    """Return what a published file touched; `which` is its path, its name, or its SHA-256 or the beginning of that.

    Raises:
        UsageError: staging holds no such file, or several.
    """
    search = _Forward(settings)
    search.file(_find(settings, which))
    return search.trace


def _find(settings: Settings, which: str) -> Staged:
    path = Path(which)
    digest = sha256(path) if path.is_file() else which.lower() if re.fullmatch(r"[0-9a-fA-F]{8,64}", which) else None
    kept = {staged.sha256: staged for staged in staging_records.everything(settings.staging)}
    found = [s for s in kept.values() if (digest and s.sha256.startswith(digest)) or s.name == which]
    if len(found) == 1:
        return found[0]
    named = ", ".join(f"{staged.name} ({staged.sha256[:_PREFIX]})" for staged in found[:_SHOWN])
    raise UsageError(
        f"staging holds {'several files' if found else 'no file'} {which!r}{': ' + named if named else ''}; name one "
        "by its path, the exchange's name, or the first characters of its SHA-256"
    )


class _Forward:
    """One search: the trace as far as it is known."""

    def __init__(self, settings: Settings) -> None:
        self.trace = Trace()
        self._settings, self._lake = settings, Lake(settings.lake)

    def file(self, staged: Staged) -> None:
        """Add the file and all that was made of it."""
        state: State = "same" if staging_records.is_whole(staged) else "missing"
        note = f"fetched {clock.in_india(staged.fetched_at)} IST from {staged.origin}"
        root = Node("file", staged.name, digest=staged.sha256, state=state, note=note)
        self.trace.add(root)
        for filling in {filling.raw: filling for filling in DATASET_SPECS}.values():
            self._rows(filling, staged.sha256, root)
        for name in PUBLISHED_LISTS:
            for session in self._made_of(name, "list", staged.sha256):
                self._list(name, session, root)

    def _rows(self, filling: DatasetSpec, digest: str, root: Node) -> None:
        for session in self._made_of(filling.raw, "file", digest):
            raw = self._add(filling.raw, [session], root)
            for name in (filling.quarantine, filling.normalized):
                manifest = self._lake.manifest(name, session)
                if manifest is None or manifest.current.inputs.get("file") != digest:
                    continue  # another revision of the file speaks for the session by now
                made = self._add(name, [session], raw)
                if name == BARS:
                    self._bars(made, session)

    def _list(self, name: str, session: date, root: Node) -> None:
        made = self._add(name, [session], root)
        read = self._lake.sessions(FACTORS)
        if name == ACTIONS and read:
            factors = self._add(FACTORS, read[-1:], made)
            held = self._lake.sessions(BARS)
            self._features(factors, held[0] if held else date.min)

    def _bars(self, made: Node, session: date) -> None:
        if self._lake.manifest(FINDINGS, session):
            self._add(FINDINGS, [session], made)
        self._features(made, session)

    def _features(self, below: Node, since: date) -> None:
        """Add the features of this session and of later ones, the models trained on them, and their predictions.

        Each feature set leads to its own models; which bars and actions features are made from is the same for all.
        """
        plan = fingerprints.plan(self._lake, date.max, features.find("v1"), corporate_actions.known_factors(self._lake))
        built = feature_datasets()
        made: dict[str, Node] = {}
        for name in built:
            sessions = self._lake.sessions(name, since)
            if not sessions:
                continue
            group = next(iter(contracts.load(name).groups), None)
            found = {s: self._lake.manifest(name, s, group) for s in sessions}
            same = all(m and is_made_from(plan, s, m.current.inputs) for s, m in found.items())
            made[name] = self._add(name, sessions, below, "same" if same else "changed")
        self._models(below, made, since)
        self._predictions(below, since, made)

    def _models(self, below: Node, made: Mapping[str, Node], since: date) -> None:
        """Add the versions trained on sessions from `since` on, each below the features it was trained on."""
        for version in self._versions():
            run = runs.known(self._settings, version.run_id)
            learnt_to = max(version.tags.get(TRAIN_END, ""), run.parameters.get("as_of", "") if run else "")
            end = _day(learnt_to)
            if run is None or end is None or end < since:
                continue  # deleted, or of another tool: of such a version nothing is recorded
            read = runs.digests(self._settings, run, "champion.inputs")
            held = {name: self._lake.digest(name, end=end) for name in read if name == BARS}
            state: State = "not recorded" if not held else "same" if held[BARS] == read[BARS] else "changed"
            trained = Node(
                "run", f"run {run.run_id[:8]} of {run.name}", digest=run.run_id, state=state, note=run.outcome or ""
            )
            self.trace.add(trained, _features_of(version.feature_version, made) or below)
            model = Node("model", f"{registry.MODEL} version {version.number}", note=f"learnt to {learnt_to}")
            self.trace.add(model, trained)
            self._predictions_of(model, since, version.number)

    def _predictions(self, below: Node, since: date, made: Mapping[str, Node]) -> None:
        """Add the predictions since a session, each below the features its version scored, whose bars they read."""
        used = {f"{registry.MODEL}/{one.number}": one.feature_version for one in self._versions()}
        for session, made_from, state in self._predicted(since):
            self._add(
                PREDICTIONS, [session], _features_of(used.get(made_from.get("model", ""), ""), made) or below, state
            )

    def _predictions_of(self, model: Node, since: date, version: int) -> None:
        """Add the predictions since a session of one version below it."""
        for session, made_from, state in self._predicted(since):
            if made_from.get("model") == f"{registry.MODEL}/{version}":
                self._add(PREDICTIONS, [session], model, state)

    def _predicted(self, since: date) -> Iterator[tuple[date, Mapping[str, str], State]]:
        """Yield each session with predictions, what they were made from, and whether the bars are still the same."""
        for session in self._lake.sessions(PREDICTIONS, since):
            manifest = self._lake.manifest(PREDICTIONS, session)
            made_from = manifest.current.inputs if manifest else {}
            same = self._lake.digest(BARS, end=session) == made_from.get("bars")
            yield session, made_from, "same" if same else "changed"

    def _versions(self) -> list[registry.Version]:
        return registry.versions(self._settings) if self._has_ledger() else []

    def _add(self, name: str, sessions: Sequence[date], below: Node, state: State = "same") -> Node:
        digest = self._lake.digest(name, sessions[0], sessions[-1])
        node = Node("dataset", name, sessions[0], sessions[-1], len(sessions), digest, state)
        self.trace.add(node, below)
        return node

    def _made_of(self, name: str, what: str, digest: str) -> list[date]:
        """Return the sessions of which some revision was made of the file."""
        found = ((session, self._lake.manifest(name, session)) for session in self._lake.sessions(name))
        return [s for s, m in found if m and any(digest in part.inputs.get(what, "").split() for part in m.parts)]

    def _has_ledger(self) -> bool:
        return self._settings.tracking_uri is not None or (self._settings.home / "mlflow" / "mlflow.db").exists()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _features_of(version: str, made: Mapping[str, Node]) -> Node | None:
    """Return the node of the features of a feature version; None where they are not among those made."""
    known = features.FEATURE_SETS.get(version)
    return made.get(known.contract) if known else None
