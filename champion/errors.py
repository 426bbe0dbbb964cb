"""Every error Champion raises on purpose.

::

    ChampionError                 (the message says what was asked, found, allowed, and what to do next)
    ├── UsageError                bad arguments or settings: exit code 2
    ├── ArchiveError              the exchange's archive
    │   ├── SessionNotPublished   the archive holds no file for the date
    │   ├── ArchiveUnavailable    it did not answer, or kept refusing
    │   └── FormatError           the bytes are not a format we know, or not what their name says
    │       └── WrongSession      the file's own date is not the session that was asked for
    ├── ContractError             a frame or a schema file breaks its contract
    ├── LakeError                 a partition is missing, damaged or locked
    ├── QualityGateError          a quality gate of severity 'error' stopped publication
    ├── WarehouseError            the warehouse refused, or disagrees with the lake
    ├── NotebookError             a notebook run did not succeed
    │   └── ParameterError        its parameters were refused before a kernel started
    ├── ModelError                a model could not be trained, found or used
    │   ├── PromotionRefused      the promotion gate said no
    │   ├── LedgerOvertaken       somebody else wrote to the promotion ledger between reading and writing it
    │   └── DecisionOutdated      another champion reigns than the decision was made against
    ├── ServiceError              a local server (Prefect, MLflow) did not start or answer
    └── MachineError              the machine refused: no room, no permission, no such folder
"""

from __future__ import annotations

import errno
from collections.abc import Collection

_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or have the quota raised",
    errno.EACCES: "give whoever runs this the permission, or set CHAMPION_HOME to a folder of theirs",
    errno.EPERM: "give whoever runs this the permission, or set CHAMPION_HOME to a folder of theirs",
    errno.EROFS: "mount it for writing, or set CHAMPION_HOME to a folder elsewhere",
    errno.ENOENT: "bring it back, perhaps its disk is not mounted",
    errno.EIO: "look after the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "end something else that needs memory",
    errno.ENOLCK: "put the workspace on a file system with locks (on NFS, start its lock service)",
}


class ChampionError(Exception):
    """Base of all deliberate errors; `exit_code` is what the command line answers."""

    exit_code = 1


def in_one_line(error: ChampionError) -> ChampionError:
    """Return the error, which IPython then shows as its message alone, without the frames of libraries.

    >>> in_one_line(UsageError("write one name"))._render_traceback_()
    ['UsageError: write one name']
    """
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {' '.join(str(error).split())}"]  # type: ignore[attr-defined]
    return error


class UsageError(ChampionError):
    """Bad arguments or settings."""

    exit_code = 2


class ArchiveError(ChampionError):
    """Something about the exchange's archive."""


class SessionNotPublished(ArchiveError):
    """The archive holds no file for the date: no session, or not published yet."""


class ArchiveUnavailable(ArchiveError):
    """The archive did not answer, or kept refusing."""


class FormatError(ArchiveError):
    """The bytes are not a format Champion knows, or not what their name says."""


class WrongSession(FormatError):
    """The file's own date is not the session that was asked for; `dates` are those of its rows, as texts."""

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
    """The promotion gate said no; the message holds its evidence."""


class LedgerOvertaken(ModelError):
    """Somebody else wrote to the promotion ledger between reading it and writing to it."""


class DecisionOutdated(ModelError):
    """Another champion reigns than the decision was made against: judge again."""


class ServiceError(ChampionError):
    """A local server did not start or answer."""


class MachineError(ChampionError):
    """The machine refused: no room, no permission, no such folder."""

    @classmethod
    def of(cls, error: OSError) -> MachineError:
        """Return what the system said as a message that says what to do.

        >>> print(MachineError.of(OSError(errno.ENOSPC, "No space left on device", "/w/lake")))
        /w/lake: No space left on device; make room. What was done is kept: then run it again
        """
        where = f"{error.filename}: " if error.filename is not None else ""
        remedy = _REMEDIES.get(error.errno or 0, "mend it")
        return cls(f"{where}{error.strerror or error}; {remedy}. What was done is kept: then run it again")
