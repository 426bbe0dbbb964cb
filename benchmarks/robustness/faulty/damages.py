"""Damaged Parquet files and manifests in the lake, and kernels that run out of memory."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.robustness.faulty.cases import Case, Disturbed, daily
from benchmarks.robustness.faulty.workspace import BEFORE, Bench

_BARS = f"lake/normalized/equity_ohlc/year=2024/month=08/day={BEFORE.day:02d}"
_RAW = f"lake/raw/equity_ohlc/date={BEFORE}"
_TREND = f"lake/features/equity_indicators/year=2024/month=08/day={BEFORE.day:02d}/feature_group=trend"
_STATE = f"lake/features/equity_indicators_state/date={BEFORE}"
_AGAIN = ["backfill", str(BEFORE), str(BEFORE)]


def cases() -> Iterator[Case]:
    """Yield damaged files of the session before, which the run reads, and kernels without memory."""
    ways: tuple[tuple[str, Callable[[Path], object]], ...] = (
        ("flipped", _flip), ("cut", _cut), ("emptied", lambda path: path.write_bytes(b"")), ("deleted", Path.unlink),
    )  # fmt: skip
    for folder, what in ((_BARS, "bars"), (_TREND, "features"), (_RAW, "raw rows"), (_STATE, "carried state")):
        for way, damage in ways if folder == _BARS else ways[:1]:
            yield _case(f"Parquet {way}: {what}", f"{folder}/part-00000.parquet", damage)
    yield _case("manifest cut: bars", f"{_BARS}/_SUCCESS", _cut)
    yield _case("manifest of nonsense: features", f"{_TREND}/_SUCCESS", _nonsense)
    yield Case(
        "kernels of 60 MB", "memory", partial(daily, CHAMPION_NOTEBOOK_MEMORY="60"), "CHAMPION_NOTEBOOK_MEMORY=60"
    )
    yield Case("kernel killed by the system", "memory", _killed, "SIGKILL to the features kernel")
    for megabytes in (400, 800):
        yield Case(f"machine of {megabytes} MB", "memory", partial(_cgroup, megabytes=megabytes),
                   "a memory cgroup around the command: the system's own killer")  # fmt: skip


def _case(name: str, file: str, damage: Callable[[Path], object]) -> Case:
    disturb = partial(_damaged, file=file, damage=damage)
    return Case(name, "corruption", disturb, file, remedy=partial(_remade, file=file))


def _remade(bench: Bench, *, file: str) -> int:
    """Do what the error message asks for: delete the folder and backfill the session."""
    shutil.rmtree((bench.home / file).parent)
    return bench.run(_AGAIN).code


def _damaged(bench: Bench, file: str, damage: Callable[[Path], object]) -> Disturbed:
    path = bench.home / file
    path.chmod(0o644)
    damage(path)
    return Disturbed(bench.run(bench.command), left=bench.left(), harmed=[file])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 16] = bytes(255 - byte for byte in content[middle : middle + 16])
    path.write_bytes(content)


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _nonsense(path: Path) -> None:
    path.write_text('{"contract": 7, "parts": "many"}')


def _killed(bench: Bench) -> Disturbed:
    """Kill the kernel that builds features, as the system does when memory runs out."""
    with bench.midway("lake/features") as ended:
        for pid in bench.writers("lake/features"):
            subprocess.run(["kill", "-KILL", str(pid)], check=False)
    return Disturbed(ended(), left=bench.left())


def _cgroup(bench: Bench, megabytes: int) -> Disturbed:
    """Run in a control group with a limit of memory, in which the system kills the largest process."""
    group = Path("/sys/fs/cgroup/memory/champion-faults")
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(megabytes << 20))
    inside = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    try:
        return daily(bench, prefix=inside)
    finally:
        while (group / "cgroup.procs").read_text():  # a killed process ends a little later
            time.sleep(0.1)
        group.rmdir()
