"""Limit the output that a notebook keeps, in the kernel, so that the supervisor's memory is bounded.

A cell keeps 1 MiB of printed text, 8 MiB of displayed output and 8 MiB of widget messages; a notebook keeps 32 MiB.
Output beyond is left out, with a notice. Clearing the output frees its space, so a progress bar can continue.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

MIB = 1024 * 1024
_OVERHEAD = 2048  # bytes of an output besides its content
_NOTICES = 3  # per cell
_LINE = 4096  # characters

Content = Mapping[str, Any]


class OutputLimit:
    """Decides for each message of a kernel, in sending order, whether it is sent.

    >>> limit = OutputLimit(printed=4)
    >>> limit.admit("stream", {"name": "stdout", "text": "abcdef"})[0]["text"]
    'abcd'
    >>> limit.admit("stream", {"name": "stdout", "text": "abcdef"})
    (None, '')
    """

    def __init__(self, printed: int = MIB, displayed: int = 8 * MIB, notebook: int = 32 * MIB) -> None:
        self._printed_limit, self._displayed_limit, self._notebook_limit = printed, displayed, notebook
        self._kept_before = 0  # bytes of the cells before this one
        self._printed = self._displayed = self._widgets = self._notices = 0
        self._by_display: dict[str, int] = {}
        self._is_cut = False
        self._lock = threading.Lock()

    def admit(self, kind: str, content: Content, buffers: int = 0) -> tuple[Content | None, str]:
        """Return the content to send, None for nothing, and a notice to print, empty for none.

        `kind` is the message's type, `buffers` the bytes of its binary part. A lone surrogate becomes `?`.
        """
        with self._lock:
            match kind:
                case "execute_input":
                    self._kept_before += self._kept
                    self._clear()
                case "clear_output":
                    self._clear()
                case "stream":
                    return self._stream(content)
                case "display_data" | "execute_result" | "update_display_data":
                    return self._display(kind, clean(content))
                case "comm_open" | "comm_msg":
                    return self._widget(content, buffers)
                case "error" | "execute_reply":
                    return self._failure(clean(content)), ""
            return content, ""

    @property
    def _kept(self) -> int:
        return self._printed + self._displayed + self._widgets

    def _clear(self) -> None:
        self._printed = self._displayed = self._widgets = self._notices = 0
        self._is_cut = False

    def _room(self, used: int, limit: int) -> int:
        """Return the bytes left for the cell and the notebook."""
        return max(0, min(limit - used, self._notebook_limit - self._kept_before - self._kept))

    def _stream(self, content: Content) -> tuple[Content | None, str]:
        if self._is_cut:
            return None, ""
        room = self._room(self._printed, self._printed_limit)
        text = str(content.get("text", ""))[: room + 1]  # a character is at least one byte
        kept = text.encode("utf-8", "replace")
        if len(kept) <= room:
            self._printed += len(kept)
            return {**content, "text": kept.decode()}, ""
        self._is_cut = True
        self._printed += room
        shown = kept[:room].decode("utf-8", "ignore")
        end = shown.rfind("\n") + 1
        if end and len(shown) - end < _LINE:  # half a secret would not be redacted
            shown = shown[:end]
        notice = f"\n[output cut here: {self._why(self._printed_limit)}]\n"
        return ({**content, "text": shown} if shown else None), notice

    def _display(self, kind: str, content: Content) -> tuple[Content | None, str]:
        size, name = _size(content) + _OVERHEAD, str((content.get("transient") or {}).get("display_id") or "")
        if kind == "update_display_data":
            size -= self._by_display.get(name, 0)
        if size <= self._room(self._displayed, self._displayed_limit):
            self._displayed += size
            if name:
                self._by_display[name] = self._by_display.get(name, 0) + size
            return content, ""
        notice = f"[an output of {size / MIB:,.1f} MiB is left out: {self._why(self._displayed_limit)}]\n"
        return None, self._notice(notice)

    def _widget(self, content: Content, buffers: int) -> tuple[Content | None, str]:
        size = _size(content) + buffers
        if size <= self._room(self._widgets, self._displayed_limit):
            self._widgets += size
            return content, ""
        return None, self._notice(f"[widget messages are left out: {self._why(self._displayed_limit)}]\n")

    def _failure(self, content: Content) -> Content:
        if "ename" not in content:
            return content
        trace = _shortened("\n".join(map(str, content.get("traceback") or ())), 256 * 1024)
        return {
            **content,
            "ename": str(content["ename"])[:200],
            "evalue": _shortened(str(content.get("evalue", "")), 16 * 1024),
            "traceback": trace.split("\n") if trace else [],
        }

    def _notice(self, text: str) -> str:
        self._notices += 1
        return text if self._notices <= _NOTICES else ""

    def _why(self, limit: int) -> str:
        if self._kept_before + self._kept >= self._notebook_limit - _OVERHEAD:
            return f"a notebook keeps {self._notebook_limit / MIB:,.0f} MiB of output"
        return f"a cell keeps {limit / MIB:,.0f} MiB of it"


def clean(value: Any) -> Any:
    r"""Return a message's content whose texts are Unicode: a lone surrogate, which UTF-8 cannot encode, becomes `?`.

    >>> clean({"text/plain": ["caf\udce9"]})
    {'text/plain': ['caf?']}
    """
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case dict():
            return {clean(name): clean(one) for name, one in value.items()}
        case list() | tuple():
            return [clean(one) for one in value]
        case _:
            return value


def _size(value: Any) -> int:
    match value:
        case str():
            return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
        case bytes():
            return len(value) * 4 // 3  # as base64
        case dict():
            return sum(_size(name) + _size(one) for name, one in value.items())
        case list() | tuple():
            return sum(map(_size, value)) + len(value)
        case _:
            return len(json.dumps(value, default=str))


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
