"""The estimate of the time left of work in stages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from champion.base.progress import Estimate, time_left

SHARES = {"fetch": 1.0, "ingest": 3.0, "load": 1.0}
STEPS = st.lists(st.tuples(st.sampled_from([*SHARES, "unknown"]), st.integers(0, 10)), max_size=40)


@given(STEPS)
def test_progress_never_decreases_and_ends_at_100_percent(steps: list[tuple[str, int]]) -> None:
    seen: list[tuple[int, int, str]] = []
    clock = itertools.count(0.0, 7.0)
    estimate = Estimate(SHARES, lambda done, total, label: seen.append((done, total, label)), lambda: next(clock))
    for name, done in steps:
        estimate.stage(name)(done, 10, name)
    for name in SHARES:
        estimate.finish(name)
    percents = [done for done, _, _ in seen]
    assert percents == sorted(percents)
    assert seen[-1] == (100, 100, "load done")


def test_time_left_is_exact_at_a_steady_pace() -> None:
    seen: list[str] = []
    clock = itertools.count(0.0, 60.0)  # a minute a step, of which there are 50
    estimate = Estimate(SHARES, lambda _done, _total, label: seen.append(label), lambda: next(clock))
    fetch, ingest = estimate.stage("fetch"), estimate.stage("ingest")
    for session in range(1, 11):
        fetch(session, 10, f"fetched {session}")
    for session in range(1, 31):
        ingest(session, 30, f"ingested {session}")
    assert seen[0] == "about 49 min left: fetched 1"
    assert seen[9] == "about 40 min left: fetched 10"
    assert seen[-1] == "about 10 min left: ingested 30"


@pytest.mark.parametrize(("total", "done"), [(0, 0), (3, 5)])
def test_an_empty_or_overfull_stage_counts_as_done(total: int, done: int) -> None:
    seen: list[int] = []
    Estimate({"only": 1.0}, lambda percent, _total, _label: seen.append(percent)).stage("only")(done, total, "")
    assert seen == [100]


@given(st.floats(0.02, 0.999), st.floats(2, 1e6))
def test_time_left_follows_the_pace_so_far(fraction: float, seconds: float) -> None:
    words = time_left(fraction, seconds).removeprefix("about ").removesuffix(" left").split()
    units = {"h": 3600, "min": 60, "s": 1}
    told = sum(int(words[at]) * units[words[at + 1]] for at in range(0, len(words), 2))
    left = seconds * (1 - fraction) / fraction
    assert told == pytest.approx(left, rel=0.51 if left < 120 else 0.26, abs=1.0)
