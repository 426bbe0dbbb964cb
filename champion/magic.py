"""`%%sql` in notebooks: `%load_ext champion`, then a cell of SQL whose parameters are the notebook's own names.

::

    %%sql leaders <<
    select symbol, volume from equity_ohlc where trade_date = {session:Date} order by volume desc limit {rows:UInt32}

`{session:Date}` is bound to the notebook's variable `session`; its value is never inserted into the text. The result is
a Polars frame, assigned to the name before `<<` or displayed as the cell's output. `%sql select ...` is the one-line
form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from champion import workspace
from champion.errors import ChampionError, UsageError, in_one_line

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_TARGET = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*<<)?(.*)", re.DOTALL)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register `%sql` and `%%sql`; IPython calls this for `%load_ext champion`.

    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> shell = InteractiveShell()
    >>> load_ipython_extension(shell)
    >>> "sql" in shell.magics_manager.magics["cell"]
    True
    """

    def sql(line: str, cell: str = "") -> pl.DataFrame | None:
        """Query the warehouse: `%sql select 1`, `%%sql`, or `%%sql name <<` to assign the result to a name."""
        try:
            target, first_line = split_target(line)
            text = f"{first_line}\n{cell}"
            answer = workspace.sql(text, **parameter_values(text, shell.user_ns))
        except ChampionError as error:
            raise in_one_line(error) from None
        if target is None:
            return answer
        shell.user_ns[target] = answer
        return None

    register: Any = shell.register_magic_function  # its annotations mistake the wrapper for the function
    register(sql, magic_kind="line_cell", magic_name="sql")


def split_target(line: str) -> tuple[str | None, str]:
    """Return the name before `<<`, or None, and the text after it.

    Raises:
        UsageError: the text before `<<` is not a name.

    >>> split_target("leaders <<")
    ('leaders', '')
    >>> split_target("select 1")
    (None, 'select 1')
    """
    match = _TARGET.fullmatch(line)
    target, text = match.groups() if match else (None, line)
    if target is None and text.rstrip().endswith("<<"):
        raise UsageError(f"%%sql {line.strip()}: write one name before <<, as in %%sql bars <<")
    return target, text.strip()


def parameter_values(text: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the `{name:Type}` parameters of `text`; a Series becomes a list.

    Raises:
        UsageError: `names` lacks some of them.

    >>> parameter_values("select {a:Int8} + {b:Int8}", {"a": 1, "b": 2, "c": 3})
    {'a': 1, 'b': 2}
    """
    from champion.warehouse.engine import binding  # noqa: PLC0415 - with the first query

    wanted = binding.names(text)
    if unset := [name for name in wanted if name not in names]:
        raise UsageError(
            f"%%sql: no variable {', '.join(unset)} in this notebook; the query uses "
            f"{', '.join(f'{{{name}:...}}' for name in wanted)}: assign it in an earlier cell"
        )
    found = {name: names[name] for name in wanted}
    return {name: value.to_list() if isinstance(value, pl.Series) else value for name, value in found.items()}
