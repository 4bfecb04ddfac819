"""The deliverer: what leaves, signed how, tried when; and that nobody waits for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import wagate
from tests.support.parts import beside, caller, log, opened
from tests.support.receiver import Receiver, Reply, answer, door, receiving, silent, to
from tests.support.webhooks import delivering, got, happened, head, listed, made, until
from wagate.clock import ManualClock
from wagate.errors import Gone, NotFound
from wagate.gateway import Gateway, attempts, deliveries, events, webhooks
from wagate.model.webhooks import RetryPolicyWish, UpdateWebhook

pytestmark = pytest.mark.anyio

ONCE = RetryPolicyWish(policy="constant", delay_seconds=1, attempts=1)
DAY = 86_400


@asynccontextmanager
async def place(**replies: Reply) -> AsyncIterator[tuple[Gateway, Receiver]]:
    async with receiving(**replies) as server, door() as out, opened(http=out) as gw:
        yield gw, server


async def turn(gw: Gateway, seconds: float) -> None:
    assert isinstance(gw.clock, ManualClock)
    await gw.clock.advance(seconds)
    # As the janitor's and the deliverer's own look does: what is due now is found.
    gw.broker.publish("deliveries", b"")


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (answer(status="500 Oh"), 500, "it answered 500"),
        (answer(status="404 Oh"), 404, "it answered 404"),
        (to("http://127.0.0.1/elsewhere"), 302, "it answered 302, and redirects are not followed"),
        (b"nonsense\r\n\r\n", None, "not HTTP"),
    ],
)
async def test_anything_but_2xx_is_a_failed_attempt_that_says_why(reply: bytes, code: int | None, said: str) -> None:
    async with place(x=reply) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x", retry_policy=ONCE)
        await happened(gw, who, "1")
        async with delivering(gw):
            (dead,) = await until(lambda: listed(gw, who, hook, "dead"))
        assert dead.attempts == 1
        assert dead.last_response_code == (code or dead.last_response_code)
        assert isinstance(dead.last_error, str)
        assert said in dead.last_error
        assert len(server.bodies) == 1


async def test_an_address_that_is_refused_is_a_failed_attempt_and_nothing_is_sent() -> None:
    async with receiving() as server, door(here=["127.0.0.2"]) as out, opened(http=out) as gw:
        who = await caller(gw)
        hook = await made(gw, who, f"http://here.test:{server.port}/x", retry_policy=ONCE)
        await happened(gw, who, "1")
        async with delivering(gw):
            (dead,) = await until(lambda: listed(gw, who, hook, "dead"))
        assert dead.last_error == "it leads to an address that is not public"
        assert server.connections == 0


async def test_a_secret_that_another_key_sealed_is_a_failed_attempt() -> None:
    async with place(x=answer()) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x", retry_policy=ONCE, secret="s")
        sealed = "UPDATE webhooks SET secret = :no"
        await gw.db.write(lambda tx: tx.run(sealed, no="1.AAAA"))
        await happened(gw, who, "1")
        async with delivering(gw):
            (dead,) = await until(lambda: listed(gw, who, hook, "dead"))
        assert "WAGATE_SECRET_KEY" in str(dead.last_error)
        assert server.connections == 0


async def test_a_delivery_is_the_envelope_with_the_headers_and_no_custom_one_replaces_them() -> None:
    async with place(x=answer(status="204 Fine")) as (gw, server):
        who = await caller(gw)
        custom = {
            "Authorization": "Bearer mine", "HOST": "evil", "content-length": "1", "Transfer-Encoding": "chunked",
            "Connection": "close", "x-webhook-hmac": "0", "Webhook-Id": "mine", "X-Mine": "yes",
        }  # fmt: skip
        hook = await made(gw, who, server.url + "/x", secret="old", custom_headers=custom)
        await webhooks.update(gw, who, hook.id, UpdateWebhook(secret="new"))
        await happened(gw, who, "1")
        async with delivering(gw):
            (done,) = await until(lambda: listed(gw, who, hook, "delivered"))
        (event,) = got(server)
        headers, (body,) = head(server), server.bodies
        assert event == {
            "schema": "v1", "id": done.event_id, "event": "contact.update", "session": "ses_one",
            "organization": who.organization_id, "timestamp": gw.clock.now(), "payload": {"jid": "1"},
        }  # fmt: skip
        assert (done.attempts, done.last_response_code) == (1, 204)
        assert headers["x-webhook-request-id"] == headers["webhook-id"] == event["id"]
        assert headers["authorization"] == "Bearer mine"
        assert headers["x-mine"] == "yes"
        assert headers["host"] == f"127.0.0.1:{server.port}"
        assert headers["content-length"] == str(len(body))
        assert headers["content-type"] == "application/json"
        assert "transfer-encoding" not in headers
        assert server.heads[0].lower().count("webhook-id:") == 1
        for secret in ("new", "old"):
            assert wagate.verify_webhook(body, headers, secret, tolerance_seconds=float("inf")) == event


async def test_it_is_tried_again_as_the_policy_says_then_dead_and_replayed() -> None:
    async with place(x=answer(status="503 Later")) as (gw, server):
        who = await caller(gw)
        policy = RetryPolicyWish(policy="exponential", delay_seconds=10, attempts=3)
        hook = await made(gw, who, server.url + "/x", retry_policy=policy)
        await happened(gw, who, "1")
        async with delivering(gw):
            for number, wait in ((1, 10), (2, 20)):
                (failed,) = await until(lambda: listed(gw, who, hook, "failed"))
                await until(lambda n=number: len(server.bodies) == n)  # type: ignore[misc]
                (failed,) = await until(lambda n=number: _after(gw, who, hook, n))  # type: ignore[misc]
                assert isinstance(failed.next_attempt_at, int)
                assert wait * 0.8 <= (failed.next_attempt_at - gw.clock.now()) / 1000 <= wait * 1.2
                await turn(gw, wait * 1.2)
            (dead,) = await until(lambda: listed(gw, who, hook, "dead"))
            assert dead.attempts == 3
            server.replies["/x"] = answer()
            await deliveries.replay(gw, who, hook.id, dead.id)
            (done,) = await until(lambda: listed(gw, who, hook, "delivered"))
            assert done.attempts == 1
        assert len({event["id"] for event in got(server)}) == 1
        assert len(got(server)) == 4


async def _after(gw: Gateway, who: Any, hook: Any, attempts_made: int) -> list[Any]:
    return [each for each in await listed(gw, who, hook, "failed") if each.attempts == attempts_made]


async def test_retry_after_is_honoured() -> None:
    async with place(x=answer(b"", "Retry-After: 600", status="429 Slow")) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        await happened(gw, who, "1")
        async with delivering(gw):
            (failed,) = await until(lambda: listed(gw, who, hook, "failed"))
        assert failed.next_attempt_at == gw.clock.now() + 600_000


async def test_a_slow_and_a_dead_receiver_delay_no_other() -> None:
    async with place(x=answer(), slow=silent) as (gw, server):
        who, other = await caller(gw), await caller(gw)
        await made(gw, who, server.url + "/slow")
        await made(gw, who, "http://127.0.0.1:1/dead")
        await made(gw, who, server.url + "/x")
        await made(gw, other, server.url + "/x")
        async with delivering(gw):
            await happened(gw, who, *map(str, range(100)))
            await until(lambda: server.paths.count("/slow") == 4)
            begun = time.monotonic()
            for number in range(50):
                await happened(gw, who, f"a{number}")
                await happened(gw, other, f"b{number}")
            await until(lambda: len(got(server)) == 200)
            assert time.monotonic() - begun < attempts.TIMEOUT / 2
            assert server.connections >= 5


async def test_four_at_a_time_of_a_webhook() -> None:
    running, most = 0, 0

    async def slowly(writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        writer.write(answer())

    async with place(x=slowly) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        await happened(gw, who, *map(str, range(40)))
        async with delivering(gw):
            await until(lambda: _count(gw, who, hook, 40))
    assert most == 4
    assert len({event["id"] for event in got(server)}) == len(got(server)) == 40


async def _count(gw: Gateway, who: Any, hook: Any, count: int) -> bool:
    return len(await listed(gw, who, hook, "delivered")) == count


async def test_in_strict_order_the_next_of_a_session_waits_for_the_one_before() -> None:
    failures = {"n": 0}

    async def stumbling(writer: asyncio.StreamWriter) -> None:
        failures["n"] += 1
        writer.write(answer(status="500 Oh" if failures["n"] % 3 == 1 else "200 OK"))

    async with place(x=stumbling) as (gw, server):
        who = await caller(gw)
        policy = RetryPolicyWish(policy="constant", delay_seconds=1)
        hook = await made(gw, who, server.url + "/x", ordered=True, retry_policy=policy)
        for number in range(5):
            await happened(gw, who, f"{number}a", f"{number}b", session="ses_one")
            await happened(gw, who, f"{number}", session="ses_two")
        async with delivering(gw):

            async def all_there() -> bool:
                await turn(gw, 1)
                return await _count(gw, who, hook, 15)

            await until(all_there)
        for session in ("ses_one", "ses_two"):
            seen = list(dict.fromkeys(event["id"] for event in got(server) if event["session"] == session))
            first_success = [event["id"] for event in got(server) if event["session"] == session]
            assert seen == sorted(seen)
            # A repeat comes right behind its first try: nothing of the session was in between.
            assert first_success == sorted(first_success)


async def test_order_can_be_switched_on_for_what_waits_already() -> None:
    async with place(x=answer()) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        await happened(gw, who, *map(str, range(20)))
        await webhooks.update(gw, who, hook.id, UpdateWebhook(ordered=True))
        async with delivering(gw):
            await until(lambda: _count(gw, who, hook, 20))
        seen = [event["id"] for event in got(server)]
        assert seen == sorted(seen)


async def test_five_days_of_failure_switch_it_off_and_tell_the_other_readers() -> None:
    async with place(x=answer(status="500 Oh"), well=answer()) as (gw, server):
        who = await caller(gw)
        policy = RetryPolicyWish(policy="constant", delay_seconds=3600, attempts=50)
        hook = await made(gw, who, server.url + "/x", retry_policy=policy)
        await made(gw, who, server.url + "/well", events=["webhook.disabled"])
        await happened(gw, who, "1")
        async with delivering(gw):
            await until(lambda: _after(gw, who, hook, 1))
            await turn(gw, 5 * DAY - 10)
            await until(lambda: _after(gw, who, hook, 2))
            assert (await webhooks.get(gw, who, hook.id)).active
            await turn(gw, 2 * 3600)
            await until(lambda: got(server, "/well"))
        (notice,) = got(server, "/well")
        assert notice["event"] == "webhook.disabled"
        assert notice["payload"] == {"webhookId": hook.id, "reason": "failing", "lastError": "it answered 500"}
        assert [name for name, _ in await log(gw, who)] == ["contact.update", "webhook.disabled"]
        assert not (await webhooks.get(gw, who, hook.id)).active
        # Switched on again it has five days anew.
        await webhooks.update(gw, who, hook.id, UpdateWebhook(active=True))
        async with delivering(gw):
            await turn(gw, 2 * 3600)
            await until(lambda: _after(gw, who, hook, 4))
        assert (await webhooks.get(gw, who, hook.id)).active


async def test_a_success_in_between_begins_the_five_days_anew() -> None:
    async with place(x=answer(status="500 Oh")) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x", retry_policy=RetryPolicyWish(delay_seconds=3600))
        await happened(gw, who, "1")
        async with delivering(gw):
            await until(lambda: _after(gw, who, hook, 1))
            server.replies["/x"] = answer()
            await turn(gw, 3 * DAY)
            await until(lambda: _count(gw, who, hook, 1))
            server.replies["/x"] = answer(status="500 Oh")
            await turn(gw, 3 * DAY)
            await happened(gw, who, "2")
            await until(lambda: _after(gw, who, hook, 1))
        assert (await webhooks.get(gw, who, hook.id)).active


async def test_what_a_dead_process_had_claimed_is_delivered_with_the_same_id() -> None:
    async with place(x=answer()) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        await happened(gw, who, "1")
        (due,) = await attempts.claim(beside(gw, "dead"), [((who.organization_id, hook.id), 16)])
        async with delivering(gw):
            await happened(gw, who, "2")
            await until(lambda: _count(gw, who, hook, 1))
            assert [event["payload"]["jid"] for event in got(server)] == ["2"]
            await turn(gw, attempts.LEASE_MS / 1000)
            await until(lambda: _count(gw, who, hook, 2))
        assert got(server)[1]["id"] == due.event_id
        # The same process, come back, does not wait for the lease.
        await happened(gw, who, "3")
        await attempts.claim(gw, [((who.organization_id, hook.id), 16)])
        async with delivering(gw):
            await until(lambda: _count(gw, who, hook, 3))


async def test_two_processes_share_a_backlog_and_deliver_each_once() -> None:
    async with place(x=answer()) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        await happened(gw, who, *map(str, range(60)))
        async with delivering(gw), delivering(beside(gw, "second")):
            await until(lambda: _count(gw, who, hook, 60))
        assert len(got(server)) == len({event["id"] for event in got(server)}) == 60


async def test_a_test_goes_out_at_once_also_when_it_is_switched_off_and_to_nobody_else() -> None:
    async with place(x=answer(), y=answer(status="500 Oh")) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x", active=False, events=[], secret="s")
        other = await made(gw, who, server.url + "/y")
        done = await deliveries.test(gw, who, hook.id)
        assert (done.status, done.response_code) == ("delivered", 200)
        (event,) = got(server)
        assert (event["event"], event["payload"]) == ("webhook.test", {"webhookId": hook.id})
        assert [name for name, _ in await log(gw, who)] == ["webhook.test"]
        assert await listed(gw, who, hook) == await listed(gw, who, other) == []
        failed = await deliveries.test(gw, who, other.id)
        assert (failed.status, failed.response_code, failed.last_error) == ("failed", 500, "it answered 500")


async def test_replaying_what_is_not_there_or_has_left_the_log() -> None:
    async with place(x=answer()) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x")
        await happened(gw, who, "1")
        async with delivering(gw):
            (done,) = await until(lambda: listed(gw, who, hook, "delivered"))
            await deliveries.replay(gw, who, hook.id, done.id)
            await until(lambda: len(got(server)) == 2)
            await until(lambda: listed(gw, who, hook, "delivered"))
        for id in ("dlv_nothing", done.event_id, "", "dlv_"):
            with pytest.raises(NotFound):
                await deliveries.replay(gw, who, hook.id, id)
        await gw.db.write(lambda tx: tx.run("DELETE FROM events"))
        with pytest.raises(Gone):
            await deliveries.replay(gw, who, hook.id, done.id)


async def test_the_dead_outlast_the_log_for_thirty_days_and_are_replayed_together() -> None:
    async with place(x=answer(status="500 Oh")) as (gw, server):
        who = await caller(gw)
        hook = await made(gw, who, server.url + "/x", retry_policy=ONCE)
        await happened(gw, who, "1", "2", "3")
        async with delivering(gw):
            await until(lambda: _dead(gw, who, hook, 3))
            server.replies["/x"] = answer()
            await happened(gw, who, "4")
            await until(lambda: _count(gw, who, hook, 1))
        await _age(gw, 29)
        assert len(await listed(gw, who, hook)) == 3
        await deliveries.replay_dead(gw, who, hook.id)
        async with delivering(gw):
            await until(lambda: _count(gw, who, hook, 3))
        assert [each["payload"]["jid"] for each in got(server)][4:] == ["1", "2", "3"]
        await _age(gw, 2)
        assert await listed(gw, who, hook) == []


async def _dead(gw: Gateway, who: Any, hook: Any, count: int) -> bool:
    return len(await listed(gw, who, hook, "dead")) == count


async def _age(gw: Gateway, days: int) -> None:
    await turn(gw, days * DAY)
    for chore in (events.expire, deliveries.expire):
        while await chore(gw):
            pass
