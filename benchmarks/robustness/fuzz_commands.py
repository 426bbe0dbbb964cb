"""Targets of fuzzing that users type: arguments of `champion`, run in this process."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from benchmarks.robustness.fuzz_published import Target
from champion.cli import app as cli
from champion.errors import ChampionError, UsageError
from champion.settings import Settings

_COMMANDS = (  # commands that start no server and no kernel, and do not wait
    *("lake ls --json", "lake verify", "lake seal 1999 --dataset normalized_equity_ohlc --grace 0"),
    *("lake metadata normalized_equity_ohlc --json", "lake retain --dry-run"),
    *("lake restore 2023-01-01 2023-12-31 --dataset raw_equity_ohlc", "schema show normalized_equity_ohlc --version 1"),
    *("schema show --json", "schema check", "archive ls", "archive add file:///srv/nse"),
    *("features 2024-07-01 2024-07-02 --feature-set v1", "lineage back normalized_equity_ohlc 2024-07-02"),
    *("lineage forward BhavCopy_NSE_CM_0_0_0_20240702_F_0000.csv.zip --json", "notebook run nothing -p a=1"),
    *("notebook run none -p no=1 --timeout 5 --memory 100", "sql --list", "sql --name movers -p nothing=1"),
    "sql select_1 --name x",
)
_HARMLESS = {"lake", "schema", "archive", "features", "lineage", "notebook", "sql"}
_STARTS = {("notebook", "list"), ("notebook", "show"), ("notebook", "diff"), ("notebook", "open")}


def targets(settings: Settings) -> list[Target]:
    """Return the command line as a target; an input has one argument a line."""
    seeds = [command.replace(" ", "\n").encode() for command in _COMMANDS]
    os.environ["CHAMPION_HOME"], os.environ["CHAMPION_ARCHIVE"] = str(settings.home), settings.archive
    return [Target("command line", seeds, _command, weight=2)]


def _command(content: bytes) -> object:
    arguments = [part.decode("utf-8", "surrogateescape") for part in content.replace(b"\x00", b"").split(b"\n")]
    if not arguments or arguments[0] not in _HARMLESS or tuple(arguments[:2]) in _STARTS:
        raise UsageError("not a command that is fuzzed")
    return run(arguments)


def run(arguments: list[str]) -> int:
    """Return the exit code of a command.

    Raises:
        ChampionError: the command refused, with a message that a UTF-8 terminal can print.
        AssertionError: it failed without a message.
    """
    before = sys.argv
    sys.argv = ["champion", *arguments]
    try:
        with _terminal() as stream:
            cli.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        stream.flush()
        if code and not stream.buffer.getvalue().strip():  # type: ignore[attr-defined]  # the buffer is one of bytes
            raise AssertionError("failed without a message") from None
        if code:
            raise (UsageError if code == UsageError.exit_code else ChampionError)(str(code)) from None
        return code
    finally:
        sys.argv = before
    return 0


@contextmanager
def _terminal() -> Iterator[io.TextIOWrapper]:
    """Capture standard output and standard error in UTF-8, standard output strictly."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict", write_through=True)
    shown = io.TextIOWrapper(stream.buffer, encoding="utf-8", errors="backslashreplace", write_through=True)
    with redirect_stdout(stream), redirect_stderr(shown):
        try:
            yield stream
        finally:
            shown.detach()
