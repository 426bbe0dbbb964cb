"""Clocks: the machine in other time zones, and a clock that is set while the flow is at work."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.robustness.faulty.cases import Case, Disturbed
from benchmarks.robustness.faulty.workspace import DAILY, Bench

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati")
NIGHT = "1723593600"  # 00:00 UTC: 05:30 in India on the session's day, the evening before in New York
JUMPS = (86400, -86400)
_START = "@2024-08-14 13:00:00"


def cases(library: Path | None) -> Iterator[Case]:
    """Yield the flow in each time zone, asked for no session: today's in India; and jumps, by libfaketime."""
    for zone in ZONES:
        yield Case(f"TZ={zone}", "time zone", partial(_in_zone, zone=zone), "no session named: today's in India",
                   baseline="night", again=partial(_in_zone, zone="UTC"))  # fmt: skip
    yield Case(
        "clock set while at work, seen by another command", "clock", _stepped, "boot time in /proc/stat moves 1 h"
    )
    for jump in JUMPS if library else ():
        yield Case(f"clock jumps by {jump / 86400:+g} days", "clock",
                   partial(_jumps, library=library, jump=jump), "in the middle of the run", baseline="timeless",
                   timeless=True)  # fmt: skip


def _in_zone(bench: Bench, *, zone: str) -> Disturbed:
    return Disturbed(bench.run(DAILY[:1], TZ=zone, SOURCE_DATE_EPOCH=NIGHT), left=bench.left())


def _stepped(bench: Bench) -> Disturbed:
    """While the flow is in its first notebook, another command runs for which the clock was set by an hour."""
    began = time.monotonic()
    command = bench.start(bench.command)
    while command.poll() is None and not any(name.startswith("lake/raw") for name in bench.commits()):
        time.sleep(0.02)
    said = bench.root / "stat"
    lines = Path("/proc/stat").read_text().splitlines()
    moved = [f"btime {int(line.split()[1]) + 3600}" if line.startswith("btime") else line for line in lines]
    said.write_text("\n".join(moved) + "\n")
    inside = ["unshare", "-m", "sh", "-c", f'mount --bind {said} /proc/stat && exec "$@"', "sh"]
    bench.aside(["notebook", "list"], prefix=inside)
    ended = bench.ended(command, began)
    return Disturbed(ended, left=bench.left())


def _jumps(bench: Bench, *, library: Path | None, jump: int) -> Disturbed:
    """Run on a clock that starts on the session's evening and jumps once the bars are committed."""
    clock = bench.root / "clock"
    clock.write_text(_START + "\n")
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
             "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "SOURCE_DATE_EPOCH": ""}  # fmt: skip
    began = time.monotonic()
    command = bench.start(bench.command, **faked)
    while command.poll() is None and not any("normalized/equity_ohlc" in name for name in bench.commits()):
        time.sleep(0.05)
    moment = time.gmtime(1723640400 + jump)
    clock.write_text(time.strftime("@%Y-%m-%d %H:%M:%S\n", moment))
    ended = bench.ended(command, began)
    return Disturbed(ended, left=bench.left())


def has_namespaces() -> bool:
    """Tell whether this process may make mount namespaces, as root may."""
    return subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0
