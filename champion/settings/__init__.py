"""Settings: one frozen object. Entry points read it and pass it on.

Sources, the first has precedence: arguments, `CHAMPION_*` environment variables, `champion.toml` in the working
directory, defaults. An address from `champion.toml` receives no credential from another source (`credential_sources`).
All files are below `home`, so two workspaces share no files.
"""

import os
from datetime import date
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, sources
from typing_extensions import override

from champion.base import object_path
from champion.base.strict_json import is_unicode
from champion.errors import UsageError
from champion.settings import credential_sources, former_names, value_types as types
from champion.settings.quality_limits import Limits

NSE_ARCHIVE = "https://nsearchives.nseindia.com"
NOTEBOOK_COPIES = "champion"
"""Folder in the workspace's notebooks for copies of Champion's notebooks."""
_LIMITS = Limits()
_HTTP = frozenset({"http", "https"})
_MLFLOW_DRIVER, _PREFECT_DRIVER = "psycopg", "asyncpg"  # for PostgreSQL


def read() -> "Settings":
    """Return the settings of this process.

    Raises:
        UsageError: one or more settings are wrong; the message names each.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"CHAMPION_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise UsageError(f"settings: {wrong}") from error


class _Toml(sources.TomlConfigSettingsSource):
    """The settings in `champion.toml`."""

    @override
    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        try:
            return super()._read_file(file_path)
        except (ValueError, OSError, RecursionError) as error:
            raise UsageError(f"settings: {file_path.name} cannot be read as TOML ({error}): correct it") from error

    @override
    def __call__(self) -> dict[str, Any]:
        """Return the settings.

        Raises:
            UsageError: a setting of the file or environment no longer exists, or an address in the file would receive a
                credential from another source.
        """
        found = super().__call__()
        wrong = former_names.problems(found, os.environ)
        if wrong := [*wrong, *credential_sources.conflicts(found, self.current_state, os.environ)]:
            raise UsageError(f"settings: {'; '.join(wrong)}")
        return found


class Settings(BaseSettings):
    """Where things are and how this workspace behaves.

    >>> Settings(home="/srv/nse").lake
    PosixPath('/srv/nse/lake')
    """

    model_config = SettingsConfigDict(
        env_prefix="CHAMPION_",
        toml_file="champion.toml",
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,  # the descriptions
    )

    home: types.Home = Path("data")
    """Workspace folder: lake, warehouse, stores, logs."""
    lake_uri: str | None = Field(None, pattern=r"^s3://[^/]+")
    """s3://bucket/prefix of the lake; default: a folder in the workspace."""
    archive: types.ArchiveBase = NSE_ARCHIVE
    """Archive base: a folder, file:// or http(s):// URL."""
    archive_pause: float = Field(0.34, ge=0)
    """Seconds between two requests to a web archive."""
    archive_silence: types.Positive = 30.0
    """Seconds to wait for data from a web archive."""
    lists: str | None = None
    """Folder with further lists: of corporate actions, indices, bands, lots. The archive's lists are read too."""
    warehouse_dsn: types.SecretUrl | None = None
    """clickhouse://user:password@host:8123/db, or empty for the embedded engine."""
    warehouse_cluster: str | None = Field(None, pattern=r"^[\w.-]+$")
    """Name of the server's cluster, whose replicas all hold the warehouse; empty: one server."""
    query_seconds: types.Count = 300
    """Time limit of one warehouse query, in seconds."""
    query_memory: types.Count = 4096
    """Memory limit of one warehouse query and its result, in MiB."""
    tracking_uri: types.SecretUrl | None = None
    """MLflow tracking URI, such as https://user:password@host; default: SQLite in the workspace."""
    artifacts_uri: str | None = None
    """s3://bucket/prefix for MLflow's artifacts; default: a folder in the workspace."""
    prefect_api_url: str | None = None
    """A Prefect API; default: one local server per workspace."""
    prefect_database_url: types.SecretUrl | None = None
    """postgresql:// URL for the local Prefect server; default: SQLite in the workspace."""
    prefect_login: types.Login | None = None
    """user:password of the Prefect server; default: a generated one, kept in the workspace."""
    task_runner: str = Field("threads", pattern=r"^(threads|dask|(tcp|tls)://.+)$")
    """Where submitted tasks run: threads, dask, or a Dask scheduler's tcp:// address."""
    prefect_port: types.Port | None = None
    """Prefect's port; default: a free one."""
    mlflow_port: types.Port | None = None
    """MLflow's port; default: a free one."""
    work_pool: str = "champion"
    """Work pool that deployments run in."""
    holidays: types.Dates = ""
    """Dates on which the exchange is closed, such as 2026-01-26, separated by commas or spaces."""
    notify_block: str | None = None
    """Prefect notification block for failures, such as slack-webhook/champion-alerts."""
    notify_url: types.SecretUrl | None = None
    """Webhook that receives failures as JSON {"text": ...}, like the webhooks of Slack and Mattermost."""
    disk_free_gb: float = Field(5.0, ge=0)
    """Smallest free disk space that the health check accepts, in GB."""
    frames_gb: float = Field(5.0, ge=0)
    """Disk space for training frames that are kept for the next training, in GB; 0 keeps none."""
    notebook_timeout: types.Count = 1800
    """Time limit of one notebook cell, in seconds."""
    notebook_memory: types.Count | None = None
    """Memory limit of a notebook's kernel, in MiB; empty: no limit."""
    raw_years: types.Count | None = None
    """Number of years for which raw data is kept; empty keeps all."""
    normalized_years: types.Count | None = None
    """Number of years for which normalized data is kept; empty keeps all."""
    features_years: types.Count | None = None
    """Number of years for which features are kept; empty keeps all."""
    pages_days: int = Field(30, ge=0)
    """Days for which pages and figures of runs, and reports of sessions, are kept; 0 keeps all."""
    prefect_days: types.Count = 30
    """Days for which the workspace's Prefect server keeps finished flow runs."""
    gate_luck: types.Level = 0.025
    """Level of the gate's rule `luck`: the rate at which all decisions together may pass a version without skill."""
    gate_neutral: types.Level = 0.025
    """Level of the gate's rule `neutral skill`, for skill after style and sector are removed."""
    gate_champion: types.Level = 0.025
    """Level of the gate's rule `champion`, for the difference to the champion and its own return since promotion."""
    model_sessions: types.Count = 250
    """Sessions after its last training session that a champion may score."""
    promotion_webhook: types.SecretUrl | None = None
    """URL that receives every change of champion, as JSON; empty: none."""
    feature_sets: Annotated[tuple[str, ...], NoDecode] = Field(("v1",), min_length=1)
    """Feature sets that flows build: versions, or your own as module:NAME."""
    model_packages: Annotated[tuple[str, ...], NoDecode] = ()
    """Trusted packages, besides scikit-learn's, whose types a model may contain, such as lightgbm,mine."""
    quality_completeness: types.Share = _LIMITS.completeness
    """Smallest share of known values in a critical column."""
    quality_rejected: types.Share = _LIMITS.rejected
    """Largest share of a session's rows in quarantine."""
    quality_row_count: types.Positive = _LIMITS.row_count
    """Largest change of a session's row count from the recent median."""
    quality_churn: float = Field(_LIMITS.churn, gt=0, le=1)
    """Largest share of instruments that enter or leave between two sessions."""
    quality_highest_price: types.Positive = _LIMITS.highest_price
    """Highest plausible close, in rupees."""
    quality_broken_closes: types.Share = _LIMITS.broken_closes
    """Largest share of previous closes that differ from the closes in the lake."""
    quality_inconsistent: types.Share = _LIMITS.inconsistent
    """Largest share of bars whose turnover does not fit their volume."""
    quality_gap: types.Positive = _LIMITS.gap
    """Relative distance of an open from the previous close that counts as a gap."""
    quality_gap_share: types.Share = _LIMITS.gap_share
    """Largest share of bars with an unexplained gap."""
    quality_stale_days: types.Positive = _LIMITS.stale_days
    """Days after which the last session is stale."""
    quality_hole_days: int = Field(_LIMITS.hole_days, ge=1)
    """Largest number of days between two sessions that gates compare; more days are missing data."""
    lake_archive: types.FolderOrBucket | None = None
    """Folder or s3://bucket/prefix to which old partitions are copied; empty: none."""
    lake_archive_class: str | None = Field(None, pattern=r"^[A-Z_]+$")
    """Storage class of files archived to s3://, such as GLACIER_IR; empty: the bucket's own."""

    @field_validator("*", mode="before")
    @classmethod
    def _unicode(cls, value: object) -> object:
        """Refuse text that files, databases and child processes cannot hold."""
        if not is_unicode(value):
            raise ValueError("the text is not UTF-8: convert it")
        return value

    @field_validator("feature_sets", "model_packages", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split a comma-separated text of the environment."""
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("lake_archive_class")
    @classmethod
    def _has_a_bucket(cls, value: str | None, found: ValidationInfo) -> str | None:
        if value and not isinstance(found.data.get("lake_archive"), object_path.ObjectPath):
            raise ValueError("a storage class is for an archive on s3://; name one in CHAMPION_LAKE_ARCHIVE")
        return value

    @field_validator("warehouse_cluster")
    @classmethod
    def _has_a_server(cls, value: str | None, found: ValidationInfo) -> str | None:
        if value and found.data.get("warehouse_dsn") is None:
            raise ValueError("a cluster consists of servers; name one of them in CHAMPION_WAREHOUSE_DSN")
        return value

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: sources.PydanticBaseSettingsSource,
        env_settings: sources.PydanticBaseSettingsSource,
        dotenv_settings: sources.PydanticBaseSettingsSource,
        file_secret_settings: sources.PydanticBaseSettingsSource,
    ) -> tuple[sources.PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, file_secret_settings, _Toml(settings_cls)

    @classmethod
    def secret_names(cls) -> list[str]:
        """Return the names of the settings whose values are secret.

        >>> "prefect_login" in Settings.secret_names()
        True
        """
        return [name for name, field in cls.model_fields.items() if "SecretStr" in str(field.annotation)]

    def environment(self) -> dict[str, str]:
        """Return the settings as `CHAMPION_*` variables for a child process.

        A setting without a value is empty, so that a variable the child inherits cannot replace it.

        >>> Settings(home="/srv/nse", feature_sets="v1,alpha158").environment()["CHAMPION_FEATURE_SETS"]
        'v1,alpha158'
        """
        return {f"CHAMPION_{name.upper()}": types.as_text(getattr(self, name)) for name in type(self).model_fields}

    @property
    def lake(self) -> Path:
        """Root of the Parquet lake: a folder, or a prefix in an object store."""
        return self.home / "lake" if self.lake_uri is None else cast("Path", object_path.path(self.lake_uri))

    @property
    def staging(self) -> Path:
        """Folder of downloaded exchange files, kept as received."""
        return self.home / "staging"

    @property
    def runs(self) -> Path:
        """Folder of notebook runs that are running or not recorded yet."""
        return self.home / "runs"

    @property
    def notebooks(self) -> Path:
        """Folder of the notebooks that people write in this workspace, which run by their short names."""
        return self.home / "notebooks"

    @property
    def notebook_copies(self) -> Path:
        """Folder of JupyterLab's copies of Champion's notebooks; they have no short names."""
        return self.notebooks / NOTEBOOK_COPIES

    @property
    def warehouse(self) -> Path:
        """Folder of the embedded ClickHouse engine."""
        return self.home / "warehouse"

    @property
    def tracking(self) -> str:
        """Absolute MLflow tracking URI. A server's user and password are removed from it; see `tracking_login`."""
        if self.tracking_uri is None:
            return f"sqlite:///{self.mlflow_database}"
        uri = self.tracking_uri.get_secret_value()
        parts = urlsplit(uri)
        if parts.scheme in _HTTP:
            return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return types.with_driver(uri, _MLFLOW_DRIVER)

    @property
    def tracking_login(self) -> dict[str, str]:
        """The variables from which MLflow reads a server's user and password; empty if the URI names no user.

        >>> sorted(Settings(tracking_uri="https://asha:pw@mlflow.example").tracking_login)
        ['MLFLOW_TRACKING_PASSWORD', 'MLFLOW_TRACKING_USERNAME']
        """
        parts = urlsplit(self.tracking_uri.get_secret_value() if self.tracking_uri else "")
        if parts.scheme not in _HTTP or not parts.username:
            return {}
        user, password = unquote(parts.username), unquote(parts.password or "")
        return {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}

    @property
    def mlflow_database(self) -> Path:
        """The file of the workspace's own MLflow store, in use unless `tracking_uri` names another store."""
        return self.home / "mlflow" / "mlflow.db"

    @property
    def has_tracking_store(self) -> bool:
        """Whether `tracking_uri` names a store, or the workspace's own exists: before the first run there is none."""
        return self.tracking_uri is not None or self.mlflow_database.exists()

    @property
    def artifacts(self) -> Path:
        """Folder of MLflow's artifacts if the store is local."""
        return self.home / "mlflow" / "artifacts"

    @property
    def closed(self) -> frozenset[date]:
        """The exchange's holidays that are set in `holidays`."""
        return frozenset(types.dates(self.holidays))

    @property
    def services(self) -> Path:
        """Folder of the records and logs of the servers this workspace started."""
        return self.home / "services"

    @property
    def prefect_database(self) -> str | None:
        """URL of the local Prefect server's database, with the driver that Prefect needs; None for SQLite in the home.

        Raises:
            UsageError: the database is not PostgreSQL.
        """
        if self.prefect_database_url is None:
            return None
        url = types.with_driver(self.prefect_database_url.get_secret_value(), _PREFECT_DRIVER)
        scheme = url.partition("://")[0]
        if scheme != f"postgresql+{_PREFECT_DRIVER}":
            raise UsageError(
                f"CHAMPION_PREFECT_DATABASE_URL is of {scheme!r}; write postgresql://user:password@host:5432/database"
            )
        return url

    @property
    def prefect_home(self) -> Path:
        """Folder of the local Prefect server's database, results and logs."""
        return self.home / "prefect"
