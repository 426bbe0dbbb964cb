"""What the lists add to a night: CPU seconds of each step in the flow's process, on a workspace with years of bars.

`.venv/bin/python benchmarks/speed/lists.py --home COPY --archive FOLDER --session 2020-12-16`

`COPY` is a copy of a workspace whose lake has raw and normalized data (the run writes into it), and `FOLDER` an archive
with the session's bhavcopy and the lists. The lists of the session are removed from the lake first, so that they are
loaded again. The first line is the symbol history, which a night computes for its bars anyway.
"""

import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from benchmarks import meter
from champion.contracts.datasets import LOTS
from champion.lake import Lake
from champion.pipeline.ingest import corporate_actions, symbol_changes, symbol_master
from champion.pipeline.ingest.datasets import LIST_SPECS
from champion.pipeline.reference import daily_lists, index_lists, rolling_lists
from champion.settings import Settings


def main() -> None:
    """Run the steps of a night that read lists, and print the CPU seconds of each."""
    given = meter.arguments(__doc__, home=Path("home"), archive=meter.MIRROR, session=date(2020, 12, 16))
    settings = Settings(home=given.home, archive=str(given.archive))
    lake, session = Lake(settings.lake), given.session
    for name in (LOTS, *(name for spec in LIST_SPECS for name in spec.names)):
        layer, _, dataset = name.partition("_")
        shutil.rmtree(settings.lake / layer / dataset, ignore_errors=True)
    steps: dict[str, Callable[[], object]] = {
        "symbol history, for bars and lists": lambda: symbol_changes.symbol_history(lake),
        "lists of the session": lambda: daily_lists.refresh(settings, session, session),
        "lots": lambda: rolling_lists.refresh_lots(settings),
        "index histories": lambda: rolling_lists.refresh_histories(settings),
        "index lists": lambda: index_lists.refresh(settings),
        "list of shares": lambda: symbol_master.refresh(settings),
        "corporate actions": lambda: corporate_actions.refresh(settings),
    }
    rows = []
    for name, step in steps.items():
        before = time.process_time()
        step()
        rows.append([name, f"{time.process_time() - before:.2f}"])
    meter.print_table(f"a night's lists; {meter.machine()}", ["step", "CPU seconds"], rows)


if __name__ == "__main__":
    main()
