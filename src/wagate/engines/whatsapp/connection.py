"""One session's connection to the real network: a berth in a host, as the port asks for it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.fleet import Berth, Fleet
from wagate.engines.whatsapp.process import Answer, Lost
from wagate.errors import Gone, NoAnswer, SessionNotConnected, WagateError
from wagate.model import Maybe
from wagate.model.actions import Action, FetchMedia, RequestCode, SetGroupPicture
from wagate.model.contents import AlbumContent, Content, MediaContent
from wagate.model.messages import Ack, Outgoing
from wagate.model.sessions import PairingCode

log = structlog.get_logger(__name__)

_OPEN_SECONDS, _CLOSE_SECONDS, _CONNECT_SECONDS, _ACTION_SECONDS = 15.0, 15.0, 45.0, 30.0
_SEND_SECONDS = 60.0
_TRIES = 3


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session's things are: its own folder, its keys' database if that is elsewhere, and the blob store."""

    folder: Path
    files: base.Files
    dsn: str | None = None


class WhatsAppConnection:
    """See the port. Reports are taken one batch after the other by a task of its own."""

    def __init__(self, account: base.Account, sink: base.Sink, fleet: Fleet, store: Store) -> None:
        self.account = account
        self._sink = sink
        self._fleet = fleet
        self._files = store.files
        self._folder = store.folder
        self._dsn = store.dsn
        self._berth: Berth | None = None
        self._online = False
        self._linking = False
        self._closed = False
        self._told: asyncio.Queue[wire.Told] = asyncio.Queue()
        self._taken = 0
        self._passed = asyncio.Condition()
        self._taking: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    async def link(self) -> None:
        """Show codes, from a host of this session's own."""
        await self._move(alone=True)
        await self._ask(wire.Link(), seconds=_CONNECT_SECONDS)

    async def connect(self) -> None:
        """Go online in a shard."""
        if self._online and self._berth is not None:
            return
        await self._move(alone=False)
        await self._ask(wire.Connect(), seconds=_CONNECT_SECONDS)
        self._online = True

    async def snapshot(self) -> base.Snapshot:
        """The account's groups, and whom it knows."""
        answer = await self._ask(wire.Look(), seconds=_CONNECT_SECONDS)
        return msgspec.msgpack.decode(answer.body, type=base.Snapshot)

    async def send(self, outgoing: Outgoing) -> Ack:
        """Send; the network chooses the id.

        Raises:
            NoAnswer: it may have gone out.
        """
        if not self._online:
            raise base.ConnectionLost
        async with contextlib.AsyncExitStack() as stack:
            files = {}
            for id in _files_of(outgoing.content):
                path = await stack.enter_async_context(self._files.local(id))
                if path is None:
                    raise Gone("the file's bytes are no longer kept")
                files[id] = str(path)
            answer = await self._ask(wire.Send(outgoing=outgoing, files=files), seconds=_SEND_SECONDS)
        return msgspec.msgpack.decode(answer.body, type=Ack)

    async def perform(self, action: Action) -> Any:
        """Perform an action; what it changed has passed through the sink."""
        if isinstance(action, RequestCode):
            return await self._request_code(action)
        if not self._online:
            raise SessionNotConnected
        async with self._beside(action) as file:
            want = wire.Perform(action=action, file=file)  # type: ignore[arg-type]
            answer = await self._ask(want, seconds=_ACTION_SECONDS)
            if isinstance(action, FetchMedia) and file is not None:
                await self._files.put(action.into, _pieces(Path(file)))
        await self._passed_by(answer.after)
        return None if action.answer is None else msgspec.msgpack.decode(answer.body, type=action.answer)

    @contextlib.asynccontextmanager
    async def _beside(self, action: Action) -> AsyncIterator[str | None]:
        """Where the bytes that go with an action are, or belong."""
        if isinstance(action, SetGroupPicture):
            async with self._files.local(action.media) as path:
                yield None if path is None else str(path)
        elif isinstance(action, FetchMedia):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix="fetch-") as file:
                yield file.name
        else:
            yield None

    async def read(self, chat: str, sender: Maybe[str], wire_ids: list[str]) -> None:
        """Send read receipts."""
        if not self._online:
            raise base.ConnectionLost
        await self._ask(wire.Read(chat=chat, sender=sender, wire_ids=wire_ids), seconds=_ACTION_SECONDS)

    async def logout(self) -> None:
        """Unlink at the network, and forget the keys."""
        await self._ask(wire.Logout(), seconds=_ACTION_SECONDS)

    async def close(self) -> None:
        """Go offline, keep the keys. Idempotent."""
        self._closed = True
        self._online = False
        async with self._changing:
            await self._leave()
        if self._taking is not None:
            self._taking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._taking

    async def _request_code(self, action: RequestCode) -> PairingCode:
        await self._move(alone=True)
        answer = await self._ask(wire.LinkByCode(phone=action.phone), seconds=_ACTION_SECONDS)
        return PairingCode(code=msgspec.msgpack.decode(answer.body, type=str))

    async def _move(self, *, alone: bool) -> None:
        """Be in a host of the right kind, with the folder in our hands there."""
        async with self._changing:
            if self._closed:
                raise base.ConnectionLost
            berth = self._berth
            if berth is not None and berth.host.alive and self._linking == alone:
                return
            await self._leave()
            berth = await self._fleet.berth(self.account.session_id, alone=alone)
            self._linking = alone
            self._berth, self._taken, self._told = berth, 0, asyncio.Queue()
            berth.dead = lambda given_up: self._died(berth, given_up)
            berth.host.lines[berth.number] = self._told.put_nowait
            if self._taking is not None:
                self._taking.cancel()
            self._taking = asyncio.create_task(self._take(berth, self._told))
            want = wire.Open(account=self.account, folder=str(self._folder), dsn=self._dsn)
            await self._ask(want, seconds=_OPEN_SECONDS)

    async def _leave(self) -> None:
        berth, self._berth = self._berth, None
        if berth is None:
            return
        berth.dead = lambda given_up: None
        hangs = False
        if berth.host.alive and not berth.alone:
            try:
                await berth.host.ask(berth.number, wire.Close(), seconds=_CLOSE_SECONDS)
            except NoAnswer:
                hangs = True
            except (base.ConnectionLost, WagateError):
                pass
        await self._fleet.leave(berth, at_once=hangs)

    async def _ask(self, want: wire.AnyWant, *, seconds: float) -> Answer:
        berth = self._berth
        if berth is None:
            raise base.ConnectionLost
        berth.under_way += 1
        try:
            return await berth.host.ask(berth.number, want, seconds=seconds)
        except Lost as lost:
            if lost.sent and isinstance(want, wire.Send):
                raise NoAnswer from None
            raise
        finally:
            berth.under_way -= 1

    async def _take(self, berth: Berth, told: asyncio.Queue[wire.Told]) -> None:
        """Pass on what the host tells, in order; say what is committed."""
        while True:
            batch = [await told.get()]
            while not told.empty() and len(batch) < 64:
                batch.append(told.get_nowait())
            reports = [wire.reported(each) for one in batch for each in one.reports]
            for report in reports:
                if isinstance(report, (base.LineLost, base.Ended, base.Linked)):
                    self._online = False
            await self._sink(reports)
            number = max(one.number for one in batch)
            if number:
                berth.host.taken(berth.number, number)
                async with self._passed:
                    self._taken = number
                    self._passed.notify_all()

    async def _passed_by(self, number: int) -> None:
        async with self._passed:
            await self._passed.wait_for(lambda: self._taken >= number)

    def _died(self, berth: Berth, given_up: bool) -> None:
        if self._berth is not berth or self._closed:
            return
        self._berth = None
        self._online = False
        end = base.Ended(status="failed", reason="engine_crashed")
        self._told.put_nowait(
            wire.Told(line=berth.number, number=0, reports=[wire.report(end if given_up else base.LineLost())])
        )


def _files_of(content: Content) -> list[str]:
    """The media ids whose bytes a content needs."""
    if isinstance(content, AlbumContent):
        return [id for item in content.items for id in _files_of(item.content)]
    return [content.media.id] if isinstance(content, MediaContent) and content.media.id else []


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(1 << 20):
            yield piece
