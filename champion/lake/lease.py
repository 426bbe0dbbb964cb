"""One writer at a time in an object store: a lock that is an object, put only where there is none.

1. Whoever puts `<dataset>.lock` first has it. It says who that is, and is renewed by an exchange that fails if anybody
   else exchanged it meanwhile.
2. Whoever finds it watches it. One that did not change for `Times.lease`, by the watcher's own clock, or whose process
   was of this machine and is gone, is taken over, by an exchange as well: of several watchers one succeeds.
3. A holder that could not renew for `Times.trusted` puts nothing more. As no request lasts longer than
   `objects.SLOWEST`, its last one has ended before anybody else begins.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from champion import births
from champion.errors import LakeError
from champion.objects import GUARDS, SLOWEST, ObjectPath

_POLL = 0.25


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: how often a lock is renewed, until when its holder trusts it, and when others think it left behind."""

    renew: float = 10.0
    trusted: float = 30.0
    lease: float = 60.0


_USUAL = Times()
assert _USUAL.trusted + SLOWEST.total_seconds() < _USUAL.lease  # noqa: S101 - else two could write at once


class _Lease:
    """A lock that is held: renewed by a thread of its own until it is given back."""

    def __init__(self, path: ObjectPath, tag: str, since: float, times: Times) -> None:
        self._path, self._tag, self._renewed, self._times = path, tag, since, times
        self._lost, self._end = False, threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {path.name}", daemon=True)
        self._thread.start()

    def require(self) -> None:
        """Do nothing while it is held for certain.

        Raises:
            LakeError: it was lost, or could not be renewed for so long that another writer may have it.
        """
        if not self._is_certain():
            raise LakeError(
                f"{self._path} was lost to another writer or out of reach; nothing more is written, try again"
            )

    def give_back(self) -> None:
        """Remove the lock, unless it may be somebody else's by now."""
        self._end.set()
        self._thread.join()
        if self._is_certain():
            self._path.unlink(missing_ok=True)

    def _is_certain(self) -> bool:
        return not self._lost and time.monotonic() - self._renewed <= self._times.trusted

    def _renew(self) -> None:
        while not self._end.wait(self._times.renew):
            began = time.monotonic()
            try:
                tag = self._path.exchange(self._tag, _content())
            except Exception:  # noqa: BLE001, S112 - out of reach for now; `require` knows for how long
                continue
            if tag is None:
                self._lost = True
                return
            self._tag, self._renewed = tag, began


@contextmanager
def held(path: ObjectPath, wait: float | None = None, times: Times = _USUAL) -> Iterator[None]:
    """Hold the lock at `path`, once nobody else does; within, nothing is put after it was lost.

    Raises:
        LakeError: somebody else still has it after `wait` seconds.
    """
    lease = _taken(path, wait, times)
    before = GUARDS.set((*GUARDS.get(), lease.require))
    try:
        yield
    finally:
        GUARDS.reset(before)
        lease.give_back()


def _taken(path: ObjectPath, wait: float | None, times: Times) -> _Lease:
    deadline = None if wait is None else time.monotonic() + wait
    seen, since = "", time.monotonic()
    while True:
        began = time.monotonic()
        if (tag := path.create(_content())) is not None:
            _require_conditions(path)
            return _Lease(path, tag, began, times)
        try:
            found, holder = path.stat().etag, path.read_bytes()
        except FileNotFoundError:
            continue
        if found != seen:
            seen, since = found, began
        if began - since > times.lease or _is_gone(holder):
            began = time.monotonic()
            if (tag := path.exchange(found, _content())) is not None:
                return _Lease(path, tag, began, times)
        if deadline is not None and time.monotonic() > deadline:
            raise LakeError(f"{path} is still held by {holder.decode(errors='replace')}; wait for it, or stop it")
        time.sleep(_POLL)


@cache
def _require_conditions(path: ObjectPath) -> None:
    """Do nothing where the store refuses to create what is there; once a process and lock, which was just created.

    Raises:
        LakeError: it overwrote it: of such a store nobody knows who writes.
    """
    if path.create(b"") is not None:
        path.unlink(missing_ok=True)
        raise LakeError(
            f"{path}: the store ignores conditional writes (If-None-Match); a lake needs one that knows them"
        )


def _content() -> bytes:
    """Return who holds it; no two are alike, so that each has a tag of its own."""
    return json.dumps(
        {"host": socket.gethostname(), "pid": os.getpid(), "born": births.born(), "token": uuid.uuid4().hex}
    ).encode()


def _is_gone(holder: bytes) -> bool:
    """Tell whether a lock was left by a process of this machine that is no more."""
    try:
        about = json.loads(holder)
        if about["host"] != socket.gethostname():
            return False
        return bool(births.born(about["pid"]) != about["born"])
    except (ValueError, KeyError, TypeError):
        return False
