"""Keep frames that are expensive to build as files of the workspace, named by what they are made of.

A file's name is the digest of everything that its content depends on, data and code, and the digest of the file itself.
So a change of either gives another file, and a damaged file is found, removed and built again. A file is complete or
absent (`atomic_files`). Builders take turns under a lock, so processes that need the same frame at the same time build
it once, and parallel builds do not add up their memory. Above a limit, the files that were not used for the longest
time are removed. Nothing depends on a kept frame: if the folder is lost, full or read-only, frames are built.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import polars as pl

from champion.base import atomic_files
from champion.settings import Settings

_NAME = re.compile(r"[0-9a-f]{64}-([0-9a-f]{64})\.parquet")
_GIGABYTE = 1_000_000_000
_log = logging.getLogger("champion.frames")


@dataclass(frozen=True, slots=True)
class FrameCache:
    """Frames in a folder, at most `limit` bytes of files; with a limit of 0 nothing is kept or read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache, built = FrameCache(Path(folder), limit=1_000_000), []
    ...     for _ in range(2):
    ...         frame = cache.get(lambda: {"bars": "digest"}, lambda: built.append(1) or pl.DataFrame({"rank": [0.25]}))
    ...     frame["rank"].to_list(), len(built), len(cache.files()), cache.trim(0), cache.size()
    ([0.25], 1, 1, 1, 0)
    """

    folder: Path
    limit: int

    @classmethod
    def of(cls, settings: Settings) -> FrameCache:
        """Return the kept frames of a workspace, with the limit of its settings.

        >>> FrameCache.of(Settings(home="/srv/nse", frames_gb=2)).limit
        2000000000
        """
        return cls(settings.home / "frames", round(settings.frames_gb * _GIGABYTE))

    def get(self, made_from: Callable[[], Mapping[str, str] | None], build: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """Return the frame that is made from some inputs: the kept one, or else the result of `build`.

        `made_from` returns digests of everything that the frame depends on, by name, or None if they are not known. It
        is called again after the frame was built: a frame whose inputs changed meanwhile is returned, but not kept.
        Errors of `build` are raised, and nothing is kept then.
        """
        inputs = made_from() if self.limit else None
        if inputs is None:
            return build()
        key = sha256(json.dumps(dict(inputs), sort_keys=True).encode()).hexdigest()
        if (kept := self._read(key)) is not None:
            return kept
        lock = atomic_files.Lock(self.folder / ".lock")
        try:
            atomic_files.make_folder(self.folder)
            held = lock.acquire()
        except OSError as error:
            _log.warning("frames cannot be kept: %s", error)
            return build()
        with held:
            if (kept := self._read(key)) is not None:  # another process has built it meanwhile
                return kept
            frame = build()
            if made_from() == inputs:
                self._keep(key, frame)
            return frame

    def files(self) -> list[Path]:
        """Return the files of the kept frames, the last used one at the end."""
        found = []
        for path in self.folder.glob("*.parquet"):
            with suppress(FileNotFoundError):  # removed meanwhile
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    def size(self) -> int:
        """Return the bytes of all kept frames."""
        return sum(map(_bytes, self.files()))

    def trim(self, most: int) -> int:
        """Remove the frames not used for the longest time until at most `most` bytes are left; return their number."""
        kept, removed = self.files(), 0
        left = sum(map(_bytes, kept))
        for path in kept:
            if left <= most:
                break
            left -= _bytes(path)
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def _read(self, key: str) -> pl.DataFrame | None:
        """Return the kept frame of a key; None if there is none, or if its file is damaged, which removes it."""
        for path in sorted(self.folder.glob(f"{key}-*.parquet")):
            named = _NAME.fullmatch(path.name)
            try:
                if named and atomic_files.sha256(path) == named[1]:
                    os.utime(path)
                    return pl.read_parquet(path, glob=False)
                _log.warning("%s is damaged and is built again", path)
                path.unlink(missing_ok=True)
            except FileNotFoundError:  # removed meanwhile, to make room
                continue
            except OSError as error:
                _log.warning("a kept frame cannot be read: %s", error)
        return None

    def _keep(self, key: str, frame: pl.DataFrame) -> None:
        """Write a frame and make room for it. The caller holds the lock: unfinished files are of killed processes."""
        try:
            for unfinished in self.folder.glob(".*.part"):
                unfinished.unlink(missing_ok=True)
            with atomic_files.temporary_file(self.folder / f"{key}.parquet") as temporary:
                frame.write_parquet(temporary, compression="lz4")
                if (size := _bytes(temporary)) > self.limit:
                    _log.warning("a frame of %s bytes is not kept: CHAMPION_FRAMES_GB allows %s", size, self.limit)
                    return
                self.trim(self.limit - size)
                atomic_files.commit(temporary, self.folder / f"{key}-{atomic_files.sha256(temporary)}.parquet")
        except OSError as error:
            _log.warning("a frame cannot be kept: %s", error)


def _bytes(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
