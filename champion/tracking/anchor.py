"""Anchor the ledgers in the model registry: their number of lines and last seal, beside the champion's alias.

The seals of the lines detect changes, but not the loss of the last lines or of the whole file. So the number of lines
and the last seal are stored as a tag of the registered model. A ledger that is shorter, or has another line at this
number, does not belong to these models. A longer ledger is valid: a crash occurred after the line was written and
before the tag.

A store in SQLite is read without MLflow, which takes seconds to import.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from champion.base import workspace_homes
from champion.base.counting import quantity
from champion.base.strict_json import parse_json
from champion.errors import ModelError
from champion.tracking import connectivity, ledger_storage, registry, relocation, store

if TYPE_CHECKING:
    from champion.settings import Settings
    from champion.tracking.ledger_storage import StoredLines

_TAGS = {ledger_storage.PROMOTIONS: "champion.ledger", ledger_storage.TRIALS: "champion.trials"}
_REMEDIES = {ledger_storage.PROMOTIONS: "champion models begin", ledger_storage.TRIALS: "champion trials begin"}


@dataclass(frozen=True, slots=True)
class Anchor:
    """The end of a ledger: its number of lines, the seal of the last line, and the trials in a trial ledger."""

    lines: int
    seal: str
    trials: int = 0


def read(settings: Settings, ledger: str = ledger_storage.PROMOTIONS) -> Anchor | None:
    """Return the anchor of a ledger in the registry; None if there is none.

    Raises:
        ModelError: the tag is damaged.
        ServiceError: the store cannot be read.
    """
    if (found := _tag(settings, ledger)) is None:
        return None
    try:
        return parse_json(Anchor, found)
    except ValueError as error:
        raise ModelError(
            f"tag {_name(settings, ledger)} of {registry.MODEL} is damaged ({error}): restore MLflow's store from a "
            f"backup, or `{_REMEDIES[ledger]} --reason WHY` starts a new ledger"
        ) from error


def write(settings: Settings, anchor: Anchor, ledger: str = ledger_storage.PROMOTIONS) -> None:
    """Store the end of a ledger in the registry."""
    content = json.dumps({name: value for name, value in asdict(anchor).items() if name != "trials" or value})
    store.prepare(settings).set_registered_model_tag(registry.MODEL, _name(settings, ledger), content)


def difference(held: StoredLines, known: Anchor) -> str | None:
    """Return the difference of a ledger from its anchor; None if it has all anchored lines."""
    count = len(held.lines)
    if count < known.lines:
        return f"it has {count} of {quantity(known.lines, 'line')}, the rest is missing"
    if known.lines and ledger_storage.seals(held)[known.lines - 1] != known.seal:
        return f"its line {known.lines} differs from the line in the registry's record"
    return None


def alias(settings: Settings) -> int | None:
    """Return the version that the alias `champion` points to, None if it is not set."""
    if not store.is_sqlite(settings.tracking):
        return registry.alias_of(settings, registry.CHAMPION)
    query = "select version from registered_model_aliases where name = ? and alias = ?"
    number = _query(settings, query, registry.CHAMPION)
    return None if number is None else int(number)


def is_required(settings: Settings) -> bool:
    """Return whether the ledger must be anchored: unless it is in one workspace and the store in another."""
    return not store.is_sqlite(settings.tracking) or relocation.is_inside(
        settings.home, store.sqlite_file(settings.tracking)
    )


def _tag(settings: Settings, ledger: str) -> str | None:
    name = _name(settings, ledger)
    if store.is_sqlite(settings.tracking):
        former = [] if is_required(settings) else reversed(workspace_homes.former(settings.home))  # the latest first
        # The original of a copy still exists, so its tag is not that of the copy.
        names = (name, *(_of_home(one, ledger) for one in former if not Path(one).exists()))
        query = "select value from registered_model_tags where name = ? and key = ?"
        return next((value for one in names if (value := _query(settings, query, one)) is not None), None)
    connectivity.require(settings)
    found = store.prepare(settings).search_registered_models(f"name='{registry.MODEL}'")
    return next((one.tags[name] for one in found if name in one.tags), None)


def _name(settings: Settings, ledger: str) -> str:
    """Return the tag's name: a SQLite store that several workspaces use has one for each ledger."""
    return _TAGS[ledger] if is_required(settings) else _of_home(str(settings.home), ledger)


def _of_home(home: str, ledger: str) -> str:
    return f"{_TAGS[ledger]}.{hashlib.sha256(home.encode()).hexdigest()[:12]}"


def _query(settings: Settings, query: str, name: str) -> str | None:
    database = store.sqlite_file(settings.tracking)
    if not database.is_file():
        return None
    with relocation.read_only(database) as connection:
        if not connection.execute("select 1 from sqlite_master where name = 'registered_model_aliases'").fetchone():
            return None  # a store without the tables of aliases
        found = connection.execute(query, (registry.MODEL, name)).fetchone()
    return None if found is None else str(found[0])
