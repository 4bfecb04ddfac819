"""A credential is accepted whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.serving import gateway, key
from wagate.api.auth import identify
from wagate.errors import Unauthorized
from wagate.gateway import Gateway, keys

pytestmark = pytest.mark.anyio

JWT = b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with gateway() as made:
        yield made


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"x-api-key": b""},
        {b"x-api-key": b"wa_short"},
        {b"x-api-key": b"wa_" + b"A" * 43},
        {b"x-api-key": b"wa_" + b"A" * 100_000},
        {b"x-api-key": b"wa_" + b"\xff" * 43},
        {b"authorization": b""},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Bearer " + b"\x00"},
        {b"authorization": b"Basic d2FnYXRlOng="},
        {b"authorization": b"wa_" + b"A" * 43},
        {b"authorization": b"Bearer " + JWT},
    ],
)
async def test_what_is_no_credential_is_refused(gw: Gateway, headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Unauthorized):
        await identify(gw, headers)


async def test_the_key_header_wins_even_when_it_is_wrong(gw: Gateway) -> None:
    secret = (await key(gw, "read")).secret.encode()
    with pytest.raises(Unauthorized):
        await identify(gw, {b"x-api-key": b"wrong", b"authorization": b"Bearer " + secret})
    await identify(gw, {b"x-api-key": secret, b"authorization": b"Bearer " + JWT})


async def test_a_revoked_key_fails_at_once(gw: Gateway) -> None:
    made = await key(gw, "read")
    headers = {b"x-api-key": made.secret.encode()}
    await identify(gw, headers)
    await keys.revoke(gw, made.id)
    with pytest.raises(Unauthorized):
        await identify(gw, headers)


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer  "])
async def test_a_key_may_come_as_bearer(gw: Gateway, scheme: bytes) -> None:
    made = await key(gw, "read", "send")
    caller = await identify(gw, {b"authorization": scheme + made.secret.encode()})
    assert (caller.key_id, caller.capabilities) == (made.id, {"read", "send"})
