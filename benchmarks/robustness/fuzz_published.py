"""Targets of fuzzing from outside: files and lists of the exchange, contracts, notebooks, queries, texts."""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import polars as pl
from papermill.translators import PythonTranslator

from benchmarks.robustness.fuzz_mutations import Mutation, mutated, mutated_json, mutated_zip
from champion import contracts, workspace
from champion.base import package_data
from champion.base.atomic_files import write_bytes
from champion.contracts import catalog, compatibility, contract, samples
from champion.magic import parameter_values, split_target
from champion.market import symbol_master
from champion.market.actions import corporate_actions
from champion.market.actions.action_text import parse_purpose
from champion.market.identity.symbol_history import SymbolHistory
from champion.modeling import universe
from champion.pipeline.ingest.datasets import DATASET_SPECS, DatasetSpec
from champion.pipeline.ingest.parse_file import parse_file
from champion.runner import notebook, parameters
from champion.simulate import publish
from champion.sources import actions as lists, container, masters as equity_lists
from champion.sources.container import check_signature
from champion.sources.download import transport
from champion.sources.download.retry_policy import RetryPolicy, retry_after
from champion.sources.download.staging_records import Staged
from champion.sources.publications import BSE_BHAVCOPY
from champion.warehouse import queries
from champion.warehouse.engine import statements

SESSION = date(2024, 7, 2)
_READ_AT = datetime(2024, 7, 2, 14, tzinfo=UTC)
_PURPOSES = (
    "Bonus 1:2/ Fv Splt Frm Rs 10 To Rs 2",
    "Interim Dividend - Rs 3.50 Per Share / Special Dividend - Rs 2 Per Share",
    "Rights 3:25 @ Premium Rs 120/-",
    "Face Value Split (Sub-Division) - From Rs 10/- Per Share To Re 1/- Per Share",
    "Scheme Of Arrangement / Demerger / Consolidation From Re 1/- To Rs 10/- & Buyback",
)
_LONGEST_LINE = 4096  # characters of a line of a list, as in `container.rows`
_VALUES = (
    'horizon=5\nsession=2024-01-15\nmodel=forest\nsymbols=["A"]\nfilters={"min": 1}\nshare=0.5\nnote=a\nforce=True'
)
_CELL = """session: date  # the session
horizon: int = 5
share: float = 0.5
model: Literal['logistic', 'forest'] = 'logistic'
symbols: list[str] = ['A']
note: str | None = None
filters: dict = {'min': 1}
force: bool = False  # again, é
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader with valid inputs and the way to change them; `read` returns a value that describes the outcome.

    `weight` is its share of all inputs.
    """

    name: str
    seeds: Sequence[bytes]
    read: Callable[[bytes], object]
    mutate: Mutation = mutated
    weight: int = 4


def archive(folder: Path) -> None:
    """Write the simulated archive of all targets, unless it exists."""
    if not folder.exists():
        publish(folder, instruments=6, start=date(2023, 12, 28), end=SESSION)


def targets(folder: Path, archive: Path) -> list[Target]:
    """Return the targets of a simulated archive; they may write into `folder`."""
    return [*_bhavcopies(archive), *_lists(archive), *_contracts(folder), *_notebooks(folder), *_texts()]


def _bhavcopies(archive: Path) -> list[Target]:
    found = {filling.publication.name: filling for filling in DATASET_SPECS}
    bhavcopy, delivery, indices = (found[name] for name in ("bhavcopy", "delivery", "index closes"))
    packed = _all(archive, "BhavCopy_NSE_CM*20240702*.zip") + _all(archive, "cm02JUL2024*.zip")
    older = [text.replace(b"2024-06-03", b"2024-07-02") for text in _inside(archive, "BhavCopy_NSE_CM*20240603*.zip")]
    udiff, legacy = _inside(archive, "BhavCopy_NSE_CM*20240702*.zip") + older, _inside(archive, "cm02JUL2024*.zip")
    full, closes = _all(archive, "sec_bhavdata_full_02072024.csv"), _all(archive, "ind_close_all_02072024.csv")
    bse = [content.replace(b",NSE,", b",BSE,") for content in udiff]
    return [
        Target("zip of a bhavcopy", packed, _taken("a.csv.zip", bhavcopy), mutated_zip),
        Target("bytes and their name", [*packed, *udiff[:1]], _signature),
        Target("UDiFF bhavcopy", udiff, _taken("a.csv", bhavcopy), weight=3),
        Target("legacy bhavcopy", legacy, _taken("a.csv", bhavcopy), weight=3),
        Target("full report as bhavcopy", full, _taken("a.csv", bhavcopy), weight=3),
        Target("full report as delivery", full, _taken("a.csv", delivery), weight=2),
        Target("index closes", closes, _taken("a.csv", indices), weight=3),
        Target("BSE bhavcopy", bse, lambda c: BSE_BHAVCOPY.read("a.csv", c, SESSION).rejected.height > 0),
    ]


def _taken(name: str, filling: DatasetSpec) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        origin = Staged(Path(name), SESSION, sha256(content).hexdigest(), _READ_AT, name)
        found = parse_file(content, origin, filling)
        return found.normalized.height > 0, frozenset(found.quarantine["reasons"].explode().str.slice(0, 12))

    return read


def _signature(content: bytes) -> object:
    for name in ("a.csv", "a.csv.zip"):
        check_signature(name, content)
        return container.text(name, content)[:1]
    return None


def _lists(archive: Path) -> list[Target]:
    seeds = {name: _all(archive, name) for name in ("EQUITY_L.csv", "CF-CA-*.csv", "symbolchange.csv")}
    described = b"COMPANY,OLD,NEW,02-JUL-2024\nOTHER LTD,LTI,LTIM,05-DEC-2022\n"
    return [
        Target("list of shares", seeds["EQUITY_L.csv"], _shares, weight=5),
        Target("corporate actions", [*seeds["CF-CA-*.csv"], _action_list()], _corporate, weight=4),
        Target("symbol changes", [*seeds["symbolchange.csv"], described], _changes, weight=6),
        Target("purpose of an action", [text.encode() for text in _PURPOSES], _purpose, weight=6),
        Target("name of a list", [b"CF-CA-equities-05-01-2016-to-18-07-2025.csv"], _span, weight=1),
    ]


def _action_list() -> bytes:
    rows = [f'AB{n},Some Ltd,EQ,"{text}",10,02-Jul-2024,03-Jul-2024,-,-' for n, text in enumerate(_PURPOSES)]
    return "\n".join([",".join(lists.HEADER), *rows, ""]).encode()


def _shares(content: bytes) -> object:
    rows = equity_lists.parse_equity_list("EQUITY_L.csv", content)
    return symbol_master.normalize(rows, SymbolHistory(), equity_lists.SOURCE, "0" * 64, _READ_AT).height > 0


def _corporate(content: bytes) -> object:
    rows = lists.parse_actions("CF-CA.csv", content)
    covers = lists.span("CF-CA.csv", rows) or (SESSION, SESSION)
    origin = corporate_actions.ListOrigin(lists.SOURCE, "0" * 64, _READ_AT, covers)
    return frozenset(corporate_actions.as_known(corporate_actions.normalize(rows, SymbolHistory(), origin))["kind"])


def _changes(content: bytes) -> object:
    known = SymbolHistory.of(lists.parse_symbol_changes("symbolchange.csv", content))
    return known.name("LTIM", SESSION), known.symbol("LTI", SESSION), len(known.changes) > 0


def _purpose(content: bytes) -> object:
    return tuple(action.kind for action in parse_purpose(content.decode("utf-8", "replace")[:_LONGEST_LINE]))


def _span(content: bytes) -> object:
    return lists.span(content.decode("utf-8", "replace"), pl.DataFrame()) is None


def _contracts(folder: Path) -> list[Target]:
    schemas = package_data.folder("schemas")
    seeds = [path.read_bytes() for path in sorted(schemas.glob("*.avsc")) if "alpha158" not in path.name]
    sampled = contracts.load("raw_equity_ohlc")
    record = samples.path(schemas, sampled)
    return [
        Target("contract file", seeds, partial(_contract, folder / "contracts"), mutated_json, 6),
        Target("sample of a contract", [record.read_bytes()], partial(_sample, folder / "sample.json"), mutated_json),
    ]


def _contract(folder: Path, content: bytes) -> object:
    file = folder / "raw_equity_ohlc_v1.avsc"
    write_bytes(folder / "released" / file.name, (package_data.folder("schemas") / file.name).read_bytes())
    write_bytes(file, _renamed(content))
    found = contract.parse(catalog.read(file), 1)
    empty = pl.DataFrame(schema=found.polars_schema)
    judged = [empty.select(contracts.rule_expression(rule)) for rule in found.rules.values()]
    shape = len(found.arrow_schema), len(found.clickhouse_columns), len(found.stored_schema), len(judged)
    changes = frozenset(change.what for one in compatibility.compare(folder) for change in one.changes)
    return shape, bool(found.groups), changes


def _renamed(content: bytes) -> bytes:
    """Set every contract's name to the name of its file, so that readers check more than the name."""
    for name in contracts.names():
        content = content.replace(f'"name": "{name}"'.encode(), b'"name": "raw_equity_ohlc"', 1)
    return content


def _sample(file: Path, content: bytes) -> object:
    write_bytes(file, content)
    return samples.read(file, contracts.load("raw_equity_ohlc")).height


def _notebooks(folder: Path) -> list[Target]:
    books = [path.read_bytes() for path in sorted(package_data.folder("notebooks").glob("*.ipynb"))[:8]]
    cells = [_CELL.encode(), b"session: date\nmodel: Optional[str] = None", b'a: "int" = 1; b = [1]; c = {"x": 1.5}']
    return [
        Target("notebook file", books, partial(_notebook, folder / "book.ipynb"), mutated_json, 3),
        Target("parameters cell", cells, _cell, weight=8),
        Target("values of parameters", [*_VALUES.encode().split(b"\n"), _VALUES.encode()], _values, weight=10),
    ]


def _notebook(file: Path, content: bytes) -> object:
    write_bytes(file, content)
    return frozenset(one.type for one in notebook.find(file).parameters.values())


def _cell(content: bytes) -> object:
    declared = parameters.read(content.decode("utf-8", "surrogateescape"), "book")
    known = parameters.defaults(declared)
    parameters.check(declared, {name: known.get(name, "2024-01-15") for name in declared}, "book")
    return frozenset(one.type for one in declared.values())


def _values(content: bytes) -> object:
    """Read `name=value` lines like the command line; papermill must write plain values of them, and no code."""
    declared = parameters.read(_CELL, "book")
    pairs = [line.partition("=") for line in content.decode("utf-8", "surrogateescape").split("\n")]
    texts = {"session": "2024-01-15"} | {name: value for name, _, value in pairs}
    checked = parameters.check(declared, parameters.from_text(declared, texts), "book")
    code = PythonTranslator.codify(checked)
    for statement in ast.parse(code).body:
        assert isinstance(statement, ast.Assign), f"more than values came through: {code[:200]}"  # noqa: S101
        ast.literal_eval(statement.value)
    return frozenset(checked)


def _texts() -> list[Target]:
    named = [path.read_bytes() for path in sorted((package_data.folder("sql") / "queries").glob("*.sql"))]
    urls = [b"https://nsearchives.nseindia.com/a", b"file:///srv/nse", b"/srv/nse", b"http://[::1]:80/x?y#z"]
    moments = [b"120", b"Wed, 21 Oct 2015 07:28:00 GMT"]
    filters = [each.text.encode() for each in universe.UNIVERSES.values()]
    return [
        Target("named query", named, _query, weight=5),
        Target("SQL text", [b"bars << select {a:Int8} -- c\n; select ';' /* x */", *named], _sql, weight=6),
        Target("address of an archive", urls, _address),
        Target("Retry-After", moments, lambda c: retry_after(c.decode("latin-1"), _READ_AT) is None, weight=1),
        Target("universe", filters, lambda c: universe.find(c.decode("utf-8", "replace")).text, mutated_json),
        Target(
            "date in a notebook", [b"2024-01-15"], lambda c: workspace.as_date(c.decode("utf-8", "replace")), weight=1
        ),
    ]


def _query(content: bytes) -> object:
    return len(queries.parse("movers", content.decode("utf-8", "replace")).parameters)


def _sql(content: bytes) -> object:
    text = content.decode("utf-8", "replace")
    found = statements.split(text)
    if len(statements.mask(text)) != len(text):
        raise AssertionError("masking moved the text")
    return len(found), split_target(text)[0] is None, len(parameter_values(text, {"a": 1}))


def _address(content: bytes) -> object:
    text = content.decode("utf-8", "surrogateescape")
    transport.canonical(text)
    return type(transport.connect(text, RetryPolicy(), 1)).__name__


def _all(archive: Path, pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(archive.rglob(pattern))]


def _inside(archive: Path, pattern: str) -> list[bytes]:
    return [container.text("a.csv.zip", content).encode() for content in _all(archive, pattern)]
