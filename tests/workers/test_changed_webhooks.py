"""What a change of a webhook means for deliveries that are on their way already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.parts import caller, opened
from tests.support.receiver import answer, door, receiving
from tests.support.webhooks import delivering, got, happened, listed, made, until
from wagate.errors import Conflict
from wagate.gateway import deliveries, webhooks
from wagate.model.webhooks import UpdateWebhook

pytestmark = pytest.mark.anyio

CHANGES: dict[str, UpdateWebhook | None] = {
    "switched off": UpdateWebhook(active=False),
    "sent elsewhere": UpdateWebhook(url="http://127.0.0.1:9/y"),
    "signed anew": UpdateWebhook(secret="new"),
    "deleted": None,
}


class Held:
    """A receiver that answers nobody until it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        await self.go.wait()
        writer.write(answer())


async def test_order_can_be_switched_on_while_deliveries_are_under_way() -> None:
    held = Held()
    async with receiving(x=held) as server, door() as out, opened(http=out) as gw:
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        await happened(gw, who, *map(str, range(30)))
        async with delivering(gw):
            await until(lambda: len(server.bodies) == 4)
            await webhooks.update(gw, who, hook.id, UpdateWebhook(ordered=True))
            held.go.set()

            async def all_there() -> Any:
                return len(await listed(gw, who, hook, "delivered")) == 30

            await until(all_there)
        # What was under way already comes in any order, all else strictly.
        later = [event["id"] for event in got(server)][4:]
        assert later == sorted(later)


@pytest.mark.parametrize("change", CHANGES)
async def test_what_only_waited_does_not_go_out_as_it_was_before(change: str) -> None:
    held, wish = Held(), CHANGES[change]
    async with receiving(x=held) as server, door() as out, opened(http=out) as gw:
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x", secret="old")
        await happened(gw, who, *map(str, range(12)))
        async with delivering(gw):
            await until(lambda: len(server.bodies) == 4)
            if wish is None:
                await webhooks.delete(gw, who, hook.id)
            else:
                await webhooks.update(gw, who, hook.id, wish)
            held.go.set()
            if change == "signed anew":
                await until(lambda: len(server.bodies) == 12)
                assert all(len(_signatures(head)) == 2 for head in server.heads[4:])
            else:
                await asyncio.sleep(0.3)
                assert len(server.bodies) == 4


def _signatures(head: str) -> list[str]:
    return head.partition("webhook-signature: ")[2].partition("\r")[0].split(" ")


async def test_an_event_that_cannot_be_found_is_not_delivered_empty() -> None:
    async with receiving(x=answer()) as server, door() as out, opened(http=out) as gw:
        who = await caller(gw)
        await made(gw, who, server.url + "/x")
        await happened(gw, who, "1", "2")
        await gw.db.write(lambda tx: tx.run("DELETE FROM events WHERE payload LIKE :it", it="%1%"))
        async with delivering(gw):
            await until(lambda: server.bodies)
            await happened(gw, who, "3")
            await until(lambda: len(server.bodies) == 2)
        assert [event["payload"] for event in got(server)] == [{"jid": "2"}, {"jid": "3"}]


async def test_tests_of_an_organization_are_few_at_a_time() -> None:
    held = Held()
    async with receiving(x=held) as server, door() as out, opened(http=out) as gw:
        who, other = await caller(gw), await caller(gw)
        hook, theirs = await made(gw, who, server.url + "/x"), await made(gw, other, server.url + "/x")
        several = [asyncio.ensure_future(deliveries.test(gw, who, hook.id)) for _ in range(deliveries.MOST_TESTS)]
        await until(lambda: len(server.bodies) == deliveries.MOST_TESTS)
        with pytest.raises(Conflict):
            await deliveries.test(gw, who, hook.id)
        several.append(asyncio.ensure_future(deliveries.test(gw, other, theirs.id)))
        await until(lambda: len(server.bodies) == deliveries.MOST_TESTS + 1)
        held.go.set()
        assert {each.status for each in await asyncio.gather(*several)} == {"delivered"}
        assert (await deliveries.test(gw, who, hook.id)).status == "delivered"


async def test_a_test_does_not_keep_the_process_from_stopping() -> None:
    async with receiving(x=Held()) as server, door() as out, opened(http=out) as gw:
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        running = asyncio.ensure_future(deliveries.test(gw, who, hook.id))
        await until(lambda: server.bodies)
        gw.broker.publish("closing")
        async with asyncio.timeout(60):
            told = await running
        assert (told.status, told.last_error) == ("failed", "the gateway stops")
        assert gw.underway == {}


async def test_a_clock_that_is_turned_back_puts_nothing_off_for_days() -> None:
    async with receiving(x=answer(status="500 Oh")) as server, door() as out, opened(http=out) as gw:
        who = await caller(gw)
        await made(gw, who, server.url + "/x")
        await happened(gw, who, "1")
        async with delivering(gw) as deliverer:
            await until(lambda: server.bodies)
            await until(lambda: not deliverer._mine)
            gw.clock._now -= 3 * 86_400_000  # type: ignore[attr-defined]
            await deliveries.expire(gw)
            await until(lambda: len(server.bodies) == 2)
