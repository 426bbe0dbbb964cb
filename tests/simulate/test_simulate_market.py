"""The simulated market: sessions, universes, indices, and the planted signal with and without corporate actions."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import rankdata

from champion.simulate import calendar, events, indices, market, universe

START, END = date(2024, 5, 6), date(2024, 7, 31)


@pytest.mark.parametrize("year", [2022, 2023, 2024, 2025])
def test_muhurat_falls_on_the_real_days(year: int) -> None:
    real = {2022: date(2022, 10, 24), 2023: date(2023, 11, 12), 2024: date(2024, 11, 1), 2025: date(2025, 10, 21)}
    assert real[year] in calendar.sessions(date(year, 10, 1), date(year, 11, 30))
    assert calendar.activity(real[year]) < 0.2


def test_a_longer_archive_starts_with_the_same_prices() -> None:
    short, long = (calendar.sessions(START, end) for end in (date(2024, 5, 10), END))
    members = universe.build(5, 7)
    none = [events.Events((0,) * 5, (len(span),) * 5, (), ()) for span in (short, long)]
    walks = [
        market.walk(members, happened, span, seed=7, signal=1.0)
        for happened, span in zip(none, (short, long), strict=True)
    ]
    for ours, theirs in zip(*walks, strict=False):
        assert ours.close.tolist() == theirs.close.tolist()


@pytest.mark.parametrize("instruments", [1, 3, 11])
def test_small_universes_have_distinct_symbols(instruments: int) -> None:
    members = universe.build(instruments, 3)
    assert len({one.symbol for one in members}) == len({one.isin for one in members}) == instruments


def test_a_large_universe_has_distinct_symbols_isins_and_codes() -> None:
    members = universe.build(2_500, 3)
    for attribute in ("symbol", "isin", "code"):
        assert len({getattr(one, attribute) for one in members}) == 2_500


def returns(seed: int, signal: float) -> tuple[market.Floats, list[tuple[int, int]]]:
    """Return log returns by session and instrument, net of all corporate actions, and where an action moved the price.

    Of EQ instruments that were not delisted: these trade in every session.
    """
    sessions, members = calendar.sessions(date(2022, 1, 3), date(2024, 12, 31)), universe.build(150, seed)
    happened = events.plan(members, sessions, seed, corporate_actions=True)
    kept = [
        place for place, one in enumerate(members) if one.series == "EQ" and happened.last[place] == len(sessions) - 1
    ]
    found, moved = [], []
    for index, day in enumerate(market.walk(members, happened, sessions, seed=seed, signal=signal)):
        base = day.base.copy()
        for action in day.settled:
            if action.kind == "dividend" and action.amount:
                base[action.position] -= round(100 * action.amount)
            if action.kind not in {"meeting", "preference bonus"} and action.position in kept:
                moved.append((index, kept.index(action.position)))
        found.append(np.log(day.close / base)[kept])
    return np.array(found), moved


def correlations(signal: float) -> tuple[float, float]:
    """Return mean and standard error of the rank correlation of minus the past and the next 5-session return."""
    logs, _ = returns(11, signal)
    fives = logs[: len(logs) // 5 * 5].reshape(-1, 5, logs.shape[1]).sum(axis=1)
    found = [float(np.corrcoef(rankdata(-past), rankdata(coming))[0, 1]) for past, coming in pairwise(fives)]
    return float(np.mean(found)), float(np.std(found) / np.sqrt(len(found)))


def test_without_signal_returns_are_not_predictable() -> None:
    mean, error = correlations(0.0)
    assert abs(mean) < 3 * error


def drifts(martingale: market.Martingale) -> tuple[float, float]:
    """Return how much more the more volatile half earns in a session than the others, in arithmetic means; its error.

    Each session is one observation: market and sectors move all instruments together.
    """
    sessions, members = calendar.sessions(date(2023, 1, 2), date(2024, 12, 31)), universe.build(120, 11)
    happened = events.plan(members, sessions, 11, corporate_actions=True)
    days = market.walk(members, happened, sessions, seed=11, signal=0.0, martingale=martingale)
    found, volatility = [], np.array([one.volatility for one in members])
    kept = np.array([one.series == "EQ" for one in members])
    wild = volatility > np.median(volatility[kept])
    for day in days:
        base = day.base.copy()
        for action in day.settled:
            if action.kind == "dividend" and action.amount:
                base[action.position] -= round(100 * action.amount)
        earned = day.close / base - 1
        found.append(earned[kept & wild & day.traded].mean() - earned[kept & ~wild & day.traded].mean())
    return float(np.mean(found)), float(np.std(found) / np.sqrt(len(found)))


def test_prices_are_martingales_on_request_whatever_their_volatility() -> None:
    """Half the difference of the variances is (0.0205 ** 2 - 0.0135 ** 2) / 2, about 1.2 basis points a session."""
    (drifting, error), (fair, fair_error) = drifts("log"), drifts("price")
    assert drifting > 2 * error
    assert abs(fair) < 3 * fair_error
    assert drifting - fair == pytest.approx(0.00012, rel=0.2)


def test_the_planted_reversal_is_as_strong_as_stated() -> None:
    half, error = correlations(0.5)
    whole, _ = correlations(1.0)
    assert half == pytest.approx(0.10, abs=3 * error)
    assert half > 5 * error
    assert whole > half + 3 * error


def test_returns_on_ex_dates_are_like_others() -> None:
    scores = []
    for seed in (1, 2, 3):
        logs, ex_dates = returns(seed, 0.0)
        usual = logs.std(axis=0)
        scores += [logs[index, place] / usual[place] for index, place in dict.fromkeys(ex_dates)]
    assert len(scores) > 500
    assert abs(np.mean(scores)) < 3 / np.sqrt(len(scores))
    assert np.std(scores) == pytest.approx(1, abs=0.1)


def test_an_index_is_chained_over_corporate_actions() -> None:
    sessions, members = calendar.sessions(date(2023, 1, 2), date(2024, 12, 31)), universe.build(80, 5)
    planned = events.plan(members, sessions, 5, corporate_actions=True)
    happened = events.Events((0,) * 80, (len(sessions) - 1,) * 80, planned.actions, planned.changes)
    days = list(market.walk(members, happened, sessions, seed=5, signal=0.5))
    reports = [report.decode() for _, report in indices.reports(members, happened, iter(days))]
    closes = np.array([float(report.splitlines()[-1].split(",")[5]) for report in reports])
    assert reports[0].splitlines()[-1].startswith("Nifty 500,02-01-2023,")

    value = {place: one.turnover / days[0].base[place] for place, one in enumerate(members) if one.series == "EQ"}
    before = sum(shares * days[0].base[place] for place, shares in value.items())
    for day, level in zip(days, closes, strict=True):
        for action in day.settled:  # shares as if each action were paid in shares
            if action.position in value and action.kind != "dividend":
                value[action.position] *= action.return_factor
        total = sum(shares * day.close[place] for place, shares in value.items())
        assert level / 15_500 == pytest.approx(total / before, rel=1e-4)
    kinds = {action.kind for day in days for action in day.settled}
    assert kinds >= {"split", "bonus", "rights", "demerger", "consolidation", "special dividend"}
    assert np.abs(np.diff(np.log(closes))).max() < 0.06


def test_the_volatility_index_follows_the_market() -> None:
    sessions, members = calendar.sessions(date(2023, 1, 2), date(2024, 12, 31)), universe.build(60, 2)
    happened = events.plan(members, sessions, 2, corporate_actions=True)
    days = market.walk(members, happened, sessions, seed=2, signal=0.5)
    rows = [report.decode().splitlines() for _, report in indices.reports(members, happened, days)]
    moves = np.abs([float(lines[1].split(",")[7]) for lines in rows])
    changes = np.array([float(lines[3].split(",")[6]) for lines in rows])
    assert {lines[3].split(",")[0] for lines in rows} == {"India VIX"}
    assert np.corrcoef(moves, changes)[0, 1] > 0.7
    assert all(5 < float(lines[3].split(",")[5]) < 60 for lines in rows)
