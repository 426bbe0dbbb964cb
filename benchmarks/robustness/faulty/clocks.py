"""Clocks: the machine in other time zones, and a clock that is set while the flow runs."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.robustness.faulty.cases import Case, Disturbed, daily
from benchmarks.robustness.faulty.workspace import DAILY, Bench

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati")
NIGHT = "1723593600"  # 00:00 UTC: 05:30 in India on the day of the session, the evening before in New York
_START = "@2024-08-14 13:00:00"


def cases(library: Path | None) -> Iterator[Case]:
    """Yield the flow without a session in each time zone, and jumps of the clock by libfaketime."""
    for zone in ZONES:
        in_zone, in_utc = (partial(daily, command=DAILY[:1], TZ=one, SOURCE_DATE_EPOCH=NIGHT) for one in (zone, "UTC"))
        yield Case(
            f"TZ={zone}", "time zone", in_zone, "no session given: today in India", baseline="night", again=in_utc
        )
    yield Case(
        "clock set while at work, seen by another command", "clock", _stepped, "boot time in /proc/stat moves 1 h"
    )
    for jump in (86400, -86400) if library else ():
        yield Case(f"clock jumps by {jump / 86400:+g} days", "clock",
                   partial(_jumps, library=library, jump=jump), "in the middle of the run", baseline="timeless",
                   timeless=True)  # fmt: skip


def _stepped(bench: Bench) -> Disturbed:
    """While the flow runs its first notebook, run another command for which the clock was set by an hour."""
    with bench.midway("lake/raw") as ended:
        stat = bench.root / "stat"
        lines = Path("/proc/stat").read_text().splitlines()
        moved = [f"btime {int(line.split()[1]) + 3600}" if line.startswith("btime") else line for line in lines]
        stat.write_text("\n".join(moved) + "\n")
        inside = ["unshare", "-m", "sh", "-c", f'mount --bind {stat} /proc/stat && exec "$@"', "sh"]
        bench.aside(["notebook", "list"], prefix=inside)
    return Disturbed(ended(), left=bench.left())


def _jumps(bench: Bench, *, library: Path | None, jump: int) -> Disturbed:
    """Run on a clock that starts in the evening of the session and jumps once the bars are committed."""
    clock = bench.root / "clock"
    clock.write_text(_START + "\n")
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
             "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "SOURCE_DATE_EPOCH": ""}  # fmt: skip
    with bench.midway("normalized/equity_ohlc", **faked) as ended:
        clock.write_text(time.strftime("@%Y-%m-%d %H:%M:%S\n", time.gmtime(1723640400 + jump)))
    return Disturbed(ended(), left=bench.left())
