"""What a phone hands over after linking: chunk by chunk, bounded, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.emulator.library import Library
from tests.emulator.phones import Phone, switch_on
from tests.emulator.schemas import HistorySync
from tests.support.company import ANN, BEN, CAT
from tests.support.engines import Recorder, jid, settle
from tests.support.whatsapp import WhatsApp, eventually, why_not
from wagate.engines.base import ChatMarked, PeopleSeen
from wagate.engines.sandbox.people import lid_of
from wagate.engines.whatsapp.channels import FOREVER
from wagate.engines.whatsapp.history import MESSAGES_A_CHAT
from wagate.model.contacts import Person
from wagate.model.contents import Quote, ReactionContent, Target, TextContent
from wagate.model.messages import Arrived

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
GROUP = "120363000000000001@g.us"
LONG_AGO = 1_700_000_000


def chunk(number: int) -> HistorySync:
    """The beginning of a piece of history."""
    return HistorySync(syncType=HistorySync.RECENT, chunkOrder=number, progress=50 * number)


def said(history: HistorySync, chat: str, id: str, text: str, **more: object) -> None:
    """One more message in a chat of the history."""
    conversation = next((each for each in history.conversations if chat == each.ID), None)
    if conversation is None:
        conversation = history.conversations.add(ID=chat)
    message = conversation.messages.add().message
    message.key.remoteJID, message.key.ID = chat, id
    message.key.fromMe = bool(more.get("mine"))
    if author := more.get("author"):
        message.key.participant = str(author)
    message.messageTimestamp = LONG_AGO + len(conversation.messages)
    message.message.conversation = text


async def test_history_is_told_in_pieces_bounded_and_again_after_a_crash_with_the_same_ids(world: WhatsApp) -> None:
    world.emulator.first_count = 1
    async with Library(world.emulator) as library:
        phone = await switch_on(library, ANN)
        connection, sink = await world.linked("ann", ANN)
        first = chunk(1)
        first.pushnames.add(ID=jid(BEN), pushname="Benny")
        first.phoneNumberToLidMappings.add(pnJID=jid(CAT), lidJID=lid_of(CAT))
        for number in range(MESSAGES_A_CHAT + 5):
            said(first, jid(BEN), f"OLD{number}", f"text {number}", mine=number % 2)
        said(first, GROUP, "IN1", "in the group", author=lid_of(BEN))
        quoting = first.conversations[-1].messages.add().message
        quoting.key.remoteJID, quoting.key.ID, quoting.key.participant = GROUP, "IN2", jid(CAT)
        quoting.messageTimestamp = LONG_AGO + 9
        quoting.message.extendedTextMessage.text = "yes"
        quoting.message.extendedTextMessage.contextInfo.stanzaID = "IN1"
        quoting.message.extendedTextMessage.contextInfo.participant = lid_of(BEN)
        await phone.send_history(first)
        second = chunk(2)
        said(second, lid_of(CAT), "CAT1", "by LID alone")
        await phone.send_history(second)

        def heard(id: str) -> Callable[[], list[Arrived]]:
            return lambda: [each for each in sink.of(Arrived) if each.wire_id == id]

        await eventually(heard("CAT1"))
        people = [person for report in sink.of(PeopleSeen) for person in report.people]
        assert {(each.jid, each.push_name or "") for each in people} >= {(jid(BEN), "Benny"), (jid(CAT), "")}
        assert Person(jid=jid(CAT), lid=lid_of(CAT)) in people
        arrived = sink.of(Arrived)
        assert all(each.history for each in arrived)
        with_ben = [each for each in arrived if each.chat == jid(BEN)]
        assert [each.wire_id for each in with_ben] == [f"OLD{number}" for number in range(5, MESSAGES_A_CHAT + 5)]
        assert [each.timestamp for each in with_ben] == sorted(each.timestamp for each in with_ben)
        assert {each.from_me: each.sender for each in with_ben} == {True: jid(ANN), False: jid(BEN)}
        in_group = {each.wire_id: each for each in arrived if each.chat == GROUP}
        quote = in_group["IN2"].content.quote
        assert isinstance(quote, Quote)
        assert (in_group["IN2"].sender, quote.message_id, quote.sender_lid) == (jid(CAT), "IN1", lid_of(BEN))
        (by_lid,) = heard("CAT1")()
        assert by_lid.content == TextContent(text="by LID alone")
        assert by_lid.sender_lid == lid_of(CAT)
        sink.forget()
        await _has_edits_in_their_places_reactions_and_marks(phone, sink)
    await connection.close()


async def _has_edits_in_their_places_reactions_and_marks(phone: Phone, sink: Recorder) -> None:
    piece = chunk(3)
    said(piece, jid(BEN), "OLD1", "plain")
    with_ben = piece.conversations[-1]
    with_ben.archived, with_ben.pinned, with_ben.muteEndTime = True, 0, LONG_AGO
    plain = with_ben.messages[-1].message
    for mine, emoji in ((True, "👍"), (False, "👀"), (False, "")):
        plain.reactions.add(text=emoji, senderTimestampMS=LONG_AGO * 1000 + 7).key.fromMe = mine
    said(piece, jid(BEN), "EDIT1", "")
    edit = with_ben.messages[-1].message.message
    edit.Clear()
    change = edit.editedMessage.message.protocolMessage
    change.type, change.key.ID, change.editedMessage.conversation = change.MESSAGE_EDIT, "OLD2", "as it is now"
    said(piece, GROUP, "IN1", "in the group", mine=True)
    piece.conversations[-1].muteEndTime = 2**64 - 1
    reaction = piece.conversations[-1].messages[-1].message.reactions.add(text="🎉")
    reaction.key.participant = lid_of(CAT)
    await phone.send_history(piece)
    await eventually(lambda: [each for each in sink.of(Arrived) if each.content == emoji_of("🎉", "IN1", mine=True)])
    assert all(each.history for each in sink.of(Arrived))
    told = [(each.wire_id, each.from_me, each.sender, each.content) for each in sink.of(Arrived)]
    assert told[:4] == [
        ("OLD1", False, jid(BEN), TextContent(text="plain")),
        ("", True, jid(ANN), emoji_of("👍", "OLD1")),
        ("", False, jid(BEN), emoji_of("👀", "OLD1")),
        ("OLD2", False, jid(BEN), TextContent(text="as it is now")),
    ]
    assert sink.of(ChatMarked) == [
        ChatMarked(chat=jid(BEN), archived=True, pinned=False, muted_until=LONG_AGO * 1000, history=True),
        ChatMarked(chat=GROUP, muted_until=FOREVER, history=True),
    ]


def emoji_of(emoji: str, message_id: str, *, mine: bool = False) -> ReactionContent:
    """A reaction to something of Ann's, or of Ben's."""
    about = Target(message_id=message_id, from_me=True) if mine else None
    return ReactionContent(target=about or Target(message_id=message_id, from_me=False, sender=jid(BEN)), emoji=emoji)


async def test_a_piece_that_is_being_fetched_when_the_gateway_stops_is_not_lost(world: WhatsApp) -> None:
    world.emulator.first_count = 1
    async with Library(world.emulator) as library:
        phone = await switch_on(library, ANN)
        _, sink = await world.linked("ann", ANN)
        media = world.emulator.media
        media.gate.clear()
        history = chunk(1)
        said(history, jid(BEN), "OLD1", "long ago")
        await phone.send_history(history)
        await eventually(lambda: media.waiting)
        closing = asyncio.ensure_future(world.engine.close())
        await settle()
        media.gate.set()
        await closing
        world.engine = world.another()
        again, later = await world.open("ann", jid=jid(ANN))
        await again.connect()
        await eventually(lambda: sink.of(Arrived) or later.of(Arrived))
        assert [each.wire_id for each in (*sink.of(Arrived), *later.of(Arrived))] == ["OLD1"]


async def test_a_piece_that_was_not_committed_is_told_again(world: WhatsApp) -> None:
    world.emulator.first_count = 1
    async with Library(world.emulator) as library:
        phone = await switch_on(library, ANN)
        _, sink = await world.linked("ann", ANN)
        sink.gate.clear()
        history = chunk(1)
        said(history, jid(BEN), "OLD1", "long ago")
        await phone.send_history(history)
        await eventually(lambda: sink.holds(Arrived))
        # The gateway dies before it has stored anything; the next one finds the piece with the session.
        await world.engine.close()
        world.engine = world.another()
        again, later = await world.open("ann", jid=jid(ANN))
        await again.connect()
        await eventually(lambda: later.of(Arrived))
        assert [each.wire_id for each in later.of(Arrived)] == ["OLD1"]
