"""Trace one published file forward to everything derived from it: rows, features, models, predictions.

Rows record the file's digest. Features of later sessions depend on its bars through their recorded history; a model
depends on it if the training period includes the session; predictions depend on it if their bars or their model do.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from champion import contracts, features
from champion.base import clock
from champion.base.atomic_files import sha256
from champion.contracts.datasets import (
    ACTIONS,
    BAN_LIST,
    BARS,
    CONSTITUENTS,
    CONTRADICTIONS,
    FACTORS,
    FINDINGS,
    INDEX_CHANGES,
    INDEX_MEMBERS,
    PREDICTIONS,
    PRICE_BANDS,
    PUBLISHED_LISTS,
    SECTORS,
    TARGETS,
    feature_datasets,
)
from champion.errors import UsageError
from champion.lake import Lake
from champion.pipeline.feature_store import fingerprints
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.ingest.datasets import DATASET_SPECS
from champion.pipeline.models.evaluate import TRAIN_END
from champion.pipeline.provenance.graph import Node, State, Trace, run_node
from champion.pipeline.provenance.upstream import is_made_from
from champion.settings import Settings
from champion.sources.download import staging_records
from champion.sources.download.staging_records import Staged
from champion.tracking import registry, runs

_A_WEEK = timedelta(6)  # the session before is not further away


def forward(settings: Settings, which: str) -> Trace:
    """Return the data derived from a published file; `which` is its path, its name, or the start of its SHA-256.

    Raises:
        UsageError: staging has no such file, or several.
    """
    search = _Forward(settings)
    search.file(_find(settings, which))
    return search.trace


def _find(settings: Settings, which: str) -> Staged:
    path = Path(which)
    digest = sha256(path) if path.is_file() else which.lower() if re.fullmatch(r"[0-9a-fA-F]{8,64}", which) else None
    unique = {staged.sha256: staged for staged in staging_records.everything(settings.staging)}
    matches = [s for s in unique.values() if (digest and s.sha256.startswith(digest)) or s.name == which]
    if len(matches) == 1:
        return matches[0]
    named = ", ".join(f"{staged.name} ({staged.sha256[:8]})" for staged in matches[:5])
    raise UsageError(
        f"staging holds {'several files' if matches else 'no file'} {which!r}{': ' + named if named else ''}; name one "
        "by its path, the exchange's name, or the first characters of its SHA-256"
    )


class _Forward:
    """One search: the trace so far."""

    def __init__(self, settings: Settings) -> None:
        self.trace = Trace()
        self._settings, self._lake = settings, Lake(settings.lake)

    def file(self, staged: Staged) -> None:
        """Add the file and everything derived from it."""
        state: State = "same" if staging_records.is_whole(staged) else "missing"
        note = f"fetched {clock.in_india(staged.fetched_at)} IST from {staged.origin}"
        root = Node("file", staged.name, digest=staged.sha256, state=state, note=note)
        self.trace.add(root)
        for spec in {spec.raw: spec for spec in DATASET_SPECS}.values():
            for session in self._made_of(spec.raw, "file", staged.sha256):
                raw = self._add(spec.raw, [session], root)
                for name in (spec.quarantine, spec.normalized):
                    manifest = self._lake.manifest(name, session)
                    if manifest is None or manifest.current.inputs.get("file") != staged.sha256:
                        continue  # the session is now from another revision of the file
                    made = self._add(name, [session], raw)
                    if name == BARS:
                        if self._lake.manifest(FINDINGS, session):
                            self._add(FINDINGS, [session], made)
                        self._features(made, session)
                    if name in {PRICE_BANDS, BAN_LIST}:
                        self._targets_of_list(name, session, made)
        for name in PUBLISHED_LISTS:
            for session in self._made_of(name, "list", staged.sha256):
                self._from_list(name, self._add(name, [session], root))

    def _from_list(self, name: str, made: Node) -> None:
        """Add what is derived from a list."""
        if name == ACTIONS and (read := self._lake.sessions(FACTORS)):
            factors = self._add(FACTORS, read[-1:], made)
            self._features(factors, min(self._lake.sessions(BARS), default=date.min))
        if name in {CONSTITUENTS, INDEX_CHANGES}:
            for derived in (INDEX_MEMBERS, SECTORS, CONTRADICTIONS):
                if read := self._lake.sessions(derived)[-1:]:
                    self._add(derived, read, made)

    def _features(self, below: Node, since: date) -> None:
        """Add the features of this session and of later ones, the models trained on them, and their predictions.

        Each feature set leads to its own models; all feature sets are built from the same bars and actions.
        """
        plan = fingerprints.plan(self._lake, date.max, features.find("v1"), corporate_actions.known_factors(self._lake))
        made: dict[str, Node] = {}
        for name in feature_datasets():
            if not (sessions := self._lake.sessions(name, since)):
                continue
            group = next(iter(contracts.load(name).groups), None)
            manifests = {s: self._lake.manifest(name, s, group) for s in sessions}
            same = all(m and is_made_from(plan, s, m.current.inputs) for s, m in manifests.items())
            made[name] = self._add(name, sessions, below, "same" if same else "changed")
        self._models(below, made, since)
        # Predictions are below the features that their model version used, and below the model.
        used = {f"{registry.MODEL}/{version.number}": version.feature_version for version in self._versions()}
        for session, model, state in self._predicted(since):
            scores = self._add(PREDICTIONS, [session], _features_of(used.get(model, ""), made) or below, state)
            if inputs := self._inputs_of_targets(session):
                same = self._lake.digest(PREDICTIONS, session, session) == inputs.get("scores")
                self._add(TARGETS, [session], scores, "same" if same else "changed")

    def _targets_of_list(self, name: str, session: date, below: Node) -> None:
        """Add the targets that a list of bands or bans was used for: those of its session or of the one before."""
        for day in self._lake.sessions(TARGETS, session - _A_WEEK, session):
            recorded = self._inputs_of_targets(day).get(name)
            if recorded and recorded == self._lake.digest(name, session, session):
                self._add(TARGETS, [day], below)

    def _inputs_of_targets(self, session: date) -> Mapping[str, str]:
        manifest = self._lake.manifest(TARGETS, session)
        return manifest.current.inputs if manifest else {}

    def _models(self, below: Node, made: Mapping[str, Node], since: date) -> None:
        """Add the versions trained on sessions from `since` on, each below the features it was trained on."""
        for version in self._versions():
            run = runs.known(self._settings, version.run_id)
            train_end = max(version.tags.get(TRAIN_END, ""), run.parameters.get("as_of", "") if run else "")
            end: date | None = None
            with suppress(ValueError):
                end = date.fromisoformat(train_end)
            if run is None or end is None or end < since:
                continue  # the run was deleted, or another tool registered the version: nothing is recorded
            recorded = runs.digests(self._settings, run, "champion.inputs").get(BARS)
            same = recorded == self._lake.digest(BARS, end=end)
            training = run_node(run, "not recorded" if recorded is None else "same" if same else "changed")
            self.trace.add(training, _features_of(version.feature_version, made) or below)
            model = Node("model", f"{registry.MODEL} version {version.number}", note=f"trained to {train_end}")
            self.trace.add(model, training)
            for session, name, state in self._predicted(since):
                if name == f"{registry.MODEL}/{version.number}":
                    self._add(PREDICTIONS, [session], model, state)

    def _predicted(self, since: date) -> Iterator[tuple[date, str, State]]:
        """Yield each session with predictions, their model, and whether their bars are still the same."""
        for session in self._lake.sessions(PREDICTIONS, since):
            manifest = self._lake.manifest(PREDICTIONS, session)
            inputs = manifest.current.inputs if manifest else {}
            same = self._lake.digest(BARS, end=session) == inputs.get("bars")
            yield session, inputs.get("model", ""), "same" if same else "changed"

    def _versions(self) -> list[registry.Version]:
        return registry.versions(self._settings) if self._settings.has_tracking_store else []

    def _add(self, name: str, sessions: Sequence[date], below: Node, state: State = "same") -> Node:
        digest = self._lake.digest(name, sessions[0], sessions[-1])
        node = Node("dataset", name, sessions[0], sessions[-1], len(sessions), digest, state)
        self.trace.add(node, below)
        return node

    def _made_of(self, name: str, what: str, digest: str) -> list[date]:
        """Return the sessions with a revision from the file."""
        manifests = ((session, self._lake.manifest(name, session)) for session in self._lake.sessions(name))
        return [s for s, m in manifests if m and any(digest in part.inputs.get(what, "").split() for part in m.parts)]


def _features_of(version: str, made: Mapping[str, Node]) -> Node | None:
    """Return the node of a feature set's features; None if there is none."""
    known = features.FEATURE_SETS.get(version)
    return made.get(known.contract) if known else None
