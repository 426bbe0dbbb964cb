"""Parts that newer ones replaced: a server deletes them in the background, the embedded engine never lives so long.

Left alone they would pile up with every load, and every snapshot links every file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from champion.warehouse.engine.database import Executor

# Narrow ones first: a part goes before the wider one that covers it, so that an interrupted deletion revives nothing.
_OUTDATED = """
select path
from system.parts
where database = 'champion_market' and not active
order by max_block_number - min_block_number, level, data_version
"""


def parts(client: Executor) -> list[Path]:
    """Return the folders of the parts that nothing reads any more, in the order in which they may go."""
    return [Path(path) for (path,) in client.query(_OUTDATED).result_rows]


def delete(folders: Iterable[Path]) -> None:
    """Delete them in that order, once the engine is closed."""
    for folder in folders:
        with suppress(FileNotFoundError):  # the engine came first
            shutil.rmtree(folder)
