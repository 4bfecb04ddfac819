"""One session's connection to the real network: a berth in a host, as the port asks for it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.fleet import Berth, Fleet
from wagate.engines.whatsapp.passing import Passing
from wagate.engines.whatsapp.process import Answer, Lost
from wagate.errors import Gone, Internal, NoAnswer, SessionNotConnected, StorageUnavailable, WagateError
from wagate.model import Maybe, jid
from wagate.model.actions import Action, FetchMedia, RequestCode, SetGroupPicture, SetPresence, WatchPresence
from wagate.model.contents import AlbumContent, Content, MediaContent
from wagate.model.messages import Ack, Outgoing
from wagate.model.sessions import PairingCode

log = structlog.get_logger(__name__)

_OPEN_SECONDS, _CLOSE_SECONDS, _CONNECT_SECONDS, _ACTION_SECONDS = 15.0, 8.0, 45.0, 30.0
_SEND_SECONDS = 60.0
_ENDS_THE_LINE = frozenset({"LineLost", "Ended", "Linked"})
_WATCHED_MOST = 100
"""People of whom a session hears again after it was away, at most: those who were asked for last."""
_ENDS_LINKING = frozenset({"LineLost", "LinkTimedOut", "Ended"})

Route = Callable[[str], Awaitable[str]]
"""From a customer's proxy URL to the one that a host may use, its address checked; raises `ConnectionLost`."""


async def as_given(proxy: str) -> str:
    """The route that checks nothing."""
    return proxy


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session's things are: its own folder, the blob store, and its way to the network."""

    folder: Path
    files: base.Files
    route: Route = as_given


class WhatsAppConnection:
    """See the port. It is in one host at a time; what that host tells is handed on by a `Passing` of its own."""

    def __init__(self, account: base.Account, sink: base.Sink, fleet: Fleet, store: Store) -> None:
        self.account = account
        self._sink = sink
        self._fleet = fleet
        self._store = store
        self._files = store.files
        self._folder = store.folder
        self._berth: Berth | None = None
        self._passing: Passing | None = None
        self._online = self._doubtful = False
        self._linking = False
        self._spent = False
        self._closed = False
        self._going: asyncio.Future[None] | None = None
        self._placing: asyncio.Future[Berth] | None = None
        self._changing = asyncio.Lock()
        self._shown: SetPresence | None = None
        self._watched: dict[str, WatchPresence] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def link(self) -> None:
        """Show codes, from a host of this session's own."""
        await self._begin(wire.Link(proxy=await self._proxy()), alone=True)

    async def connect(self) -> None:
        """Go online in a shard, when others have not just found that nobody is there."""
        if self._online and not self._doubtful and self._berth is not None:
            return
        attempt = self._fleet.reach.attempt(self.account.proxy_url, self.account.session_id, self._connect)
        going = self._going = asyncio.ensure_future(attempt)
        try:
            await going
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise base.ConnectionLost from None
            raise

    async def _connect(self) -> None:
        await self._begin(wire.Connect(proxy=await self._proxy()), alone=False)
        self._online, self._doubtful = self._berth is not None, False
        if self._shown is not None or self._watched:
            self._renewing = asyncio.create_task(self._renew(), name=f"presence of {self.account.session_id}")

    async def _renew(self) -> None:
        """Show the account and watch people as before: WhatsApp forgets both with the line."""
        renewed: list[SetPresence | WatchPresence] = list(self._watched.values())
        for action in renewed if self._shown is None else [self._shown, *renewed]:
            try:
                await self._ask(wire.Perform(action=action), seconds=_ACTION_SECONDS)
            except (base.ConnectionLost, base.LinkEnded):
                return
            except WagateError as error:
                log.info("presence is not as before", session=self.account.session_id, error=error.code)

    async def _begin(self, want: wire.Link | wire.Connect, *, alone: bool) -> None:
        try:
            await self._move(alone=alone)
            if self._berth is not None:
                self._berth.host.begun += 1
            await self._ask(want, seconds=_CONNECT_SECONDS)
        except WagateError as error:
            log.warning("a session cannot begin", session=self.account.session_id, error=str(error))
            raise base.ConnectionLost from error

    async def snapshot(self) -> base.Snapshot:
        """The account's groups, and whom it knows."""
        answer = await self._ask(wire.Look(), seconds=_CONNECT_SECONDS)
        return msgspec.msgpack.decode(answer.body, type=base.Snapshot)

    async def send(self, outgoing: Outgoing) -> Ack:
        """Send; the network chooses the id.

        Raises:
            NeverLeft: there is no line to send it on.
            NoAnswer: it may have gone out; or, `certain`, its file cannot be read now.
        """
        if not self._online:
            raise base.NeverLeft
        async with contextlib.AsyncExitStack() as stack:
            files = {}
            for id in _files_of(outgoing.content):
                try:
                    path = await stack.enter_async_context(self._files.local(id))
                except StorageUnavailable:
                    raise NoAnswer("the file cannot be read now", certain=True) from None
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
        # Its numbers are those of the host that answers; by the end of this another one may have the session.
        passing = self._passing
        async with self._beside(action) as file:
            want = wire.Perform(action=action, file=file)  # type: ignore[arg-type]
            answer = await self._ask(want, seconds=_ACTION_SECONDS)
            if isinstance(action, FetchMedia) and file is not None:
                await self._files.put(action.into, _pieces(Path(file)))
        self._remember(action)
        if passing is not None:
            await passing.passed(answer.after)
        return None if action.answer is None else msgspec.msgpack.decode(answer.body, type=action.answer)

    def _remember(self, action: Action) -> None:
        if isinstance(action, SetPresence):
            self._shown = action if action.online else None
        elif isinstance(action, WatchPresence) and not jid.is_group(action.chat):
            self._watched.pop(action.chat, None)
            self._watched[action.chat] = action
            if len(self._watched) > _WATCHED_MOST:
                del self._watched[next(iter(self._watched))]

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
        """Unlink at the network, and forget the keys.

        Raises:
            ConnectionLost: the network could not be told, or does not want to hear it.
        """
        try:
            await self._ask(wire.Logout(), seconds=_ACTION_SECONDS)
        except WagateError as error:
            log.warning("a session cannot be unlinked", session=self.account.session_id, error=str(error))
            raise base.ConnectionLost from error
        # Not only when the line's end is told, which may come later or not at all.
        self._online = False

    async def close(self) -> None:
        """Go offline, keep the keys. Idempotent.

        Cancelled, it is finished all the same: half closed, the session would be in a host that nobody ends.
        """
        self._closed = True
        self._online = False
        for waiting in (self._going, self._placing):
            if waiting is not None:
                waiting.cancel()
        await _to_the_end(self._close())

    async def _close(self) -> None:
        async with self._changing:
            await self._leave()
            if self._passing is not None:
                await self._passing.close()

    async def _request_code(self, action: RequestCode) -> PairingCode:
        proxy = await self._proxy()
        await self._move(alone=True)
        answer = await self._ask(wire.LinkByCode(phone=action.phone, proxy=proxy), seconds=_ACTION_SECONDS)
        return PairingCode(code=msgspec.msgpack.decode(answer.body, type=str))

    async def _proxy(self) -> str | None:
        """Judged anew for each beginning: a name may lead elsewhere by then."""
        return None if self.account.proxy_url is None else await self._store.route(self.account.proxy_url)

    async def _move(self, *, alone: bool) -> None:
        """Be in a host of the right kind, with the folder in our hands there."""
        async with self._changing:
            berth = self._berth
            fits = self._linking == alone and not self._spent and not self._closed
            if fits and berth is not None and berth.host.alive and not self._fleet.worn(berth.host):
                return
            await self._leave()
            if self._passing is not None:
                await self._passing.close()
            self._linking, self._spent = alone, False
            self._berth = berth = await self._place(alone=alone)
            passing = self._passing = Passing(self._sink, self._folder, lambda number: _taken(berth, number))
            berth.dead = lambda given_up: self._died(berth, passing, given_up)
            berth.host.lines[berth.number] = lambda told: self._hear(passing, told)
            account = msgspec.structs.replace(self.account, proxy_url=None)
            want = wire.Open(account=account, folder=str(self._folder))
            try:
                await self._ask(want, seconds=_OPEN_SECONDS)
            except BaseException:
                await self._leave()
                raise

    async def _place(self, *, alone: bool) -> Berth:
        """A place in a host; `close` need not wait for one.

        Raises:
            ConnectionLost: there is none now, or this is closed.
        """
        if self._closed:
            raise base.ConnectionLost
        berth = self._fleet.berth(self.account.session_id, alone=alone, proxy=self.account.proxy_url)
        placing = self._placing = asyncio.ensure_future(berth)
        try:
            return await placing
        except asyncio.CancelledError:
            if placing.done() and not placing.cancelled() and placing.exception() is None:
                await self._fleet.leave(placing.result())
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise base.ConnectionLost from None
            raise
        finally:
            self._placing = None

    async def _leave(self) -> None:
        berth, self._berth = self._berth, None
        self._online = False
        if self._renewing is not None:
            self._renewing.cancel()
        if berth is not None:
            await _to_the_end(self._give_back(berth))

    async def _give_back(self, berth: Berth) -> None:
        berth.dead = lambda given_up: None
        # A session that waits for a phone cannot be stopped in the library, only with its host: it has that for itself.
        must_die = self._linking
        if berth.host.alive and not must_die:
            try:
                await berth.host.ask(berth.number, wire.Close(), seconds=_CLOSE_SECONDS)
            except base.ConnectionLost:
                pass
            except WagateError:
                # It keeps the session for all we know, and its keys must not be used twice.
                must_die = True
        await self._fleet.leave(berth, at_once=must_die)

    async def _ask(self, want: wire.AnyWant, *, seconds: float) -> Answer:
        berth, sends = self._berth, isinstance(want, wire.Send)
        if berth is None:
            raise base.NeverLeft if sends else base.ConnectionLost
        berth.under_way += 1
        try:
            return await berth.host.ask(berth.number, want, seconds=seconds)
        except base.LinkEnded:
            self._online = False
            raise
        except Lost as lost:
            # That it broke may be told before it was known to be there, or never: whoever connects is to look.
            self._doubtful = True
            if sends:
                # A host that died had it; one that says that there is no line had nothing of it written.
                raise (NoAnswer() if lost.sent else base.NeverLeft()) from None
            raise
        except Internal:
            if sends:
                # A defect of the host's, before or after the library had it.
                raise NoAnswer from None
            raise
        finally:
            berth.under_way -= 1

    def _hear(self, passing: Passing, told: wire.Told) -> None:
        if any(report.kind in _ENDS_THE_LINE for report in told.reports):
            self._online = False
        # Where linking has ended without a link the library keeps its thread: the next try needs another host.
        self._spent |= self._linking and any(report.kind in _ENDS_LINKING for report in told.reports)
        passing.put(told)

    def _died(self, berth: Berth, passing: Passing, given_up: bool) -> None:
        if self._berth is not berth or self._closed:
            return
        self._berth = None
        end = base.Ended(status="failed", reason="engine_crashed")
        self._hear(passing, wire.told_alone(wire.report(end if given_up else base.LineLost())))


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do it to the end; whoever is cancelled meanwhile is so afterwards."""
    doing, cancelled = asyncio.ensure_future(work), False
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError:
            cancelled = True
    doing.result()
    if cancelled:
        raise asyncio.CancelledError


def _taken(berth: Berth, number: int) -> None:
    berth.host.taken(berth.number, number)


def _files_of(content: Content) -> list[str]:
    """The media ids whose bytes a content needs."""
    if isinstance(content, AlbumContent):
        return [id for item in content.items for id in _files_of(item.content)]
    return [content.media.id] if isinstance(content, MediaContent) and content.media.id else []


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(1 << 20):
            yield piece
