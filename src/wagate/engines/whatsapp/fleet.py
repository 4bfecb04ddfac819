"""The host processes of one engine: which session is in which, and what happens when one dies.

Sessions are spread over shards of a few each; one that links, and one that is suspected of killing its host, has a
host of its own. Called by engine.py and connection.py.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog

from wagate.engines import base
from wagate.engines.whatsapp.blame import Blame
from wagate.engines.whatsapp.process import HostProcess, names_proxies
from wagate.engines.whatsapp.reach import Reach

log = structlog.get_logger(__name__)

_STARTS_AT_ONCE = 2
_BACKOFF_MOST = 60.0
HOST = (sys.executable, "-P", "-m", "wagate.engines.whatsapp", "--nice", "10")
"""What people ask of the gateway comes first, also while eight sessions come back at once."""


class Hosts(msgspec.Struct, frozen=True, kw_only=True):
    """How hosts are run. `command`: what starts one; `per_host`: how many sessions share one, and are cut off together
    when it dies; `pulse`: seconds between signs of life: one that hangs is found within four of these; `patience`:
    seconds without a word from this process after which a host ends, well below the time of a lease. `beginnings`:
    after so many of sessions a host is worn: whoever begins then does so in another, and it ends with the last.
    """

    command: Sequence[str] = HOST
    per_host: int = 8
    pulse: float = 5.0
    patience: float = 20.0
    # The library does not let go of all that it took for a session: each costs a descriptor and half a megabyte.
    beginnings: int = 100


class Berth:
    """A session's place in a host. `dead` is called once if the host dies; its argument: the session is given up."""

    __slots__ = ("alone", "dead", "host", "number", "session_id", "under_way")

    def __init__(self, session_id: str, number: int, host: HostProcess, *, alone: bool) -> None:
        self.session_id = session_id
        self.number = number
        self.host = host
        self.alone = alone
        self.under_way = 0
        self.dead: Callable[[bool], None] = lambda given_up: None


class Fleet:
    """The hosts that live, and who is in them. `reach`: who of them may try to connect now."""

    def __init__(self, hosts: Hosts) -> None:
        self.reach = Reach()
        self._how = hosts
        self._guilty: dict[HostProcess, str] = {}
        self._berths: dict[HostProcess, dict[int, Berth]] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._placing = asyncio.Lock()
        self._blame = Blame()
        self._count = 0
        self._failed_starts = 0
        self._closed = False

    def hosts(self) -> list[HostProcess]:
        """The hosts that live now."""
        return list(self._berths)

    def host_of(self, session_id: str) -> int | None:
        """The process that a session is in now."""
        berths = (berth for each in self._berths.values() for berth in each.values())
        return next((berth.host.pid for berth in berths if berth.session_id == session_id), None)

    async def berth(self, session_id: str, *, alone: bool = False, proxy: str | None = None) -> Berth:
        """A place for a session; its host runs. `proxy`: the session's own.

        Raises:
            ConnectionLost: no host can be started now.
        """
        if self._closed:
            raise base.ConnectionLost
        alone = alone or self._blame.alone(session_id, time.monotonic())
        # Of one process's sessions, those with a SOCKS proxy of their own would go through it to the environment's.
        proxied = not (proxy or "").startswith("socks5:") or not names_proxies()
        if alone:
            return self._place(session_id, await self._start(proxied=proxied), alone=True)
        async with self._placing:
            for host, berths in self._berths.items():
                if host.proxied != proxied:
                    continue
                full = len(berths) >= self._how.per_host or any(berth.alone for berth in berths.values())
                if host.alive and berths and not full and not self.worn(host):
                    return self._place(session_id, host, alone=False)
            return self._place(session_id, await self._start(proxied=proxied), alone=False)

    def worn(self, host: HostProcess) -> bool:
        """Whether enough sessions have begun in a host."""
        return host.begun >= self._how.beginnings

    async def leave(self, berth: Berth, *, at_once: bool = False) -> None:
        """Give a place back; a host without sessions ends. `at_once`: this host cannot let it go, and is killed."""
        berths = self._berths.get(berth.host)
        if berths is None or berths.pop(berth.number, None) is None:
            return
        berth.host.lines.pop(berth.number, None)
        if not berths:
            del self._berths[berth.host]
        elif at_once:
            # The others in it are cut off as by a crash, and come back elsewhere.
            self._guilty[berth.host] = berth.session_id
        if at_once or not berths:
            await berth.host.stop(at_once=at_once)

    async def close(self) -> None:
        """End every host."""
        self._closed = True
        hosts = list(self._berths)
        self._berths.clear()
        await asyncio.gather(*(host.stop() for host in hosts))
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def _place(self, session_id: str, host: HostProcess, *, alone: bool) -> Berth:
        self._count += 1
        berth = Berth(session_id, self._count, host, alone=alone)
        self._berths.setdefault(host, {})[berth.number] = berth
        return berth

    async def _start(self, *, proxied: bool) -> HostProcess:
        async with self._starting:
            if self._failed_starts:
                await asyncio.sleep(random.uniform(0, min(2.0**self._failed_starts, _BACKOFF_MOST)))
            host = HostProcess(proxied=proxied)
            try:
                await host.start(self._how.command, patience=self._how.patience)
            except base.ConnectionLost:
                self._failed_starts = min(self._failed_starts + 1, 10)
                raise
            self._failed_starts = 0
        if self._closed:
            await host.stop(at_once=True)
            raise base.ConnectionLost
        log.info("host started", pid=host.pid, library=host.library)
        watch = asyncio.create_task(self._watch(host), name=f"watch host {host.pid}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return host

    async def _feel(self, host: HostProcess) -> None:
        if await host.feel(self._how.pulse):
            log.error("a host hangs", pid=host.pid)
            await host.stop(at_once=True)

    async def _watch(self, host: HostProcess) -> None:
        feeling = asyncio.create_task(self._feel(host), name=f"feel host {host.pid}")
        try:
            await host.gone.wait()
        finally:
            feeling.cancel()
        berths, guilty = self._berths.pop(host, None), self._guilty.pop(host, None)
        if not berths:
            return
        present = {berth.session_id for berth in berths.values()}
        under_way = {berth.session_id for berth in berths.values() if berth.under_way}
        if guilty is not None:
            present, under_way = {guilty}, {guilty}
        given_up = self._blame.died(present, under_way, time.monotonic())
        log.error("a host died", pid=host.pid, sessions=len(present), given_up=given_up, said=list(host.log)[:5])
        for berth in berths.values():
            berth.dead(berth.session_id in given_up)
