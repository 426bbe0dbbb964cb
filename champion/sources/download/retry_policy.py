"""How long to wait before asking the archive again, and when to stop. Pure: no clock, no sleep, no dice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

_FORBIDDEN, _TIMEOUT, _TOO_MANY, _SERVER_ERRORS = 403, 408, 429, range(500, 600)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How the archive is asked. All times are seconds.

    `apart` lies between the starts of two requests: about three a second is what the archive bears. `attempts` are
    made where asking again may help, `attempts_refused` after a 403, the archive's word for slow down. The wait
    doubles from `first` to `longest`; a Retry-After beyond `longest_asked` is not waited for. `connect` and `silence`
    are how long the other side may be quiet, `whole` how long one answer may take in all.
    """

    apart: float = 0.34
    attempts: int = 5
    attempts_refused: int = 2
    first: float = 1.0
    longest: float = 30.0
    longest_asked: float = 120.0
    connect: float = 10.0
    silence: float = 30.0
    whole: float = 120.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One request without the file.

    `status` is None where no whole answer came: a time-out, a reset, a body cut short. `retry_after` are the seconds
    the archive asked for, None where it named none.
    """

    reason: str
    status: int | None = None
    retry_after: float | None = None


def wait(failure: Failure, attempt: int, patience: RetryPolicy, chance: float) -> float | None:
    """Return the seconds to wait after the `attempt`-th request (from 1) failed, or None to give up.

    Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): `chance`, from 0 to 1,
    picks a point below the bound, so that clients do not come back together. Retry-After is a lower bound; one that
    is too long ends the attempts, because to ask before it is over would be rude and to wait for it would hang.

    >>> [wait(Failure("answered 503", 503), attempt, RetryPolicy(), chance=1.0) for attempt in (1, 2, 3, 4, 5)]
    [1.0, 2.0, 4.0, 8.0, None]
    >>> wait(Failure("answered 429", 429, retry_after=7.0), 1, RetryPolicy(), chance=0.5)
    7.0
    """
    if attempt >= _attempts(failure.status, patience):
        return None
    jittered = chance * min(patience.longest, patience.first * 2.0 ** (attempt - 1))
    if failure.retry_after is None:
        return jittered
    return None if failure.retry_after > patience.longest_asked else max(jittered, failure.retry_after)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for, from a number or an HTTP date; None where it says neither.

    >>> from datetime import UTC
    >>> retry_after("Wed, 21 Oct 2015 07:28:00 GMT", datetime(2015, 10, 21, 7, 27, 30, tzinfo=UTC))
    30.0
    >>> retry_after("120", datetime(2015, 10, 21, tzinfo=UTC)), retry_after("soon", datetime(2015, 10, 21, tzinfo=UTC))
    (120.0, None)
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # an HTTP date is in GMT, also where it says -0000
            moment = moment.replace(tzinfo=now.tzinfo)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def _attempts(status: int | None, patience: RetryPolicy) -> int:
    if status is None or status in {_TIMEOUT, _TOO_MANY} or status in _SERVER_ERRORS:
        return patience.attempts
    return patience.attempts_refused if status == _FORBIDDEN else 1
