"""What the shell may complete: names that are files of this checkout, so that a key press opens no store."""

from __future__ import annotations

from champion import contracts


def datasets(incomplete: str) -> list[str]:
    """Return the datasets whose name begins so.

    >>> datasets("predictions_")
    ['predictions_equity_scores']
    """
    return [name for name in contracts.names() if name.startswith(incomplete)]


def notebooks(incomplete: str) -> list[str]:
    """Return the notebooks of the pipeline whose name begins so.

    >>> notebooks("qua")
    ['quality']
    """
    from champion.runner import notebook  # noqa: PLC0415 - what is completed seldom costs the other commands nothing

    return [name for name in notebook.names() if name.startswith(incomplete)]


def named_queries(incomplete: str) -> list[str]:
    """Return the named queries whose name begins so.

    >>> named_queries("mov")
    ['movers']
    """
    from champion.warehouse import queries  # noqa: PLC0415

    return [name for name in queries.names() if name.startswith(incomplete)]
