"""A mirror of the exchange's archive with its bundles unpacked; the mirror itself is not changed."""

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
    """Yield a folder with the layout of the archive: the mirror itself, or a copy if it has `bundles/*.zip`.

    The yearly zips hold daily reports, which are unpacked to their places in the archive.
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
            with zipfile.ZipFile(bundle) as archive:
                for member in archive.infolist():
                    target = reports / PurePosixPath(member.filename).name
                    if not member.is_dir() and not target.exists():
                        target.write_bytes(archive.read(member))
        yield root
