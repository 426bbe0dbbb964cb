"""Bad input that several tests share: what was found by fuzzing, and what somebody who means harm would try first.

Each is refused with one of Champion's own errors, or taken for the plain text it is; none leads out of the workspace.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from champion.files import write_bytes

DEEP = "[" * 100_000
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1:A9)")
HOSTILE = (
    "O'Brien",
    '"; drop table loads; --',
    "<script>alert(1)</script>",
    "[/red]",
    "$\\frac$",
    "{x:String}",
    *FORMULAS,
)


def put(path: Path, content: Any) -> None:
    """Write bytes as they are, text as it is, all else as JSON."""
    if isinstance(content, str) and content == DEEP:
        content = content.encode()
    write_bytes(path, content if isinstance(content, bytes) else json.dumps(content).encode())
