"""Keep Prefect from reading settings in the current directory: `.env`, `prefect.toml`, `pyproject.toml`.

Prefect reads them whenever it makes its settings, in any thread, and has no switch for it. Its settings come from the
environment, from the workspace's own profile, and from nowhere else.
"""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, InitSettingsSource

_OF_THE_DIRECTORY = (
    "FilteredDotEnvSettingsSource",
    "PrefectTomlConfigSettingsSource",
    "PyprojectTomlConfigSettingsSource",
)


class _Nothing(InitSettingsSource):
    """A source without settings, in the place of one that reads the current directory."""

    def __init__(self, settings_cls: type[BaseSettings], **_: Any) -> None:
        super().__init__(settings_cls, {})


def leave_out_the_current_directory(folder: Path) -> None:
    """Import Prefect's settings in `folder`, which is the owner's, and have them read no directory from then on."""
    with chdir(folder):
        from prefect.settings import base  # noqa: PLC0415 - prefect takes seconds to import

        for name in _OF_THE_DIRECTORY:
            if not hasattr(base, name):
                raise ImportError(f"prefect.settings.base has no {name}: this version of Prefect was not checked")
            setattr(base, name, _Nothing)
