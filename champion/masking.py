"""Secrets kept out of what is written down: texts with `***` where a password, token or key of this process stood.

Secrets travel in the environment and in settings, never in parameters; but a cell may print them, and an error may
quote the address that holds one. So whatever a run leaves is masked before it is kept. What is not text (figures,
Parquet), and what a cell itself sends elsewhere, is not looked into.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from champion.errors import ChampionError

if TYPE_CHECKING:
    from pathlib import Path

    from champion.settings import Settings

WORDS = frozenset({"password", "passwd", "token", "secret", "key", "credential", "credentials", "apikey"})
"""Words in the names of parameters and variables whose values are secret."""
MASK = "***"
_SHORTEST = 6  # a shorter value stands in ordinary text too
_CREDENTIALS = re.compile(r":///?[^/@\s:]*:([^/@\s]+)@")
_PREFIX = "champion_"
_LOGINS = frozenset({"champion_prefect_login", "prefect_api_auth_string", "prefect_server_api_auth_string"})
_ADDRESSES = frozenset({"notify_url", "promotion_webhook"})  # to know them is to be allowed to write there


def is_secret_name(name: str) -> bool:
    """Tell whether a parameter or variable of this name holds a secret.

    >>> is_secret_name("AWS_SECRET_ACCESS_KEY"), is_secret_name("keyboard")
    (True, False)
    """
    return bool(WORDS & set(name.lower().split("_")))


def secrets(environment: Mapping[str, str], settings: Settings | None = None) -> tuple[str, ...]:
    """Return every spelling of the secrets in an environment and in settings, the longest first.

    A secret is the value of a secret setting or of a variable with a secret name, the password in any URL, and the path
    of a secret web address (a webhook's is its token). Values under six characters are not looked for.

    >>> secrets({"MLFLOW_TRACKING_PASSWORD": "hunter2!"})[0]
    'hunter2%21'
    """
    values = set(_secret_values(environment, settings))
    spelt = {spelling for value in values if len(value) >= _SHORTEST for spelling in _spellings(value)}
    return tuple(sorted(spelt, key=lambda one: (-len(one), one)))


def masked(text: str, known: Sequence[str]) -> str:
    """Return a text with `***` in place of every secret, and of the password in every URL.

    >>> masked("connecting to http://asha:pw@host failed: hunter2!", secrets({"MY_TOKEN": "hunter2!"}))
    'connecting to http://asha:***@host failed: ***'
    """
    for secret in known:
        text = text.replace(secret, MASK)
    return _CREDENTIALS.sub(lambda found: found[0].replace(f":{found[1]}@", f":{MASK}@"), text)


def masked_values(value: Any, known: Sequence[str]) -> Any:
    """Return what JSON can hold with its texts masked, but for the names in objects.

    >>> masked_values({"cells": ["cells 1"]}, ["cells"])
    {'cells': ['*** 1']}
    """
    match value:
        case str():
            return masked(value, known)
        case Mapping():
            return {name: masked_values(one, known) for name, one in value.items()}
        case list():
            return [masked_values(one, known) for one in value]
        case _:
            return value


def mask_file(path: Path, known: Sequence[str]) -> None:
    """Have a text file hold no secret; one that is not there, or is not UTF-8 throughout, is no reason to stop."""
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if (clean := masked(text, known)) != text:
        path.write_text(clean, encoding="utf-8", errors="surrogateescape")


def _secret_values(environment: Mapping[str, str], settings: Settings | None) -> Iterator[str]:
    named = {name.lower(): text for name, text in environment.items()}
    yield from _of_login(_kept(settings))
    for name, text in _of_settings(settings):
        named[f"{_PREFIX}{name}"] = text
    ours = {f"{_PREFIX}{name}" for name in _secret_settings()}
    for name, text in named.items():
        yield from _passwords(text)
        if name in _LOGINS:
            yield from _of_login(text)
        elif name in ours or is_secret_name(name):
            yield from _of_value(name, text)


def _of_value(name: str, text: str) -> Iterator[str]:
    """Yield what of a secret variable is secret: all of it, but for addresses that hold no password."""
    if "://" not in text or _CREDENTIALS.search(text):
        yield text
    elif name.removeprefix(_PREFIX) in _ADDRESSES or is_secret_name(name):
        found = urlsplit(text)
        yield from (text, found.path.strip("/"), found.query)


def _of_login(text: str) -> Iterator[str]:
    """Yield what of user:password is secret, also as a request holds it."""
    yield from (text, text.partition(":")[2], b64encode(_encoded(text)).decode())


def _kept(settings: Settings | None) -> str:
    """Return the login that the workspace keeps for its Prefect server; one that cannot be read is known to nobody."""
    from champion import logins  # noqa: PLC0415 - as with the settings below

    try:
        return (logins.kept(settings) if settings is not None else None) or ""
    except (ChampionError, OSError):
        return ""


def _of_settings(settings: Settings | None) -> Iterator[tuple[str, str]]:
    for name in _secret_settings() if settings is not None else ():
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield name, value.get_secret_value()


def _secret_settings() -> list[str]:
    from champion.settings import Settings as Known  # noqa: PLC0415 - what reads settings may mask, too

    return [name for name, field in Known.model_fields.items() if "SecretStr" in str(field.annotation)]


def _passwords(text: str) -> Iterator[str]:
    for found in _CREDENTIALS.findall(text):
        yield found
        yield unquote(found)


def _spellings(value: str) -> Iterator[str]:
    """Yield a value as Python, JSON, HTML and URLs write it."""
    shown = repr(value)[1:-1]
    yield from (value, shown, json.dumps(value)[1:-1], json.dumps(shown)[1:-1])
    yield from (escape(value), quote(_encoded(value)), quote(_encoded(value), safe=""))


def _encoded(value: str) -> bytes:
    """Return the bytes of a text; those of a variable may be no UTF-8, and Python then keeps them as surrogates."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # another surrogate, as JSON can write one: of no variable
        return value.encode("utf-8", "surrogatepass")
