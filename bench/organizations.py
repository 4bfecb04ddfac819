"""Organizations with a key each, and events in their logs, made beside the stopped server.

The gateway's own functions make them: by its commands and its API ten organizations take ten processes, and 100,000
events minutes. What is written is the same: `events.record` is the one place that writes the log, and the deliveries.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.servers import until
from bench.wire import Caller
from wagate.bootstrap import open_gateway
from wagate.config import load
from wagate.gateway import Gateway, events, keys, organizations
from wagate.model.events import MessageSaid
from wagate.model.organizations import CAPABILITIES, CreateKey

_PIECE = 1000
"""How many events are recorded in one transaction."""
STRANGER = "99955500001"


@dataclass(frozen=True, kw_only=True)
class Organization:
    """Its id and a key that may do everything."""

    id: str
    key: str

    def caller(self, port: int) -> Caller:
        """Who calls for it."""
        return Caller(port, self.key)


@dataclass(frozen=True, kw_only=True)
class Account:
    """A linked session, and the phone number that people reach it at."""

    session: str
    number: str


async def make(place: Path, count: int) -> list[Organization]:
    """New organizations in a data directory whose server is stopped."""
    made = []
    async with open_gateway(load({"WAGATE_DATA_DIR": str(place)})) as gw:
        for number in range(count):
            organization = await organizations.create(gw, f"organization {number}")
            wish = CreateKey(name="bench", permissions=list(CAPABILITIES))
            made.append(Organization(id=organization.id, key=(await keys.create(gw, organization.id, wish)).secret))
    return made


async def record(place: Path, owners: list[Organization], count: int) -> dict[str, list[str]]:
    """So many messages more in each log, as if a stranger had said them; the ids of all events, by organization.

    The server is stopped. With each come the deliveries to the webhooks that are there.
    """
    async with open_gateway(load({"WAGATE_DATA_DIR": str(place)})) as gw:
        return {owner.id: await _recorded(gw, owner.id, count) for owner in owners}


async def _recorded(gw: Gateway, organization_id: str, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        now = gw.clock.now()
        facts: list[events.Fact] = [
            ("message", said(number, now)) for number in range(len(found), min(len(found) + _PIECE, count))
        ]

        async def work(tx: Any, facts: list[events.Fact] = facts, now: int = now) -> list[str]:
            return await events.record_all(tx, now, organization_id, session_id="ses_bench", facts=facts)

        found += await gw.db.write(work)
    return found


def said(number: int, now: int) -> MessageSaid:
    """What an incoming text looks like in the log."""
    return MessageSaid(
        wa_message_id=f"3EB0{number:018X}",
        chat_jid=f"{STRANGER}@s.whatsapp.net",
        from_me=False,
        type="text",
        timestamp=now,
        has_media=False,
        media=None,
        sender_jid=f"{STRANGER}@s.whatsapp.net",
        sender_lid="888000100000001@lid",
        push_name="Somebody",
        body=f"message {number} of those that were recorded while nobody looked",
    )


async def link(caller: Caller) -> Account:
    """A session of the organization, linked to a phone of its own and working."""
    id = (await caller.must("POST", "/sessions", {"start": True}))["id"]

    async def shows() -> bool:
        return (await caller.ask("GET", f"/sessions/{id}/qr"))[0] == 200

    async def works() -> bool:
        return bool((await caller.get(f"/sessions/{id}"))["status"] == "working")

    await until(shows)
    account = await caller.must("POST", f"/sandbox/sessions/{id}:scan", {})
    await until(works)
    return Account(session=id, number=account["waJid"].partition("@")[0].partition(":")[0])


async def stop(caller: Caller, account: Account) -> None:
    """End an account's session, and wait until its log says so."""
    await caller.must("POST", f"/sessions/{account.session}:stop", {})

    async def told() -> bool:
        rows = await caller.everything("/events?events=session.status", position="after")
        return bool(rows[-1]["payload"]["status"] == "stopped")

    await until(told)


async def linked(port: int, owners: list[Organization]) -> list[Account]:
    """A linked session for each organization."""
    return list(await asyncio.gather(*(link(owner.caller(port)) for owner in owners)))


def say(caller: Caller, account: Account, text: str) -> bytes:
    """The request by which a stranger says a text to an account."""
    body = {"type": "text", "from": STRANGER, "to": account.number, "text": text}
    return caller.request("POST", "/sandbox/messages", body)
