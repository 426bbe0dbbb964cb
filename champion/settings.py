"""Settings: one frozen object, read by entry points only and passed in from there.

Sources, first wins: arguments, `CHAMPION_*` environment variables, `champion.toml` in the working directory, defaults.
Everything else is derived from `home`, so two workspaces never touch each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from typing_extensions import override

NSE_ARCHIVE = "https://nsearchives.nseindia.com"


class Settings(BaseSettings):
    """Where things are and how this workspace behaves.

    >>> Settings(home="/tmp/w").lake
    PosixPath('/tmp/w/lake')
    """

    model_config = SettingsConfigDict(
        env_prefix="CHAMPION_", toml_file="champion.toml", frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: Path = Field(default=Path("data"), description="Workspace folder: lake, warehouse, stores, logs.")
    archive: str = Field(default=NSE_ARCHIVE, description="Archive base: a folder, file:// or http(s):// URL.")
    lists: str | None = Field(
        default=None, description="Folder with downloaded lists of corporate actions; default: the archive."
    )
    warehouse_dsn: SecretStr | None = Field(
        default=None, description="clickhouse://user:password@host:8123/db, or empty for the embedded engine."
    )
    tracking_uri: SecretStr | None = Field(default=None, description="MLflow tracking URI; default SQLite in the home.")
    prefect_api_url: str | None = Field(default=None, description="A Prefect API; default: one local server per home.")
    notebook_timeout: int = Field(default=1800, gt=0, description="Seconds one cell may take.")
    raw_years: int | None = Field(default=None, gt=0, description="Years raw data is kept; empty keeps all.")
    normalized_years: int | None = Field(default=None, gt=0, description="Years normalized data is kept.")
    features_years: int | None = Field(default=None, gt=0, description="Years features are kept.")
    feature_sets: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("v1",),
        min_length=1,
        description="Feature sets that flows build: versions, or one's own as module:NAME.",
    )
    lake_archive: Path | None = Field(default=None, description="Folder old partitions are copied to; empty: none.")

    @field_validator("home", "lake_archive")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("feature_sets", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        """Take them from the environment as one text, with commas between."""
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

    @field_validator("archive")
    @classmethod
    def _absolute_folder(cls, value: str) -> str:
        """A kernel works in another folder: a relative archive must mean the same there."""
        return value if "://" in value else str(Path(value).expanduser().absolute())

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, file_secret_settings, TomlConfigSettingsSource(settings_cls)

    def environment(self) -> dict[str, str]:
        """Return the settings as `CHAMPION_*`, for a child; one that is not set is empty: nothing inherited fills it.

        >>> Settings(home="/tmp/w", feature_sets="v1,alpha158").environment()["CHAMPION_FEATURE_SETS"]
        'v1,alpha158'
        """
        return {f"CHAMPION_{name.upper()}": _as_text(getattr(self, name)) for name in type(self).model_fields}

    @property
    def lake(self) -> Path:
        """Root of the Parquet lake."""
        return self.home / "lake"

    @property
    def staging(self) -> Path:
        """Downloaded exchange files, kept as received."""
        return self.home / "staging"

    @property
    def runs(self) -> Path:
        """Executed notebooks while they run and until they are recorded."""
        return self.home / "runs"

    @property
    def warehouse(self) -> Path:
        """Folder of the embedded ClickHouse engine."""
        return self.home / "warehouse"

    @property
    def tracking(self) -> str:
        """Absolute MLflow tracking URI."""
        if self.tracking_uri is not None:
            return self.tracking_uri.get_secret_value()
        return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """Where MLflow keeps artifacts when the store is local."""
        return self.home / "mlflow" / "artifacts"

    @property
    def prefect_home(self) -> Path:
        """Database, results and logs of the workspace's local Prefect server."""
        return self.home / "prefect"


def _as_text(value: object) -> str:
    """Return a setting as the environment writes it."""
    match value:
        case None:
            return ""
        case SecretStr():
            return value.get_secret_value()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
