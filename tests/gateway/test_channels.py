"""Channels, and presence: what is reported of them is told, and a channel's chat outlives the following."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.parts import WHOLE, caller, within, words
from wagate.errors import NotFound, SessionNotConnected
from wagate.gateway import Gateway, channels, chats, contacts, messages, presence, sessions
from wagate.gateway.leases import Held
from wagate.model.actions import FollowChannel
from wagate.model.channels import ChannelChanged
from wagate.model.chats import PresenceHeard
from wagate.model.contacts import Person
from wagate.model.messages import Arrived
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

CHANNEL = "120363000000000009@newsletter"


async def change(gw: Gateway, mine: Held, action: Any, **more: Any) -> Any:
    report = ChannelChanged(jid=CHANNEL, action=action, **more)
    ((name, told),) = await within(gw, lambda tx: channels.changed(tx, mine, 1, report))
    return name, told.jid, told.action


async def test_a_channel_that_is_not_known_has_no_messages(gw: Gateway, who: Caller, mine: Held) -> None:
    for asks, session, channel in (
        (who, mine.id, CHANNEL), (who, mine.id, "x"), (who, mine.id, "9990000001"), (who, "ses_no", CHANNEL),
        (await caller(gw), mine.id, CHANNEL),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await channels.page(gw, asks, session, WHOLE, channel=channel)


async def test_live_questions_are_refused_in_order(gw: Gateway, who: Caller, mine: Held) -> None:
    with pytest.raises(NotFound):
        await channels.ask(gw, who, mine.id, FollowChannel(channel="x"), channel="x")
    await sessions.stop(gw, who, mine.id)
    with pytest.raises(SessionNotConnected):
        await channels.ask(gw, who, mine.id, FollowChannel(channel="x"), channel="x")


async def test_joining_makes_a_chat_that_leaving_keeps(gw: Gateway, who: Caller, mine: Held) -> None:
    assert await change(gw, mine, "join", name="News") == ("newsletter.update", CHANNEL, "join")
    assert (await channels.page(gw, who, mine.id, WHOLE, channel=CHANNEL)) == ([], None)
    assert (await chats.page(gw, who, mine.id, WHOLE))[0] == []
    post = Arrived(wire_id="A", chat=CHANNEL, from_me=False, timestamp=3, content=words())
    await within(gw, lambda tx: messages.arrived(tx, mine, 3, post))
    assert await change(gw, mine, "mute") == ("newsletter.update", CHANNEL, "mute")
    assert await change(gw, mine, "leave") == ("newsletter.update", CHANNEL, "leave")
    rows, _ = await channels.page(gw, who, mine.id, WHOLE, channel=CHANNEL)
    assert [row.wa_message_id for row in rows] == ["A"]
    chat = await chats.get(gw, who, mine.id, CHANNEL)
    assert (chat.name, chat.type) == ("News", "newsletter")


async def test_presence_is_told_by_the_address_that_clients_know(gw: Gateway, mine: Held) -> None:
    phone, lid = "9990000002@s.whatsapp.net", "777000000000002@lid"
    await within(gw, lambda tx: contacts.seen(tx, mine, 1, Person(jid=phone, lid=lid)))
    report = PresenceHeard(person=lid, state="composing", chat=lid, media="audio")
    ((name, told),) = await within(gw, lambda tx: presence.heard(tx, mine, 1, report))
    assert (name, told.from_, told.chat_jid, told.state, told.media) == (
        "presence.update", phone, phone, "composing", "audio",
    )  # fmt: skip
    gone = PresenceHeard(person="888000000000002@lid", state="unavailable", last_seen=9)
    ((_, told),) = await within(gw, lambda tx: presence.heard(tx, mine, 1, gone))
    assert (told.from_, told.unavailable, told.last_seen) == ("888000000000002@lid", True, 9)
