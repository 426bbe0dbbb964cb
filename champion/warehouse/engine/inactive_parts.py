"""Delete parts that newer parts replaced.

A server deletes them in the background; the embedded engine ends before that. Without this module, parts would
accumulate with every load, and every snapshot links every file.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from champion.warehouse.engine.database import Executor

# A part is deleted before the wider part that covers it, so an interrupted deletion activates none of them.
_OUTDATED = (
    "select path from system.parts where database = 'champion_market' and not active "
    "order by max_block_number - min_block_number, level, data_version"
)


def parts(client: Executor) -> list[Path]:
    """Return the folders of inactive parts, in a safe order of deletion."""
    return [Path(path) for (path,) in client.query(_OUTDATED).result_rows]


def delete(folders: Iterable[Path]) -> None:
    """Delete folders in this order; the engine must be closed."""
    for folder in folders:
        with suppress(FileNotFoundError):  # the engine deleted it
            shutil.rmtree(folder)
