"""The machine: which core does what, how fast it is just now, and what a process takes of it. Linux only."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, 1
_TICK = os.sysconf("SC_CLK_TCK")


def missing() -> str | None:
    """Why this machine cannot run the bench; None when it can."""
    if not Path("/proc/self/stat").exists():
        return "The bench reads /proc and sets CPU affinity: it needs Linux."
    if not {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        return f"The bench needs cores {SERVER_CORE} and {CLIENT_CORE}: the server on one, the client on the other."
    return None


def stay_on(*cores: int) -> None:
    """Keep this thread, and processes it starts from now on, on these cores."""
    os.sched_setaffinity(0, cores)


def cpu_seconds(pid: int) -> float:
    """What the process has used so far, all its threads, user and system."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def children(pid: int) -> list[int]:
    """The processes that it started and that live."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(_stat(int(place.name))[1]) == pid:
                found.append(int(place.name))
    return sorted(found)


def family_cpu_seconds(pid: int) -> float:
    """What the process and all that it ever started have used so far; ended ones are counted once it has noticed."""
    own = _stat(pid)
    return sum(map(int, own[11:15])) / _TICK + sum(cpu_seconds(child) for child in children(pid))


def core_seconds() -> float:
    """What was taken of the server's core so far, by whomever; also what the host below took away (steal)."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *times = line.split()
        if name == f"cpu{SERVER_CORE}":
            user, nice, system, _idle, _waiting, *interrupts_and_steal = map(int, times[:8])
            return (user + nice + system + sum(interrupts_and_steal)) / _TICK
    raise RuntimeError(f"/proc/stat has no cpu{SERVER_CORE}")


def memory(pid: int) -> tuple[float, float]:
    """Megabytes (10^6 bytes) of a process: resident, and its proportional share of what it shares with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(rest.split()[0]) * 1024 / 1e6 for name, _, rest in (line.partition(":") for line in lines)}
    return sizes["Rss"], sizes["Pss"]


def resident(pid: int) -> float:
    """Mebibytes of a process that are in memory now."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> float:
    """The most mebibytes of a process that were in memory at once since `forget_peak`, as the kernel noted it."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """What is in memory now is the most there ever was, from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no {name}")


def described() -> str:
    """What kind of machine this is, in a line, without its name."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {gigabytes:.0f} GB; {system}"


@contextlib.contextmanager
def on_the_servers_core() -> Iterator[None]:
    """Run there for a moment, while nothing is measured."""
    stay_on(SERVER_CORE)
    try:
        yield
    finally:
        stay_on(CLIENT_CORE)


def loop_milliseconds() -> float:
    """How long a fixed loop of plain Python takes on the server's core, median of three: the speed to be had now."""
    with on_the_servers_core():
        return statistics.median(_loop() for _ in range(3))


def fsync_milliseconds(folder: Path) -> float:
    """How long one 4 KiB append made durable takes in `folder`, the median of two hundred."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return statistics.median(_append(file.fileno()) for _ in range(200))


def _loop() -> float:
    started = time.perf_counter()
    total = 0
    for number in range(500_000):
        total += number & 7
    return (time.perf_counter() - started) * 1e3


def _append(file: int) -> float:
    started = time.perf_counter()
    os.write(file, bytes(4096))
    os.fdatasync(file)
    return (time.perf_counter() - started) * 1e3
