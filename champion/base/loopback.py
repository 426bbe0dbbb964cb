"""Connect to this machine without a proxy, by setting `NO_PROXY` for a process and its children.

HTTP clients (httpx, requests, urllib, and so Prefect's and MLflow's) send requests for 127.0.0.1 to the proxy in
`HTTP_PROXY` or `ALL_PROXY`, unless `NO_PROXY` names that address.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from champion.errors import UsageError

HOSTS = ("127.0.0.1", "localhost", "::1")
_EXCEPT = ("NO_PROXY", "no_proxy")  # clients differ in which they read
_SOCKS = frozenset({"socks4", "socks4a", "socks5", "socks5h"})


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the `NO_PROXY` variables with this machine added to the hosts they name.

    >>> without_proxy({"NO_PROXY": "intranet"})["no_proxy"]
    'intranet,127.0.0.1,localhost,::1'
    """
    named = [host.strip() for name in _EXCEPT for host in environment.get(name, "").split(",") if host.strip()]
    hosts = "*" if "*" in named else ",".join(dict.fromkeys([*named, *HOSTS]))
    return dict.fromkeys(_EXCEPT, hosts)


def bypass_proxies() -> None:
    """Make this process and its children connect to this machine without a proxy."""
    os.environ.update(without_proxy(os.environ))


def require_usable_proxies(environment: Mapping[str, str]) -> None:
    """Raise unless httpx supports the proxies in the environment.

    Raises:
        UsageError: a proxy is not supported.
    """
    for name in (spelled for one in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for spelled in (one, one.lower())):
        value = environment.get(name, "")
        scheme = urlsplit(value).scheme if "://" in value else "http"
        if scheme in _SOCKS and find_spec("socksio") is None:
            raise UsageError(
                f"{name} names a SOCKS proxy, for which the package socksio is missing: install it "
                "(`pip install 'httpx[socks]'`), name an http:// proxy, or unset it"
            )
        if scheme not in {"http", "https", *_SOCKS}:
            raise UsageError(f"{name} is not an http://, https:// or socks5:// address: correct or unset it")
