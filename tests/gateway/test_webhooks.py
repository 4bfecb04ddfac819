"""Webhooks: who sees and makes which, what is refused, and which events they are for."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import msgspec
import pytest

from tests.support.parts import caller, log, opened, within
from tests.support.webhooks import happened, listed, made
from wagate.backends.sealing import Sealer
from wagate.errors import BadRequest, Forbidden, NotFound
from wagate.gateway import Window, deliveries, events, sessions, webhooks
from wagate.model.events import WebhookNotice
from wagate.model.organizations import Caller
from wagate.model.sessions import CreateSession
from wagate.model.webhooks import CreateWebhook, RetryPolicyWish, UpdateWebhook

pytestmark = pytest.mark.anyio

URL = "http://hooks.test/x"


def limited(who: Caller, *session_ids: str) -> Caller:
    return msgspec.structs.replace(who, session_ids=frozenset(session_ids))


@pytest.mark.parametrize(
    "wish",
    [
        {"url": "ftp://hooks.test"},
        {"url": "http://me:mine@hooks.test"},
        {"url": "nowhere"},
        {"custom_headers": {"a b": "c"}},
        {"custom_headers": {"a": "b\r\nc: d"}},
        {"secret": "whsec_%"},
        {"session_id": "ses_nobody"},
    ],
    ids=str,
)
async def test_what_cannot_be_used_is_refused_at_once(wish: dict[str, Any]) -> None:
    async with opened() as gw:
        who = await caller(gw)
        with pytest.raises(BadRequest):
            await webhooks.create(gw, who, CreateWebhook(**{"url": URL, **wish}))
        assert await webhooks.page(gw, who, Window(10)) == ([], None)
        hook = await made(gw, who, URL)
        with pytest.raises(BadRequest):
            await webhooks.update(gw, who, hook.id, UpdateWebhook(**wish))
        assert await webhooks.get(gw, who, hook.id) == hook


async def test_a_stranger_finds_nothing_and_changes_nothing() -> None:
    async with opened() as gw:
        who, stranger = await caller(gw), await caller(gw)
        hook = await made(gw, who, URL)
        await happened(gw, who, "1")
        (delivery,) = await listed(gw, who, hook)
        for attempt in (
            webhooks.get(gw, stranger, hook.id),
            webhooks.update(gw, stranger, hook.id, UpdateWebhook(active=False)),
            webhooks.delete(gw, stranger, hook.id),
            deliveries.test(gw, stranger, hook.id),
            deliveries.page(gw, stranger, hook.id, Window(10)),
            deliveries.replay(gw, stranger, hook.id, delivery.id),
            deliveries.replay_dead(gw, stranger, hook.id),
        ):
            with pytest.raises(NotFound):
                await attempt
        assert await webhooks.page(gw, stranger, Window(10)) == ([], None)
        assert await webhooks.get(gw, who, hook.id) == hook


async def test_a_limited_key_sees_and_makes_those_of_its_sessions() -> None:
    async with opened() as gw:
        who = await caller(gw)
        one, other = [(await sessions.create(gw, who, CreateSession())).id for _ in range(2)]
        mine = limited(who, one)
        whole, beside = await made(gw, who, URL), await made(gw, who, URL, session_id=other)
        with pytest.raises(Forbidden):
            await made(gw, mine, URL)
        with pytest.raises(BadRequest):
            await made(gw, mine, URL, session_id=other)
        hook = await made(gw, mine, URL, session_id=one)
        assert (await webhooks.page(gw, mine, Window(10)))[0] == [hook]
        for foreign in (whole, beside):
            with pytest.raises(NotFound):
                await webhooks.get(gw, mine, foreign.id)
        with pytest.raises(Forbidden):
            await webhooks.update(gw, mine, hook.id, UpdateWebhook(session_id=None))
        with pytest.raises(BadRequest):
            await webhooks.update(gw, mine, hook.id, UpdateWebhook(session_id=other))
        assert await webhooks.get(gw, who, hook.id) == hook


async def test_an_event_goes_to_those_that_want_it_and_to_no_other() -> None:
    async with opened() as gw:
        who, stranger = await caller(gw), await caller(gw)
        session = (await sessions.create(gw, who, CreateSession())).id
        wanted = [
            await made(gw, who, URL),
            await made(gw, who, URL, events=["message", "*"]),
            await made(gw, who, URL, events=["contact.update", "later.event"]),
            await made(gw, who, URL, session_id=session),
        ]
        others = [
            await made(gw, who, URL, events=[]),
            await made(gw, who, URL, events=["contact.updates", "contact"]),
            await made(gw, who, URL, active=False),
        ]
        foreign = await made(gw, stranger, URL)
        await happened(gw, who, "1", session=session)
        ((id,),) = await gw.db.all("SELECT id FROM events")
        for hook in wanted:
            (delivery,) = await listed(gw, who, hook)
            assert (delivery.event_id, delivery.status, delivery.attempts) == (id, "pending", 0)
        assert [await listed(gw, who, hook) for hook in others] == [[], [], []]
        assert await listed(gw, stranger, foreign) == []
        await happened(gw, who, "2", session="ses_another")
        assert [len(await listed(gw, who, hook)) for hook in wanted] == [2, 2, 2, 1]


async def test_no_delivery_without_its_event_and_no_event_without_its_delivery() -> None:
    async with opened() as gw:
        who = await caller(gw)
        hook = await made(gw, who, URL)

        async def fail(tx: Any) -> None:
            facts: list[events.Fact] = [("webhook.disabled", WebhookNotice(webhook_id=hook.id))]
            await events.record(tx, gw.clock.now(), who.organization_id, session_id="", facts=facts)
            raise NotFound

        with pytest.raises(NotFound):
            await within(gw, fail)
        assert await listed(gw, who, hook) == []
        assert await log(gw, who) == []


async def test_secrets_and_headers_lie_sealed_and_a_rotation_keeps_the_old_one_for_a_day() -> None:
    async with opened() as gw:
        who = await caller(gw)
        hook = await made(gw, who, URL, secret="first-secret", custom_headers={"Authorization": "Bearer mine"})
        assert hook.custom_headers == {"Authorization": "Bearer mine"}
        (row,) = await gw.db.all("SELECT * FROM webhooks")
        assert not any("first-secret" in str(cell) or "mine" in str(cell) for cell in row)

        async def secrets() -> list[str]:
            row = await webhooks.require(gw.db, who, hook.id)
            return webhooks.opened(gw, webhooks.receiver_of(row, gw.clock.now()))[1]

        assert await secrets() == ["first-secret"]
        await webhooks.update(gw, who, hook.id, UpdateWebhook(secret="second-secret"))
        assert await secrets() == ["second-secret", "first-secret"]
        await gw.clock.advance(24 * 3600 - 1)  # type: ignore[attr-defined]
        assert len(await secrets()) == 2
        await gw.clock.advance(1)  # type: ignore[attr-defined]
        assert await secrets() == ["second-secret"]
        cleared = await webhooks.update(gw, who, hook.id, UpdateWebhook(secret=None, custom_headers=None))
        assert cleared.custom_headers is msgspec.UNSET
        assert await secrets() == []


async def test_a_rotation_that_is_asked_for_twice_is_made_once() -> None:
    async with opened() as gw:
        who = await caller(gw)
        hook = await made(gw, who, URL, secret="first")
        for _ in range(2):
            await webhooks.update(gw, who, hook.id, UpdateWebhook(secret="second"))
        row = await webhooks.require(gw.db, who, hook.id)
        assert webhooks.opened(gw, webhooks.receiver_of(row, gw.clock.now()))[1] == ["second", "first"]


async def test_a_webhook_whose_headers_cannot_be_opened_is_shown_without_them() -> None:
    async with opened() as gw:
        who = await caller(gw)
        hook = await made(gw, who, URL, custom_headers={"X": "y"})
        other = dataclasses.replace(gw, sealer=Sealer(b"another key" + bytes(21)))
        (shown,), _ = await webhooks.page(other, who, Window(50))
        assert shown == msgspec.structs.replace(hook, custom_headers=msgspec.UNSET)
        mended = await webhooks.update(other, who, hook.id, UpdateWebhook(custom_headers={"X": "z"}))
        assert mended.custom_headers == {"X": "z"}


async def test_a_change_changes_what_it_names_and_nothing_else() -> None:
    async with opened() as gw:
        who = await caller(gw)
        session = (await sessions.create(gw, who, CreateSession())).id
        hook = await made(gw, who, URL, session_id=session, events=["message"], secret="s")
        changed = await webhooks.update(
            gw, who, hook.id, UpdateWebhook(session_id=None, retry_policy=RetryPolicyWish(attempts=3))
        )
        policy = msgspec.structs.replace(hook.retry_policy, attempts=3)
        assert changed == msgspec.structs.replace(
            hook, session_id=msgspec.UNSET, retry_policy=policy, updated_at=gw.clock.now()
        )
        assert await webhooks.update(gw, who, hook.id, UpdateWebhook()) == changed


async def test_what_is_switched_off_or_deleted_costs_nothing_and_gets_nothing() -> None:
    async with opened() as gw:
        who = await caller(gw)

        async def counted() -> int:
            row = await gw.db.one("SELECT webhooks FROM organizations WHERE id = :id", id=who.organization_id)
            assert row is not None
            return int(row[0])

        assert await counted() == 0
        one, two = await made(gw, who, URL), await made(gw, who, URL)
        assert await counted() == 2
        await webhooks.update(gw, who, one.id, UpdateWebhook(active=False))
        assert await counted() == 1
        await happened(gw, who, "1")
        await webhooks.delete(gw, who, two.id)
        assert await counted() == 0
        with pytest.raises(NotFound):
            await webhooks.get(gw, who, two.id)
        while await deliveries.expire(gw):
            pass
        assert await gw.db.all("SELECT webhook_id FROM deliveries") == []
        assert await gw.db.all("SELECT id FROM webhooks") == [(one.id,)]


async def test_what_leaves_the_log_undelivered_is_kept_for_its_delivery() -> None:
    async with opened() as gw:
        who = await caller(gw)
        await made(gw, who, URL)
        await happened(gw, who, "kept")
        await gw.clock.advance(8 * 86_400)  # type: ignore[attr-defined]
        while await events.expire(gw):
            pass
        assert await gw.db.all("SELECT id FROM events") == []
        assert await gw.db.all("SELECT payload FROM deliveries") == [('{"jid":"kept"}',)]


async def test_a_status_is_searched_piece_by_piece_and_found_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "_PIECE", 7)
    async with opened() as gw:
        who = await caller(gw)
        hook = await made(gw, who, URL)
        await happened(gw, who, *map(str, range(40)))
        every = await listed(gw, who, hook)
        wanted = [every[number].event_id for number in (0, 6, 7, 20, 39)]
        for id in wanted:
            await gw.db.write(
                lambda tx, id=id: tx.run("UPDATE deliveries SET status = 'failed' WHERE event_id = :id", id=id)
            )
        found, after = [], None
        while True:
            rows, after = await deliveries.page(gw, who, hook.id, Window(2, after), status="failed")
            found += [row.event_id for row in rows]
            if after is None:
                break
        assert found == wanted
        assert [row.event_id for row in await listed(gw, who, hook, "pending")] == [
            row.event_id for row in every if row.event_id not in wanted
        ]
        assert await listed(gw, who, hook, "dead") == []


async def test_what_dies_again_at_once_is_replayed_once() -> None:
    async with opened() as gw:
        who = await caller(gw)
        hook = await made(gw, who, URL)
        await happened(gw, who, *map(str, range(5)))
        await gw.db.write(lambda tx: tx.run("UPDATE deliveries SET status = 'dead', open = 0"))
        await gw.db.script(
            [
                "CREATE TRIGGER again AFTER UPDATE ON deliveries WHEN NEW.status = 'pending' BEGIN "
                "UPDATE deliveries SET status = 'dead', open = 0, last_error = 'again' "
                "WHERE event_id = NEW.event_id; END"
            ]
        )
        async with asyncio.timeout(60):
            await deliveries.replay_dead(gw, who, hook.id, limit=2)
        assert [each.last_error for each in await listed(gw, who, hook, "dead")] == ["again"] * 5


async def test_deliverers_are_told_of_a_webhook_that_goes_with_its_session() -> None:
    async with opened() as gw:
        who, heard = await caller(gw), list[bytes]()
        mine = await sessions.create(gw, who, CreateSession())
        wish = CreateWebhook(url=URL, session_id=mine.id)
        goes = await webhooks.create(gw, who, wish, bound=True)
        stays = await webhooks.create(gw, who, wish)
        stop = gw.broker.subscribe("webhooks", heard.append)
        await sessions.delete(gw, who, mine.id)
        stop()
        assert heard == [goes.id.encode()]
        assert (await webhooks.get(gw, who, stays.id)).id == stays.id
