"""Digests of the data that Champion's notebooks read and write; a run is not repeated while they stay the same."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from champion import features
from champion.contracts.datasets import (
    ACCEPTANCES,
    BAN_LIST,
    BARS,
    CIRCUIT_HITS,
    CONSTITUENTS,
    CONTRADICTIONS,
    DELIVERY,
    EXTREMES,
    FACTORS,
    INDEX_BARS,
    INDEX_CHANGES,
    INDEX_HISTORY,
    INDEX_MEMBERS,
    MARKET_ACTIVITY,
    PREDICTIONS,
    PRICE_BANDS,
    SECTORS,
    SYMBOLS,
    TARGETS,
    is_list,
)
from champion.lake import Lake
from champion.market.trading_days import LONGEST_CLOSURE
from champion.modeling.universe import find
from champion.pipeline.feature_store.contracts import ensure_contracts
from champion.pipeline.ingest import corporate_actions
from champion.pipeline.models import evaluate, register, trials
from champion.pipeline.reference import universe_lists
from champion.runner import NotebookRequest, notebook, parameters
from champion.settings import Settings
from champion.tracking import promotion, registry

READ_BY_ACCOUNTS = (
    BARS, DELIVERY, FACTORS, ACCEPTANCES, PRICE_BANDS, CIRCUIT_HITS, EXTREMES, MARKET_ACTIVITY, SYMBOLS, SECTORS,
    CONSTITUENTS, INDEX_CHANGES, INDEX_MEMBERS, CONTRADICTIONS, INDEX_BARS, INDEX_HISTORY,
)  # fmt: skip
"""The datasets that the simulated accounts, styles, sectors and benchmarks of a report are computed from."""


@dataclass(frozen=True, slots=True)
class NotebookData:
    """Digests of a notebook's inputs by name, and the datasets it writes between two sessions (None: all)."""

    inputs: Mapping[str, str]
    writes: tuple[str, ...] = ()
    span: tuple[date, date] | None = None

    def written(self, lake: Lake) -> dict[str, str]:
        """Return the current digests of the datasets it writes."""
        start, end = self.span or (None, None)
        return {dataset: lake.digest(dataset, start, end) for dataset in self.writes}


def of_notebook(settings: Settings, name: str, given: Mapping[str, Any]) -> NotebookData | None:
    """Return the data that a notebook reads and writes; None if it is known only after a run.

    `given` includes defaults.

    Raises:
        UsageError: a parameter names an unknown feature set, or a universe that lists do not cover.
        ModelError: the notebook needs a model that is not registered.
    """
    lake = Lake(settings.lake)
    match name:
        case "features":
            return of_features(lake, given["feature_set"], _day(given["start"]), _day(given["end"]))
        case "training":
            end, feature_set = _day(given["as_of"]), given["feature_set"]
            sessions = lake.sessions(features.find(feature_set).contract, _day(given["start"]), end)
            universe_lists.require_known(lake, find(given["universe"]), sessions)
            return of_training(lake, end, feature_set, given["universe"])
        case "scoring":
            if (number := registry.alias_of(settings, registry.CHAMPION)) is not None:
                return of_scoring(settings, registry.find(settings, number), _day(given["session"]))
    return None


def request(settings: Settings, name: str, texts: Mapping[str, str], **options: Any) -> NotebookRequest:
    """Return the request to run a notebook with parameters as texts, and the digests that are known for it.

    `options` are further fields of the request. A notebook outside Champion's has no known data, so it always runs.

    Raises:
        NotebookError: there is no such notebook.
        ParameterError: the parameters do not fit.
    """
    book, lake = notebook.find(name, settings.notebooks), Lake(settings.lake)
    values = parameters.from_text(book.parameters, texts)
    complete = parameters.defaults(book.parameters) | parameters.check(book.parameters, values, book.name)
    known = of_notebook(settings, book.name, complete) if book.beside is None else None
    if known is None:
        return NotebookRequest(name, values, **options)
    return NotebookRequest(name, values, inputs=known.inputs, outputs=partial(known.written, lake), **options)


def of_features(lake: Lake, feature_set: str, start: date, end: date) -> NotebookData:
    """Return the data that the features notebook reads and writes."""
    chosen = ensure_contracts(lake, feature_set)
    made_from = {BARS: lake.digest(BARS, end=end), FACTORS: corporate_actions.digest(lake, end)}
    return NotebookData({**made_from, "feature_set": features.identity(chosen)}, (chosen.contract,), (start, end))


def of_training(lake: Lake, end: date, feature_set: str, universe: str) -> NotebookData:
    """Return the data that the training notebook reads: what the model is trained on, and what accounts depend on."""
    return NotebookData({**of_accounts(lake, end), **register.digests(lake, end, feature_set, universe)})


def of_scoring(settings: Settings, champion: registry.Version, session: date) -> NotebookData:
    """Return the data that the scoring notebook reads and writes with this champion.

    A list of bands or bans that arrives after the scores changes the targets, so the notebook runs again.
    """
    universe, lake = champion.tags.get(evaluate.UNIVERSE, "all"), Lake(settings.lake)
    digests = register.digests(lake, session, champion.feature_version, universe)
    lists = {PRICE_BANDS: lake.digest(PRICE_BANDS, session, session)}
    for name in (PREDICTIONS, TARGETS):  # what was decided before
        lists[f"earlier {name}"] = lake.digest(name, end=session - timedelta(1))
    lists[BAN_LIST] = lake.digest(BAN_LIST, session, session + LONGEST_CLOSURE)
    model = f"{registry.MODEL}/{champion.number}"
    read = {"model": model, **of_accounts(lake, session), **lists, **digests}
    return NotebookData(read, (PREDICTIONS, TARGETS), (session, session))


def of_promotion(settings: Settings, version: int) -> NotebookData:
    """Return the data that the promotion notebook reads: models, levels, trials, decisions and `READ_BY_ACCOUNTS`.

    A report about the same version and champion is another one once a trial was added.
    """
    decisions, lake = promotion.history(settings), Lake(settings.lake)
    inputs = {
        "model": f"{registry.MODEL}/{version}",
        "champion": f"{registry.MODEL}/{promotion.in_force(settings, decisions)}",
        "gate": json.dumps(asdict(evaluate.levels_of(settings))),
        "trials": trials.fingerprint(trials.recorded(settings)),
        "decisions": str(max([entry.decision for entry in decisions], default=0)),
        PREDICTIONS: lake.digest(PREDICTIONS),
        **of_accounts(lake),
    }
    return NotebookData(inputs)


def of_accounts(lake: Lake, end: date | None = None) -> dict[str, str]:
    """Return digests of all datasets that an account, the styles of its scores and its benchmarks are computed from.

    A report about accounts has them in its key, so another file of prices, bands, actions or sectors gives another
    report. Datasets that only mark a session as one, such as circuit hits, decide to which session a list applies.
    Sessions count up to `end`, and lists, whose date is that of their reading, in whole.

    >>> from pathlib import Path
    >>> set(of_accounts(Lake(Path("lake")))) >= {BARS, DELIVERY, FACTORS, PRICE_BANDS, SECTORS}
    True
    """
    return {name: lake.digest(name, end=None if is_list(name) else end) for name in READ_BY_ACCOUNTS}


def _day(value: str | date) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
