"""A small workspace with a champion, created once and copied to the same place for every fault; and its commands."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psutil

from benchmarks.robustness.faulty import trap
from benchmarks.robustness.faulty.look import Look, look
from champion.security import prefect_login
from champion.services import prefect
from champion.settings import Settings

SESSION, BEFORE, START = date(2024, 8, 14), date(2024, 8, 13), date(2024, 3, 1)
INSTRUMENTS = 30
EVENING_BEFORE, EVENING = "1723554000", "1723640400"  # 18:30 in India: the fixed time of Champion's clock
MARK = "FAULTS_BENCH"
DAILY = ("daily", str(SESSION))
_SECONDS = 600
_ERROR = re.compile(r"[A-Z]\w+: ")  # an error of the command line
_LAST_WORDS = 700
_REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Ended:
    """The end of a command: exit code (negative: the signal), error message, seconds."""

    code: int
    message: str
    seconds: float


@dataclass
class Bench:
    """A folder with a workspace that faults disturb while it runs `command`; `variables` are set for all commands."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    command: Sequence[str] = DAILY

    @property
    def home(self) -> Path:
        """The workspace, at the same place for every fault."""
        return self.root / "home"

    @property
    def mark(self) -> str:
        """The mark in the environment of every command and of all processes that it starts."""
        return f"{self.root} {os.getpid()}"

    @property
    def archive(self) -> Path:
        """The simulated exchange archive."""
        return self.root / "archive"

    @property
    def trace(self) -> Path:
        """The file in which the trap records commits."""
        return self.root / "trace"

    @property
    def settings(self) -> Settings:
        """The settings of the workspace."""
        return Settings(home=self.home, archive=str(self.archive))

    def prepare(self) -> None:
        """Make the archive, and the workspace up to the session before, if they do not exist."""
        self.root.mkdir(parents=True, exist_ok=True)
        prepared = self.root / "prepared"
        if not prepared.is_dir():
            shutil.rmtree(self.home, ignore_errors=True)
            options = f"--start {START} --end {SESSION} --instruments {INSTRUMENTS} --signal 1"
            for command in (
                ["simulate", str(self.archive), *options.split()],
                ["backfill", str(START), str(BEFORE)],
                ["train"],
                ["models", "promote", "1", "--force", "--reason", "faults need a champion"],
            ):
                ended = self.run(command, CHAMPION_PREFECT_API_URL="", SOURCE_DATE_EPOCH=EVENING_BEFORE)
                if ended.code:
                    raise RuntimeError(f"champion {command[0]}: exit {ended.code}: {ended.message}")
            prefect.stop(self.settings)
            self.home.rename(prepared)
        self.variables["CHAMPION_PREFECT_API_URL"] = prefect.ensure(self._elsewhere)
        self.variables["CHAMPION_PREFECT_LOGIN"] = prefect_login.current_login(self._elsewhere) or ""

    def close(self) -> None:
        """Stop the Prefect server that all commands share."""
        prefect.stop(self._elsewhere)

    @property
    def _elsewhere(self) -> Settings:
        return Settings(home=self.root / "prefect", archive=str(self.archive))

    def fresh(self) -> None:
        """Put the prepared workspace in place."""
        shutil.rmtree(self.home, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.root / "prepared", self.home], check=True)
        self.trace.unlink(missing_ok=True)
        self.trace.with_name(self.trace.name + trap.REACHED).unlink(missing_ok=True)

    def before(self) -> Look:
        """Return the contents of the prepared workspace; kept in a file."""
        kept = self.root / "before.json"
        if not kept.exists():
            self.fresh()
            kept.write_text(look(self.settings).written())
        return Look.read(kept.read_text())

    def run(self, arguments: Sequence[str], *, prefix: Sequence[str] = (), **variables: str) -> Ended:
        """Run a `champion` command to its end."""
        began = time.monotonic()
        return self.ended(self.start(arguments, prefix=prefix, **variables), began)

    def ended(self, command: subprocess.Popen[bytes], began: float) -> Ended:
        """Wait for a command, or kill it after the limit; return how it ended."""
        try:
            code = command.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            end_all(command)
            return Ended(-999, f"it had not ended after {_SECONDS} s", time.monotonic() - began)
        return Ended(code, self.last_words(), time.monotonic() - began)

    @contextmanager
    def midway(self, part: str, **variables: str) -> Iterator[Callable[[], Ended]]:
        """Start the command and yield once a commit has `part` in its name; the yielded call waits for the end."""
        began = time.monotonic()
        command = self.start(self.command, **variables)
        while command.poll() is None and not any(part in name for name in self.commits()):
            time.sleep(0.02)
        yield lambda: self.ended(command, began)

    def aside(self, arguments: Sequence[str], *, prefix: Sequence[str]) -> int:
        """Run another `champion` command while one is running; return its exit code."""
        command = [*prefix, sys.executable, "-m", "champion", *arguments]
        done = subprocess.run(command, env=self.environment(), cwd=self.root, capture_output=True, check=False)
        return done.returncode

    def start(
        self, arguments: Sequence[str], *, prefix: Sequence[str] = (), **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start a `champion` command in its own session, with the trap in all its processes."""
        startup = self.root / "startup"
        startup.mkdir(exist_ok=True)
        shutil.copy(trap.__file__, startup / "sitecustomize.py")
        with (self.root / "stderr").open("wb") as errors, (self.root / "stdout").open("wb") as printed:
            return subprocess.Popen(
                [*prefix, sys.executable, "-m", "champion", *arguments],
                stdout=printed, stderr=errors, env=self.environment(**variables), start_new_session=True, cwd=self.root,
            )  # fmt: skip

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a command, without variables that are empty."""
        paths = [str(self.root / "startup"), str(_REPOSITORY), os.environ.get("PYTHONPATH", "")]
        given = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CHAMPION_")},
            "CHAMPION_HOME": str(self.home),
            "CHAMPION_ARCHIVE": str(self.archive),
            "SOURCE_DATE_EPOCH": EVENING,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            MARK: self.mark,
            trap.TRACE: str(self.trace),
            trap.HOME: str(self.home),
            **self.variables,
            **variables,
        }
        return {name: value for name, value in given.items() if value}

    def last_words(self) -> str:
        """Return the error message of the last command, or the last line that it wrote to stderr."""
        lines = (self.root / "stderr").read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if _ERROR.match(line)] or lines or [""]
        return errors[-1][:_LAST_WORDS].replace(str(self.root), "…")

    def commits(self) -> list[str]:
        """Return the names of the commits that the trap recorded, in order."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def writers(self, beginning: str) -> list[int]:
        """Return the processes with a commit whose name begins with `beginning`."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return sorted({int(line.split()[0]) for line in lines if line.partition(" ")[2].startswith(beginning)})

    def left(self, seconds: float = 15) -> list[str]:
        """Return the processes that still run after some seconds, and kill them."""
        deadline = time.monotonic() + seconds
        while (
            found := [one for one in psutil.process_iter() if _mark(one) == self.mark]
        ) and time.monotonic() < deadline:
            time.sleep(0.1)
        names = [" ".join(process.cmdline()[:4])[:100] for process in found if process.is_running()]
        for process in found:
            process.kill()
        return names


def end_all(command: subprocess.Popen[bytes], *, whole: bool = True) -> None:
    """SIGKILL a command, and with `whole` all its processes, like a power cut."""
    family = psutil.Process(command.pid).children(recursive=True) if whole else []
    command.kill()
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    command.wait()


def _mark(process: psutil.Process) -> str | None:
    try:
        environment: Mapping[str, str] = process.environ()
    except (psutil.Error, OSError):
        return None
    return environment.get(MARK)
