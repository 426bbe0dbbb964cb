"""Processes that repair one workspace at the same time.

`python tests/repairs.py HOME PROCESSES DEAD` kills a process that has begun DEAD runs, half of which it has ended and
not delivered. Then PROCESSES processes repair the workspace at the same time, while a run goes on and others begin and
end. It prints, as JSON, the errors, the outcomes that were due by spool id, and the outcome of the run that went on.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from champion.runner import cache_lookup, html_report, record  # noqa: F401 - nbconvert is imported once, for all processes
from champion.settings import Settings
from champion.tracking import run_spool, runs

FORK = multiprocessing.get_context("fork")  # imports once


def begun(settings: Settings, name: str) -> run_spool.SpooledRun:
    """Return a new run of a notebook whose second cell is running."""
    tags = {cache_lookup.NOTEBOOK: name, cache_lookup.KEY: name}
    entry = run_spool.begin(settings, "notebooks", name, tags=tags)
    for folder in (record.result_folder(entry), record.executed_path(entry).parent):
        folder.mkdir(parents=True)
    done = {"duration": None, "start_time": None, "end_time": None}
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": status,
            "source": "1",
            "outputs": [],
            "execution_count": None,
            "metadata": {"papermill": {**done, "status": status}},
        }
        for status in ("completed", "running")
    ]
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    record.executed_path(entry).write_text(json.dumps(book), encoding="utf-8")
    return entry


def die(settings: Settings, dead: int, queue: Queue[Any]) -> None:
    """Begin runs, end every second one, deliver none, and be killed."""
    due = dict[str, str]()
    for number in range(dead):
        entry = begun(settings, f"dead-{number}")
        due[entry.id] = "killed"
        if number % 2:
            run_spool.end(settings, entry, run_spool.End("succeeded"), deliver_now=False)
            due[entry.id] = "succeeded"
    queue.put(due)
    queue.close()
    queue.join_thread()
    os.kill(os.getpid(), signal.SIGKILL)


def repair(settings: Settings, barrier: Barrier, queue: Queue[Any]) -> None:
    """Repair the workspace together with others, and report the error."""
    barrier.wait()
    try:
        record.repair(settings)
    except BaseException:  # noqa: BLE001 - the error is what the test looks for
        queue.put(traceback.format_exc())
    else:
        queue.put("")


def run(settings: Settings, barrier: Barrier, queue: Queue[Any]) -> None:
    """Begin and end runs while others repair."""
    barrier.wait()
    due = dict[str, str]()
    for number in range(3):
        entry = begun(settings, f"alive-{number}")
        run_spool.end(settings, entry, run_spool.End("succeeded"))
        due[entry.id] = "succeeded"
    queue.put(due)


def main(home: str, processes: int, dead: int) -> None:
    """Run the processes, and print what they report."""
    settings = Settings(home=Path(home))
    queue: Queue[Any] = FORK.Queue()
    first = FORK.Process(target=die, args=(settings, dead, queue))
    first.start()
    due = queue.get()
    first.join()
    barrier, queues = FORK.Barrier(processes + 1), [FORK.Queue() for _ in range(processes + 1)]
    targets = [repair] * processes + [run]
    children = [
        FORK.Process(target=one, args=(settings, barrier, its)) for one, its in zip(targets, queues, strict=True)
    ]
    going = begun(settings, "going")
    for child in children:
        child.start()
    *errors, others = [each.get() for each in queues]
    for child in children:
        child.join()
    status = run_spool.ended(going) is None and runs.get(settings, str(going.run_id)).status
    run_spool.end(settings, going, run_spool.End("succeeded"))
    due |= others | {going.id: "succeeded"}
    print(json.dumps({"errors": [one for one in errors if one], "due": due, "going": status}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
