"""The gateway's own functions on a database in memory, without workers: a test is the worker."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import cache
from typing import Any

import msgspec

from tests.support.files import blob_store
from wagate.backends.broker import LocalBroker
from wagate.backends.database import Database, Tx
from wagate.backends.doors import Closed, Fetching
from wagate.backends.migrate import statements
from wagate.backends.sealing import Sealer
from wagate.backends.sqlite import SqliteDatabase
from wagate.clock import ManualClock
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.gateway import EngineFacts, Gateway, Rules, Window, events, leases, organizations, sessions
from wagate.gateway.leases import Held
from wagate.model.contents import TextContent
from wagate.model.organizations import CAPABILITIES, Caller
from wagate.model.sessions import CreateSession, Pairing, UpdateSession

SCHEMA = cache(lambda: statements("sqlite"))
START = 1_800_000_000_000
SANDBOX = EngineFacts(
    name="sandbox",
    contents=SandboxEngine.contents,
    actions=frozenset(action.__name__ for action in SandboxEngine.actions),
    chooses_wire_id=True,
    hosts_networks=True,
)
WHOLE = Window(200)


def over(
    db: Database, *, node: str = "test", clock: ManualClock | None = None, http: Fetching | None = None, **rules: Any
) -> Gateway:
    """A gateway on a database; another `node` on the same one is another process."""
    told = Rules(**{"node": node, "engines": {"sandbox": SANDBOX}, "rate_per_min": 0, "rate_per_hour": 0, **rules})
    return Gateway(
        db=db, broker=LocalBroker(), clock=clock or ManualClock(START), rules=told,
        blobs=blob_store(), http=http or Closed(), sealer=Sealer(bytes(32)),
    )  # fmt: skip


async def with_tables() -> SqliteDatabase:
    """An empty database in memory, its tables copied: making them takes longer than what most tests do with them."""
    db = await SqliteDatabase.open(":memory:")
    writer: Any = db._writer
    writer._connection.deserialize(_image())
    return db


@cache
def _image() -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(";".join(SCHEMA()))
        return connection.serialize()


@asynccontextmanager
async def opened(**rules: Any) -> AsyncIterator[Gateway]:
    """A gateway on an empty database in memory; its clock is the test's."""
    db = await with_tables()
    try:
        yield over(db, **rules)
    finally:
        await db.close()


def beside(gw: Gateway, node: str) -> Gateway:
    """Another process on the same database and broker, at the same time of day."""
    return dataclasses.replace(gw, rules=dataclasses.replace(gw.rules, node=node))


async def caller(gw: Gateway, **more: Any) -> Caller:
    """Somebody of a new organization who may do everything."""
    owner = await organizations.create(gw, "test")
    return Caller(**{"organization_id": owner.id, "capabilities": frozenset(CAPABILITIES), **more})


async def held(gw: Gateway, who: Caller, phone: str = "9990000001", **settings: Any) -> Held:
    """A session that works, held by this process."""
    made = await sessions.create(gw, who, CreateSession(start=True))
    if settings:
        await sessions.update(gw, who, made.id, UpdateSession(**settings))
    _, mine = await leases.acquire(gw, limit=100)
    (lease,) = [each for each in mine if each.id == made.id]
    await leases.show_qr(gw, lease, "code", gw.clock.now() + 60_000)
    pairing = Pairing(jid=f"{phone}@s.whatsapp.net", lid=f"1{phone}@lid")
    await leases.linked(gw, lease, pairing, phone_number=phone)
    await leases.set_status(gw, lease, "working")
    return Held(**{**{f: getattr(lease, f) for f in lease.__struct_fields__}, "wanted": "run",
                   "wa_jid": pairing.jid, "wa_lid": pairing.lid})  # fmt: skip


async def log(gw: Gateway, who: Caller) -> list[Any]:
    """The organization's log: name and payload of each event."""
    found, _ = await events.read(gw, who, events.Wish(limit=10_000))
    return [(each.event, msgspec.json.decode(each.payload)) for each in found]


async def within(gw: Gateway, work: Any) -> Any:
    """Run `work(tx)` in a transaction of its own."""

    async def run(tx: Tx) -> Any:
        return await work(tx)

    return await gw.db.write(run)


def words(text: str = "hello") -> TextContent:
    """A text."""
    return TextContent(text=text)
