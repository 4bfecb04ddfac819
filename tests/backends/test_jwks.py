"""The provider's keys: what is taken of an answer, and when it is asked again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.logins import ALGORITHMS, Provider, jwk, private, providing
from wagate.backends.doors import FetchFailed
from wagate.backends.http import OperatorDoor
from wagate.backends.jwks import MOST_BYTES, Jwks, NotUsable, read
from wagate.clock import ManualClock

pytestmark = pytest.mark.anyio

HOUR = 3600


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[]",
        b"<html>sign in</html>",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[7]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_set_of_keys_is_refused(answer: bytes) -> None:
    with pytest.raises(NotUsable):
        read(answer)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (jwk("EdDSA", kid="x", kty=None), "type"),
        (jwk("EdDSA", crv="Ed448"), "curve"),
        (jwk("EdDSA", alg="ES256"), "algorithm"),
        (jwk("RS256", alg="PS256"), "algorithm"),
        (jwk("RS256", alg="RS512"), "algorithm"),
        (jwk("RS256", alg="none"), "algorithm"),
        (jwk("RS256", use="enc"), "not for signatures"),
        (jwk("ES256", key_ops=["encrypt"]), "not for verifying"),
        (jwk("ES256", key_ops="verify"), "not for verifying"),
        (jwk("ES384"), "curve"),
        (jwk("RS1024"), "1024 bits"),
        ({"kty": "oct", "kid": "x", "k": "c2VjcmV0", "alg": "HS256"}, "shared secret"),
        (jwk("EdDSA", d="c2VjcmV0"), "private key"),
        (jwk("EdDSA", x="AA"), "damaged"),
        (jwk("EdDSA", x=7), "damaged"),
        (jwk("RS256", n="!"), "damaged"),
        (jwk("RS256", e=None), "damaged"),
        (jwk("ES256", y="AA"), "damaged"),
        ({**jwk("EdDSA"), "kid": ""}, "no id"),
        ({**jwk("EdDSA"), "kid": 7}, "no id"),
        ({**jwk("EdDSA"), "kid": "x" * 257}, "no id"),
    ],
)
def test_a_key_that_cannot_be_used_is_left_out_and_the_others_are_taken(key: Any, why: str) -> None:
    with pytest.raises(NotUsable, match=why):
        read(document(key))
    found = read(document(key, jwk("ES256", kid="good")))
    assert list(found.keys) == [("good", "ES256")]
    [told] = found.unusable
    assert why in told


def test_of_two_keys_with_one_id_each_algorithm_has_its_first() -> None:
    found = read(document(jwk("EdDSA", kid="a"), jwk("RS256", kid="a"), jwk("EdDSA", kid="a", number=1)))
    assert list(found.keys) == [("a", "EdDSA"), ("a", "RS256")]
    assert len(found.unusable) == 1
    assert found.keys["a", "EdDSA"].verify(b"text", private("EdDSA").sign(b"text"))
    assert not found.keys["a", "EdDSA"].verify(b"text", private("EdDSA", 1).sign(b"text"))


def test_keys_beyond_the_hundredth_are_left_out_and_that_is_told() -> None:
    found = read(document(*(jwk("EdDSA", kid=str(number)) for number in range(101))))
    assert len(found.keys) == 100
    [told] = found.unusable
    assert told.startswith("number 101 and all after it")


def test_members_that_may_be_absent_may_be_absent() -> None:
    found = read(document(*(jwk(each, use=None, alg=None) for each in ALGORITHMS)))
    assert [algorithm for _, algorithm in found.keys] == list(ALGORITHMS)
    assert read(document(jwk("ES256", key_ops=["verify"]))).keys


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as made:
        yield made


@asynccontextmanager
async def kept(provider: Provider, clock: ManualClock, *, timeout: float = 10) -> AsyncIterator[Jwks]:
    door = OperatorDoor()
    keys = Jwks(lambda: door.get(provider.url, most_bytes=MOST_BYTES, timeout=timeout), clock)
    running = asyncio.create_task(keys.run())
    try:
        await asyncio.wait_for(keys.first.wait(), 60)
        await until(lambda: rests(keys, clock))
        yield keys
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await door.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


def rests(keys: Jwks, clock: ManualClock) -> bool:
    """Whether no fetch is under way and the next one waits for its time."""
    return not keys._running() and any(not waiter.done() for _, _, waiter in clock._sleepers)


async def found(keys: Jwks, kid: str, algorithm: str = "EdDSA") -> None:
    """Ask for it until it is there."""
    async with asyncio.timeout(60):
        while True:
            if await keys.find(kid, algorithm) is not None:
                return
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "bad", [(500, b"oops"), (200, b"<html></html>"), b'{"keys":[]}', b"x" * (MOST_BYTES + 1), (302, b"")], ids=repr
)
async def test_an_outage_keeps_the_last_good_set(provider: Provider, bad: Any) -> None:
    clock = ManualClock()
    async with kept(provider, clock) as keys:
        generation = keys.generation
        good, provider.answer = provider.answer, bad
        for _ in range(3):
            asked = provider.asked
            await clock.advance(HOUR)
            await until(lambda: provider.asked > asked and rests(keys, clock))  # noqa: B023
            assert await keys.find("EdDSA", "EdDSA") is not None
        assert keys.generation == generation
        provider.answer = good
        provider.publish(jwk("EdDSA", kid="new"))
        await clock.advance(60)
        await found(keys, "new")
        assert await keys.find("EdDSA", "EdDSA") is None
        assert keys.generation > generation


async def test_a_flood_of_unknown_ids_asks_once_a_minute(provider: Provider) -> None:
    clock = ManualClock()
    async with kept(provider, clock) as keys:
        assert provider.asked == 1
        for minute in range(1, 4):
            await asyncio.gather(*(keys.find(f"{minute}-{number}", "EdDSA") for number in range(200)))
            assert provider.asked == minute
            await clock.advance(60)
            await asyncio.gather(*(keys.find(f"{minute}+{number}", "EdDSA") for number in range(200)))
            await until(lambda: provider.asked == minute + 1)  # noqa: B023
            await until(lambda: not keys._running())


async def test_a_known_id_for_another_algorithm_asks_nobody(provider: Provider) -> None:
    clock = ManualClock()
    async with kept(provider, clock) as keys:
        await clock.advance(120)
        assert await keys.find("EdDSA", "RS256") is None
        assert provider.asked == 1


async def test_a_new_key_is_found_at_once_and_the_rest_of_the_hour_nobody_is_asked(provider: Provider) -> None:
    clock = ManualClock()
    async with kept(provider, clock) as keys:
        provider.publish(jwk("EdDSA", kid="new", number=1), jwk("EdDSA"))
        await clock.advance(61)
        await found(keys, "new")
        for _ in range(10):
            await clock.advance(60)
            assert await keys.find("new", "EdDSA") is not None
        assert provider.asked == 2


async def test_keys_are_asked_for_anew_after_an_hour_also_when_nobody_calls(provider: Provider) -> None:
    clock = ManualClock()
    async with kept(provider, clock) as keys:
        provider.publish(jwk("EdDSA", kid="new", number=1))
        await clock.advance(HOUR - 1)
        assert provider.asked == 1
        await clock.advance(1)
        await until(lambda: keys.generation == 2)
        assert await keys.find("EdDSA", "EdDSA") is None


async def test_nobody_waits_for_a_provider_that_hangs(provider: Provider) -> None:
    clock = ManualClock()
    async with kept(provider, clock) as keys:
        provider.hang()
        await clock.advance(HOUR)
        await until(lambda: provider.asked == 2)
        assert await keys.find("ES256", "ES256") is not None
        # Answered while it still hangs, and the fetch goes on all the same.
        assert await keys.find("new", "EdDSA") is None
        assert keys._running()
        provider.publish(jwk("EdDSA", kid="new"))
        provider.release()
        await found(keys, "new")
        assert provider.asked == 2


async def test_a_start_without_an_answer_asks_again_and_again(provider: Provider) -> None:
    clock, good = ManualClock(), provider.answer
    provider.answer = (503, b"")
    async with kept(provider, clock) as keys:
        assert await keys.find("EdDSA", "EdDSA") is None
        assert provider.asked == 1
        for asked, pause in ((2, 1), (3, 2), (4, 4)):
            await clock.advance(pause)
            await until(lambda: provider.asked == asked and rests(keys, clock))  # noqa: B023
        provider.answer = good
        await clock.advance(8)
        await until(lambda: keys.kept is not None)
        assert await keys.find("EdDSA", "EdDSA") is not None


async def test_a_provider_that_is_down_from_the_start_is_asked_for_days() -> None:
    asked: list[int] = []

    async def down() -> bytes:
        asked.append(clock.now())
        raise FetchFailed("it is down")

    clock = ManualClock()
    keys = Jwks(down, clock)
    running = asyncio.create_task(keys.run())
    await keys.first.wait()
    await until(lambda: rests(keys, clock))
    await clock.advance(2 * 24 * HOUR)
    assert not running.done()
    assert asked[-1] - asked[-2] == 60_000
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_clock_that_was_turned_back_keeps_nobody_from_asking(provider: Provider) -> None:
    clock = ManualClock()
    async with kept(provider, clock) as keys:
        clock._now -= 7 * 86_400_000
        provider.publish(jwk("EdDSA", kid="new"))
        await found(keys, "new")
