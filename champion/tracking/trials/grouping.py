"""Which looks are one trial.

A recipe that is fitted again on more sessions is the same trial with a longer series; the same recipe on other sessions
of the same past is another trial, because choosing the first session is a choice. So a look continues another one if it
ends later and skips no more sessions at the start than time has passed: an expanding or a rolling window. Looks of one
recipe are one trial if each continues each.

A second result of one look with other scores is another trial: something changed that the recipe does not name, such as
a cell of a copied notebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from champion.tracking.trials.entry import Entry, digest

_SLACK = timedelta(days=15)  # a window of N sessions or years does not move by whole calendar days
_DIGITS = 10  # of a trial's id


@dataclass(slots=True)
class Trial:
    """A recipe whose forward returns were seen, with its looks and the result of each, oldest first.

    The id stays the same as the ledger grows. `count` is above 1 only if trials were declared.
    """

    id: str
    recipe: Mapping[str, Any]
    looks: list[Entry]
    results: dict[str, Entry] = field(default_factory=dict)
    count: int = 1

    @property
    def latest(self) -> list[Entry]:
        """The results in the order of the last sessions of their looks, then of the ledger: the newest is last."""
        ends = {look.id: look.end or date.min for look in self.looks}
        return sorted(self.results.values(), key=lambda result: ends[result.id])


def trials(entries: Iterable[Entry]) -> list[Trial]:
    """Return the trials of a ledger in the order of their first lines.

    >>> from champion.tracking.trials.entry import look
    >>> weekly = [look({"model": "m"}, date(2024, 1, 1), date(2024, 6, 3) + timedelta(weeks=n), {}) for n in range(52)]
    >>> other = look({"model": "m"}, date(2024, 3, 1), date(2024, 6, 3), {})
    >>> [len(trial.looks) for trial in trials([*weekly, other])]
    [52, 1]
    """
    found, of_look = list[Trial](), dict[str, Trial]()
    by_recipe, by_scores = dict[str, list[Trial]](), dict[tuple[str, str], Trial]()
    for entry in entries:
        if entry.kind == "declare":
            found.append(Trial(entry.id, {"declared": entry.note}, [entry], count=entry.count))
        elif entry.kind == "look" and entry.id not in of_look:
            key = digest(entry.recipe)[:_DIGITS]
            alike = by_recipe.setdefault(key, [])
            trial = next((one for one in alike if all(_continues(entry, look) for look in one.looks)), None)
            if trial is None:
                trial = Trial(_name(key, len(alike)), entry.recipe, [])
                alike.append(trial)
                found.append(trial)
            trial.looks.append(entry)
            of_look[entry.id] = trial
        elif entry.kind == "result" and entry.id in of_look:
            trial = of_look[entry.id]
            first = trial.results.get(entry.id)
            if first is not None and first.scores != entry.scores:
                look = next(one for one in trial.looks if one.id == entry.id)
                trial = by_scores.get((entry.id, entry.scores)) or _variant(found, entry, look)
                by_scores[entry.id, entry.scores] = trial
            trial.results[entry.id] = entry
    return found


def _variant(found: list[Trial], result: Entry, look: Entry) -> Trial:
    made = Trial(digest([look.id, result.scores])[:_DIGITS], look.recipe, [look])
    found.append(made)
    return made


def _name(key: str, number: int) -> str:
    return f"{key}-{number + 1}" if number else key


def _continues(one: Entry, other: Entry) -> bool:
    """Return whether the look with the later end may be a refit of the other one on more sessions."""
    if one.start is None or one.end is None or other.start is None or other.end is None or one.end == other.end:
        return (one.start, one.end) == (other.start, other.end)
    earlier, later = sorted((one, other), key=lambda look: look.end or date.min)
    assert earlier.start and earlier.end and later.start and later.end  # noqa: S101, PT018 - for mypy
    return later.start <= earlier.start + (later.end - earlier.end) + _SLACK
