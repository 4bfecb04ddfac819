"""The WhatsApp engine under test: the real library in real host processes, and the emulator around it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.emulator.accounts import Device
from tests.emulator.emulator import Emulator
from tests.emulator.library import why_not
from tests.support.engines import ORG, Recorder, until
from wagate.backends.blobs import DiskBlobs
from wagate.engines.base import Account, Linked, QrShown
from wagate.engines.whatsapp.engine import WhatsAppEngine
from wagate.engines.whatsapp.fleet import Hosts
from wagate.engines.whatsapp.stored import has_keys

__all__ = ["PATIENCE", "Village", "WhatsApp", "alive", "eventually", "why_not"]

PATIENCE = 60.0
"""How long anything may take on a busy machine."""


async def eventually(condition: Any, *, seconds: float = PATIENCE) -> None:
    """As `until`, for what takes real seconds."""
    await until(condition, seconds=seconds)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class WhatsApp:
    """An engine, its folder, and the network; linked accounts can be taken over by the next one (see `Village`)."""

    def __init__(self, emulator: Emulator, *, folder: Path | None = None, **more: Any) -> None:
        self.emulator = emulator
        self.folder = folder or Path(tempfile.mkdtemp(prefix="wagate-"))
        self.files = DiskBlobs(self.folder / "blobs")
        self.more = more
        self.engine = self.another()

    def another(self, **more: Any) -> WhatsAppEngine:
        """An engine on the same folder."""
        hosts = Hosts(**{"command": self.command(), **self.more, **more})
        return WhatsAppEngine(self.folder / "sessions", self.files, hosts=hosts)

    def command(self, *, trusts: bool = True, proxied: bool = True) -> list[str]:
        """How hosts are started so that they find the emulator, and nothing else.

        Without `proxied` the dead end beside it is left to this process's own environment, and the caller.
        """
        given = self.emulator.environment(trusts=trusts)
        if not proxied:
            given = {name: value for name, value in given.items() if not name.lower().endswith("_proxy")}
        path = [given.get("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
        given["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        told = [f"{name}={value}" for name, value in given.items()]
        return ["env", *told, sys.executable, "-m", "wagate.engines.whatsapp"]

    async def close(self) -> None:
        """End it, and leave nothing behind."""
        await self.engine.close()
        await self.files.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def account(self, session: str, *, jid: str | None = None, proxy: str | None = None) -> Account:
        """A session's account, that reaches the emulator unless another proxy is named."""
        proxy = self.emulator.proxy_url if proxy is None else proxy
        return Account(session_id=session, organization_id=ORG, jid=jid, proxy_url=proxy)

    async def open(
        self, session: str, *, jid: str | None = None, sink: Recorder | None = None, proxy: str | None = None
    ) -> tuple[Any, Recorder]:
        """A connection, not yet online."""
        sink = sink or Recorder()
        return await self.engine.open(self.account(session, jid=jid, proxy=proxy), sink), sink

    async def link(self, session: str, number: str, *, sink: Recorder | None = None) -> tuple[Any, Recorder]:
        """Link by QR; the connection is not online."""
        connection, sink = await self.open(session, sink=sink)
        await connection.link()
        await eventually(lambda: sink.of(QrShown))
        await self.emulator.person(number).scan(sink.of(QrShown)[-1].code)
        await eventually(lambda: sink.of(Linked))
        return connection, sink

    async def linked(self, session: str, number: str, *, sink: Recorder | None = None) -> tuple[Any, Recorder]:
        """Linked and online; its sink has forgotten how that came."""
        connection, sink = await self.link(session, number, sink=sink)
        await connection.connect()
        sink.forget()
        return connection, sink

    def device(self, number: str) -> Device:
        """The companion that was linked last."""
        return self.emulator.person(number).devices[-1]

    def keys(self, session: str) -> Path:
        """A session's folder."""
        return self.folder / "sessions" / session


class Village:
    """Accounts that were linked once, by number: their keys are lent to one engine after the other.

    Linking takes longer than most stories do.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.folder = Path(tempfile.mkdtemp(prefix="village-"))

    def close(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @asynccontextmanager
    async def online(self, world: WhatsApp, people: Mapping[str, str]) -> AsyncIterator[list[tuple[Any, Recorder]]]:
        """Sessions online as these numbers, by session id: connection and sink of each; given back afterwards."""
        for session, number in people.items():
            kept = self.folder / number
            if kept.exists():
                world.keys(session).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                shutil.move(kept, world.keys(session))
        try:
            yield [await self._begin(world, session, number) for session, number in people.items()]
        finally:
            await world.engine.close()
            for session, number in people.items():
                person = self.emulator.person(number)
                if person.devices and has_keys(world.keys(session)):
                    shutil.move(world.keys(session), self.folder / number)
                else:
                    await person.unlink()

    async def _begin(self, world: WhatsApp, session: str, number: str) -> tuple[Any, Recorder]:
        if not world.keys(session).exists():
            return await world.linked(session, number)
        connection, sink = await world.open(session, jid=f"{number}@s.whatsapp.net")
        await connection.connect()
        # What an earlier story left comes now, and is not this one's.
        await eventually(lambda: not any(node.tag == "message" for node in world.device(number).waiting))
        await eventually(lambda: (world.keys(session) / "spool").stat().st_size == 0)
        sink.forget()
        return connection, sink
