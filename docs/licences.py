"""Writes docs/licences.md: every locked package with its licence, as its own metadata states it. `make licences`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
COPYLEFT = re.compile(r"\b(A?L?GPL|MPL|EPL|CDDL)|GNU|Mozilla|Eclipse", re.IGNORECASE)
STRONG = re.compile(r"\bA?GPL|General Public", re.IGNORECASE)  # the Lesser one's name holds the words, too
_ELSEWHERE = "not installed on this platform"
_LONGEST = 60
_HEAD = """# Licences

What `requirements.lock` installs, and under which licence, as each package's own metadata says (`make licences`).
Champion itself is under the Apache License 2.0 and contains none of them: they are installed beside it.

{copyleft}

| package | version | licence |
|---|---|---|
"""
_COPYLEFT = """## Copyleft

Of {count} packages these are copyleft, at least in part: {names}.

Under a strong one (GPL, AGPL) with no other to choose: {strong}.

All are used as they are published, by import or as programs of their own; none is changed or copied into Champion. The
weak ones (MPL, LGPL) then ask nothing of Champion or of what is built on it: only changes to the package itself must
stay open. Who hands on an image with the packages inside hands on their licence texts, which are installed with each.

## All of them"""


def locked() -> dict[str, str]:
    """Return the locked version of every package, by name."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", text, re.MULTILINE))


def licence(name: str) -> str:
    """Return a package's licence: the SPDX expression where it has one, else its classifiers, else its own words."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return _ELSEWHERE
    return " or ".join(dict.fromkeys(_stated(found))) or "not stated"


def page() -> str:
    """Return the page, from what is installed here."""
    rows = {name: (version, _kept(name, version, licence(name))) for name, version in sorted(locked().items())}
    copyleft = [f"{name} ({stated})" for name, (_, stated) in rows.items() if COPYLEFT.search(stated)]
    strong = [name for name, (_, stated) in rows.items() if _is_strong(stated)]
    told = _COPYLEFT.format(count=len(rows), names=", ".join(copyleft), strong=", ".join(strong) or "none")
    head = _HEAD.format(copyleft=told)
    return head + "".join(f"| {name} | {version} | {stated} |\n" for name, (version, stated) in rows.items())


def _kept(name: str, version: str, stated: str) -> str:
    """Return what is stated, or for a package of another Python or system what the page had for the same version."""
    row = re.search(
        rf"^\| {re.escape(name)} \| {re.escape(version)} \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    return row[1] if stated == _ELSEWHERE and row else stated


def _is_strong(stated: str) -> bool:
    """Whether every choice that a licence leaves is a strong copyleft one."""
    choices = re.split(r"\s+or\s+", stated, flags=re.IGNORECASE)
    return all(STRONG.search(choice) and "lesser" not in choice.lower() for choice in choices)


def _stated(found: Distribution) -> Iterator[str]:
    metadata = found.metadata
    if expression := metadata.get_all("License-Expression"):
        yield from expression
        return
    classified = [text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier") or () if "License ::" in text]
    if classified := [text for text in classified if text != "OSI Approved"]:
        yield from classified
    elif words := "".join(metadata.get_all("License") or ()).strip():
        first = words.splitlines()[0].strip()
        yield first if len(first) <= _LONGEST else f"{first[:_LONGEST]}..."
    else:
        texts = [file for file in found.files or () if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING"))]
        lines = (line.strip() for file in texts for line in file.read_text(encoding="utf-8").splitlines())
        yield from list(filter(None, lines))[:1]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
