"""The errors that Champion raises deliberately.

::

    ChampionError                 (the message names the request, the problem, what is allowed, and the next step)
    ├── UsageError                bad arguments or settings: exit code 2
    ├── ArchiveError              the exchange's archive
    │   ├── SessionNotPublished   the archive holds no file for the date
    │   ├── ArchiveUnavailable    it did not answer, or refused repeatedly
    │   └── FormatError           the content has an unknown format, or not the one its name promises
    │       └── WrongSession      the file's own date is not the requested session
    ├── ContractError             a frame or a schema file breaks its contract
    ├── LakeError                 a partition is missing, damaged or locked
    ├── QualityGateError          a quality gate of severity 'error' stopped publication
    ├── WarehouseError            the warehouse refused, or disagrees with the lake
    ├── NotebookError             a notebook run did not succeed
    │   └── ParameterError        its parameters were refused before a kernel started
    ├── ModelError                a model could not be trained, found or used
    │   ├── PromotionRefused      the promotion gate refused a model
    │   ├── LedgerOvertaken       another process wrote to the promotion ledger in the meantime
    │   └── DecisionOutdated      the champion is no longer the one that the decision compared with
    ├── ServiceError              a local server (Prefect, MLflow) did not start or answer
    └── MachineError              the machine refused: no disk space, no permission, no such folder
"""

from __future__ import annotations

import errno
from collections.abc import Collection

_REMEDIES = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space, or ask for a larger quota",
    errno.EACCES: "give this account the permission, or set CHAMPION_HOME to a folder of its own",
    errno.EPERM: "give this account the permission, or set CHAMPION_HOME to a folder of its own",
    errno.EROFS: "mount it for writing, or set CHAMPION_HOME to another folder",
    errno.ENOENT: "restore it; perhaps its disk is not mounted",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "end other programs that need memory",
    errno.ENOLCK: "put the workspace on a file system with locks (on NFS, start its lock service)",
}


class ChampionError(Exception):
    """Base of all deliberate errors; `exit_code` is the exit code of the command line."""

    exit_code = 1


def in_one_line(error: ChampionError) -> ChampionError:
    """Return the error so that IPython shows only its message, without the frames of libraries.

    >>> in_one_line(UsageError("write one name"))._render_traceback_()
    ['UsageError: write one name']
    """
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {' '.join(str(error).split())}"]  # type: ignore[attr-defined]
    return error


class UsageError(ChampionError):
    """Bad arguments or settings."""

    exit_code = 2


class ArchiveError(ChampionError):
    """An error of the exchange's archive."""


class SessionNotPublished(ArchiveError):
    """The archive holds no file for the date: no session, or not published yet."""


class ArchiveUnavailable(ArchiveError):
    """The archive did not answer, or refused repeatedly."""


class FormatError(ArchiveError):
    """The content has an unknown format, or another format than its name says."""


class WrongSession(FormatError):
    """The file's own date is not the requested session; `dates` are the dates of its rows, as texts."""

    def __init__(self, message: str, dates: Collection[str] = ()) -> None:
        super().__init__(message)
        self.dates = tuple(dates)


class ContractError(ChampionError):
    """A frame or a schema file breaks its contract."""


class LakeError(ChampionError):
    """A partition is missing, damaged or locked."""


class QualityGateError(ChampionError):
    """A quality gate of severity 'error' failed: nothing downstream is published."""


class WarehouseError(ChampionError):
    """The warehouse refused a statement, or disagrees with the lake."""


class NotebookError(ChampionError):
    """A notebook run did not succeed."""


class ParameterError(NotebookError):
    """Notebook parameters were refused before a kernel started."""

    exit_code = 2


class ModelError(ChampionError):
    """A model could not be trained, found or used."""


class PromotionRefused(ModelError):
    """The promotion gate refused a model; the message holds its evidence."""


class LedgerOvertaken(ModelError):
    """Another process wrote to the promotion ledger between reading and writing."""


class DecisionOutdated(ModelError):
    """The champion changed after the decision was evaluated: evaluate again."""


class ServiceError(ChampionError):
    """A local server did not start or answer."""


class MachineError(ChampionError):
    """The machine refused: no disk space, no permission, no such folder."""

    @classmethod
    def of(cls, error: OSError) -> MachineError:
        """Return the error of the operating system with a remedy in its message.

        >>> print(MachineError.of(OSError(errno.ENOSPC, "No space left on device", "/w/lake")))
        /w/lake: No space left on device; free disk space, then run it again: finished work is kept
        """
        where = f"{error.filename}: " if error.filename is not None else ""
        remedy = _REMEDIES.get(error.errno or 0, "correct it")
        return cls(f"{where}{error.strerror or error}; {remedy}, then run it again: finished work is kept")
