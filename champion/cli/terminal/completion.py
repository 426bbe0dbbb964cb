"""Shell completion of names that are files of the installation, so that completing opens no store."""

from champion import contracts
from champion.cli.terminal import pages as documentation


def datasets(incomplete: str) -> list[str]:
    """Return the datasets whose name starts with `incomplete`.

    >>> datasets("predictions_")
    ['predictions_equity_scores', 'predictions_equity_targets']
    """
    return [name for name in contracts.names() if name.startswith(incomplete)]


def notebooks(incomplete: str) -> list[str]:
    """Return the notebooks of the pipeline whose name starts with `incomplete`.

    >>> notebooks("qua")
    ['quality']
    """
    from champion.runner import notebook  # noqa: PLC0415 - keeps the start of other commands fast

    return [name for name in notebook.names() if name.startswith(incomplete)]


def named_queries(incomplete: str) -> list[str]:
    """Return the named queries whose name starts with `incomplete`.

    >>> named_queries("mov")
    ['movers']
    """
    from champion.warehouse import queries  # noqa: PLC0415

    return [name for name in queries.names() if name.startswith(incomplete)]


def pages(incomplete: str) -> list[str]:
    """Return the pages of the documentation whose name starts with `incomplete`.

    >>> pages("rest")
    ['restore']
    """
    return [name for name in documentation.pages() if name.startswith(incomplete)]
