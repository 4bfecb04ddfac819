"""Quotes hold what the network knows, and no more than their author may know."""

from __future__ import annotations

import pytest

from tests.support.engines import Recorder, Sandbox, jid, settle, until
from wagate.engines.base import Arrived
from wagate.engines.sandbox.people import lid_of
from wagate.engines.sandbox.quoting import body
from wagate.model import Maybe
from wagate.model.contents import Card, ContactContent, LocationContent, PollContent, Quote, TextContent

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"


def answer(message: str, **more: str) -> TextContent:
    return TextContent(text="answer", quote=Quote(message_id=message, **more))  # type: ignore[arg-type]


def test_the_body_is_cut_at_a_character() -> None:
    words = body(TextContent(text="ä" * 3000))
    assert words == "ä" * 2048
    assert body(PollContent(name="?", options=[])) == "?"
    assert body(LocationContent(latitude=1, longitude=2, address="here")) == "here"
    assert body(ContactContent(cards=[Card(name="Zoe", vcard="")])) == "Zoe"
    assert not body(LocationContent(latitude=1, longitude=2))


async def quote(sink: Recorder) -> Quote:
    await settle()
    found: Maybe[Quote] = sink.of(Arrived)[-1].content.quote
    assert isinstance(found, Quote)
    return found


async def test_what_the_author_never_had_is_not_looked_into(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    secret = await world.say(CAT, jid("9990000004"), "secret")
    for told in (answer(secret), answer(secret, sender_jid=jid(CAT))):
        await world.speak(BEN, jid(ANN), told)
        assert not (await quote(sink)).body


async def test_a_quote_is_the_readers_own_only_for_who_wrote_it(world: Sandbox) -> None:
    _, ann = await world.linked("s1", ANN)
    _, cat = await world.linked("s2", CAT)
    group = (await world.group(BEN, [jid(ANN), jid(CAT)])).group_jid
    asked = await world.say(ANN, group, "who?")
    await until(lambda: cat.of(Arrived))
    await world.speak(BEN, group, answer(asked))
    assert await quote(ann) == Quote(
        message_id=asked, sender_jid=jid(ANN), sender_lid=lid_of(ANN), body="who?", from_me=True
    )
    assert (await quote(cat)).from_me is False


async def test_what_is_not_known_stays_as_it_was_told(world: Sandbox) -> None:
    _, sink = await world.linked("s1", ANN)
    await world.speak(BEN, jid(ANN), answer("old", sender_jid=jid(ANN), body="words"))
    found = await quote(sink)
    assert (found.sender_jid, found.body, found.from_me) == (jid(ANN), "words", True)
    await world.speak(BEN, jid(ANN), answer("old"))
    assert await quote(sink) == Quote(message_id="old")
