"""Identify a run by notebook, parameters, environment and inputs, before its code is known."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import champion


@dataclass(frozen=True, slots=True)
class Identity:
    """The parts of an execution key, and the key itself."""

    notebook: str
    code_version: str
    environment: str
    key: str


def identify(notebook: str, parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> Identity:
    """Return the identity of a run from its notebook's digest, its parameters and its inputs' digests.

    The key contains only facts that are known before the run. The code and settings that determine the result are known
    after it: runs with the same key are equivalent if that code has not changed since (see `code_identity`).
    """
    environment = environment_digest()
    parts = [notebook, environment, dict(parameters), dict(inputs)]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return Identity(notebook, code_version(), environment, key)


def code_version() -> str:
    """Return Champion's version and, in a checkout, the commit, with `.dirty` if files differ from it.

    >>> code_version() != ""
    True
    """
    try:
        released = version("champion")
    except PackageNotFoundError:  # a checkout that is on the path but not installed
        released = "0"
    root = Path(champion.__file__).parent.parent
    if not (root / ".git").exists():
        return released
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=.dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return released  # the hash of the sources still identifies the code
    return f"{released}+{commit}" if (commit := done.stdout.strip()) else released


@cache
def environment_digest() -> str:
    """Return the SHA-256 of the Python version and every installed distribution's name and version."""
    installed = [f"{name}=={version}" for name, version in sorted(packages().items())]
    return hashlib.sha256("\n".join([platform.python_version(), *installed]).encode()).hexdigest()


def lock_digest() -> str:
    """Return the SHA-256 of the environment's lock file; empty if it is not installed."""
    lock = Path(champion.__file__).parent.parent / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else ""


@cache
def packages() -> Mapping[str, str]:
    """Return the version of every installed distribution, by name."""
    found = reversed(list(distributions()))  # of duplicates, the first on the path is imported
    return {one.name.lower(): one.version for one in found}
