"""How long to wait before a retry, and when to give up. Pure: no clock, no sleep, no random numbers.

A retry library does not shorten this: the number of attempts depends on the status, Retry-After is a lower bound that
can also end the attempts, and the tests pass the random number in.
"""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

_FORBIDDEN, _TIMEOUT, _TOO_MANY, _SERVER_ERRORS = 403, 408, 429, range(500, 600)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limits of requests to the archive. All times are in seconds.

    `apart` is the least time between the starts of two requests: the archive accepts about three per second. `attempts`
    is the number of requests if a retry may help, `attempts_refused` after a 403, by which the archive means slow down.
    The wait doubles from `first` to `longest`; a Retry-After above `longest_asked` ends the attempts. `connect` and
    `silence` limit how long the server may send nothing, `whole` how long one answer may take in total.
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
    """One failed request.

    `status` is None without a complete answer: a timeout, a reset, a truncated body. `retry_after` are the seconds of
    the Retry-After header, None without one.
    """

    reason: str
    status: int | None = None
    retry_after: float | None = None


def wait(failure: Failure, attempt: int, patience: RetryPolicy, chance: float) -> float | None:
    """Return the seconds to wait after the `attempt`-th request (from 1) failed, or None to give up.

    Exponential backoff with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): `chance`, from 0 to 1,
    picks a point below the bound, so that clients do not return together. Retry-After is a lower bound; one that
    is too long ends the attempts, because an earlier request would ignore the server's limit and the wait would block
    the caller.

    >>> [wait(Failure("answered 503", 503), attempt, RetryPolicy(), chance=1.0) for attempt in (1, 2, 3, 4, 5)]
    [1.0, 2.0, 4.0, 8.0, None]
    >>> wait(Failure("answered 429", 429, retry_after=7.0), 1, RetryPolicy(), chance=0.5)
    7.0
    """
    if failure.status is None or failure.status in {_TIMEOUT, _TOO_MANY} or failure.status in _SERVER_ERRORS:
        attempts = patience.attempts
    else:
        attempts = patience.attempts_refused if failure.status == _FORBIDDEN else 1
    if attempt >= attempts:
        return None
    jittered = chance * min(patience.longest, patience.first * 2.0 ** (attempt - 1))
    if failure.retry_after is None:
        return jittered
    return None if failure.retry_after > patience.longest_asked else max(jittered, failure.retry_after)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, from a number or an HTTP date; None if it is neither.

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
        if moment.tzinfo is None:  # an HTTP date is in GMT, also with -0000
            moment = moment.replace(tzinfo=now.tzinfo)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, OverflowError):
        return None
