"""Keep Prefect from reading settings in the current directory: `.env`, `prefect.toml`, `pyproject.toml`.

Prefect reads these files whenever it creates its settings, in any thread, and has no option to prevent it. Here its
settings come only from the environment and the workspace's own profile.
"""

from contextlib import chdir
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, InitSettingsSource


class _EmptySource(InitSettingsSource):
    """A settings source without settings, in place of one that reads the current directory."""

    def __init__(self, settings_cls: type[BaseSettings], **_: Any) -> None:
        super().__init__(settings_cls, {})


def ignore_current_directory(folder: Path) -> None:
    """Import Prefect's settings with `folder` as working directory, then disable all directory sources."""
    with chdir(folder):
        from prefect.settings import base  # noqa: PLC0415 - prefect takes seconds to import

        for kind in ("FilteredDotEnv", "PrefectTomlConfig", "PyprojectTomlConfig"):
            name = f"{kind}SettingsSource"
            if not hasattr(base, name):
                raise ImportError(f"prefect.settings.base has no {name}: this version of Prefect is not supported")
            setattr(base, name, _EmptySource)
