"""What once went wrong and must not again: each test is named for the promise that was broken."""

from __future__ import annotations

import asyncio
import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.gateways import key, refused, text
from tests.support.parts import SCHEMA, caller, held, opened, over, words
from wagate.backends import sqlite_log
from wagate.backends.database import Database, Row, Work
from wagate.backends.maintenance import BackupFailed, backup
from wagate.backends.migrate import ensure_schema
from wagate.backends.records import DatabaseStore
from wagate.backends.sqlite import SqliteDatabase
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.errors import NoAnswer
from wagate.gateway import Gateway, actions, dispatch, outbox, outcomes, sessions
from wagate.gateway.outbox import Offer
from wagate.model.organizations import Caller
from wagate.model.sandbox import LinkPhone
from wagate.model.sessions import CreateSession, UpdateSession
from wagate.testing import SandboxGateway, gateway
from wagate.workers import janitor
from wagate.workers.supervisor import Supervisor

ADD = "INSERT INTO organizations (id, name, created_at) VALUES (:id, :name, 1)"
SLOW, OTHER = "9999000001", "9990000102"


@pytest.fixture(scope="module")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """One gateway; each test has sessions and people of its own."""
    with gateway(tmp_path_factory.mktemp("regressions") / "wagate") as running:
        yield running


class Counting:
    """A real database that counts the transactions it is asked for."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.writes = 0

    async def all(self, sql: str, /, **params: Any) -> list[Row]:
        return await self.db.all(sql, **params)

    async def one(self, sql: str, /, **params: Any) -> Row | None:
        return await self.db.one(sql, **params)

    async def write(self, work: Work[Any], *, patient: bool = False) -> Any:
        self.writes += 1
        return await self.db.write(work, patient=patient)

    async def close(self) -> None:
        await self.db.close()


# Refusals


def test_a_header_that_decides_who_asks_is_taken_once_or_not_at_all(wagate: SandboxGateway) -> None:
    place = urlsplit(wagate.url)
    line = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    try:
        for first, second in ((wagate.key, wagate.key), ("wrong", wagate.key), (wagate.key, "wrong")):
            line.putrequest("GET", "/api/v1/sessions")
            line.putheader("x-api-key", first)
            line.putheader("x-api-key", second)
            line.endheaders()
            answer = line.getresponse()
            assert (answer.status, b"validation_error" in answer.read()) == (400, True)
    finally:
        line.close()


def test_a_key_limited_to_a_session_drives_that_one_and_not_the_network(wagate: SandboxGateway) -> None:
    mine, other = wagate.post("/sessions", {"start": True})["id"], wagate.linked()["id"]
    limited = key(wagate, sessions=[mine])
    wagate.until(lambda: wagate.ask("GET", f"/sessions/{mine}/qr", key=limited).status == 200)
    foreign = {"kind": "ack_lost", "session": other}
    refused(wagate.ask("POST", "/sandbox/faults", foreign, key=limited), 404, "not_found")
    refused(wagate.ask("POST", "/sandbox/faults", {"kind": "ack_lost"}, key=limited), 403, "forbidden")
    for path in ("/sandbox/messages", "/sandbox/audit"):
        refused(wagate.ask("GET", path, key=limited), 403, "forbidden")
    said = {"from": OTHER, "to": SLOW, "type": "text", "text": "hello"}
    refused(wagate.ask("POST", "/sandbox/messages", said, key=limited), 403, "forbidden")
    refused(wagate.ask("POST", f"/sandbox/sessions/{other}:drop", {}, key=limited), 404, "not_found")
    assert wagate.ask("POST", f"/sandbox/sessions/{mine}:scan", {}, key=limited).status == 200
    wagate.until(lambda: wagate.working(mine))
    own = wagate.ask("POST", "/sandbox/faults", {**foreign, "session": mine}, key=limited)
    assert own.status in (200, 204), own.body


@pytest.mark.anyio
async def test_a_backup_never_takes_the_place_of_what_the_gateway_lives_on(tmp_path: Path) -> None:
    file, link, again, secret = (tmp_path / name for name in ("gate.db", "link.db", "again.db", "secret.key"))
    url = f"sqlite:///{file}"
    await ensure_schema(url)
    secret.write_text("ours")
    link.symlink_to(file)
    os.link(file, again)
    db = await SqliteDatabase.open(file, exclusive=True)
    try:
        await db.write(lambda tx: tx.run(ADD, id="before", name="x"))
        wal = tmp_path / "gate.db-wal"
        assert wal.exists()
        around = tmp_path / "folder" / ".." / "gate.db"
        (tmp_path / "folder").mkdir()
        for target in (file, wal, link, again, secret, around):
            stood = target.stat().st_ino
            with pytest.raises(BackupFailed, match="name another file"):
                await backup(url, target)
            assert target.stat().st_ino == stood
        await db.write(lambda tx: tx.run(ADD, id="later", name="x"))
        await backup(url, tmp_path / "backup.db")
    finally:
        await db.close()
    for place in (file, tmp_path / "backup.db"):
        kept = await SqliteDatabase.open(place)
        assert await kept.all("SELECT id FROM organizations ORDER BY id") == [("before",), ("later",)]
        assert await kept.one("PRAGMA integrity_check") == ("ok",)
        await kept.close()
    assert secret.read_text() == "ours"


# The database


@pytest.mark.anyio
async def test_closing_waits_for_no_checkpoint_that_never_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same as after 1,000 commits, sooner; long rows, so that moving the log takes longer than coming to `close`.
    monkeypatch.setattr(sqlite_log, "_COMMITS", 20)
    await ensure_schema(f"sqlite:///{tmp_path}/gate.db")
    for life in range(8):
        db = await SqliteDatabase.open(tmp_path / "gate.db")
        for n in range(20 + life // 4):
            await db.write(lambda tx, id=f"{life}-{n}": tx.run(ADD, id=id, name="x" * 200_000))  # type: ignore[misc]
        async with asyncio.timeout(60):
            await db.close()
    db = await SqliteDatabase.open(tmp_path / "gate.db")
    assert await db.one("SELECT COUNT(*) FROM organizations") == (4 * 20 + 4 * 21,)
    await db.close()


# Sends


async def _working(gw: Gateway, who: Caller) -> str:
    made = await sessions.create(gw, who, CreateSession(start=True))
    await sessions.wait(gw, who, made.id, until=lambda s: s.status == "scan_qr_code", timeout=60)
    await actions.ask_network(gw, who, LinkPhone(session=made.id, phone=None, name=None))
    now = await sessions.wait(gw, who, made.id, until=lambda s: s.status == "working", timeout=60)
    assert now.status == "working"
    return made.id


async def _queue(gw: Gateway, who: Caller, session: str, *, many: int) -> None:
    """Async sends to as many chats, until those that the budget of 2 lets go have gone."""
    for n in range(many):
        offer = Offer(chat=f"999000020{n}@s.whatsapp.net", content=words(), mode="async", digest="")
        await outbox.accept(gw, who, session, offer)
    async with asyncio.timeout(60):
        while await _count(gw, "sent") < 2:  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.005)
    assert await _count(gw, "queued") == many - 2


async def _count(gw: Gateway, status: str) -> int:
    row = await gw.db.one("SELECT COUNT(*) FROM outbox WHERE status = :status", status=status)
    assert row is not None
    return int(row[0])


@pytest.mark.anyio
async def test_sends_that_wait_for_a_spent_budget_keep_nobody_busy() -> None:
    db = await SqliteDatabase.open(":memory:")
    await db.script(SCHEMA())
    counting = Counting(db)
    gw = over(counting)
    engine = SandboxEngine(lambda scope: DatabaseStore(gw.db, engine="sandbox", scope=scope), gw.clock, seed="1")
    supervisor = Supervisor(gw, {"sandbox": engine})
    await supervisor.start(alone=True)
    task = asyncio.create_task(supervisor.run())
    try:
        who = await caller(gw)
        session = await _working(gw, who)
        await sessions.update(gw, who, session, UpdateSession(rate_per_min=2))
        await _queue(gw, who, session, many=5)
        for _ in range(3):
            gw.broker.publish(f"outbox.{session}")
            await asyncio.sleep(0.05)
        before = counting.writes
        await asyncio.sleep(1)
        # Leases are looked after now and then; a runner that wakes itself claims hundreds of times.
        assert counting.writes - before <= 8
        assert await _count(gw, "queued") == 3
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await supervisor.close()
        await engine.close()
        await db.close()


def test_what_an_earlier_link_left_unsent_goes_out_from_no_other_number(wagate: SandboxGateway) -> None:
    me = wagate.linked("9990000111", ratePerMin=1)
    here, people = f"/sessions/{me['id']}", [f"999000012{n}" for n in range(3)]
    assert wagate.post(f"{here}/messages", text(people[0]))["status"] == "sent"
    queued = [wagate.post(f"{here}/messages?async=true", text(each, "of old")) for each in people[1:]]
    wagate.post(f"{here}:logout")
    wagate.ask("PATCH", here, {"ratePerMin": 0})
    wagate.until(lambda: wagate.ask("GET", f"{here}/qr").status == 200)
    wagate.post(f"/sandbox{here}:scan", {"phone": "9990000112"})
    wagate.until(lambda: wagate.working(me["id"]))
    for each in queued:
        now = wagate.get(f"{here}/outbox/{each['outboxId']}")
        assert (now["status"], now["error"]["certain"]) == ("failed", True)
    # The way is free and others go: the old ones had every chance.
    for each in people[1:]:
        assert wagate.post(f"{here}/messages", text(each, "anew"))["status"] == "sent"
        shown = wagate.get(f"/sandbox/messages?to={each}")["data"]
        assert [(copy["content"]["text"], copy["from"]) for copy in shown] == [("anew", "9990000112@s.whatsapp.net")]


def test_a_sync_send_has_the_budget_that_other_chats_sends_leave_free(wagate: SandboxGateway) -> None:
    session = wagate.linked(ratePerMin=10)["id"]
    send, slow = f"/sessions/{session}/messages", "9999000005"
    queued = [wagate.post(f"{send}?async=true", text(slow))["outboxId"] for _ in range(3)]
    assert wagate.ask("POST", send, text(OTHER)).status == 200
    # They still waited for their turn behind the first one, which takes two seconds.
    assert wagate.get(f"/sessions/{session}/outbox/{queued[2]}")["status"] == "queued"


def test_a_second_wake_of_a_send_under_way_sends_nothing_twice(wagate: SandboxGateway) -> None:
    session = wagate.linked()["id"]
    sent = wagate.post(f"/sessions/{session}/messages?async=true", text("9999000009"))["outboxId"]

    async def hint() -> None:
        for _ in range(2):
            wagate.running.gw.broker.publish(f"outbox.{session}", sent.encode())
            await asyncio.sleep(0)

    def frames() -> list[Any]:
        seen = wagate.get("/sandbox/audit?limit=200")["data"]
        wire = wagate.get(f"/sessions/{session}/outbox/{sent}")["waMessageId"]
        return [each for each in seen if each.get("waMessageId") == wire and each.get("session") == session]

    wagate.run(hint())
    before = wagate.until(frames)
    wagate.run(hint())
    wagate.until(lambda: wagate.get(f"/sessions/{session}/outbox/{sent}")["status"] == "sent")
    wagate.run(hint())
    assert wagate.post(f"/sessions/{session}/messages", text(OTHER))["status"] == "sent"
    assert len(before) == 1
    assert [each["kind"] for each in frames()].count(before[0]["kind"]) == 1


# Cleaning up


@pytest.mark.anyio
async def test_cleaning_up_survives_an_uncertain_send_of_a_deleted_session() -> None:
    async with opened() as gw:
        who = await caller(gw)
        mine, kept = await held(gw, who), await held(gw, who, "9990000003")
        for lease in (mine, kept):
            offer = Offer(chat=f"{OTHER}@s.whatsapp.net", content=words(), mode="async", digest="")
            entry = await outbox.accept(gw, who, lease.id, offer)
            await dispatch.settle(gw, lease, entry, NoAnswer())
        await sessions.delete(gw, who, mine.id)
        await gw.clock.advance(outcomes.UNCERTAIN_MS / 1000 + 1)  # type: ignore[attr-defined]
        assert [await outcomes.expire_uncertain(gw) for _ in range(2)] == [1, 0]
        await janitor.once(gw, {})
        rows = await gw.db.all("SELECT session_id, status FROM outbox")
        assert [tuple(row) for row in rows] == [(kept.id, "failed")]
