"""The types of settings: validation of a text, and conversion of a value to text for the environment."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainValidator, SecretStr

from champion.base import object_path
from champion.errors import UsageError


def absolute(path: Path) -> Path:
    """Return an absolute path, with `~` expanded.

    Raises:
        ValueError: the path names an unknown user, or contains a NUL character.
    """
    if "\0" in str(path):
        raise ValueError("a path cannot contain a NUL character")
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def as_text(value: object) -> str:
    """Return a value as the environment holds it.

    >>> as_text(("v1", "alpha158")), as_text(None)
    ('v1,alpha158', '')
    """
    match value:
        case None:
            return ""
        case SecretStr():
            return value.get_secret_value()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def dates(text: str) -> list[date]:
    """Return the dates in a text, separated by commas or spaces.

    >>> dates("2026-01-26, 2026-03-04")
    [datetime.date(2026, 1, 26), datetime.date(2026, 3, 4)]
    """
    return [date.fromisoformat(one) for one in text.replace(",", " ").split()]


def with_driver(uri: str, driver: str) -> str:
    """Return a PostgreSQL URI with a driver: without one SQLAlchemy needs psycopg2, which is not installed.

    >>> with_driver("postgresql://host/db", "psycopg")
    'postgresql+psycopg://host/db'
    """
    scheme, separator, rest = uri.partition("://")
    return f"postgresql+{driver}://{rest}" if separator and scheme in {"postgres", "postgresql"} else uri


def _without_options(path: Path) -> Path:
    """Refuse a path that SQLite and ClickHouse would read as another folder with options after the `?`."""
    if "?" in str(path):
        raise ValueError("the path of a home cannot contain ?; name another folder")
    return path


def _folder_or_bucket(value: Any) -> Any:
    if isinstance(value, object_path.ObjectPath):
        return value
    try:
        return object_path.path(str(value)) if "://" in str(value) else absolute(Path(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


def _archive_base(text: str) -> str:
    """Return a URL as it is and a folder as an absolute path: kernels run in another working directory."""
    if "@" in urlsplit(text).netloc:
        raise ValueError("the URL holds credentials; they would be kept in records and logs. Leave them out")
    return text if "://" in text else str(absolute(Path(text)))


def _parsable_url(url: SecretStr) -> SecretStr:
    """Refuse a URL that libraries cannot parse: their errors would quote the part with the password."""
    try:
        _ = urlsplit(url.get_secret_value()).port
    except ValueError:
        raise ValueError(
            "not a URL: write / ? # @ : in a password as %2F %3F %23 %40 %3A, a port as a number"
        ) from None
    return url


def _user_and_password(login: SecretStr) -> SecretStr:
    if not all(login.get_secret_value().partition(":")):
        raise ValueError("write it as user:password")
    return login


def _only_dates(text: str) -> str:
    dates(text)
    return text


Home = Annotated[Path, AfterValidator(absolute), AfterValidator(_without_options)]
FolderOrBucket = Annotated[Path, PlainValidator(_folder_or_bucket)]
ArchiveBase = Annotated[str, AfterValidator(_archive_base)]
SecretUrl = Annotated[SecretStr, AfterValidator(_parsable_url)]
Login = Annotated[SecretStr, AfterValidator(_user_and_password)]
Dates = Annotated[str, AfterValidator(_only_dates)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Level = Annotated[float, Field(gt=0, lt=0.5)]
Count = Annotated[int, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
