"""Mutations of valid files: flipped bytes, truncation, swapped fields, other encodings, hostile words."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any, TypeAlias

LONGEST = 256 * 1024
"""The longest input in bytes; tests/sources/test_bad_files.py tests huge ones."""

Mutation: TypeAlias = Callable[[Random, bytes, Sequence[bytes]], bytes]
_HUGE = (300, 5_000, 140_000)  # beyond a file name, beyond a line, beyond what `csv` takes for a field
_MOST = 6
_WORDS = r"""
- 0 -1 -0 1.5 007 1e400 -1e400 1e-400 NaN inf 1_000 0x10 ٣٤ ² ½ None null true True [] {} [[[[ 2024-02-30 0000-00-00
0001-01-01 9999-12-31 1941-10-01 31-FEB-2024 29-Feb-1900 2024-W01-1 20240115 2024-01-15T00:00:00+99:99 99-99-9999 +1+1
-2+3 @SUM(A1:A9) {name:String} ` " ' \ \N | %s%n ${HOME} {{7*7}} <script>alert(1)</script> [x](javascript:alert(1))
[/red] [bold $\frac$ ../../../../tmp/x /etc/passwd C:\x .. a/b , é ß 🚀 İ NSE BSE
"""
_OTHERS = (
    *("", " ", "9" * 25, "9" * 400, "9" * 5000, "{'a': 1}", "=cmd|' /C calc'!A0", "'; drop table loads; --"),
    *("x' or '1'='1", "<img src=x onerror=alert(1)>", "$x$ $", "a\x00b", "\x00", "\x1b[31m", "\u202e", "\ufeff"),
    *("\uff19", "\u2028", "\x0b", "\x0c", "\x1c", "\x85", "\r", "\n", "\r\n"),
)
WORDS = (*_WORDS.split(), *_OTHERS)
"""Words that stand in the place of others."""
_PLAIN: tuple[Any, ...] = (None, True, False, 0, -1, 1.5, 10**30, float("nan"), float("inf"), -(2**63) - 1, "", "x")
_JSON: tuple[Any, ...] = (
    *(*_PLAIN, [], {}, [None], [[]], [{}], {"": None}, {"name": 1}, "\ud800", ["null", "long"]),
    *({"type": {"type": {"type": "long"}}}, "../../../../tmp/x", "/x", "2024-01-15", "1941-10-01"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-01-15T00:00:00"),
)
_CHANGES = ("set", "set", "set", "set", "copy", "double", "rename", "drop")
_FIELD = re.compile(rb"[^,\n\r:={}\[\]()\"' ]+")


def mutated(draw: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Return `content` with one or a few changes; parts of `others` may be inserted."""
    for _ in range(min(1 + int(draw.expovariate(0.9)), _MOST)):
        content = draw.choice(_WAYS)(draw, content, others)[:LONGEST]
    return content


def mutated_json(draw: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Return JSON of another structure; content that is no JSON is changed as bytes."""
    try:
        root = {"": json.loads(content)}
    except (ValueError, RecursionError):
        return mutated(draw, content, others)
    if _happens(draw, 0.3):
        return mutated(draw, content, others)
    for _ in range(min(1 + int(draw.expovariate(0.9)), _MOST)):
        _change(draw, root)
    try:
        return json.dumps(root.get(""), ensure_ascii=_happens(draw, 0.5)).encode("utf-8", "surrogatepass")[:LONGEST]
    except RecursionError:
        return content


def mutated_lines(draw: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Return a file of JSON lines with one of them changed."""
    lines = content.split(b"\n")
    if not content or _happens(draw, 0.3):
        return mutated(draw, content, others)
    place = draw.randrange(len(lines))
    lines[place] = mutated_json(draw, lines[place], others)
    return b"\n".join(lines)[:LONGEST]


def mutated_zip(draw: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Return a zip of a changed file, of another shape, or with its own bytes changed."""
    if _happens(draw, 0.4):
        return mutated(draw, content, others)
    inside, name = _member(content)
    stream = io.BytesIO()
    pack = draw.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(stream, "w", pack) as archive:
        for _ in range(draw.choice((1, 1, 1, 1, 1, 2, 50))):
            member = zipfile.ZipInfo(name if _happens(draw, 0.7) else draw.choice(WORDS).replace("\x00", "") or "x")
            member.external_attr = draw.choice((0, 0, 0o120777 << 16, 0o40755 << 16))  # a file, a symlink, a folder
            archive.writestr(member, mutated(draw, inside, others) if _happens(draw, 0.8) else content, pack)
    return stream.getvalue() if _happens(draw, 0.8) else _flipped(draw, stream.getvalue(), others)


def _member(content: bytes) -> tuple[bytes, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (only,) = archive.infolist()
            with archive.open(only) as stream:
                return stream.read(LONGEST), only.filename
    except Exception:  # noqa: BLE001 - damaged by an earlier mutation, in whatever way
        return content, "a.csv"


def _happens(draw: Random, share: float) -> bool:
    return draw.random() < share


def _word(draw: Random) -> bytes:
    text = draw.choice(WORDS) if _happens(draw, 0.9) else draw.choice("Aa1,\"'[(\x00é") * draw.choice(_HUGE)
    return text.encode()


def _flipped(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    changed = bytearray(content or b"x")
    for _ in range(draw.choice((1, 1, 2, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _span(draw: Random, content: bytes) -> tuple[int, int]:
    start = draw.randrange(len(content) + 1)
    return start, min(len(content), start + int(draw.expovariate(1 / 40)) + 1)


def _dropped(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    start, end = _span(draw, content)
    return content[:start] + content[end:]


def _cut(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _doubled(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    start, end = _span(draw, content)
    return content[:end] + content[start:end] * draw.choice((1, 2, 50)) + content[end:]


def _spliced(draw: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    other = draw.choice(others)
    return content[: draw.randrange(len(content) + 1)] + other[draw.randrange(len(other) + 1) :]


def _inserted(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    place = draw.randrange(len(content) + 1)
    return content[:place] + _word(draw) + content[place:]


def _field(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    fields = list(_FIELD.finditer(content))
    if not fields:
        return content
    start, end = draw.choice(fields).span()
    return content[:start] + _word(draw) + content[end:]


def _swapped(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    fields = list(_FIELD.finditer(content))
    if not fields:
        return content
    first, second = sorted((draw.choice(fields), draw.choice(fields)), key=re.Match.start)
    between = content[first.end() : second.start()]
    return content[: first.start()] + second[0] + between + first[0] + content[second.end() :]


def _lines(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(4):
        case 0:
            lines[first], lines[second] = lines[second], lines[first]
        case 1:
            del lines[first]
        case 2:
            lines.insert(second, lines[first])
        case _:
            lines[first:first] = [lines[first]] * draw.choice((10, 1000))
    return b"\n".join(lines)


def _encoded(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    text = content.decode("utf-8", "replace")
    match draw.randrange(6):
        case 0:
            return text.encode("utf-16")
        case 1:
            return b"\xef\xbb\xbf" + content
        case 2:
            return text.encode("latin-1", "replace") + b"\xe9\n"
        case 3:
            return content.replace(b"\n", b"\r\n")
        case 4:
            return content.replace(b"\n", b"\r")
        case _:
            return text.encode("utf-7")


def _nested(draw: Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    opened = draw.choice((b"[", b"(", b'{"a":', b"-", b"not ", b"lambda:"))
    place = draw.randrange(len(content) + 1) if _happens(draw, 0.5) else 0
    return content[:place] + opened * draw.choice((30, 300, 20_000)) + content[place:]


def _change(draw: Random, root: dict[str, Any]) -> None:
    """Change one place in a JSON value: another value, a key less, a key renamed, an item twice."""
    places = list(_places(root))
    parent, key = draw.choice(places)
    match draw.choice(_CHANGES):
        case "set":
            parent[key] = deepcopy(draw.choice(_JSON)) if _happens(draw, 0.7) else draw.choice(WORDS)
        case "copy":
            other, place = draw.choice(places)
            parent[key] = deepcopy(other[place])
        case "double" if isinstance(parent, list):
            parent.insert(key, deepcopy(parent[key]))
        case "rename" if isinstance(parent, dict) and parent is not root:
            parent[draw.choice(WORDS)] = parent.pop(key)
        case _ if parent is not root:
            parent.pop(key)


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inside = waiting.pop()
        keys = inside.keys() if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        for key in keys:
            found.append((inside, key))
            waiting.append(inside[key])
    return found


_WAYS: tuple[Mutation, ...] = (
    *(_flipped, _dropped, _cut, _doubled, _spliced, _inserted, _inserted, _field, _field, _field, _swapped, _lines),
    *(_encoded, _nested),
)
