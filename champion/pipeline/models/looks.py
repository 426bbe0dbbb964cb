"""Record looks at forward returns in the trial ledger: the intent before any figure, the series after.

A training begins its look before the model is fitted, so that a killed or failed training counts. A tear sheet records
intent and result in one call, before it draws.

>>> from champion import workspace
>>> from champion.portfolio.construction import Rule
>>> from champion.portfolio.simulator import MarketRules
>>> settings, day = workspace.settings(), date(2024, 1, 15)
>>> scores = pl.DataFrame({"trade_date": [day], "instrument_id": ["NSE:ACME"], "score": [1.0]})
>>> recipe = recipes.of_factor("v1", "return_5", universe="all", horizon=5, lag=1)
>>> record(settings, recipe, scores, data={}, source="tear sheet").partition(" of ")[0]
'Recorded as trial 6e50241e37'
>>> look = begin(settings, recipe, window=(day, day), data={}, source="my notebook")
>>> isinstance(look, Look), look.complete(scores).partition(" of ")[0]
(True, 'Recorded as trial 6e50241e37')
>>> found, sentence = record_combination(settings, {"one": scores, "two": scores.with_columns(score=pl.lit(2.0))})
>>> found["score"].to_list(), sentence.partition(" of ")[0][:17]
([0.0], 'Recorded as trial')
>>> active = pl.DataFrame({"trade_date": [date(2024, 1, 16)], "active": [0.01]})
>>> record_rule(settings, scores, active, Rule(top=20), MarketRules(), source="portfolio").partition(", ")[2]
'with 1 session of net active returns (`champion trials`).'
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from champion import report
from champion.base.counting import quantity
from champion.errors import ChampionError, ModelError, UsageError
from champion.lake import Lake
from champion.modeling import combination
from champion.pipeline.models import portfolio, recipes
from champion.pipeline.models.recipes import Construction
from champion.settings import Settings
from champion.tracking import registry, runs
from champion.tracking.trials import entry, former_runs, grouping, ledger, series
from champion.tracking.trials.entry import Entry
from champion.tracking.trials.grouping import Trial

if TYPE_CHECKING:
    from champion.modeling.training import TrainingResult
    from champion.portfolio.construction import Rule
    from champion.portfolio.simulator import MarketRules

SCORES = "champion.trial_scores"
"""The tag of versions with the digest of the scores that their look was about."""
_KEPT = (former_runs.PERIOD_SHARPE, "rank_ic", "rank_ic_t")
_BY_HAND = "registered by hand"
_SHORT = 8  # characters of a run's id that name it


@dataclass(frozen=True, slots=True)
class Look:
    """A look whose intent is in the ledger."""

    settings: Settings
    id: str
    source: str
    run: str | None
    recipe: Mapping[str, Any]

    def complete(
        self, scores: pl.DataFrame, active: pl.DataFrame | None = None, figures: Mapping[str, float] | None = None
    ) -> str:
        """Add the result to the ledger, and return a sentence about the trial.

        Args:
            scores: trade_date, instrument_id and score, as they were judged.
            active: trade_date and active, the daily net active returns of a portfolio that follows the scores; without
                them the trial counts as independent of all others.
            figures: metrics of a training; `sharpe_per_period`, `rank_ic` and `rank_ic_t` are kept.
        """
        result = _result(self, ledger.read(self.settings), fingerprint(scores), active, figures)
        return _sentence(grouping.trials(ledger.add(self.settings, [result])), result)


def begin(
    settings: Settings,
    recipe: Mapping[str, Any],
    *,
    window: tuple[date, date],
    data: Mapping[str, str],
    source: str,
    run: str | None = None,
) -> Look:
    """Write the intent to look at a recipe's forward returns; call it before any figure can be seen.

    Args:
        settings: the workspace.
        recipe: what is examined: see `recipes`.
        window: first and last session of the frame.
        data: digests of the datasets, by name: see `register.digests`.
        source: what looks, such as `training`.
        run: the MLflow run, by default that of the notebook.

    Raises:
        ModelError: the ledger is damaged: figures that cannot be counted must not be seen.
        ServiceError: a shared registry does not answer.
    """
    opened(settings)
    look = replace(entry.look(recipe, *window, data), source=source, run=run or report.run_id())
    ledger.add(settings, [look])
    return Look(settings, look.id, source, look.run, look.recipe)


def record(
    settings: Settings,
    recipe: Mapping[str, Any],
    scores: pl.DataFrame,
    *,
    data: Mapping[str, str],
    source: str,
) -> str:
    """Record a look at scores with its series, before figures are drawn, and return a sentence about the trial.

    `scores` has trade_date, instrument_id and score; the default portfolio buys the highest scores. Without scores
    nothing is recorded.
    """
    known = scores.drop_nulls("score")
    if known.is_empty():
        return "There are no scores, so no trial was recorded."
    look = begin(settings, recipe, window=window(known), data=data, source=source)
    return look.complete(known, simulated(settings, known))


def simulated(
    settings: Settings, scores: pl.DataFrame, construction: Construction | None = None
) -> pl.DataFrame | None:
    """Return the daily net active returns of a portfolio, by default the default one; None if it cannot be simulated.

    The reason is logged. A trial without a series counts as independent, which is the cautious assumption.
    """
    try:
        return portfolio.simulate(scores, *(construction or ()), lake=Lake(settings.lake)).active
    except ChampionError as error:
        message = "no portfolio could be simulated, so this trial counts as independent of all others: %s"
        logging.getLogger("champion.trials").warning(message, error)
        return None


def record_rule(
    settings: Settings,
    scores: pl.DataFrame,
    active: pl.DataFrame,
    rule: Rule,
    rules: MarketRules,
    *,
    source: str,
    which: str = "",
) -> str:
    """Record a look at scores under a construction rule, before its figures are shown, and return a sentence.

    The rule that training simulates gives the trial of the training, so it adds none. Other rules, and accounts with
    other capital, charges or impact, count as other trials. `active` has trade_date and active. `which` names the
    version or run that the scores are of, as in `evaluate.scores`; without it they count as those of the first look.

    Raises:
        ModelError: the ledger is damaged, or there is neither such a version nor such a run.
    """
    entries, digest = opened(settings), fingerprint(scores)
    first = next(iter(_looks_at(entries, digest)), None)
    trained = _own_look(entries, digest, *_trained(settings, which)) if which else first
    base: dict[str, Any] = dict(trained.recipe) if trained else {"scores": digest}
    span = (trained.start, trained.end) if trained else window(scores)
    data = trained.data if trained else {}
    look = replace(entry.look(recipes.constructed(base, rule, rules), *span, data), source=source, run=report.run_id())
    result = _result(Look(settings, look.id, source, look.run, look.recipe), entries, digest, active)
    return _sentence(grouping.trials(ledger.add(settings, [look, result])), result)


def record_combination(
    settings: Settings,
    scores: Mapping[str, pl.DataFrame],
    weighting: combination.Weighting = "equal",
    *,
    known_after: int = combination.KNOWN_AFTER,
) -> tuple[pl.DataFrame, str]:
    """Combine the scores of several models, record the look, and return the scores and a sentence about the trial.

    The arguments are those of `combination.combined`. Members that a training scored count by their recipes, so the
    combination of refitted models is the same trial; other scores count by their content. The intent is recorded before
    the scores are combined, since weights by earlier folds read forward returns.

    Raises:
        ModelError: the ledger is damaged.
        UsageError: the scores are refused by `combination.combined`, or none is left.
    """
    if any(frame.is_empty() for frame in scores.values()):
        raise UsageError("a model has no scores: leave it out of the combination")
    entries = opened(settings)
    trained = [(_looks_at(entries, fingerprint(frame)), frame) for frame in scores.values()]
    members = [found[0].recipe if found else {"scores": fingerprint(frame)} for found, frame in trained]
    data = {name: value for found, _ in trained for one in found[:1] for name, value in one.data.items()}
    spans = [window(frame) for frame in scores.values()]
    span = (min(first for first, _ in spans), max(last for _, last in spans))
    recipe = recipes.combined(weighting, members)
    look = begin(settings, recipe, window=span, data=data, source="combination")
    found = combination.combined(scores, weighting, known_after=known_after)
    return found, look.complete(found, simulated(settings, found))


def construction(settings: Settings, which: str, scored: pl.DataFrame) -> Construction:
    """Return the construction that a model version or training run was trained for.

    It is that of the version's tags, or of the run's own look at its scores: another training may have the same scores
    and another rule. `which` is as in `evaluate.scores`, and `scored` are its scores.

    Raises:
        ModelError: there is neither such a version nor such a run.
    """
    run_id, version = _trained(settings, which)
    if version is not None and recipes.CONSTRUCTION in version.tags:
        return recipes.tagged(version.tags)
    own = _own_look(opened(settings), fingerprint(scored), run_id, version)
    return recipes.construction_of(own.recipe if own else {})


def named(settings: Settings, which: str) -> tuple[str, str, registry.Version | None]:
    """Return a name, the run's id and the version, None for a run, of what `evaluate.scores` takes."""
    try:
        version = registry.find(settings, int(which) if which.isdigit() else which)
    except ModelError as error:
        if len(which) < _SHORT:
            raise
        try:
            run_id = runs.find(settings, which).run_id
        except UsageError as no_run:
            raise ModelError(f"{error}; {no_run}") from None
        return f"run {run_id}", run_id, None
    return f"version {version.number}", version.run_id, version


def _trained(settings: Settings, which: str) -> tuple[str, registry.Version | None]:
    """Return the run and the version, None without one, of what `evaluate.scores` takes."""
    _, run_id, version = named(settings, which)
    return run_id, version or next((one for one in registry.versions(settings) if one.run_id == run_id), None)


def _own_look(entries: list[Entry], digest: str, run_id: str, version: registry.Version | None) -> Entry | None:
    """Return the look of a version, or of its run, at the scores with this digest; None if the ledger has none."""
    looks = _looks_at(entries, digest)
    of_version = [one for one in looks if version and one.id == version.tags.get(former_runs.LOOK)]
    of_run = [one for one in looks if run_id and one.run == run_id and "scores" not in one.recipe]
    return next(iter([*of_version, *of_run]), None)  # a look of the run at other scores has them in its recipe


def _looks_at(entries: list[Entry], digest: str) -> list[Entry]:
    """Return the looks at the scores with this digest; the first one made them."""
    judged = {one.id for one in entries if one.kind == "result" and one.scores == digest}
    return [one for one in entries if one.kind == "look" and one.id in judged]


def of_versions(settings: Settings, *versions: registry.Version) -> tuple[list[Trial], list[Trial]]:
    """Return the trial of each version, and all trials of the workspace, oldest first; the ledger is read once.

    A version that was registered without a trial gets one, without a series.

    Raises:
        ModelError: the ledger is damaged.
    """
    entries = opened(settings)
    if missing := [version for version in versions if _look(entries, version) is None]:
        entries = ledger.add(settings, [_registered(version) for version in missing])
        ledger.write_anchor(settings)
    found = grouping.trials(entries)
    return [_trial(found, entries, version) for version in versions], found


def opened(settings: Settings) -> list[Entry]:
    """Return the ledger's lines, after importing trials of earlier releases and of a file that a registry replaces.

    Raises:
        ModelError: the ledger is damaged.
        ServiceError: a store does not answer.
    """
    _take_over_file(settings)
    entries = ledger.read(settings)
    if not former_runs.is_imported(entries) and (lines := former_runs.lines(settings)):
        entries = ledger.add(settings, lines)
        ledger.write_anchor(settings)
    return entries


def judged(result: TrainingResult) -> pl.DataFrame:
    """Return the scores of a training's test sessions, also those whose forward return is not known."""
    return result.out_of_sample if result.scores.is_empty() else result.scores


def window(frame: pl.DataFrame) -> tuple[date, date]:
    """Return the first and the last session of a frame.

    >>> window(pl.DataFrame({"trade_date": [date(2024, 1, 16), date(2024, 1, 15)]}))
    (datetime.date(2024, 1, 15), datetime.date(2024, 1, 16))
    """
    first, last = frame["trade_date"].min(), frame["trade_date"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        raise ModelError("the frame has no session: there is nothing to look at")
    return first, last


def fingerprint(scores: pl.DataFrame) -> str:
    """Return the SHA-256 of scores: trade_date, instrument_id and score, in any order of rows.

    >>> rows = pl.DataFrame({"trade_date": [date(2024, 1, 15)] * 2, "instrument_id": ["A", "B"], "score": [0.1, 0.2]})
    >>> fingerprint(rows) == fingerprint(rows.reverse())
    True
    """
    ordered = scores.select("trade_date", "instrument_id", "score").sort("trade_date", "instrument_id")
    digest = sha256(ordered["score"].cast(pl.Float64).fill_null(np.nan).to_numpy().tobytes())
    digest.update(ordered["trade_date"].cast(pl.Date).to_physical().to_numpy().tobytes())
    names = io.BytesIO()
    ordered.select("instrument_id").write_csv(names)
    digest.update(names.getvalue())
    return digest.hexdigest()


def _result(
    look: Look,
    before: list[Entry],
    judged: str,
    active: pl.DataFrame | None = None,
    figures: Mapping[str, float] | None = None,
) -> Entry:
    """Store the series of a look at the scores `judged`, a digest, and return the line of its result.

    The line follows the lines `before`.
    """
    known = [one.figures for one in before if (one.kind, one.id, one.scores) == ("result", look.id, judged)]
    kept = {name: value for name, value in (figures or {}).items() if name in _KEPT}
    figured = {**(known[-1] if known else {}), **kept}
    result = Entry(kind="result", id=look.id, source=look.source, run=look.run, scores=judged, figures=figured)
    if active is not None and not (held := series.known(active)).is_empty():
        first, last = window(held)
        stored = series.put(look.settings, held)
        result = replace(result, series=stored, sessions=held.height, start=first, end=last)
    return result


def _take_over_file(settings: Settings) -> None:
    """Copy lines and series that this workspace wrote to its files before it joined a shared registry."""
    for line in ledger.take_over_file(settings):
        if line.series and (held := series.get(settings, line.series)) is not None:
            series.put(settings, held)


def _look(entries: list[Entry], version: registry.Version) -> Entry | None:
    """Return the look of a version: by its tag, or by the run of an imported trial."""
    looks = [one for one in entries if one.kind == "look"]
    if (tag := version.tags.get(former_runs.LOOK)) is not None:
        return next((one for one in looks if one.id == tag), None)
    by_hand = version.tags.get(registry.DIGEST)
    registered = [one for one in looks if by_hand and one.recipe.get(_BY_HAND) == by_hand]
    imported = [one for one in looks if version.run_id and one.run == version.run_id and one.start is None]
    return next(iter([*registered, *imported]), None)


def has_own_series(trial: Trial, version: registry.Version) -> bool:
    """Whether a version's trial has a series of the version's own scores.

    A version without the digest of its scores, as registered by hand or by an earlier release, has that of its trial.
    """
    if (tag := version.tags.get(former_runs.LOOK)) is None or (scores := version.tags.get(SCORES)) is None:
        return True
    result = trial.results.get(tag)
    return result is not None and bool(result.series) and result.scores == scores


def _registered(version: registry.Version) -> Entry:
    """Return the look of a version that was registered by hand."""
    named = version.tags.get(registry.DIGEST) or f"version {version.number} of {version.created:%Y-%m-%d %H:%M:%S}"
    return replace(entry.look({_BY_HAND: named}, None, None, {}), source=_BY_HAND, run=version.run_id or None)


def _trial(found: list[Trial], entries: list[Entry], version: registry.Version) -> Trial:
    """Return a version's trial: of the trials that have its look, the one with the result of its scores."""
    look = _look(entries, version) or _registered(version)
    having = [trial for trial in found if any(one.id == look.id for one in trial.looks)]
    scores = version.tags.get(SCORES, "")
    return next((one for one in having if look.id in one.results and one.results[look.id].scores == scores), having[0])


def _sentence(trials: list[Trial], result: Entry) -> str:
    found = next(
        trial for trial in trials if result.id in trial.results and trial.results[result.id].scores == result.scores
    )
    count = sum(trial.count for trial in trials)
    sessions = f"{quantity(result.sessions, 'session')} of net active returns" if result.series else "no series"
    return f"Recorded as trial {found.id} of {count} in the trial ledger, with {sessions} (`champion trials`)."
