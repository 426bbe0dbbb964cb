"""Every purpose text of the lists of corporate actions in some folders, with its verdict, factor and reason.

`.venv/bin/python benchmarks/evidence/purposes.py [--folders FOLDER ...] [--verdict VERDICT] [--kind KIND]` reads lists
(`CF-CA-*.csv`, and `Bc*.csv` inside PR bundles) and prints one line for each distinct text: the number of its rows, the
verdict of the whole text (the worst of its actions), and the actions.
"""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks import meter
from champion.market.actions.action_text import MOVES_NO_PRICE, NOT_UNDERSTOOD, READ, ParsedAction, parse_purpose
from champion.sources.actions import parse_actions

WORST_FIRST = (NOT_UNDERSTOOD, READ, MOVES_NO_PRICE)


def main() -> None:
    """Print the table, and the number of texts and rows for each verdict."""
    asked = meter.arguments(
        __doc__, folders=[meter.MIRROR, meter.MIRROR.with_name("nse_products")], verdict=str, kind=str
    )
    counted = Counter(text for folder in asked.folders for text in _texts(folder))
    rows_by, texts_by = Counter[str](), Counter[str]()
    for text, rows in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])):
        found = parse_purpose(text)
        verdict = min((one.verdict for one in found), key=WORST_FIRST.index)  # of the whole text
        rows_by[verdict] += rows
        texts_by[verdict] += 1
        if asked.verdict in {None, verdict} and (asked.kind is None or any(one.kind == asked.kind for one in found)):
            print(f"{rows:6} | {verdict:14} | {text} | {'; '.join(_shown(one) for one in found)}")
    for verdict in WORST_FIRST:
        print(f"{verdict}: {texts_by[verdict]:,} texts, {rows_by[verdict]:,} rows")


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("CF-CA-*.csv")):
        for text in parse_actions(path.name, path.read_bytes())["purpose"]:
            yield " ".join(text.split())
    for path in sorted(folder.rglob("PR*.zip")):
        with zipfile.ZipFile(path) as bundle:
            for name in bundle.namelist():
                if name.lower().startswith("bc") and name.lower().endswith(".csv"):
                    lines = csv.DictReader(io.StringIO(bundle.read(name).decode("latin-1")))
                    yield from (" ".join(line["PURPOSE"].split()) for line in lines if (line["PURPOSE"] or "").strip())


def _shown(action: ParsedAction) -> str:
    value = action.price_factor or action.amount
    quantity = f" {value:g}" if value is not None else f" {action.percent:g}%" if action.percent else ""
    return f"{action.kind}{quantity} {action.verdict}" + (f" ({action.reason})" if action.verdict != READ else "")


if __name__ == "__main__":
    main()
