"""Decide from earlier runs in MLflow whether a notebook must run again, and give the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from champion import report
from champion.runner import code_identity
from champion.runner.outcome import Outcome
from champion.tracking import run_spool, runs

if TYPE_CHECKING:
    from champion.settings import Settings
    from champion.tracking.runs import Run


NOTEBOOK, KEY = "champion.notebook", "champion.execution_key"
NOTEBOOK_HASH, CODE, CODE_VERSION = "champion.notebook_hash", "champion.code_hash", "champion.code_version"
ENVIRONMENT, INPUTS, OUTPUTS = "champion.environment_hash", "champion.inputs", "champion.outputs"
PUBLISHED = "champion.result_sha256"
NOTHING_PUBLISHED = "none"
_SHOWN = 4  # changes in a reason
_TAG_LENGTH = 8000  # a longer mapping is in the artifacts only


def facts(settings: Settings, run: Run) -> Facts:
    """Return the code, inputs and settings that a recorded run depended on."""
    notebook, environment = run.tags.get(NOTEBOOK_HASH, ""), run.tags.get(ENVIRONMENT, "")
    return Facts(run.tags[NOTEBOOK], notebook, environment, run.parameters, runs.digests(settings, run, INPUTS))


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def short(digests: Mapping[str, str]) -> str:
    """Return digests as a tag: JSON, or if that is too long its hash; the artifacts then hold the JSON."""
    text = json.dumps(dict(digests), sort_keys=True)
    if len(text) <= _TAG_LENGTH:
        return text
    return f"sha256:{digest_of(text)} of {len(digests)} digests, see the artifacts"


def decide(
    settings: Settings,
    experiment: str,
    key: str,
    now: Facts,
    folders: Sequence[Path],
    outputs: Callable[[], Mapping[str, str]] | None,
) -> tuple[Run | None, str]:
    """Return the newest run with the same key and code whose outputs are unchanged, if any, and the reason as a clause.

    `now` are the facts of the requested run, `folders` the folders of own code.

    A run whose published result can no longer be read must run again, because the caller needs the values.
    """
    if not run_spool.answers(settings):
        return None, "because MLflow does not answer, so earlier runs are unknown"
    known = {KEY: key, runs.OUTCOME: Outcome.SUCCEEDED.value}
    alike = runs.find_runs(settings, [experiment], tags=known, status="FINISHED", limit=10)
    unchanged = [run for run in alike if not code_changes(settings, run, folders)]
    if not unchanged:
        return None, _why(settings, experiment, key, now, folders)
    same = next((run for run in unchanged if has_result(settings, run)), None)
    if same is None:
        return None, f"because the published result of run {unchanged[0].run_id} is missing or damaged"
    held = None if outputs is None else outputs()
    if held is None or same.tags.get(OUTPUTS) == short(held):
        return same, f"because nothing changed since run {same.run_id}"
    wrote = runs.digests(settings, same, OUTPUTS)
    other = [output for output in held if held[output] != wrote.get(output)]
    return None, f"because output {', '.join(other)} is not what its last run wrote"


def has_result(settings: Settings, run: Run) -> bool:
    """Return whether a run's published result is intact, or the run is known to have published nothing.

    False for runs of versions that did not record its digest.
    """
    digest = run.tags.get(PUBLISHED)
    if digest is None or digest == NOTHING_PUBLISHED:
        return digest is not None
    content = runs.read_file(settings, run.run_id, f"result/{report.RESULT}")
    return content is not None and hashlib.sha256(content).hexdigest() == digest


def code_of(settings: Settings, run: Run) -> code_identity.Code | None:
    """Return the code that a run used; None if it is not recorded or damaged."""
    return code_identity.from_json(runs.read_file(settings, run.run_id, code_identity.ARTIFACT) or b"")


def code_changes(settings: Settings, run: Run, folders: Sequence[Path]) -> list[str]:
    """Return the changes since a run to the code and settings it used, as clauses."""
    before = code_of(settings, run)
    return ["its code is not recorded"] if before is None else code_identity.changes(settings, before, folders)


def _why(settings: Settings, experiment: str, key: str, now: Facts, folders: Sequence[Path]) -> str:
    """Return the changes since the most similar run, or the statement that there is no such run.

    The most similar run is the newest successful run of the notebook with these parameters, otherwise the run with the
    fewest differences.
    """
    earlier = runs.find_runs(settings, [experiment], tags={NOTEBOOK: now.notebook}, limit=50)
    latest = next((run for run in earlier if run.tags.get(KEY) == key and run.outcome), None)
    if latest is not None and latest.outcome != Outcome.SUCCEEDED:
        return f"because its last run was: {str(latest.outcome).replace('_', ' ')}"
    succeeded = [run for run in earlier if run.outcome == Outcome.SUCCEEDED]
    alike = [run for run in succeeded if run.parameters == now.parameters][:1] or succeeded
    if not alike:
        return "because it has not succeeded before"
    found = [(changes(now, facts(settings, run)), run) for run in alike]
    fewest, nearest = min(found, key=lambda one: len(one[0]))
    return sentence([*fewest, *code_changes(settings, nearest, folders)] or ["its last run is gone"])


@dataclass(frozen=True, slots=True)
class Facts:
    """The dependencies of a run, as hashes, and its parameters as MLflow stores them."""

    notebook: str
    notebook_hash: str
    environment: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, str]


def changes(now: Facts, before: Facts) -> list[str]:
    """Return the differences in the order notebook, parameters, inputs, environment.

    >>> one = Facts("train", "a", "e", {"horizon": "5"}, {"bars": "x"})
    >>> two = Facts("train", "b", "e", {"horizon": "10"}, {"bars": "x"})
    >>> changes(two, one)
    ['notebook train.ipynb changed', 'parameter horizon is 10, was 5']
    """
    found = [f"notebook {now.notebook}.ipynb changed"] if now.notebook_hash != before.notebook_hash else []
    for name, values in pairs(now.parameters, before.parameters).items():
        new, old = ("not given" if value is None else value for value in values)
        found.append(f"parameter {name} is {new}, was {old}")
    for name, (new, old) in pairs(now.inputs, before.inputs).items():
        word = "is no longer read" if new is None else "is new" if old is None else "changed"
        found.append(f"input {name} {word}")
    return found + (["the installed packages changed"] if now.environment != before.environment else [])


def pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the differences of two mappings.

    >>> pairs({"a": 1, "b": 2}, {"b": 3, "c": 4})
    {'a': (1, None), 'b': (2, 3), 'c': (None, 4)}
    """
    names = dict.fromkeys([*first, *second])
    return {name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)}


def sentence(found: list[str]) -> str:
    """Return changes as one clause; only the first few are listed.

    >>> sentence(["a changed", "b changed", "c changed", "d changed", "e changed"])
    'because a changed, b changed, c changed, d changed and 1 more'
    """
    more = len(found) - _SHOWN
    return "because " + ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
