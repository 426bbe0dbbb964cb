"""Generate the pages of commands and settings from the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from champion.settings import Settings

_SETTINGS = """# Settings

Each setting is an environment variable, or a key of `champion.toml` in the working directory without the prefix; the
environment has precedence. An unknown key is an error. [Secrets](../security.md) are never printed or logged, and never
parameters of a notebook.

| setting | default | meaning |
|---|---|---|
"""


def write(folder: Path) -> None:
    """Write the generated pages into `folder`; an unchanged page is not written."""
    for name, text in {"cli.md": commands(), "settings.md": settings()}.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def commands() -> str:
    """Return the page of all commands, as written by Typer."""
    arguments = ["champion.cli.app", "utils", "docs", "--name", "champion", "--title", "Commands"]
    done = subprocess.run([sys.executable, "-m", "typer", *arguments], capture_output=True, text=True, check=True)
    head, _, rest = done.stdout.partition("**Usage**")
    note = "Exit codes: 0 success, 1 failure, 2 wrong usage. `--json` prints one document; progress goes to stderr.\n\n"
    return f"{head}{note}**Usage**{rest}"


def settings() -> str:
    """Return the page of all settings, from the settings class."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `CHAMPION_{name.upper()}` | {default} | {field.description} |")
    return _SETTINGS + "\n".join(rows) + "\n"
