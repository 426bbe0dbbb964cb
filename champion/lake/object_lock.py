"""A lock for one writer at a time in an object store: an object that is created only if it does not exist.

1. The writer that creates `<dataset>.lock` holds the lock. The object names the holder and is renewed by a conditional
   write, which fails if another process has changed the object.
2. Other writers poll it. Another writer takes the lock over, also by a conditional write, if by its own clock the
   object did not change for `Times.lease`, or if the holder was a process on this machine that has ended. Only one of
   them succeeds.
3. A holder that could not renew for `Times.trusted` writes nothing more. A request takes at most
   `object_path.SLOWEST`, so its last one has ended before another writer starts.
"""

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

from champion.base import process_identity
from champion.base.object_path import GUARDS, SLOWEST, ObjectPath
from champion.errors import LakeError

_POLL = 0.25


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: the interval of renewals, how long the holder trusts one, and how long other writers respect it."""

    renew: float = 10.0
    trusted: float = 30.0
    lease: float = 60.0


_DEFAULT = Times()
assert _DEFAULT.trusted + SLOWEST.total_seconds() < _DEFAULT.lease  # noqa: S101 - otherwise two could write together


class _Lease:
    """A held lock, which a thread renews until it is released."""

    def __init__(self, path: ObjectPath, tag: str, since: float, times: Times) -> None:
        self._path, self._tag, self._renewed, self._times = path, tag, since, times
        self._lost, self._end = False, threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {path.name}", daemon=True)
        self._thread.start()

    def require(self) -> None:
        """Verify that the lock is still held.

        Raises:
            LakeError: it was lost, or not renewed for so long that another writer may hold it.
        """
        if not self._is_certain():
            raise LakeError(
                f"{self._path} was lost to another writer or could not be renewed; nothing more is written, try again"
            )

    def release(self) -> None:
        """Remove the lock, unless another writer may hold it by now."""
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
            except Exception:  # noqa: BLE001, S112 - unreachable for now; `require` decides for how long
                continue
            if tag is None:
                self._lost = True
                return
            self._tag, self._renewed = tag, began


@contextmanager
def held(path: ObjectPath, wait: float | None = None, times: Times = _DEFAULT) -> Iterator[None]:
    """Wait for the lock at `path` and hold it; after a loss, writes in the block raise LakeError.

    Raises:
        LakeError: another writer still holds it after `wait` seconds.
    """
    lease = _acquire(path, wait, times)
    before = GUARDS.set((*GUARDS.get(), lease.require))
    try:
        yield
    finally:
        GUARDS.reset(before)
        lease.release()


def _acquire(path: ObjectPath, wait: float | None, times: Times) -> _Lease:
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
        if began - since > times.lease or _has_ended(holder):
            began = time.monotonic()
            if (tag := path.exchange(found, _content())) is not None:
                return _Lease(path, tag, began, times)
        if deadline is not None and time.monotonic() > deadline:
            raise LakeError(f"{path} is still held by {holder.decode(errors='replace')}; wait for it, or stop it")
        time.sleep(_POLL)


@cache
def _require_conditions(path: ObjectPath) -> None:
    """Verify, once per process and lock, that the store refuses to create the lock that was just created.

    Raises:
        LakeError: the store overwrote it.
    """
    if path.create(b"") is not None:
        path.unlink(missing_ok=True)
        raise LakeError(
            f"{path}: the store ignores conditional writes (If-None-Match); a lake needs a store that supports them"
        )


def _content() -> bytes:
    """Describe the holder; a random token makes each content, and so each tag, unique."""
    content = {"host": socket.gethostname(), "pid": os.getpid(), "born": process_identity.process_token()}
    return json.dumps(content | {"token": uuid.uuid4().hex}).encode()


def _has_ended(holder: bytes) -> bool:
    """Return whether the holder was a process on this machine that has ended."""
    try:
        about = json.loads(holder)
        is_here = about["host"] == socket.gethostname()
        return bool(is_here and process_identity.process_token(about["pid"]) != about["born"])
    except (ValueError, KeyError, TypeError):
        return False
