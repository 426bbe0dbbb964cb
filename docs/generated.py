"""The pages that are made from the code, so that they cannot fall behind it: commands, settings, named queries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from champion.settings import Settings

_SETTINGS = """# Settings

Each is an environment variable, or a key of `champion.toml` in the working directory without the prefix; the
environment wins. An unknown key is an error. [Secrets](../security.md) are never shown, logged, or parameters of a
notebook.

| setting | default | what it is |
|---|---|---|
"""


def write(folder: Path) -> None:
    """Write the generated pages into `folder`; a page that is already so is left as it is."""
    for name, text in {"cli.md": commands(), "settings.md": settings()}.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def commands() -> str:
    """Return the page of every command, as Typer writes it."""
    arguments = ["champion.cli.app", "utils", "docs", "--name", "champion", "--title", "Commands"]
    made = subprocess.run([sys.executable, "-m", "typer", *arguments], capture_output=True, text=True, check=True)
    head, _, rest = made.stdout.partition("**Usage**")
    note = "Exit codes: 0 done, 1 failed, 2 wrong usage. `--json` prints one document; progress is on stderr.\n\n"
    return f"{head}{note}**Usage**{rest}"


def settings() -> str:
    """Return the page of every setting, from the class that reads them."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `CHAMPION_{name.upper()}` | {default} | {field.description} |")
    return _SETTINGS + "\n".join(rows) + "\n"
