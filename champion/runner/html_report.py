"""Render an executed notebook as one self-contained HTML file, with a summary of the run at the top.

The page runs no code, because the displayed data may come from others. A Content-Security-Policy in its head forbids
scripts and requests. Output that needs a script is shown as its text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter

from champion.runner.outcome import Verdict

_QUIET = logging.getLogger("champion.page")  # nbconvert warns about images without alternative text
_QUIET.setLevel(logging.ERROR)
_POLICY = (
    "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
)
_PLAIN = "text/plain"
_MARKUP = frozenset({"text/html", "text/markdown", "text/latex", "image/svg+xml"})
_PARSED = frozenset({"text/markdown", "text/latex"})  # by a parser that is very slow on some texts
_LONGEST = 256 * 1024  # characters of such markup
_COLOURS = 5_000  # changes of colour per output
_NOISE = {"injected-parameters", "papermill-error-cell-tag"}  # the heading shows the parameters and the error


def render(executed: Path, run_id: str, verdict: Verdict, parameters: Mapping[str, Any], reason: str = "") -> str:
    """Return the HTML of a saved notebook: with its images, without external resources and scripts."""
    book = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]  # half of nbformat is typed
    book.cells = [cell for cell in book.cells if not _NOISE & set(cell.metadata.get("tags", []))]
    heading = _heading(executed.stem, run_id, verdict, parameters, reason)
    limit = _PageLimit()
    for cell in (cell for cell in book.cells if "outputs" in cell):
        cell.outputs = [still for output in cell.outputs if (still := _without_scripts(output))]
        for output in cell.outputs:
            limit.apply(output)
    book.cells.insert(0, nbformat.v4.new_markdown_cell(heading))  # type: ignore[no-untyped-call]
    without_code = dict.fromkeys(("require_js_url", "jquery_url", "mathjax_url"), "")
    without_prompts = dict.fromkeys(("exclude_input_prompt", "exclude_output_prompt"), True)
    exporter = HTMLExporter(log=_QUIET, embed_images=True, **without_prompts, **without_code)  # type: ignore[no-untyped-call]
    body: str = exporter.from_notebook_node(book, resources={"metadata": {"name": executed.stem}})[0]
    return body.replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{_POLICY}">', 1)


class _PageLimit:
    """The elements that are left for a page: the parser needs a kilobyte for each, and each colour copies the text."""

    def __init__(self) -> None:
        self._elements = 50_000

    def apply(self, output: Any) -> None:
        """Remove an output's markup or colours if they exceed the page's limit."""
        if output.output_type == "stream":
            output.text = self._plain(output.text)
        elif output.output_type == "error":
            output.traceback = [self._plain(line) for line in output.traceback]
        data = output.get("data", {})
        for kind in _MARKUP & data.keys():
            count = data[kind].count("<") + data[kind].count("\n")
            if count > self._elements or (kind in _PARSED and len(data[kind]) > _LONGEST):
                del data[kind]
                data.setdefault(_PLAIN, "")
                data[_PLAIN] += f"\n[its {kind} of {count:,} elements is in the notebook only]"
            else:
                self._elements -= count
        if _PLAIN in data:
            data[_PLAIN] = self._plain(data[_PLAIN])

    def _plain(self, text: str) -> str:
        count = text.count("\x1b")
        if count <= min(self._elements, _COLOURS):
            self._elements -= count
            return text
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def _without_scripts(output: Any) -> Any:
    """Return an output that is visible without scripts, None if nothing would be visible."""
    data = output.get("data", {})
    if "<script" not in data.get("text/html", "").lower():  # as of itables and its library
        return output
    output.data = {kind: shown for kind, shown in data.items() if kind == _PLAIN and not shown.startswith("<IPython.")}
    return output if output.data else None


def _heading(name: str, run_id: str, verdict: Verdict, parameters: Mapping[str, Any], reason: str) -> str:
    parts = [
        f"<b>{_line(name)}</b> {verdict.outcome.value.replace('_', ' ')} in {verdict.seconds:.1f} s",
        f"stopped {_line(verdict.error)}" if verdict.error else "",
        ", ".join(f"{_line(key)} = <code>{_line(value)}</code>" for key, value in parameters.items()),
        f"ran {_line(reason)}" if reason else "",
        f"MLflow run <code>{run_id}</code>",
    ]
    return "<div>" + "<br>".join(part for part in parts if part) + "</div>\n\n---"


def _line(value: Any) -> str:
    """Return a value as HTML on one line of Markdown: text after an empty line would be read as Markdown."""
    return "<br>".join(escape(str(value)).splitlines())
