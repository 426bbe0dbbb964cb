"""Trace rows of the lake back to the exchange's published files, by the digests that every step recorded.

Predictions name their model, features and bars; a model version names its training run, and the run its inputs;
features name their bars and all earlier bars; bars name their file. Each link is verified: the recorded digest is
compared with the present one, and files are hashed again.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from champion import contracts, features
from champion.base.counting import quantity
from champion.contracts.datasets import (
    ACTIONS,
    BAN_LIST,
    BARS,
    CHANGES,
    CONSTITUENTS,
    CONTRADICTIONS,
    FACTORS,
    INDEX_CHANGES,
    INDEX_MEMBERS,
    PREDICTIONS,
    PRICE_BANDS,
    PUBLISHED_LISTS,
    SECTORS,
    TARGETS,
)
from champion.errors import LakeError, ModelError
from champion.lake import Lake
from champion.lake.manifest import Manifest
from champion.pipeline.feature_store import fingerprints
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.ingest.datasets import DATASET_SPECS
from champion.pipeline.ingest.symbol_changes import NO_NAMES
from champion.pipeline.models import register
from champion.pipeline.provenance.graph import Node, State, Trace, run_node
from champion.settings import Settings
from champion.sources.download import staging_records
from champion.sources.download.staging_records import Staged
from champion.tracking import registry, runs

_FROM_LISTS = ((CONSTITUENTS, "lists"), (INDEX_CHANGES, "changes"))
_DERIVED = {
    FACTORS: ((ACTIONS, "actions"), (BARS, "bars")),
    **dict.fromkeys((INDEX_MEMBERS, SECTORS, CONTRADICTIONS), _FROM_LISTS),
}
"""The datasets that each derived list is made from, and the input that records the digest of each."""
_LAST = ("end", "as_of", "session")
"""Notebook parameters for the last session that is read."""


def back(settings: Settings, name: str, session: date) -> Trace:
    """Return the inputs from which a session of a dataset was derived, down to the published files.

    Raises:
        LakeError: the lake has no such session.
        ContractError: there is no such dataset.
    """
    contracts.load(name)
    lake = Lake(settings.lake)
    held = lake.sessions(name)
    if session not in held:
        span = f"{held[0]} to {held[-1]}" if held else "none"
        raise LakeError(f"{name} has no session {session}; it has {span}: see `champion lake ls`")
    search = _Back(settings, lake)
    search.dataset(name, [session], None)
    return search.trace


def is_made_from(plan: fingerprints.BuildPlan, session: date, recorded: Mapping[str, str]) -> bool:
    """Whether a session's features were built from the present bars and actions, its own and earlier ones."""
    wanted = plan.made_from.get(session, {})
    return all(recorded.get(part) == wanted.get(part) for part in ("bars", "actions", "history"))


class _Back:
    """One search: the trace so far, and the records of staging, read once."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self.trace = Trace()
        self._settings, self._lake = settings, lake
        self._published: Mapping[str, Staged] | None = None

    def dataset(self, name: str, sessions: Sequence[date], below: Node | None, *, same: bool = True) -> None:
        """Add sessions of a dataset and everything they were derived from; `same`: they are those it was made from."""
        if not sessions:
            self.trace.add(Node("dataset", name, count=0, state="missing", note="the lake has no session of it"), below)
            return
        first, last = sessions[0], sessions[-1]
        one = self._manifest(name, last) if len(sessions) == 1 else None
        digest = one.current.sha256 if one and not contracts.load(name).groups else self._lake.digest(name, first, last)
        node = Node("dataset", name, first, last, len(sessions), digest, "same" if same else "changed")
        if not self.trace.add(node, below):
            return
        raw = {name: spec.raw for spec in DATASET_SPECS for name in (spec.normalized, spec.quarantine)}
        if name == PREDICTIONS:
            self._prediction(node)
        elif name == TARGETS:
            self._targets(node)
        elif name in raw:
            self._parsed(node, raw[name], sessions)
        elif name in raw.values():
            self._files([self._inputs(name, session).get("file", "") for session in sessions], node)
        elif name in PUBLISHED_LISTS:
            self._files(" ".join(self._inputs(name, session).get("list", "") for session in sessions).split(), node)
        elif name in _DERIVED:
            self._derived(node, last)
        elif name.startswith("features_"):
            # All bars up to the last session; the recorded history proves whether they are the present ones.
            plan = fingerprints.plan(self._lake, last, features.find("v1"), corporate_actions.known_factors(self._lake))
            built = all(is_made_from(plan, session, self._inputs(name, session)) for session in sessions)
            self.dataset(BARS, plan.sessions, node, same=built)
            self._factors_up_to(last, None, node)

    def _derived(self, node: Node, last: date) -> None:
        made_from = self._inputs(node.name, last)
        for part, key in _DERIVED[node.name]:
            held, same = self._lake.sessions(part), self._lake.digest(part) == made_from.get(key)
            self._part(part, held, node, same=same)

    def _prediction(self, node: Node) -> None:
        session = node.last or date.max
        made_from = self._inputs(PREDICTIONS, session)
        version = self._model(made_from.get("model", ""), node)
        found = features.find(version.feature_version if version else "v1").contract
        same = self._lake.digest(found, session, session) == made_from.get("features")
        self.dataset(found, self._lake.sessions(found, session, session), node, same=same)
        same = self._lake.digest(BARS, end=session) == made_from.get("bars")
        self.dataset(BARS, self._lake.sessions(BARS, end=session), node, same=same)
        self._factors_up_to(session, made_from.get("actions"), node)

    def _targets(self, node: Node) -> None:
        """Add the scores, the targets before, the bars and the lists that targets are made from."""
        session = node.last or date.max
        made_from = self._inputs(TARGETS, session)
        same = self._lake.digest(PREDICTIONS, session, session) == made_from.get("scores")
        self.dataset(PREDICTIONS, [session], node, same=same)
        same = self._lake.digest(BARS, end=session) == made_from.get("bars")
        self.dataset(BARS, self._lake.sessions(BARS, end=session), node, same=same)
        following = self._lake.scan(TARGETS, session, session).select(pl.col("following").max()).collect().item()
        for name, day in ((PRICE_BANDS, session), (BAN_LIST, following)):
            held, same = self._lake.sessions(name, day, day), self._lake.digest(name, day, day) == made_from.get(name)
            self._part(name, held, node, same=same)

    def _part(self, name: str, sessions: Sequence[date], below: Node, *, same: bool) -> None:
        """Add a dataset that something was made from, unless it had no session then and has none now."""
        if sessions or not same:
            self.dataset(name, sessions, below, same=same)

    def _factors_up_to(self, session: date, recorded: str | None, node: Node) -> None:
        if read := self._lake.sessions(FACTORS):
            same = recorded is None or corporate_actions.digest(self._lake, session) == recorded
            self.dataset(FACTORS, read[-1:], node, same=same)

    def _model(self, named: str, below: Node) -> registry.Version | None:
        """Add a model version, its training run, and the run's inputs; return the version."""
        number = named.rpartition("/")[2]
        try:
            version = registry.find(self._settings, int(number))
        except (ModelError, ValueError):
            self.trace.add(Node("model", named or "a model", state="missing", note="not in the registry"), below)
            return None
        node = Node("model", f"{registry.MODEL} version {number}", note=f"registered {version.created:%Y-%m-%d}")
        self.trace.add(node, below)
        if (run := runs.known(self._settings, version.run_id)) is None:
            self.trace.add(Node("run", version.run_id or "a run", state="missing", note="not in MLflow"), node)
            return version
        inputs = runs.digests(self._settings, run, "champion.inputs")
        training = run_node(run, "same" if inputs else "not recorded")
        self.trace.add(training, node)
        last = next((run.parameters[name] for name in _LAST if run.parameters.get(name)), None)
        end = date.fromisoformat(last) if last else date.max
        trained_on = register.digests(self._lake, end, version.feature_version, run.parameters.get("universe", "all"))
        for name, digest in inputs.items():
            if name not in trained_on:
                continue  # only the report about the model read it: an account's price bands, an index
            if name in {ACTIONS, FACTORS}:
                self._factors_up_to(end, digest, training)
            elif name in contracts.names():
                self._part(name, self._lake.sessions(name, end=end), training, same=trained_on[name] == digest)
        return version

    def _parsed(self, node: Node, raw: str, sessions: Sequence[date]) -> None:
        """Add the raw rows, and the list of symbol changes if it named an instrument in these sessions."""
        made_from = {session: self._inputs(node.name, session) for session in sessions}
        same = all(inputs.get("file") == self._inputs(raw, day).get("file") for day, inputs in made_from.items())
        self.dataset(raw, sessions, node, same=same)
        renamed = any(inputs.get("names", NO_NAMES) != NO_NAMES for inputs in made_from.values())
        if renamed and (read := self._lake.sessions(CHANGES)):
            self.dataset(CHANGES, read[-1:], node)

    def _files(self, digests: Sequence[str], below: Node) -> None:
        """Add published files as one node; each file is hashed again. Confirmations of unchanged lists have no file."""
        if not digests:
            return
        if self._published is None:
            self._published = {staged.sha256: staged for staged in staging_records.everything(self._settings.staging)}
        files = [(digest, self._published.get(digest)) for digest in digests]
        missing = [digest for digest, staged in files if staged is None or not staging_records.is_whole(staged)]
        members = tuple((staged.name if staged else "not in staging", digest) for digest, staged in files)
        first = next((staged for _, staged in files if staged), None)
        name = members[0][0] if len(members) == 1 else f"{quantity(len(members), 'published file')}"
        origin = first.origin.removesuffix(first.name).rstrip("/") if first else ""
        note = f"{len(missing)} not in staging as received" if missing else f"from {origin}"
        digest = digests[0] if len(digests) == 1 else ""
        state: State = "missing" if missing else "same"
        span = (below.first, below.last) if len(members) > 1 else (None, None)
        self.trace.add(Node("file", name, *span, len(members), digest, state, note, members), below)

    def _inputs(self, name: str, session: date) -> Mapping[str, str]:
        manifest = self._manifest(name, session)
        return manifest.current.inputs if manifest else {}

    def _manifest(self, name: str, session: date) -> Manifest | None:
        return self._lake.manifest(name, session, next(iter(contracts.load(name).groups), None))
