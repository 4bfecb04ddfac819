"""The bench's endpoints take posts apart as they were sent, and its counters see a missing and a badly signed one."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from bench.bare_sender import signed
from bench.counting import Count, added
from bench.endpoints import Endpoint, Post, endpoints
from bench.webhooks import SECRET, signatures
from wagate.model.signatures import headers_of, key_of, verify

BODY = b'{"id":"evt_1","timestamp":1}'


def post(body: bytes = BODY, *, signed_body: bytes = BODY) -> Post:
    headers = headers_of("evt_1", signed_body, int(time.time() * 1000), [SECRET])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return Post(at=0.0, raw=f"POST /hook HTTP/1.1\r\n{lines}\r\n".encode() + body)


def test_a_body_that_was_not_signed_is_seen() -> None:
    assert signatures([post()]).good
    assert signatures([post(), post(BODY + b" ")]) == Count(acknowledged=2, missing=1)


def test_the_bare_sender_signs_what_the_gateway_signs() -> None:
    theirs = signed("evt_1", BODY, SECRET.encode(), key_of(SECRET))
    ours = headers_of("evt_1", BODY, int(theirs["X-Webhook-Timestamp"]), [SECRET])
    assert theirs == ours
    assert verify(BODY, theirs, SECRET) == {"id": "evt_1", "timestamp": 1}


def test_of_several_counts_one_that_is_bad_makes_all_bad() -> None:
    assert added([Count(acknowledged=1), Count(acknowledged=2)]) == Count(acknowledged=3)
    assert not added([Count(acknowledged=1), Count(acknowledged=2, missing=1)]).good


@pytest.mark.parametrize(("kind", "status"), [("well", 200), ("failing", 500)])
def test_an_endpoint_keeps_what_came_and_answers_as_its_kind_does(kind: str, status: int) -> None:
    async def posted() -> tuple[list[int], Endpoint]:
        async with endpoints([kind]) as [endpoint], aiohttp.ClientSession() as session:  # type: ignore[list-item]
            answers = []
            for body in (BODY, b"x" * 100_000, BODY):
                async with session.post(endpoint.url, data=body, headers={"webhook-id": "evt_1"}) as answer:
                    answers.append(answer.status)
            return answers, endpoint

    answers, endpoint = asyncio.run(posted())
    assert answers == [status] * 3
    assert [each.body for each in endpoint.posts] == [BODY, b"x" * 100_000, BODY]
    assert endpoint.posts[0].headers["webhook-id"] == "evt_1"


def test_an_endpoint_that_refuses_is_not_reached() -> None:
    async def posted() -> None:
        async with endpoints(["refusing"]) as [endpoint], aiohttp.ClientSession() as session:
            await session.post(endpoint.url, data=BODY)

    with pytest.raises(aiohttp.ClientConnectorError):
        asyncio.run(posted())
