"""One session in a host: its store, its spool, and its life in the library.

Called by host.py on the host's event loop; the library calls back on its own threads. What it reports is on disk before
the library goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import ends, stored, wire
from wagate.engines.whatsapp.acquaintances import Acquaintances
from wagate.engines.whatsapp.addresses import text_of
from wagate.engines.whatsapp.asking import Asking
from wagate.engines.whatsapp.ear import Ear
from wagate.engines.whatsapp.library import Library
from wagate.engines.whatsapp.pieces import Pieces
from wagate.engines.whatsapp.spool import Spool
from wagate.engines.whatsapp.telling import Tell, Telling
from wagate.engines.whatsapp.timers import Timers
from wagate.engines.whatsapp.whereabouts import Whereabouts
from wagate.model.sessions import Pairing

log = structlog.get_logger(__name__)

_FIRST_CODE_SECONDS, _NEXT_CODE_SECONDS = 60, 20
_LOCK_SECONDS = 10.0
_LAST_WORD_SECONDS = 0.3
_LET_GO_SECONDS = 6.0
"""So long whoever closes a session waits for the library, less than the gateway waits for that."""


class Busy(Exception):
    """Another process holds this session's folder."""


class Stuck(Exception):
    """The library does not let a session go: only the end of this process frees its keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """What a line has around it. `calls`: threads for calls that wait for WhatsApp; `translate`: from an event of the
    library's to reports, on a thread; `stuck`: called when the library does not let the session go.
    """

    library: Library
    calls: Executor
    tell: Tell
    translate: Callable[[Line, int, bytes], list[base.Report]]
    stuck: Callable[[], None]


class Line(Asking):
    """A session. Its name in the library changes with every beginning: the library may be slow to let one go."""

    def __init__(self, around: Around, number: int, want: wire.Open) -> None:
        super().__init__(around.library, around.calls)
        self.account = want.account
        self._translate = around.translate
        self._stuck = around.stuck
        self._tell = around.tell
        self._number = number
        self.folder = Path(want.folder)
        self._loop = asyncio.get_running_loop()
        self._lock: int | None = None
        self._begun = 0
        self._purpose = ""
        self._codes = 0
        self._online: asyncio.Future[None] | None = None
        self._shown: asyncio.Future[None] | None = None
        self.whereabouts = Whereabouts()
        self.acquaintances = Acquaintances()
        self.timers = Timers(self.folder)
        self._has_keys = False
        self._leaving = False
        self._keys_missing = False
        self._telling: Telling | None = None
        self._closing = False
        self._releasing: asyncio.Task[None] | None = None
        # One beginning or end at a time: what begins while it is let go would be in nobody's hands.
        self._changing = asyncio.Lock()
        self._pieces = Pieces(around.library)

    async def open(self) -> None:
        """Hold the folder, and tell what an earlier process left.

        Raises:
            Busy: another process holds it still.
            ConnectionLost: it cannot be read, or is wanted no more.
        """
        try:
            async with self._changing:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                await self._hold()
                # Now, while the library has it not: two who open one file in one process undo each other's locks.
                state = await asyncio.to_thread(stored.state, self.folder, self.account.jid)
                self._has_keys, self._keys_missing = state
                spool = await asyncio.to_thread(Spool, self.folder / stored.SPOOL)
                read = partial(self._translate, self)
                self._telling = Telling(spool, self._number, self._tell, read, self.is_own)
        except OSError as error:
            log.error("what is kept of a session cannot be opened", session=self.account.session_id, error=str(error))
            await self.close()
            raise base.ConnectionLost from None
        if self._closing:
            raise base.ConnectionLost  # whoever closes waits behind us, and lets it go

    async def link(self, proxy: str | None) -> None:
        """Begin linking by QR."""
        if self._purpose != "link":
            await self._begin("link", proxy)

    async def link_by_code(self, phone: str, proxy: str | None, *, seconds: float) -> str:
        """Begin linking by code; the code.

        Raises:
            ConnectionLost: WhatsApp does not answer.
        """
        self._shown = self._loop.create_future() if self._purpose != "link" else self._shown
        await self.link(proxy)
        if self._shown is not None:
            try:
                async with asyncio.timeout(seconds):
                    await asyncio.shield(self._shown)
            except TimeoutError:
                raise base.ConnectionLost from None
        params = self.library.messages.PairPhoneParams(
            phone=phone, clientDisplayName="Chrome (Linux)", clientType=1, showPushNotification=True
        ).SerializeToString()
        answer = await self.call("PairPhone", params, len(params), returns="PairPhoneReturnFunction")
        return str(answer.Code)

    async def connect(self, proxy: str | None, *, seconds: float) -> None:
        """Go online; returns when online.

        Raises:
            ConnectionLost: not now.
            LinkEnded: the keys are of no use any more.
        """
        if self._keys_missing:
            log.error("the keys of a linked session are not on this machine", session=self.account.session_id)
            raise base.LinkEnded("failed", None)
        if not self._has_keys:
            # It would show codes, and could then be stopped only with this process.
            raise base.LinkEnded("logged_out", "unlinked")
        begun = await self._begin("connect", proxy)
        online = self._online
        try:
            if online is not None:
                async with asyncio.timeout(seconds):
                    await online
            me = await self.call("GetMe", returns="Device")
            if begun != self._begun or self._purpose != "connect":
                raise base.ConnectionLost  # it broke meanwhile
            self._is(me)
            if self._telling is not None:
                self._telling.begin()
        except TimeoutError:
            await self._end(begun)
            raise base.ConnectionLost from None
        except base.LinkEnded:
            with contextlib.suppress(Stuck):
                await self._end(begun)
            raise
        except base.ConnectionLost:
            await self._end(begun)
            raise
        finally:
            if self._online is online:
                self._online = None

    async def logout(self) -> None:
        """Unlink, and forget the keys."""
        self._leaving = True
        try:
            await self.call("Logout")
        except BaseException:
            self._leaving = False
            if not self._has_keys:
                self._ended(base.Ended(status="logged_out", reason="unlinked"))
            raise
        self._leaving = self._has_keys = False
        await self._end()

    async def close(self) -> None:
        """Go offline and let the folder go. Idempotent.

        The library lets no session go that waits for a proxy which says nothing, for a minute. This returns before, and
        the folder stays locked until then: the others in this process are not ended for it.

        Raises:
            Stuck: the library keeps the session; the folder stays locked.
        """
        self._closing = True
        if self._telling is not None:
            self._telling.pause()
            self._telling.release()
        releasing = self._releasing = self._releasing or asyncio.ensure_future(self._release())
        await asyncio.wait([releasing], timeout=_LET_GO_SECONDS)
        if releasing.done():
            return releasing.result()
        log.warning("a session is let go as soon as the library lets it", session=self.account.session_id)

    def hurry(self) -> None:
        """This process must end soon."""
        self._pieces.hurry()

    @property
    def let_go(self) -> bool:
        """Nothing is held any more."""
        return self._lock is None

    async def _release(self) -> None:
        await self._end()
        if self._telling is not None:
            await self._telling.close()
            self._telling = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def taken(self, number: int) -> None:
        """The gateway has committed everything up to this."""
        if self._telling is not None:
            self._telling.taken(number)

    @property
    def last(self) -> int:
        """The last number that was told, or waits to be."""
        return 0 if self._telling is None else self._telling.last

    def keep(self, reports: list[base.Report]) -> None:
        """Tell what an action of our own changed, as if it had come over the line."""
        if self._telling is not None:
            self._telling.keep(reports)

    def did(self, change: Hashable) -> None:
        """This account did what comes back over the line as well: it is not told then; see echoes.py."""
        if self._telling is not None:
            self._telling.first_of(change, ours=True)

    def keep_event(self, code: int, body: bytes) -> None:
        """What came over the line is on disk when this returns. Called on the library's threads."""
        if (telling := self._telling) is not None:
            telling.keep_event(code, body)
            self._pieces.heard(code, body)

    # On the event loop, told by the present ear.

    def about(self, begun: int, code: int, body: bytes) -> None:
        """How the line stands."""
        if begun != self._begun:
            return
        match ends.meaning(self.library, code, body):
            case "online":
                self._connected()
            case "lost":
                self._lost()
            case base.Ended() as ended:
                self._ended(ended)

    def show(self, begun: int, code: str) -> None:
        """A code to scan; where keys were to be used, there are none."""
        if begun != self._begun or not self._purpose:
            return
        if self._purpose == "connect":
            self._ended(base.Ended(status="logged_out", reason="unlinked"))
            return
        if self._shown is not None and not self._shown.done():
            self._shown.set_result(None)
        seconds = _NEXT_CODE_SECONDS if self._codes else _FIRST_CODE_SECONDS
        self._codes += 1
        self._report(base.QrShown(code=code, expires_at=int((time.time() + seconds) * 1000)))

    def timed_out(self, begun: int) -> None:
        """Nobody scanned."""
        if begun == self._begun and self._purpose == "link":
            self._purpose = ""
            self._report(base.LinkTimedOut())

    def over(self, begun: int) -> None:
        """The library has let the session go."""
        if begun != self._begun:
            return
        if self._purpose == "link":
            # No line any more to show codes on, and nobody was linked.
            self._purpose = ""
            self._report(base.LineLost())
        else:
            self._lost()

    def _connected(self) -> None:
        if self._purpose == "link":
            # The phone's acceptance is complete: the keys are whole, and this process has done its work.
            self._loop.create_task(self._linked())
        elif self._online is not None and not self._online.done():
            self._online.set_result(None)

    async def _linked(self) -> None:
        try:
            me = await self.call("GetMe", returns="Device")
        except base.ConnectionLost:
            return  # it broke in the very moment: the phone shows a link, and the next code makes another
        await self._end()
        self._has_keys, self._keys_missing = True, False
        pairing = Pairing(
            jid=text_of(me.JID),
            lid=text_of(me.LID) or UNSET,
            name=me.BussinessName or me.PushName or UNSET,
            platform=me.Platform or UNSET,
        )
        self._report(base.Linked(pairing=pairing))

    def _ended(self, ended: base.Ended) -> None:
        self._has_keys &= ended.status != "logged_out"
        if self._online is not None and not self._online.done():
            self._online.set_exception(base.LinkEnded(ended.status, ended.reason, ended.until))
        elif self._purpose and not (self._leaving and ended.status == "logged_out"):
            # That this session is unlinked is no news to whoever is unlinking it.
            self._purpose = ""
            self._loop.create_task(self._end())
            self._report(ended)

    def _lost(self) -> None:
        """The line broke. Why, where there is a reason, may be told a moment later."""
        self._loop.call_later(_LAST_WORD_SECONDS, self._lost_for_good, self._begun)

    def _lost_for_good(self, begun: int) -> None:
        if begun != self._begun:
            return
        if self._online is not None:
            self._purpose = ""  # whoever connects finds that, though it was online for a moment
            if not self._online.done():
                self._online.set_exception(base.ConnectionLost())
        elif self._purpose == "connect":
            self._purpose = ""
            self._loop.create_task(self._end())
            self._report(base.LineLost())

    def _report(self, told: base.Report) -> None:
        """Tell something about the line itself: it means nothing to a later process, so it is not kept."""
        self._tell(wire.Told(line=self._number, number=0, reports=[wire.report(told)]))

    async def _hold(self) -> None:
        deadline = self._loop.time() + _LOCK_SECONDS
        while (lock := stored.lock(self.folder)) is None:
            if self._closing or self._loop.time() > deadline:
                raise Busy
            await asyncio.sleep(0.05)
        self._lock = lock

    async def _begin(self, purpose: str, proxy: str | None) -> int:
        """Begin, when what was before is over; the number of this beginning.

        Raises:
            ConnectionLost: the session is being let go.
        """
        self._break_off()
        async with self._changing:
            await self._let_go()
            if self._closing:
                raise base.ConnectionLost
            self._begun += 1
            self._codes = 0
            self.whereabouts.forget()
            self._purpose = purpose
            self._online = self._loop.create_future() if purpose == "connect" else None
            self._name = f"{self.account.session_id}.{self._number}.{self._begun}"
            store = str(self.folder / stored.FILE)
            name, ear = self._name, Ear(self, self._begun, self._loop.call_soon_threadsafe, self.account.session_id)
            await asyncio.to_thread(lambda: self.library.begin(name, store=store, heard=ear, proxy=proxy))
            return self._begun

    async def _end(self, begun: int | None = None) -> None:
        """End what has begun last, or only the beginning of this number; a later one is another's."""
        if begun not in (None, self._begun):
            return
        begun = self._begun
        self._break_off()
        async with self._changing:
            if begun == self._begun:
                await self._let_go()

    def _break_off(self) -> None:
        """What is under way is wanted no more."""
        self._purpose = ""
        self.acquaintances.end()
        if self._telling is not None:
            self._telling.pause()
        if self._online is not None and not self._online.done():
            self._online.set_exception(base.ConnectionLost())

    async def _let_go(self) -> None:
        await self._pieces.come()
        if self._name and not await asyncio.to_thread(self.library.end, self._name):
            log.error("the library does not let a session go", session=self.account.session_id)
            self._stuck()
            raise Stuck
