"""Shared by all commands: output as text or JSON, progress bars, settings."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from champion.base import loopback
from champion.base.counting import quantity
from champion.base.progress import Progress
from champion.cli.terminal import tables
from champion.errors import ChampionError, ServiceError, UsageError
from champion.security.redaction import redact, secrets
from champion.settings import Settings, read
from flows.summary import flat

out = Console(highlight=False, markup=False)  # text comes from files: a symbol may be named [/red]
err = Console(stderr=True, highlight=False, markup=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Start = Annotated[str, typer.Argument(help="First date, as 2024-01-01.")]
End = Annotated[str, typer.Argument(help="Last date, included.")]
First = Annotated[str | None, typer.Argument(help="First session, as 2024-01-01; default: the first in the lake.")]
Last = Annotated[str | None, typer.Argument(help="Last session, included; default: the last in the lake.")]
_LINE_SECONDS = 15.0

Force = Annotated[bool, typer.Option("--force", help="Run again even if nothing changed.")]


def settings() -> Settings:
    """Return the settings of this call.

    Raises:
        UsageError: a setting is wrong; the message names each.
    """
    return read()


def day(text: str) -> date:
    """Return an ISO date argument.

    Raises:
        UsageError: the text is not an ISO date.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date; write it as 2024-01-15") from error


def assigned(pairs: Sequence[str]) -> dict[str, str]:
    """Return `name=value` options as a mapping.

    Raises:
        UsageError: a pair has no equals sign.
    """
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise UsageError(f"--param {wrong[0]!r}: write it as name=value")
    return dict(pair.split("=", 1) for pair in pairs)


def print_error(error: ChampionError) -> None:
    """Print an error in one paragraph, its type in red if the terminal has colours."""
    err.print(type(error).__name__, style="bold red", end=": ")
    err.print(printable(redact(str(error), secrets(os.environ))), soft_wrap=True)


def printable(text: str) -> str:
    r"""Return `text` with control and invisible characters escaped.

    >>> printable("TCS\x1b[2J")
    'TCS\\x1b[2J'
    """
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result as lines of name and value, or as JSON."""
    if as_json:
        out.print_json(json.dumps(result, default=str))
        return
    for name, value in flat(result):
        out.print(f"{name:<32}", _plain(value), soft_wrap=True)


def note(text: str) -> None:
    """Print a line about what the command waits for, apart from its result."""
    err.print(text, style="dim")


def lists_loaded(months: int | None) -> None:
    """Print how many months of lists the warehouse got; None if there is no warehouse."""
    loaded = f"{quantity(months, 'month')} of lists loaded" if months is not None else "none yet, so nothing was loaded"
    out.print(f"warehouse: {loaded}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a title, at most as wide as the terminal; `Text` keeps its style.

    Dates, numbers and names are not wrapped. If the columns do not fit side by side, each row is printed as a record.
    """
    cells = [[value if isinstance(value, Text) else Text(_plain(value)) for value in row] for row in rows]
    widths = tables.widths(columns, [[cell.plain for cell in row] for row in cells], out.width)
    out.print(Text(title, "italic"))
    if widths is None:
        indent = max(map(len, columns)) + 2
        for row in cells:
            for name, cell in zip(columns, row, strict=True):
                first, *others = _fitted(cell, max(out.width - indent, 1)).split("\n")
                out.print(Text.assemble((f"{name:<{indent}}", "bold"), first))
                for line in others:
                    out.print(Text.assemble(" " * indent, line))
            out.print()
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in zip(columns, widths, strict=True):
        grid.add_column(tables.wrapped(name, width), width=width, overflow="fold")
    for row in cells:
        grid.add_row(*(_fitted(cell, width) for cell, width in zip(row, widths, strict=True)))
    out.print(grid)


def _fitted(cell: Text, width: int) -> Text:
    return cell if len(cell.plain) <= width else Text(tables.wrapped(cell.plain, width), cell.style)


def frame(title: str, rows: pl.DataFrame) -> None:
    """Print a frame under a title, or `none` if it has no rows."""
    if rows.is_empty():
        out.print(f"{title}: none")
        return
    table(title, rows.columns, rows.rows())


def stages(count: int, *, hidden: bool = False) -> Callable[[str], None]:
    """Return a function that prints each of `count` stages on stderr, also without a terminal."""
    numbers = iter(range(1, count + 1))
    return lambda text: None if hidden else err.print(f"{next(numbers)}/{count} {text}", style="dim")


@contextmanager
def progress_bar(*, hidden: bool = False, lines: bool = False) -> Iterator[Progress]:
    """Yield a progress callback that draws one bar on stderr; with `hidden` it draws nothing.

    With `lines`, it prints a line at the start, every 15 seconds and at the end if stderr is not a terminal.
    """
    if lines and not hidden and not err.is_terminal:
        printed = -math.inf

        def print_line(done: int, total: int, label: str) -> None:
            nonlocal printed
            if done >= total or time.monotonic() - printed >= _LINE_SECONDS:
                printed = time.monotonic()
                err.print(f"{done / max(total, 1):.0%} {label}", style="dim", soft_wrap=True)

        yield print_line
        return
    name = TextColumn("{task.description:<44.44}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=err, transient=True, disable=hidden or not err.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        yield lambda done, total, label: bar.update(task, description=label, completed=done, total=total)


@contextmanager
def flow_context(chosen: Settings, *, hidden: bool = False, lines: bool = False) -> Iterator[None]:
    """Prepare this process for a flow: start the workspace's Prefect server, set its address, show progress.

    With `lines`, progress is also shown if stderr is not a terminal.

    Enter this context before importing prefect, which reads its settings once.

    Raises:
        UsageError: the environment names a proxy that no client can use.
        ServiceError: the server does not start, or stops responding while the flow runs.
    """
    from champion.services import managed_process, prefect  # noqa: PLC0415

    loopback.require_usable_proxies(os.environ)
    api = prefect.ensure(chosen, note=lambda text: None if hidden else err.print(text, style="dim"))
    for name in ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL"):
        os.environ.setdefault(name, "CRITICAL")  # the command prints one error message at the end
    prefect.choose(chosen, api)
    from flows.notebook_progress import report_to  # noqa: PLC0415

    with progress_bar(hidden=hidden, lines=lines) as progress, report_to(progress):
        try:
            yield
        except ChampionError:
            raise
        except Exception as error:
            if managed_process.answers(f"{api}/health"):
                raise
            raise ServiceError(
                f"Prefect's server at {api} stopped answering while the flow ran ({type(error).__name__}). "
                f"What was done is kept: run it again{managed_process.log_end(chosen, prefect.NAME)}"
            ) from error


def _plain(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:,.4f}".rstrip("0").rstrip(".")
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list() | tuple():
            return printable("; ".join(map(str, value)))
        case _:
            return printable(str(value))
