"""People, presence, calls and channels through the engine."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time

import pytest

from tests.emulator.library import Library
from tests.emulator.nodes import Node, parse
from tests.emulator.phones import switch_on
from tests.emulator.schemas import Message
from tests.support.company import ANN, BEN, CAT, NOBODY, Company
from tests.support.engines import jid
from tests.support.whatsapp import PATIENCE, why_not
from wagate.engines.base import CallRang, ChannelChanged, ChatMarked, PeopleSeen, PresenceHeard, Receipt
from wagate.engines.sandbox.people import lid_of
from wagate.errors import NotFound, Refused, UnsupportedByEngine
from wagate.model.actions import (
    CheckContact,
    CreateChannel,
    FollowChannel,
    GetAbout,
    GetPicture,
    MarkRead,
    MuteChannel,
    SetBlocked,
    SetChatPresence,
    SetPresence,
    UnfollowChannel,
    WatchPresence,
)
from wagate.model.contents import (
    AudioContent,
    EditContent,
    ImageContent,
    ReactionContent,
    RevokeContent,
    Target,
    TextContent,
)
from wagate.model.messages import Arrived

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def test_people_are_looked_up_shown_and_blocked(company: Company) -> None:
    ann, ben = company.ann, company.emulator.person(BEN)
    await ann.say(TextContent(text="so that the LID is known"), BEN)
    found = await ann.do(CheckContact(phone=BEN))
    assert (found.is_on_whatsapp, found.jid, found.lid) == (True, jid(BEN), lid_of(BEN))
    assert not (await ann.do(CheckContact(phone=NOBODY))).is_on_whatsapp
    ben.account.about = "in the garden"
    assert (await ann.do(GetAbout(person=jid(BEN)))).about == "in the garden"
    with pytest.raises(NotFound):
        await ann.do(GetPicture(jid=jid(BEN)))
    ben.account.picture = company.emulator.keep_picture(b"\xff\xd8\xff")
    assert (await ann.do(GetPicture(jid=jid(BEN)))).id == ben.account.picture
    await company.emulator.people_changed_picture(ben.account)
    await ann.hears(ChatMarked, lambda report: report.chat == jid(BEN))
    for blocked in (True, True, False, False):
        await ann.do(SetBlocked(person=jid(CAT), blocked=blocked))
        assert company.emulator.person(ANN).account.blocked == ([CAT] if blocked else [])


async def test_receipts_tell_delivered_read_and_played(company: Company) -> None:
    said = await company.ann.say(TextContent(text="read me"), BEN)
    voice = AudioContent(media=await company.file("med_v", b"sound", "audio/ogg; codecs=opus", voice=True))
    heard = await company.ann.say(voice, BEN)
    await company.ben.gets(heard)
    await company.ben.connection.read(jid(ANN), jid(ANN), [said.wire_id, heard.wire_id])
    for ack in (said, heard):
        for status in ("delivered", "read"):
            receipt = await company.ann.hears(
                Receipt,
                lambda report, status=status, ack=ack: (  # type: ignore[misc]
                    report.status == status and ack.wire_id in report.wire_ids
                ),
            )
            assert (receipt.chat, receipt.sender) == (jid(BEN), jid(BEN))
    played = Node("receipt", {"to": parse(lid_of(ANN)), "id": heard.wire_id, "type": "played"})
    await company.emulator.receipts.hear(company.world.device(BEN), played)
    await company.ann.hears(Receipt, lambda report: (report.status, report.wire_ids) == ("played", [heard.wire_id]))


async def test_what_was_read_on_another_device_is_read(company: Company) -> None:
    said = await company.ben.say(TextContent(text="for both of you"), ANN)
    await company.ann.gets(said)
    await company.tablet.do(MarkRead(chat=jid(BEN), message_ids=[said.wire_id]))
    assert (await company.ann.hears(ChatMarked)) == ChatMarked(chat=jid(BEN), read=True)


async def test_a_snapshot_has_everybody_by_both_addresses_and_names(company: Company) -> None:
    await company.ann.gets(await company.ben.say(TextContent(text="this is me"), ANN))
    snapshot = await company.ann.connection.snapshot()
    known = {each.jid: each for each in snapshot.people}
    assert (known[jid(ANN)].lid, known[jid(BEN)].lid) == (lid_of(ANN), lid_of(BEN))
    assert any(each.push_name for each in snapshot.people if lid_of(BEN) == each.lid)


async def test_typing_and_presence_reach_who_watches(company: Company) -> None:
    await company.ann.do(SetChatPresence(chat=jid(BEN), state="recording"))
    typing = await company.ben.hears(PresenceHeard)
    assert typing == PresenceHeard(person=jid(ANN), state="composing", chat=jid(ANN), media="audio")
    await company.ann.do(SetChatPresence(chat=jid(BEN), state="paused"))
    await company.ben.hears(PresenceHeard, lambda report: report.state == "paused")
    with pytest.raises(Refused) as caught:
        await company.cat.do(SetPresence(online=True))
    assert caught.value.details["reason"] == "no_name", "no phone has told who they are"
    async with Library(company.emulator) as library:
        # Ben's phone shares the keys of what an account's devices know together; another of them writes his name there.
        phone = await switch_on(library, BEN)
        other = await library.link("other", BEN)
        # What the library takes over from the phone with these keys, and tells nobody.
        await company.ben.connection.snapshot()
        with contextlib.closing(sqlite3.connect(company.world.keys("ben") / "keys.db", timeout=30)) as keys:
            own = keys.execute("SELECT jid FROM whatsmeow_device").fetchone()[0]
            names = (own, jid(CAT), "Cat", "Cat of the Book")
            keys.execute(
                "INSERT OR REPLACE INTO whatsmeow_contacts (our_jid, their_jid, first_name, full_name)"
                " VALUES (?, ?, ?, ?)", names
            )  # fmt: skip
            keys.commit()
        await phone.share_keys()
        await other.wait("Message", lambda told: "appStateSyncKeyShare" in str(told))
        await other.call("set_profile_name", "Ben")
        watched = await company.ann.do(WatchPresence(chat=jid(BEN)))
        assert watched.from_ == jid(BEN)
        await _named(company)
        seen = await company.ben.hears(PeopleSeen, lambda report: any(each.full_name for each in report.people))
        assert [(each.jid, each.full_name) for each in seen.people if each.full_name] == [(jid(CAT), "Cat of the Book")]
        company.forget()
        await company.ben.do(SetPresence(online=True))
        await company.ann.hears(PresenceHeard, lambda report: (report.person, report.state) == (jid(BEN), "available"))
        await company.ben.do(SetPresence(online=False))
        await company.ann.hears(PresenceHeard, lambda report: report.state == "unavailable")
    for device in company.emulator.person(BEN).devices[1:]:
        await company.emulator.person(BEN).unlink(device)


async def _named(company: Company) -> None:
    """Wait until Ben's session has heard his name."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(Refused):
                await company.ben.do(SetPresence(online=False))
                return
            await asyncio.sleep(0.1)


async def test_a_call_rings(company: Company) -> None:
    call = await company.emulator.person(BEN).ring(company.emulator.person(ANN))
    rang = await company.ann.hears(CallRang)
    assert (rang.call_id, rang.caller, bool(rang.group)) == (call.identity, jid(BEN), False)


async def test_a_channel_is_made_followed_muted_posted_in_and_left(company: Company) -> None:
    with pytest.raises(NotFound):
        await company.ben.do(FollowChannel(channel="120363999999999999@newsletter"))
    channel = (await company.ann.do(CreateChannel(name="News", description="of the day"))).jid
    await company.ben.do(FollowChannel(channel=channel))
    post = await company.ann.say(TextContent(text="today"), channel)
    arrived = await company.ben.gets(post)
    assert (arrived.chat, arrived.content) == (channel, TextContent(text="today"))
    # A post that is edited comes once more, whole; what a channel takes in a form of its own is not tried.
    now = int(time.time())
    again = {"from": parse(channel), "id": post.wire_id, "server_id": 100, "t": now, "type": "text"}
    meta = Node("meta", {"msg_edit_t": now * 1000 + 5000, "original_msg_t": now})
    words = Message(conversation="today, corrected").SerializeToString()
    for attrs, body in (
        ({"edit": "3"}, [meta, Node("plaintext", {}, words)]),
        ({"edit": "8"}, [Node("plaintext", {}, b"")]),
    ):
        await company.world.device(BEN).deliver(Node("message", {**again, **attrs}, body))
    about = Target(message_id=post.wire_id, from_me=False)
    edited = await company.ben.hears(Arrived, lambda report: isinstance(report.content, EditContent))
    assert edited.content == EditContent(target=about, text="today, corrected")
    assert edited.timestamp == (now + 5) * 1000
    await company.ben.hears(Arrived, lambda report: report.content == RevokeContent(target=about))
    picture = ImageContent(media=await company.file("med_c", b"\xff\xd8\xff", "image/jpeg"))
    for unsaid in (picture, ReactionContent(target=about, emoji="x")):
        with pytest.raises(UnsupportedByEngine):
            await company.ann.say(unsaid, channel)
    await company.ben.do(MuteChannel(channel=channel, mute=True))
    await company.ben.do(MuteChannel(channel=channel, mute=False))
    await company.ben.do(UnfollowChannel(channel=channel))
    await company.ann.say(TextContent(text="after that"), BEN)
    await company.ben.hears(Arrived, lambda report: report.content == TextContent(text="after that"))
    assert [each.action for each in company.ann.sink.of(ChannelChanged)] == ["join"]
    assert [each.action for each in company.ben.sink.of(ChannelChanged)] == ["join", "mute", "mute", "leave"]
    marked = [bool(each.muted_until) for each in company.ben.sink.of(ChatMarked) if each.chat == channel]
    assert marked[0] is True
    assert marked[-1] is False
