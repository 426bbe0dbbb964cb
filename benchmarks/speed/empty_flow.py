"""A flow of as many empty tasks as asked, on the Prefect server of the environment: what Prefect costs by itself."""

from __future__ import annotations

import sys

from prefect import flow, task


@task
def nothing() -> None:
    """Do nothing."""


@flow
def empty(tasks: int) -> None:
    """Do nothing so many times."""
    for _ in range(tasks):
        nothing()


if __name__ == "__main__":
    empty(int(sys.argv[1]))
