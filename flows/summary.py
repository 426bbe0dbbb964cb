"""Summary of a flow as Markdown for its page in Prefect; data is escaped as plain text. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 400
_MARKS = re.compile(r"[\\`*\[\]<>|~&#!]")


def markdown(name: str, outcome: str, seconds: float, result: Mapping[str, Any], stop: str, run_id: str) -> str:
    """Return a page with outcome, time, MLflow run, the reason of a stop, and every value of the result.

    >>> print(markdown("daily", "succeeded", 2.04, {"ingest": {"rows": 2500}}, "", "ab12"))
    ## daily
    <BLANKLINE>
    **succeeded** in 2.0 s, ledger entry (MLflow run) `ab12`
    <BLANKLINE>
    | what | value |
    |---|---|
    | ingest.rows | 2,500 |
    """
    lines = [f"## {_text(name)}", "", f"**{outcome}** in {seconds:.1f} s, ledger entry (MLflow run) `{run_id}`"]
    if stop:
        lines += ["", f"> {_plain(stop)}"]
    rows = [f"| {_text(key)} | {_plain(value)} |" for key, value in flat(result)]
    return "\n".join([*lines, *(["", "| what | value |", "|---|---|", *rows] if rows else [])])


def flat(result: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of a nested result under its dotted name.

    >>> list(flat({"ingest": {"rows": 2500}, "sessions": 1}))
    [('ingest.rows', 2500), ('sessions', 1)]
    """
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plain(value: Any) -> str:
    match value:
        case bool() | None:
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case list() | tuple():
            text = "; ".join(map(str, value))
        case _:
            text = str(value)
    return _text(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _text(text: str) -> str:
    r"""Return `text` on one line, with a backslash before characters that Markdown or HTML would interpret.

    >>> _text("[x](javascript:a) <b>|")
    '\\[x\\](javascript:a) \\<b\\>\\|'
    """
    return _MARKS.sub(r"\\\g<0>", " ".join(text.split()))
