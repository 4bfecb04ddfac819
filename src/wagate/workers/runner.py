"""One session alive: connect, back off, events in, outbox out, actions performed.

A runner belongs to one lease. It ends when the lease is lost, when the session is not wanted any more, or when the
network ended the link. Started and stopped by the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from wagate.backends.sealing import CannotOpen
from wagate.engines import base
from wagate.errors import Internal, NoAnswer, SessionNotConnected, StorageUnavailable, WagateError, to_wire
from wagate.gateway import Gateway, actions, dispatch, leases, outcomes, proxies, waits
from wagate.gateway.leases import Held, LeaseLost
from wagate.gateway.outbox import IN_FLIGHT, Entry
from wagate.model import jid
from wagate.model.actions import SessionAction
from wagate.model.messages import Ack
from wagate.telemetry import traces
from wagate.workers import inbox
from wagate.workers.backfiller import Backfiller
from wagate.workers.fetcher import Fetcher
from wagate.workers.lasting import lasting
from wagate.workers.newcomers import Newcomers
from wagate.workers.saying import say
from wagate.workers.typist import type_first
from wagate.workers.unlinking import unlink

log = structlog.get_logger(__name__)

_decode = msgspec.json.Decoder(SessionAction).decode
_BACKOFF_MOST = 120.0
_SEALED_SECONDS = 30.0
_LASTING_SECONDS, _FALLS = 30.0, 3
"""A line that lasted so long was a good one; after so many in a row that did not, each rest is longer."""


class Runner:
    """The life of one held session. `wake` makes it look at the outbox."""

    __slots__ = (
        "_again",
        "_backfiller",
        "_begun",
        "_connection",
        "_ended",
        "_engine",
        "_fetcher",
        "_gw",
        "_lost",
        "_newcomers",
        "_online",
        "_sends",
        "_stops",
        "held",
        "wake_up",
    )  # fmt: skip

    def __init__(self, gw: Gateway, engine: base.Engine, held: Held) -> None:
        self.held = held
        self.wake_up = asyncio.Event()
        self._gw = gw
        self._engine = engine
        self._connection: base.Connection | None = None
        self._backfiller = Backfiller(gw)
        self._fetcher = Fetcher(gw, held)
        self._newcomers = Newcomers(gw)
        self._lost = False
        self._ended: base.Ended | None = None
        self._online = False
        self._again: int | None = None
        self._sends: dict[str, asyncio.Task[None]] = {}
        # What the network may have, though nothing says so yet: it is not said again by this runner.
        self._begun: set[str] = set()
        self._stops: list[Any] = []

    async def run(self) -> None:
        """Live until the session is no longer ours to run. Never raises but for a defect or a cancellation."""
        try:
            await self._open()
            if self.held.wanted == "logout":
                await self._log_out()
            else:
                if self.held.wa_jid is None:
                    await self._link()
                else:
                    # Whoever held it before may have left it as it was then.
                    await self._lasting(lambda: leases.set_status(self._gw, self.held, "starting"))
                await self._stay_online()
        except LeaseLost:
            log.info("lease lost", session=self.held.id)
        finally:
            await self._close()

    def wake(self) -> None:
        """There may be something to claim."""
        self.wake_up.set()

    async def look_again(self) -> None:
        """Take up what was claimed for this runner while the hint was lost, and look at the outbox."""
        if self._online:
            for entry in await dispatch.claimed_before(self._gw, self.held):
                if entry.id not in self._begun:
                    self._dispatch(entry)
        self.wake()

    def backfill(self) -> None:
        """A backfill waits: read contacts and groups anew. The next connection does so by itself."""
        if self._online:
            self._backfiller.begin(self.held, self._line)

    def _hear(self, payload: bytes) -> None:
        """Something was accepted; with an id it is claimed for us already."""
        id = payload.decode()
        if not id or not self._online:
            self.wake()
        elif id not in self._sends:
            # It may be under way already: whoever polls sees the row before its hint is out.
            self._sends[id] = asyncio.ensure_future(self._take_up(id))

    async def _take_up(self, id: str) -> None:
        try:
            entry = await self._lasting(dispatch.taken_up, self._gw, self.held, id)
        except BaseException:
            self._sends.pop(id, None)
            raise
        if entry is None:
            self._sends.pop(id, None)
            return
        await self._send(entry)

    def _dispatch(self, entry: Entry) -> None:
        if entry.id not in self._sends:
            self._sends[entry.id] = asyncio.ensure_future(self._send(entry))

    async def _open(self) -> None:
        try:
            proxy_url = await self._lasting(proxies.of, self._gw, self.held.organization_id, self.held.id)
        except CannotOpen as sealed:
            # Never without it: the customer does not want to be seen from here.
            log.error("a session's proxy cannot be read", session=self.held.id, error=str(sealed))
            await self._gw.clock.sleep(_SEALED_SECONDS)
            raise LeaseLost from None
        account = base.Account(
            session_id=self.held.id,
            organization_id=self.held.organization_id,
            jid=self.held.wa_jid,
            lid=self.held.wa_lid,
            proxy_url=proxy_url,
        )
        await self._lasting(self._newcomers.recall, self.held)
        self._connection = await self._engine.open(account, self._sink)
        subject = f"runner.{self.held.id}"
        self._stops.append(self._gw.broker.respond(subject, self._perform))
        self._stops.append(self._gw.broker.subscribe(f"outbox.{self.held.id}", self._hear))
        self._stops.append(self._gw.broker.subscribe(f"backfill.{self.held.id}", lambda _: self.backfill()))
        self._gw.broker.publish(f"{subject}.here")

    async def _close(self) -> None:
        for stop in self._stops:
            stop()
        for task in self._sends.values():
            task.cancel()
        line = [] if self._connection is None else [self._connection.close()]
        # The connection waits for none of the others: they may be waiting for a database that does not answer.
        closing = [*line, self._backfiller.close(), self._fetcher.close(), *self._sends.values()]
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        if not self._engine.promises.chooses_wire_id:
            # Else the next holder could not tell them from what the network may have.
            with contextlib.suppress(LeaseLost, WagateError):
                await dispatch.unclaim(self._gw, self.held, begun=list(self._begun))
        if line and isinstance(outcomes[0], Exception):
            raise outcomes[0]

    async def _link(self) -> None:
        """Wait for a phone; returns when linked, raises LeaseLost when that is over."""
        tries = 0
        while True:
            await self._lasting(lambda: leases.set_status(self._gw, self.held, "starting"))
            self._lost = False
            try:
                await self._line.link()
                while not self._lost:
                    await self.wake_up.wait()
                    self.wake_up.clear()
                    self._stop_if_ended()
            except base.ConnectionLost:
                pass
            except base.LinkEnded as end:
                await self._end(base.Ended(status=end.status, reason=end.reason, until=end.until))
            self._stop_if_ended()
            if self.held.wa_jid is not None:
                return
            await self._rest(tries)
            tries += 1

    async def _rest(self, tries: int) -> None:
        # Full jitter: sessions that were cut off together do not come back together.
        await self._gw.clock.sleep(random.uniform(0, min(2.0 ** min(tries, 7), _BACKOFF_MOST)))

    async def _stay_online(self) -> None:
        loop, tries, falls = asyncio.get_running_loop(), 0, 0
        while True:
            try:
                await self._connect()
                tries, since = 0, loop.time()
                await self._serve()
                falls = 0 if loop.time() - since >= _LASTING_SECONDS else falls + 1
            except base.NotTried:
                self._stop_if_ended()
                continue
            except base.ConnectionLost:
                pass
            except base.LinkEnded as end:
                await self._end(base.Ended(status=end.status, reason=end.reason, until=end.until))
            self._stop_if_ended()
            await self._offline()
            await self._rest(max(tries, falls - _FALLS))
            tries += 1

    async def _connect(self) -> None:
        self._lost = False
        await self._line.connect()
        await self._backfiller.read(self.held, self._line)
        resend = self._engine.promises.chooses_wire_id
        if not resend:
            await self._lasting(lambda: dispatch.unclaim(self._gw, self.held, begun=[*self._sends, *self._begun]))
        await self._lasting(lambda: dispatch.requeue(self._gw, self.held, under_way=list(self._sends), resend=resend))
        self._begun.intersection_update(self._sends)
        await self._lasting(lambda: leases.set_status(self._gw, self.held, "working"))
        self._online = True
        await self.look_again()

    async def _offline(self) -> None:
        if self._online:
            self._online = False
            await self._lasting(lambda: leases.set_status(self._gw, self.held, "starting"))

    async def _serve(self) -> None:
        """Send what is to be sent, until the line is lost."""
        while not self._lost:
            self.wake_up.clear()
            await self._claim()
            if self._again is None:
                await self.wake_up.wait()
            else:
                await self._wait_until(self._again)

    async def _wait_until(self, moment: int) -> None:
        """Sleep until somebody wakes this runner or the clock shows `moment`."""
        alarm = asyncio.ensure_future(self._gw.clock.sleep((moment - self._gw.clock.now()) / 1000))
        # A cancelled alarm has nothing to say; if it woke us, each round would wake the next.
        alarm.add_done_callback(lambda done: None if done.cancelled() else self.wake())
        try:
            await self.wake_up.wait()
        finally:
            alarm.cancel()

    def _lose(self) -> None:
        self._lost = True
        self.wake()

    async def _claim(self) -> None:
        self._again = None
        room = IN_FLIGHT - len(self._sends)
        if room <= 0:
            return
        try:
            claimed = await dispatch.claim(self._gw, self.held, limit=room, strangers=self._newcomers.welcome)
        except StorageUnavailable:
            self._again = self._gw.clock.now() + 500
            return
        self._again = claimed.again_at
        for entry in claimed.entries:
            self._dispatch(entry)

    async def _send(self, entry: Entry) -> None:
        # In a task of its own: what is logged of this send names its trace.
        traces.current.set(entry.traceparent)
        more = False
        try:
            outcome = await self._lasting(self._newcomers.turned_away, self.held, entry)
            outcome = outcome or await self._lasting(self._answer, entry)
            welcome_before = self._newcomers.welcome
            waiting = await self._lasting(self._newcomers.waits, self.held, entry, outcome)
            if self._newcomers.welcome and not welcome_before:
                self.wake()
            if outcome is not None and not waiting:
                more = await self._lasting(dispatch.settle, self._gw, self.held, entry, outcome)
            self._begun.discard(entry.id)
        except LeaseLost:
            self._lose()
        except Exception:
            # A defect: it is settled with the next connection.
            log.exception("a send cannot be settled", session=self.held.id, entry=entry.id)
        finally:
            full = len(self._sends) >= IN_FLIGHT
            self._sends.pop(entry.id, None)
            if more or full:
                self.wake()

    async def _answer(self, entry: Entry) -> Ack | WagateError | None:
        """What the network said; None when the line broke, so that the entry goes out again.

        Raises:
            LeaseLost: the session is another's.
            StorageUnavailable: nothing was said; the same wire id may go out again.
        """
        await type_first(self._gw, self.held, self._line, entry)
        if not self._engine.promises.chooses_wire_id:
            self._begun.add(entry.id)
        try:
            return await say(self._gw, self._engine, self._line, self.held, entry)
        except base.NeverLeft:
            await dispatch.put_back(self._gw, self.held, entry)
            # The line may not have told yet that it is lost: claimed again on it, the entry would only come back.
            self._lose()
            return None

    async def _perform(self, payload: bytes) -> bytes:
        action = _decode(payload)
        try:
            return actions.encode_answer(await self._line.perform(action))
        except WagateError as error:
            return actions.encode_error(to_wire(error))
        except (base.ConnectionLost, base.SinkClosed):
            return actions.encode_error(to_wire(NoAnswer()))
        except Exception:
            log.exception("action failed", session=self.held.id, action=type(action).__name__)
            return actions.encode_error(to_wire(Internal()))

    async def _sink(self, reports: Sequence[base.Report]) -> None:
        """Commit what the engine reports; returns when it is committed."""
        try:
            await self._take(reports)
        except LeaseLost:
            self._lose()
            raise base.SinkClosed from None

    async def _take(self, reports: Sequence[base.Report]) -> None:
        said = [r for r in reports if isinstance(r, inbox.STORED)]
        if said:
            unread = await self._lasting(inbox.take, self._gw, self.held, said)
            self._fetcher.hear(said)
            for chat, sender, wire_ids in unread:
                with contextlib.suppress(base.ConnectionLost, WagateError):
                    await self._line.read(chat, sender, wire_ids)
        for report in reports:
            if not isinstance(report, inbox.STORED):
                await self._about_the_line(report)

    async def _about_the_line(self, report: base.Report) -> None:
        match report:
            case base.QrShown():
                await self._lasting(lambda: leases.show_qr(self._gw, self.held, report.code, report.expires_at))
            case base.LinkTimedOut():
                await self._end(base.Ended(status="failed", reason="qr_timeout"))
            case base.Linked():
                await self._linked(report)
            case base.Ended():
                await self._end(report)
            case base.LineLost():
                self._lose()

    async def _linked(self, report: base.Linked) -> None:
        phone = jid.user(report.pairing.jid)
        await self._lasting(lambda: leases.linked(self._gw, self.held, report.pairing, phone_number=phone))
        lid = report.pairing.lid or None
        await self._lasting(lambda: outcomes.abandon(self._gw, self.held))
        self.held = msgspec.structs.replace(self.held, wanted="run", wa_jid=report.pairing.jid, wa_lid=lid)
        self._lose()

    async def _end(self, end: base.Ended) -> None:
        self._ended = end
        if end.until is not None:
            await self._lasting(waits.banned, self._gw, self.held, end.until)
        if end.status == "logged_out":
            await self._lasting(lambda: leases.unlinked(self._gw, self.held, reason=end.reason))
        else:
            await self._lasting(
                lambda: leases.set_status(self._gw, self.held, "failed", reason=end.reason, wanted="none")
            )
        self._lose()

    def _stop_if_ended(self) -> None:
        if self._ended is not None:
            raise LeaseLost

    async def _log_out(self) -> None:
        account = base.Account(session_id=self.held.id, organization_id=self.held.organization_id)
        reason = await unlink(self._engine, self._line, account)
        await self._lasting(lambda: leases.unlinked(self._gw, self.held, reason=reason))

    @property
    def _line(self) -> base.Connection:
        if self._connection is None:
            raise SessionNotConnected
        return self._connection

    async def _lasting(self, write: Any, *with_these: Any) -> Any:
        return await lasting(self.held.id, write, *with_these)
