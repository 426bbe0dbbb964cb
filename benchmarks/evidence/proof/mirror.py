"""A mirror of the exchange's archive with its bundles unpacked, without writing into it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

_REPORTS = PurePosixPath("products/content")
_COPIED = ("content", "corporates")


@contextmanager
def unpacked(mirror: Path) -> Iterator[Path]:
    """Give a folder laid out as the archive: the mirror itself, or one beside it where it has `bundles/*.zip`.

    The yearly zips hold daily reports; they are unpacked to where the archive has them, beside copies of the rest.
    """
    bundles = sorted(mirror.glob("bundles/*.zip"))
    if not bundles:
        yield mirror
        return
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name in _COPIED:
            shutil.copytree(mirror / name, root / name, copy_function=shutil.copyfile)  # an archive follows no links
        reports = root / _REPORTS
        reports.mkdir(parents=True)
        for path in (mirror / _REPORTS).iterdir():
            shutil.copyfile(path, reports / path.name)
        for bundle in bundles:
            _unpack(bundle, reports)
        yield root


def _unpack(bundle: Path, reports: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        for member in archive.infolist():
            target = reports / PurePosixPath(member.filename).name
            if not member.is_dir() and not target.exists():
                target.write_bytes(archive.read(member))
