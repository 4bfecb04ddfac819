"""A PostgreSQL cluster of the tests' own: in a temporary directory, on a Unix socket only, gone afterwards."""

from __future__ import annotations

import asyncio
import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

DEADLINE_SECONDS = 120
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")


class PostgresMissing(Exception):
    """PostgreSQL's programs cannot be found or used here; the message says why."""


def find_programs() -> Path:
    """The directory that holds `initdb` and `postgres`: PATH's first, then the newest of the usual places."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    placed = [Path(match) for pattern in PLACES for match in glob.glob(pattern)]
    for folder in found + sorted(placed, key=_version, reverse=True):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing("PostgreSQL's initdb and postgres were not found (apt-get install postgresql)")


def _version(folder: Path) -> float:
    numbers = re.findall(r"\d+(?:\.\d+)?", str(folder))
    return float(numbers[-1]) if numbers else 0.0


def _as_whom() -> dict[str, Any]:
    """Arguments for subprocess: PostgreSQL refuses to run as root, so root becomes somebody without rights."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise PostgresMissing("running as root, and neither the user postgres nor nobody exists to run PostgreSQL as")


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster and yield its directory, which is the `host` to connect to; stop and remove it at the end."""
    programs, whom = find_programs(), _as_whom()
    # Not pytest's own temporary directory: that is closed to others, and its path too long for a socket's name.
    home = Path(tempfile.mkdtemp(prefix="wagate-pg-", dir="/tmp"))
    try:
        if whom:
            os.chown(home, whom["user"], whom["group"])
        env = {"PATH": os.defpath, "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
        started: dict[str, Any] = {"cwd": home, "env": env, "stdin": subprocess.DEVNULL, **whom}
        setup = [programs / "initdb", "-D", home / "db", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
        made = subprocess.run([*setup, "--no-sync"], **started, capture_output=True, text=True, timeout=99, check=False)
        if made.returncode:
            raise PostgresMissing(f"initdb failed: {made.stderr.strip()[-300:]}")
        server = _start(programs, home, started)
        try:
            _wait_until_ready(server, home)
            yield str(home)
        finally:
            server.send_signal(signal.SIGINT)  # the fast shutdown: connections are cut, nothing is waited for
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _start(programs: Path, home: Path, started: dict[str, Any]) -> subprocess.Popen[bytes]:
    options = {
        "listen_addresses": "",
        "unix_socket_directories": home,
        "fsync": "off",
        "full_page_writes": "off",
        "shared_buffers": "32MB",
        "max_connections": "60",
    }
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        return subprocess.Popen([programs / "postgres", "-D", home / "db", *words], stdout=log, stderr=log, **started)


def _wait_until_ready(server: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    pidfile = home / "db" / "postmaster.pid"
    while time.monotonic() < deadline and server.poll() is None:
        # The last line of the file is the server's own word for its state.
        if pidfile.exists() and pidfile.read_text().rstrip().endswith("ready"):
            return
        time.sleep(0.02)
    raise PostgresMissing(f"PostgreSQL did not start: {(home / 'log').read_text(errors='replace')[-500:]}")


def dsn(host: str, database: str = "postgres") -> str:
    """The address of a database in the cluster."""
    return f"postgresql://postgres@/{database}?host={host}"


def execute(address: str, *statements: str) -> None:
    """Run statements one by one; in a thread, so that it also serves callers that stand in an event loop."""

    async def work() -> None:
        connection = await asyncpg.connect(address)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work()).result(DEADLINE_SECONDS)


def rows(address: str, query: str) -> list[tuple[Any, ...]]:
    """What a query gives; in a thread, as `execute`."""

    async def work() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(address)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work()).result(DEADLINE_SECONDS)
