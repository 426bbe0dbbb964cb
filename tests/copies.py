"""A copy of a workspace for tests that change it, or open its databases."""

from __future__ import annotations

import shutil
from pathlib import Path

from champion.settings import Settings


def copied(made: Settings, folder: Path) -> Settings:
    """Return a copy of a workspace in a folder. Reading needs one too: it opens databases and takes locks."""
    home = shutil.copytree(made.home, folder / "home")
    return made.model_copy(update={"home": home})


def with_warehouse(made: Settings, migrated: Settings) -> Settings:
    """Return a workspace, after a copy of an empty warehouse was added to it: to migrate one takes three seconds."""
    shutil.copytree(migrated.home, made.home, symlinks=True, dirs_exist_ok=True)
    return made
