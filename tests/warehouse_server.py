"""A ClickHouse server for tests: the HTTP interface of the client in front of the embedded engine."""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit


class Front(BaseHTTPRequestHandler):
    """The part of ClickHouse's HTTP interface that the client uses, in front of the embedded engine.

    It does not reproduce the time-outs and the replication of a real server.
    """

    connect: Any  # opens a connection for each request, because a failed query leaves rows in its connection
    engine: Any
    asked: ClassVar[dict[str, str]] = {}
    protocol_version = "HTTP/1.1"
    _transport = frozenset({"query", "database", "query_id", "session_id", "client_protocol_version"})

    def log_message(self, *_: object) -> None:
        """Log nothing: standard output belongs to the parent."""

    def do_POST(self) -> None:
        """Run the statement of a request."""
        sent = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body, status = self._body(), 200
        self.engine = self.connect()
        try:
            answer = self._answer(sent, body)
        except RuntimeError as error:
            answer, status = str(error).encode(), 404
        finally:
            self.engine.close()
        self.send_response(status)
        if status != 200:
            self.send_header("X-ClickHouse-Exception-Code", "1")
        self.send_header("X-ClickHouse-Format", "TabSeparated")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, sent: dict[str, str], body: bytes) -> bytes:
        if "database" in sent:
            self.engine.query(f"use {sent['database']}")
        if "query" not in sent and body.startswith(b"INSERT"):  # native format: statement and data together
            statement, _, body = body.partition(b" FORMAT Native\n")
            sent["query"] = f"{statement.decode()} FORMAT Native"
        if "query" not in sent:
            bound = {name.removeprefix("param_"): value for name, value in sent.items() if name.startswith("param_")}
            text = body.decode()
            if killed := re.match(r"kill query where query_id = '([^']+)'", text):  # the engine assigns other ids
                asked = self.asked.get(killed[1], "").replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
                text, bound = "kill query where query = {text:String} async", {"text": asked}  # parameters are escaped
            self.asked[sent.get("query_id", "")] = text
            return bytes(self.engine.query(text, "TabSeparated", params=bound).bytes())
        with NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            settings = ", ".join(f"{name} = '{value}'" for name, value in sent.items() if name not in self._transport)
            insert, _, form = sent["query"].rpartition("FORMAT")
            target = f"{insert} from infile '{file.name}' settings {settings} format {form}"
            return bytes(self.engine.query(target).bytes())


def configured(folder: Path, grants: list[str] | None = None) -> Path:
    """Write the configuration of a server with backups and a query log; `grants` are its user's rights, by default all.

    The embedded engine does not store roles, so rights are declared here; the same code of ClickHouse enforces them.
    """
    rights = "<access_management>1</access_management>"
    if grants is not None:
        rights = f"<grants>{''.join(f'<query>{grant}</query>' for grant in grants)}</grants>"
    folder.mkdir(parents=True)
    (folder / "users.xml").write_text(
        "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><password/><networks>"
        f"<ip>::/0</ip></networks><profile>default</profile><quota>default</quota>{rights}</default></users></clickhouse>"
    )
    (folder / "config.xml").write_text(
        f"<clickhouse><users_config>{folder}/users.xml</users_config><user_directories><users_xml><path>{folder}/users.xml"
        f"</path></users_xml></user_directories><backups><allowed_path>{folder}/backups/</allowed_path></backups>"
        "<query_log><database>system</database><table>query_log</table>"
        "<flush_interval_milliseconds>100</flush_interval_milliseconds></query_log></clickhouse>"
    )
    return folder / "config.xml"


def serve(folder: Path, config: Path | None = None) -> None:
    """Serve `folder` on a free port until the process is killed; print the port."""
    chdb: Any = import_module("chdb")  # imported in the process of the server only; partly typed
    options = f"?config-file={config}" if config else ""
    first = chdb.connect(f"{folder}{options}")  # stays open, so that other connections open quickly
    Front.connect = staticmethod(lambda: chdb.connect(f"{folder}{options}"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
    first.close()
