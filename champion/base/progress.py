"""Report the progress of long work: how much is done, and how long the rest will take.

The stages of the work are weighted by their usual share of the time. The time left is the elapsed time, times the
fraction left over the fraction done: rough at first, better with every stage.
"""

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with the steps done, the number of steps, and the name of the last step."""
_PERCENT, _MINUTE = 100, 60
_FIRST_SHARE, _FIRST_SECONDS = 0.02, 2.0  # an earlier estimate is meaningless


def silent(done: int, total: int, label: str) -> None:
    """Show nothing."""


class Estimate:
    """Progress of several stages, which may run in parallel threads: percent of the whole, with the time left."""

    def __init__(
        self, weights: Mapping[str, float], shown: Progress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._weights, self._shown, self._clock = weights, shown, clock
        self._done = dict.fromkeys(weights, 0.0)
        self._began, self._lock = clock(), Lock()

    def stage(self, name: str) -> Progress:
        """Return the progress callback of one stage; a stage without a weight adds nothing."""
        return lambda done, total, label: self._advance(name, done / total if total else 1.0, label)

    def finish(self, name: str) -> None:
        """Count a stage as done, also if it was skipped."""
        self._advance(name, 1.0, f"{name} done")

    def _advance(self, name: str, share: float, label: str) -> None:
        with self._lock:
            if name in self._done:
                self._done[name] = max(self._done[name], min(share, 1.0))
            whole = sum(self._weights.values())
            fraction = sum(self._weights[each] * part for each, part in self._done.items()) / whole
            left = time_left(fraction, self._clock() - self._began)
        self._shown(int(fraction * _PERCENT + 1e-9), _PERCENT, f"{left}: {label}" if left else label)


def time_left(fraction: float, seconds: float) -> str:
    """Return how long the rest takes at the pace so far; empty at the end, and while too little is done.

    >>> time_left(0.25, 60.0), time_left(0.5, 7200.0), time_left(0.9, 90.0), time_left(0.01, 5.0), time_left(1.0, 9.0)
    ('about 3 min left', 'about 2 h 0 min left', 'about 10 s left', '', '')
    """
    if fraction < _FIRST_SHARE or seconds < _FIRST_SECONDS or fraction >= 1:
        return ""
    left = seconds * (1 - fraction) / fraction
    if left < _MINUTE:
        return f"about {max(round(left), 1)} s left"
    hours, minutes = divmod(round(left / _MINUTE), 60)
    return f"about {hours} h {minutes} min left" if hours else f"about {minutes} min left"
