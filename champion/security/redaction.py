"""Remove secrets from everything that is kept: `***` replaces each password, token and key of this process.

Secrets travel in the environment and in settings, never in parameters. But a cell may print them, and an error may
quote a URL with a password. So all files of a run are redacted before they are stored, except files that are not text
(figures, Parquet) and data that a cell itself sends elsewhere.
"""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64encode, encodebytes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from champion.errors import ChampionError

if TYPE_CHECKING:
    from pathlib import Path

    from champion.settings import Settings

WORDS = frozenset(
    "password passwords passwd passphrase passcode token secret secrets key credential credentials apikey "
    "authorization bearer jwt creds pswd webhook webhooks".split()
)
"""Words that mark a parameter or variable as secret by its name."""
_LAST_WORDS = frozenset("pass pwd pat pw auth cookie tokens keys sas".split())  # only as the last of several words
_JOINED = tuple("password passwd pswd passphrase secret credential credentials creds token apikey pwd pass pw".split())
_JOINED_KEYS = tuple(
    f"{kind}key"
    for kind in (
        "access account admin api app auth client consumer crypt deploy encryption fernet hmac jwt license master "
        "private root secret service session shared signing ssh storage subscription"
    ).split()
)
_ANYWHERE = ("apikey", "accesskey", "secretkey", "privatekey", "accesstoken", "authtoken", "connectionstring")
_ORDINARY = frozenset(  # words and names that end like secret ones
    "pwd oldpwd bypass compass encompass surpass trespass overpass underpass allpass bandpass highpass lowpass".split()
)
_FILTERS = frozenset(  # as in low_pass, max_tokens, sort_keys
    "low high band all by first second single one two max min num n total sort group join index".split()
)
MASK = "***"
_SHORTEST = 6  # a shorter value may occur in ordinary text
_CREDENTIALS = re.compile(r""":///?[^/@\s:]*:([^/@\s]+(?:@[^/@\s"'<>,;]+)*)@""")
_KEY_OF_URL = re.compile(r"://([A-Za-z0-9_.~%+-]{16,})@")  # a token in place of a user, as in URLs of Sentry and GitHub
_PAIR = re.compile(r"""(?<![A-Za-z0-9_.-])([A-Za-z][A-Za-z0-9_.-]*)=([^\s;&,"'<>]+)""")
_LONG_LINE = 12  # characters of a line of a key, which a log may show without the other lines
_PREFIX = "champion_"
_LOGINS = frozenset({"champion_prefect_login", "prefect_api_auth_string", "prefect_server_api_auth_string"})


def is_secret_name(name: str) -> bool:
    """Return whether a parameter or variable of this name holds a secret.

    The name is split into words (`DB_PASS`, `clientSecret`), and joined words are recognized (`PGPASSWORD`,
    `MYAPIKEY`).

    >>> is_secret_name("AWS_SECRET_ACCESS_KEY"), is_secret_name("PGPASSWORD"), is_secret_name("MYSQL_PWD")
    (True, True, True)
    >>> is_secret_name("keyboard"), is_secret_name("PWD"), is_secret_name("low_pass")
    (False, False, False)
    """
    # `DB_PASS`, `db-pass` and `dbPass` have two words.
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", " ", name).lower().split()
    words = [word for one in split if (word := one.rstrip("0123456789"))]
    if WORDS.intersection(words) or any(part in "".join(words) for part in _ANYWHERE):
        return True
    if len(words) > 1 and words[-1] in _LAST_WORDS and words[-2] not in _FILTERS:
        return True
    if words in (["pass"], ["auth"]) or any(f"{one}{other}" in WORDS for one, other in pairwise(words)):
        return True
    return any(word.endswith((*_JOINED, *_JOINED_KEYS)) and word not in _ORDINARY for word in words if word != "pass")


def secrets(environment: Mapping[str, str], settings: Settings | None = None) -> tuple[str, ...]:
    """Return every spelling of the secrets in an environment and in settings, the longest first.

    A secret is the value of a secret setting or of a variable with a secret name, the password in any URL, and the path
    of a secret webhook URL, which is its token. Values under six characters are ignored.

    >>> "hunter2%21" in secrets({"MLFLOW_TRACKING_PASSWORD": "hunter2!"})
    True
    """
    values = set(_secret_values(environment, settings))
    spelt = {spelling for value in values if len(value) >= _SHORTEST for spelling in _spellings(value)}
    return tuple(sorted(spelt, key=lambda one: (-len(one), one)))


def holds_password(text: str) -> bool:
    """Return whether a URL in the text holds a password.

    >>> holds_password("http://asha:pw@host/x"), holds_password("http://host/x")
    (True, False)
    """
    return _CREDENTIALS.search(text) is not None


def redact(text: str, known: Sequence[str]) -> str:
    """Return the text with `***` in place of every secret, and of the password in every URL.

    >>> redact("connecting to http://asha:pw@host failed: hunter2!", secrets({"MY_TOKEN": "hunter2!"}))
    'connecting to http://asha:***@host failed: ***'
    """
    for secret in known:
        text = text.replace(secret, MASK)
    text = _CREDENTIALS.sub(lambda found: found[0].replace(f":{found[1]}@", f":{MASK}@"), text)
    return _KEY_OF_URL.sub(f"://{MASK}@", text)


def redact_values(value: Any, known: Sequence[str]) -> Any:
    """Return a JSON value with its texts redacted; the names in objects stay.

    >>> redact_values({"cells": ["cells 1"]}, ["cells"])
    {'cells': ['*** 1']}
    """
    match value:
        case str():
            return redact(value, known)
        case Mapping():
            return {name: redact_values(one, known) for name, one in value.items()}
        case list():
            return [redact_values(one, known) for one in value]
        case _:
            return value


def redact_file(path: Path, known: Sequence[str]) -> None:
    """Redact a text file in place. A missing file is ignored, and bytes that are not UTF-8 stay."""
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if (clean := redact(text, known)) != text:
        path.write_text(clean, encoding="utf-8", errors="surrogateescape")


def _secret_values(environment: Mapping[str, str], settings: Settings | None) -> Iterator[str]:
    from champion.security import prefect_login  # noqa: PLC0415 - settings may import this module
    from champion.settings import Settings as Known  # noqa: PLC0415

    named = list(environment.items())
    if settings is not None:
        for read in (prefect_login.stored_login, prefect_login.stored_mlflow_login):
            with suppress(ChampionError, OSError):  # a login that cannot be read is skipped
                yield from _of_login(read(settings) or "")
    ours = [f"{_PREFIX}{name}" for name in Known.secret_names()]
    for name in ours if settings is not None else ():
        value = getattr(settings, name.removeprefix(_PREFIX))
        named += [(name, value.get_secret_value())] if isinstance(value, SecretStr) else []
    for name, text in named:
        pairs = [value for pair, value in _PAIR.findall(text) if is_secret_name(pair) or pair.lower() == "pwd"]
        for password in (*_CREDENTIALS.findall(text), *_KEY_OF_URL.findall(text), *pairs):
            yield from (password, unquote(password))
        if name.lower() in _LOGINS:
            yield from _of_login(text)
        elif name.lower() in ours or is_secret_name(name):
            yield from _of_value(name.lower(), is_secret_name(name), text)


def _of_value(name: str, is_named_secret: bool, text: str) -> Iterator[str]:
    """Yield the secret parts of a secret variable: the whole value, unless it is a URL without a password."""
    if "://" not in text or holds_password(text):
        yield from (text, text.strip())  # programs strip the newline at the end of a secret's file
        pairs = (part.partition("=") for part in text.split(";"))  # as in `AccountName=asha;AccountKey=abc`
        yield from (value.strip() for name, separator, value in pairs if separator and is_secret_name(name.strip()))
        lines = [line.strip() for line in text.splitlines()]
        yield from (line for line in lines if len(lines) > 1 and len(line) >= _LONG_LINE and "-----" not in line)
    # Whoever knows these addresses can write there.
    elif name.removeprefix(_PREFIX) in {"notify_url", "promotion_webhook"} or is_named_secret:
        found = urlsplit(text)
        yield from (text, found.path.strip("/"), found.query)


def _of_login(text: str) -> Iterator[str]:
    """Yield the secret parts of user:password, including its form in a request header."""
    yield from (text, text.partition(":")[2], b64encode(_encoded(text)).decode())


def _spellings(value: str) -> Iterator[str]:
    """Yield a value as Python, JSON, HTML, URLs, hex and base64 write it, base64 also inside longer data."""
    shown, content, text = repr(value)[1:-1], _encoded(value), json.dumps(value)[1:-1]
    yield from (value, shown, text, json.dumps(shown)[1:-1], ascii(value)[1:-1], repr(content)[2:-1])
    yield from (shlex.quote(value).strip("'"), value.replace("'", "'\\''"), text.replace("/", "\\/"))
    yield re.sub("[<>&']", lambda found: f"\\u{ord(found[0]):04x}", text)  # JSON inside an HTML page
    page = escape(value)
    yield from (page, page.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"), page.replace("&#x27;", "&apos;"))
    yield escape(value, quote=False)
    for quoted in (quote(content), quote(content, safe=""), quote_plus(content)):
        yield from (quoted, re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted))
    plain = content.hex()
    yield from (plain, plain.upper(), content.hex(":"), content.hex(" "))
    every = "".join(f"%{byte:02X}" for byte in content)
    yield from (every, every.lower())
    for spelt in _base64(content):
        yield from (spelt, spelt.replace("+", "-").replace("/", "_"), quote(spelt, safe=""))


def _base64(content: bytes) -> Iterator[str]:
    """Yield the base64 text of these bytes, alone or at any position in longer data.

    A base64 character holds six bits. Bytes that follow 0, 1 or 2 others (modulo 3) give one of three texts; characters
    that also hold bits of the neighbours are left out.
    """
    yield b64encode(content).decode()
    for before in range(3):
        first, beyond = -(-8 * before // 6), (8 * (before + len(content))) // 6
        yield b64encode(bytes(before) + content).decode()[first:beyond]
    lines = encodebytes(content).decode().splitlines()  # mail and shell tools wrap long lines
    yield from (line for line in lines if len(lines) > 1 and len(line.rstrip("=")) >= _SHORTEST)


def _encoded(value: str) -> bytes:
    """Return the bytes of a text. A variable that is not UTF-8 contains surrogates, which are decoded back."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # another surrogate, which comes from JSON, not from a variable
        return value.encode("utf-8", "surrogatepass")
