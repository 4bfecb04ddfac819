"""Attempts are counted by what came of them, in few words that never change, with how old the event was."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.parts import caller, opened
from tests.support.receiver import HERE, Receiver, answer, door, receiving, reset
from tests.support.webhooks import delivering, happened, head, listed, made, until
from wagate.backends.guard import Guard
from wagate.backends.sealing import Sealer
from wagate.gateway import Gateway, attempts
from wagate.model.organizations import Caller
from wagate.model.webhooks import RetryPolicyWish
from wagate.telemetry import traces

pytestmark = pytest.mark.anyio

ONCE = RetryPolicyWish(attempts=1)


@pytest.fixture
async def server() -> AsyncIterator[Receiver]:
    async def mute(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def noise(writer: asyncio.StreamWriter) -> None:
        writer.write(b"no HTTP at all\r\n\r\n")

    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    codes = {f"s{code}": answer(status=f"{code} Said") for code in (200, 204, 302, 404, 410, 500, 503)}
    async with receiving(mute=mute, noise=noise, cut=cut, reset=reset, **codes) as running:
        yield running


def counted(gw: Gateway) -> list[Any]:
    """What is told from now on of attempts."""
    found: list[Any] = []
    gw.broker.subscribe("attempts", lambda told: found.extend(json.loads(told)))
    return found


async def tried(gw: Gateway, who: Caller, url: str) -> tuple[str, bool]:
    """The outcome of one delivery to there, and whether it was given up."""
    found = counted(gw)
    hook = await made(gw, who, url, retry_policy=ONCE)
    await happened(gw, who, "x")
    async with delivering(gw):
        await until(lambda: found)
    assert await listed(gw, who, hook)
    ((outcome, age, dead),) = found
    assert age >= 0
    return outcome, dead


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("s200", "delivered"),
        ("s204", "delivered"),
        ("reset", "delivered"),
        ("s302", "http_3xx"),
        ("s404", "http_4xx"),
        ("s410", "http_4xx"),
        ("s500", "http_5xx"),
        ("s503", "http_5xx"),
        ("mute", "timed_out"),
        ("noise", "broken"),
        ("cut", "broken"),
    ],
)
async def test_each_answer_has_its_word(
    path: str, outcome: str, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "TIMEOUT", 0.5)
    async with opened() as plain, door() as way:
        gw = dataclasses.replace(plain, http=way)
        assert await tried(gw, await caller(gw), f"{server.url}/{path}") == (outcome, outcome != "delivered")


async def test_where_nobody_listens_is_unreachable() -> None:
    async with receiving() as gone:
        url = gone.url
    async with opened() as plain, door() as way:
        gw = dataclasses.replace(plain, http=way)
        assert await tried(gw, await caller(gw), url + "/x") == ("unreachable", True)
        assert await tried(gw, await caller(gw), "http://nobody.test/x") == ("unreachable", True)


async def test_what_the_guard_refuses_is_told_apart(server: Receiver) -> None:
    async with opened() as plain, door(Guard.parse([]), inside=["127.0.0.1"]) as way:
        gw = dataclasses.replace(plain, http=way)
        assert await tried(gw, await caller(gw), f"http://inside.test:{server.port}/s200") == ("guarded", True)
        assert server.connections == 0


async def test_a_secret_of_another_key_is_ours_to_mend(server: Receiver) -> None:
    async with opened() as plain, door() as way:
        gw = dataclasses.replace(plain, http=way)
        who, found = await caller(gw), counted(gw)
        await made(gw, who, server.url + "/s200", secret="mine", retry_policy=ONCE)
        await happened(gw, who, "x")
        async with delivering(dataclasses.replace(gw, sealer=Sealer(b"another " * 4))):
            await until(lambda: found)
        assert [outcome for outcome, *_ in found] == ["not_posted"]
        assert server.bodies == []


async def test_a_retry_is_no_death_and_both_are_of_one_trace(server: Receiver) -> None:
    async with opened() as plain, door(HERE) as way:
        gw = dataclasses.replace(plain, http=way)
        who, found = await caller(gw), counted(gw)
        policy = RetryPolicyWish(attempts=2, policy="constant", delay_seconds=1)
        await made(gw, who, server.url + "/s500", retry_policy=policy)
        await happened(gw, who, "x")
        async with delivering(gw):
            await until(lambda: len(found) == 1)
            await gw.clock.advance(3600)  # type: ignore[attr-defined]
            await until(lambda: len(found) == 2)
    assert [(outcome, dead) for outcome, _, dead in found] == [("http_5xx", False), ("http_5xx", True)]
    assert found[1][1] >= 3600 > found[0][1]
    first, second = (traces.trace_id(head(server, at)["traceparent"]) for at in (0, 1))
    assert first == second
