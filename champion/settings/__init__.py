"""Settings: one frozen object, read by entry points only and passed in from there.

Sources, first wins: arguments, `CHAMPION_*` environment variables, `champion.toml` in the working directory, defaults.
An address from `champion.toml` receives no credential from another source (`credential_sources`).
Everything else is derived from `home`, so two workspaces never touch each other.
"""

from __future__ import annotations

import os
from datetime import date
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from typing_extensions import override

from champion.base import object_path
from champion.base.strict_json import is_unicode
from champion.errors import UsageError
from champion.settings import credential_sources
from champion.settings.quality_limits import Limits

NSE_ARCHIVE = "https://nsearchives.nseindia.com"
_LIMITS = Limits()
_SERVERS = frozenset({"http", "https"})
_OF_MLFLOW, _OF_PREFECT = "psycopg", "asyncpg"  # drivers for PostgreSQL


def read() -> Settings:
    """Return the settings of this process.

    Raises:
        UsageError: naming each setting that is wrong.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"CHAMPION_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise UsageError(f"settings: {wrong}") from error


class _Toml(TomlConfigSettingsSource):
    """`champion.toml`, of which what is no TOML is an error like any other."""

    @override
    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        try:
            return super()._read_file(file_path)
        except (ValueError, OSError, RecursionError) as error:
            raise UsageError(f"settings: {file_path.name} cannot be read as TOML ({error}): correct it") from error

    @override
    def __call__(self) -> dict[str, Any]:
        """Return its settings; an address in it that would receive a credential from elsewhere is an error."""
        found = super().__call__()
        if wrong := credential_sources.conflicts(found, self.current_state, os.environ):
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
    )

    home: Path = Field(default=Path("data"), description="Workspace folder: lake, warehouse, stores, logs.")
    lake_uri: str | None = Field(
        default=None,
        pattern=r"^s3://[^/]+",
        description="s3://bucket/prefix of the lake; default a folder in the home.",
    )
    archive: str = Field(default=NSE_ARCHIVE, description="Archive base: a folder, file:// or http(s):// URL.")
    archive_pause: float = Field(default=0.34, ge=0, description="Seconds between two requests to a web archive.")
    archive_silence: float = Field(default=30.0, gt=0, description="Seconds a web archive may be silent.")
    lists: str | None = Field(
        default=None, description="Folder with downloaded lists of corporate actions; default: the archive."
    )
    warehouse_dsn: SecretStr | None = Field(
        default=None, description="clickhouse://user:password@host:8123/db, or empty for the embedded engine."
    )
    warehouse_cluster: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+$",
        description="Name of the server's cluster, whose replicas all hold the warehouse; empty: one server.",
    )
    query_seconds: int = Field(default=300, gt=0, description="Seconds that one query of the warehouse may take.")
    query_memory: int = Field(
        default=4096, gt=0, description="MiB that one query of the warehouse, and its answer, may take."
    )
    tracking_uri: SecretStr | None = Field(
        default=None, description="MLflow tracking URI, as https://user:password@host; default SQLite in the home."
    )
    artifacts_uri: str | None = Field(
        default=None, description="s3://bucket/prefix for MLflow's artifacts; default a folder in the home."
    )
    prefect_api_url: str | None = Field(default=None, description="A Prefect API; default: one local server per home.")
    prefect_database_url: SecretStr | None = Field(
        default=None, description="postgresql:// URL for the local Prefect server; default SQLite in the home."
    )
    prefect_login: SecretStr | None = Field(
        default=None, description="user:password of the Prefect server; default one made for it, kept in the home."
    )
    task_runner: str = Field(
        default="threads",
        pattern=r"^(threads|dask|(tcp|tls)://.+)$",
        description="Where submitted tasks run: threads, dask, or a Dask scheduler's tcp:// address.",
    )
    prefect_port: int | None = Field(default=None, ge=1, le=65535, description="Prefect's port; default a free one.")
    mlflow_port: int | None = Field(default=None, ge=1, le=65535, description="MLflow's port; default a free one.")
    work_pool: str = Field(default="champion", description="Work pool that deployments run in.")
    holidays: str = Field(
        default="", description="Dates on which the exchange is closed, as 2026-01-26, between commas or spaces."
    )
    notify_block: str | None = Field(
        default=None, description="Prefect notification block for failures, as slack-webhook/champion-alerts."
    )
    notify_url: SecretStr | None = Field(
        default=None, description="Webhook that takes failures as JSON {\"text\": ...}, as Slack's and Mattermost's do."
    )
    disk_free_gb: float = Field(default=5.0, ge=0, description="Free disk below which the health check complains.")
    notebook_timeout: int = Field(default=1800, gt=0, description="Seconds one cell may take.")
    notebook_memory: int | None = Field(default=None, gt=0, description="MiB a notebook's kernel may hold; empty: all.")
    raw_years: int | None = Field(default=None, gt=0, description="Years raw data is kept; empty keeps all.")
    normalized_years: int | None = Field(default=None, gt=0, description="Years normalized data is kept.")
    features_years: int | None = Field(default=None, gt=0, description="Years features are kept.")
    pages_days: int = Field(
        default=30,
        ge=0,
        description="Days for which runs keep their pages and figures, and sessions their reports; 0: for ever.",
    )
    prefect_days: int = Field(
        default=30, gt=0, description="Days for which the workspace's Prefect server keeps flow runs that ended."
    )
    gate_margin: float = Field(
        default=0.002, ge=0, description="Mean rank IC by which a challenger must beat the champion."
    )
    gate_level: float = Field(
        default=0.025,
        gt=0,
        lt=0.5,
        description="Rate at which the gate may take a worthless challenger for a good one.",
    )
    model_sessions: int = Field(
        default=250, gt=0, description="Sessions after the last it learnt from that a champion may score."
    )
    promotion_webhook: SecretStr | None = Field(
        default=None, description="URL that is told of every change of champion, as JSON; empty tells nobody."
    )
    feature_sets: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("v1",),
        min_length=1,
        description="Feature sets that flows build: versions, or one's own as module:NAME.",
    )
    model_packages: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Packages besides scikit-learn's that a model may be made of, as lightgbm,mine: code you trust.",
    )
    quality_completeness: float = Field(
        default=_LIMITS.completeness, ge=0, le=1, description="Least share of known values in a critical column."
    )
    quality_rejected: float = Field(
        default=_LIMITS.rejected, ge=0, le=1, description="Largest share of a session's rows in quarantine."
    )
    quality_row_count: float = Field(
        default=_LIMITS.row_count, gt=0, description="Largest change of a session's row count from the recent median."
    )
    quality_churn: float = Field(
        default=_LIMITS.churn, gt=0, le=1, description="Largest share of shares that come or go between two sessions."
    )
    quality_highest_price: float = Field(
        default=_LIMITS.highest_price, gt=0, description="Highest plausible close, in rupees."
    )
    quality_broken_closes: float = Field(
        default=_LIMITS.broken_closes, ge=0, le=1, description="Share of previous closes that may not be the lake's."
    )
    quality_inconsistent: float = Field(
        default=_LIMITS.inconsistent, ge=0, le=1, description="Share of bars whose turnover may not fit their volume."
    )
    quality_gap: float = Field(
        default=_LIMITS.gap, gt=0, description="Distance of an open from the previous close that is a gap."
    )
    quality_gap_share: float = Field(
        default=_LIMITS.gap_share, ge=0, le=1, description="Largest share of bars with an unexplained gap."
    )
    quality_stale_days: float = Field(
        default=_LIMITS.stale_days, gt=0, description="Days after which the last session is old."
    )
    quality_hole_days: int = Field(
        default=_LIMITS.hole_days,
        ge=1,
        description="More days than these between two sessions are a hole, across which gates do not compare.",
    )
    lake_archive: Path | None = Field(
        default=None, description="Folder or s3://bucket/prefix that old partitions are copied to; empty: none."
    )
    lake_archive_class: str | None = Field(
        default=None,
        pattern=r"^[A-Z_]+$",
        description="Storage class of what is archived to s3://, as GLACIER_IR; empty: the bucket's own.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _unicode(cls, value: object) -> object:
        """Refuse what no file, database or child process could be told."""
        if not is_unicode(value):
            raise ValueError("the text is not UTF-8: convert it")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return _whole(value)

    @field_validator("lake_archive", mode="plain")
    @classmethod
    def _folder_or_bucket(cls, value: str | Path | None) -> Path | None:
        try:
            if "://" in str(value):
                return cast("Path", object_path.path(str(value)))
            return None if value is None else _whole(Path(value))
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("lake_archive_class")
    @classmethod
    def _of_a_bucket(cls, value: str | None, found: ValidationInfo) -> str | None:
        if value and "://" not in str(found.data.get("lake_archive")):
            raise ValueError("a storage class is for an archive on s3://; name one in CHAMPION_LAKE_ARCHIVE")
        return value

    @field_validator("home")
    @classmethod
    def _one_folder(cls, value: Path) -> Path:
        """Refuse what the engines would read as another folder and its options: they would write beside the home."""
        if "?" in str(value):
            raise ValueError("a home has no ? in its path; name another folder")
        return value

    @field_validator("feature_sets", "model_packages", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        """Take them from the environment as one text, with commas between."""
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("warehouse_cluster")
    @classmethod
    def _has_a_server(cls, value: str | None, found: ValidationInfo) -> str | None:
        if value and found.data.get("warehouse_dsn") is None:
            raise ValueError("a cluster is of servers; name one of them in CHAMPION_WAREHOUSE_DSN")
        return value

    @field_validator("archive")
    @classmethod
    def _absolute_folder(cls, value: str) -> str:
        """A kernel works in another folder: a relative archive must mean the same there."""
        if "@" in urlsplit(value).netloc:
            raise ValueError("the URL holds credentials; they would be kept in records and logs. Leave them out")
        return value if "://" in value else str(_whole(Path(value)))

    @field_validator("warehouse_dsn", "tracking_uri", "prefect_database_url", "notify_url", "promotion_webhook")
    @classmethod
    def _readable(cls, value: SecretStr | None) -> SecretStr | None:
        """Libraries quote the part of an address that they cannot read: refused here, it is quoted by nobody."""
        try:
            _ = urlsplit(value.get_secret_value() if value else "").port
        except ValueError:
            raise ValueError(
                "no URL: write / ? # @ : in a password as %2F %3F %23 %40 %3A, a port as a number"
            ) from None
        return value

    @field_validator("prefect_login")
    @classmethod
    def _user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(value.get_secret_value().partition(":")):
            raise ValueError("write it as user:password")
        return value

    @field_validator("holidays")
    @classmethod
    def _dates(cls, value: str) -> str:
        for text in value.replace(",", " ").split():
            date.fromisoformat(text)
        return value

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
        return init_settings, env_settings, file_secret_settings, _Toml(settings_cls)

    def environment(self) -> dict[str, str]:
        """Return the settings as `CHAMPION_*`, for a child; one that is not set is empty: nothing inherited fills it.

        >>> Settings(home="/srv/nse", feature_sets="v1,alpha158").environment()["CHAMPION_FEATURE_SETS"]
        'v1,alpha158'
        """
        return {f"CHAMPION_{name.upper()}": _as_text(getattr(self, name)) for name in type(self).model_fields}

    @property
    def lake(self) -> Path:
        """Root of the Parquet lake: a folder, or a place in an object store."""
        return self.home / "lake" if self.lake_uri is None else cast("Path", object_path.path(self.lake_uri))

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
        """Absolute MLflow tracking URI; a server's holds no user and password, which `tracking_login` has."""
        if self.tracking_uri is None:
            return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"
        uri = self.tracking_uri.get_secret_value()
        parts = urlsplit(uri)
        if parts.scheme in _SERVERS:
            return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return _with_driver(uri, _OF_MLFLOW)

    @property
    def tracking_login(self) -> dict[str, str]:
        """The variables that MLflow reads a server's user and password from; none where the URI names nobody.

        >>> sorted(Settings(tracking_uri="https://asha:pw@mlflow.example").tracking_login)
        ['MLFLOW_TRACKING_PASSWORD', 'MLFLOW_TRACKING_USERNAME']
        """
        parts = urlsplit(self.tracking_uri.get_secret_value() if self.tracking_uri else "")
        if parts.scheme not in _SERVERS or not parts.username:
            return {}
        return {
            "MLFLOW_TRACKING_USERNAME": unquote(parts.username),
            "MLFLOW_TRACKING_PASSWORD": unquote(parts.password or ""),
        }

    @property
    def artifacts(self) -> Path:
        """Where MLflow keeps artifacts when the store is local."""
        return self.home / "mlflow" / "artifacts"

    @property
    def closed(self) -> frozenset[date]:
        """The exchange's holidays, as far as they were told; the archive alone knows the sessions."""
        return frozenset(date.fromisoformat(text) for text in self.holidays.replace(",", " ").split())

    @property
    def services(self) -> Path:
        """Records and logs of the servers this workspace started."""
        return self.home / "services"

    @property
    def prefect_database(self) -> str | None:
        """URL of the local Prefect server's books, with the driver that Prefect needs; None is SQLite in the home.

        Raises:
            UsageError: it is another database than PostgreSQL.
        """
        if self.prefect_database_url is None:
            return None
        url = _with_driver(self.prefect_database_url.get_secret_value(), _OF_PREFECT)
        scheme = url.partition("://")[0]
        if scheme != f"postgresql+{_OF_PREFECT}":
            raise UsageError(
                f"CHAMPION_PREFECT_DATABASE_URL is of {scheme!r}; write postgresql://user:password@host:5432/database"
            )
        return url

    @property
    def prefect_home(self) -> Path:
        """Database, results and logs of the workspace's local Prefect server."""
        return self.home / "prefect"


def _whole(path: Path) -> Path:
    """Return a path from the root.

    Raises:
        ValueError: it names a user there is not, or holds a NUL.
    """
    if "\0" in str(path):
        raise ValueError("a path has no NUL in it")
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


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


def _with_driver(uri: str, driver: str) -> str:
    """Name a driver where a PostgreSQL URI names none: SQLAlchemy would look for psycopg2, which is not installed."""
    scheme, separator, rest = uri.partition("://")
    return f"postgresql+{driver}://{rest}" if separator and scheme in {"postgres", "postgresql"} else uri
