"""What the ledger knows of a notebook's earlier runs: one that need not be repeated, or why this one must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from champion.runner import reason
from champion.runner.outcome import Outcome
from champion.runner.reason import Facts
from champion.tracking import journal, runs

if TYPE_CHECKING:
    from champion.runner.identity import Identity
    from champion.settings import Settings
    from champion.tracking.runs import Run

NOTEBOOK, KEY = "champion.notebook", "champion.execution_key"
NOTEBOOK_HASH, CODE, CODE_VERSION = "champion.notebook_hash", "champion.code_hash", "champion.code_version"
ENVIRONMENT, INPUTS, OUTPUTS = "champion.environment_hash", "champion.inputs", "champion.outputs"
UNDECLARED = "because its inputs are not declared: they may have changed"
_LOOKED_AT = 50
_TAG_LENGTH = 8000  # a longer mapping is in the artifacts, its tag says so


@dataclass(frozen=True, slots=True)
class Weighed:
    """The run that need not be repeated, if any, and the reason, as a clause."""

    repeated: Run | None
    reason: str


def facts(settings: Settings, run: Run) -> Facts:
    """Return what a recorded run depended on."""
    tags = run.tags
    return Facts(
        notebook=tags[NOTEBOOK],
        notebook_hash=tags.get(NOTEBOOK_HASH, ""),
        code=tags.get(CODE, ""),
        code_version=tags.get(CODE_VERSION, ""),
        environment=tags.get(ENVIRONMENT, ""),
        parameters=run.parameters,
        inputs=runs.digests(settings, run, INPUTS),
    )


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def short(digests: Mapping[str, str]) -> str:
    """Return digests as a tag: JSON, or where that is too long its own hash, the JSON being in the artifacts."""
    text = json.dumps(dict(digests), sort_keys=True)
    if len(text) <= _TAG_LENGTH:
        return text
    return f"sha256:{digest_of(text)} of {len(digests)} digests, see the artifacts"


def weigh(
    settings: Settings,
    experiment: str,
    name: str,
    who: Identity,
    asked: tuple[Mapping[str, Any], Mapping[str, str]],
    outputs: Callable[[], Mapping[str, str]] | None,
) -> Weighed:
    """Return the newest run that did the same, if what it wrote still stands, or why the notebook must run.

    `asked` are the parameters and the inputs' digests.
    """
    if not journal.answers(settings):
        return Weighed(None, "because MLflow does not answer and cannot tell what was done before")
    known = {KEY: who.key, runs.OUTCOME: Outcome.SUCCEEDED.value}
    same = runs.find_runs(settings, [experiment], tags=known, status="FINISHED", limit=1)
    if not same:
        return Weighed(None, _why(settings, experiment, name, who, asked))
    now = None if outputs is None else outputs()
    if now is None or same[0].tags.get(OUTPUTS) == short(now):
        return Weighed(same[0], f"because nothing changed since run {same[0].run_id}")
    wrote = runs.digests(settings, same[0], OUTPUTS)
    other = [output for output in now if now[output] != wrote.get(output)]
    return Weighed(None, f"because output {', '.join(other)} is not what its last run wrote")


def _why(
    settings: Settings,
    experiment: str,
    name: str,
    who: Identity,
    asked: tuple[Mapping[str, Any], Mapping[str, str]],
) -> str:
    """Return what changed since the run most like this one, or that there is none.

    That is the newest one of the notebook that succeeded with these parameters; where there is none, the one that had
    most in common with it.
    """
    earlier = runs.find_runs(settings, [experiment], tags={NOTEBOOK: name}, limit=_LOOKED_AT)
    latest = next((run for run in earlier if run.tags.get(KEY) == who.key and run.outcome), None)
    if latest is not None:
        return f"because its last run was: {str(latest.outcome).replace('_', ' ')}"
    parameters = runs.checked_parameters(asked[0])
    now = Facts(name, who.notebook, who.code, who.code_version, who.environment, parameters, asked[1])
    succeeded = [facts(settings, run) for run in earlier if run.outcome == Outcome.SUCCEEDED]
    alike = [before for before in succeeded if before.parameters == parameters][:1] or succeeded
    if not alike:
        return "because it has not succeeded before"
    found = min((reason.changes(now, before) for before in alike), key=len)
    return reason.sentence(found or ["the ledger names no such run"])
