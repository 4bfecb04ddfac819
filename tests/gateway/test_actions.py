"""Live actions: refused at once where nobody can perform them, and never taken for done when no answer comes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from tests.support.parts import caller, opened
from wagate.errors import (
    NoAnswer,
    NotFound,
    NotGroupAdmin,
    SessionNotConnected,
    Unavailable,
    UnsupportedByEngine,
    to_wire,
)
from wagate.gateway import Gateway, actions, sessions
from wagate.gateway.leases import Held
from wagate.model.actions import GetInvite, LeaveGroup
from wagate.model.groups import Invite
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

ASK = GetInvite(group="1@g.us")


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with opened(action_timeout=0.1) as gateway:
        yield gateway


async def test_another_organizations_session_performs_nothing(gw: Gateway, mine: Held) -> None:
    with pytest.raises(NotFound):
        await actions.ask(gw, await caller(gw), mine.id, ASK)


async def test_a_session_that_does_not_work_performs_nothing(gw: Gateway, who: Caller, mine: Held) -> None:
    await sessions.stop(gw, who, mine.id)
    with pytest.raises(SessionNotConnected):
        await actions.ask(gw, who, mine.id, ASK)


async def test_what_the_engine_lacks_is_refused_before_it_is_asked(gw: Gateway, who: Caller, mine: Held) -> None:
    poor = dataclasses.replace(gw.rules.engine("sandbox"), actions=frozenset())
    for engines in ({"sandbox": poor}, {}):
        bare = dataclasses.replace(gw, rules=dataclasses.replace(gw.rules, engines=engines))
        with pytest.raises(UnsupportedByEngine):
            await actions.ask(bare, who, mine.id, ASK)


async def test_nobody_at_home_is_unavailable(gw: Gateway, who: Caller, mine: Held) -> None:
    with pytest.raises(Unavailable):
        await actions.ask(gw, who, mine.id, ASK)


async def test_no_answer_in_time_is_no_answer_and_uncertain(gw: Gateway, who: Caller, mine: Held) -> None:
    async def silent(_: bytes) -> bytes:
        await asyncio.sleep(60)
        return b""

    stop = gw.broker.respond(f"runner.{mine.id}", silent)
    with pytest.raises(NoAnswer) as error:
        await actions.ask(gw, who, mine.id, ASK)
    assert error.value.details["certain"] is False
    stop()


async def test_the_answer_has_the_actions_type_and_an_error_is_itself(gw: Gateway, who: Caller, mine: Held) -> None:
    answers = [
        actions.encode_answer(Invite(invite="x")),
        actions.encode_answer(None),
        actions.encode_error(to_wire(NotGroupAdmin())),
    ]

    async def answer(_: bytes) -> bytes:
        return answers.pop(0)

    stop = gw.broker.respond(f"runner.{mine.id}", answer)
    assert await actions.ask(gw, who, mine.id, ASK) == Invite(invite="x")
    assert await actions.ask(gw, who, mine.id, LeaveGroup(group="1@g.us")) is None
    with pytest.raises(NotGroupAdmin):
        await actions.ask(gw, who, mine.id, ASK)
    stop()
