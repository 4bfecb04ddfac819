"""What every engine promises about files, albums and changes of messages, where it sends such contents."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import pytest

from tests.support.engines import Sandbox, jid, settle, text, until
from tests.support.files import JPEG, MP4, OPUS_VOICE, PDF, WEBP
from wagate.engines.base import Arrived, Receipt
from wagate.errors import Gone, Refused
from wagate.model.actions import CreateGroup, FetchMedia
from wagate.model.contents import (
    AlbumContent,
    AlbumItem,
    AudioContent,
    Content,
    DocumentContent,
    EditContent,
    ImageContent,
    Media,
    PollContent,
    Quote,
    ReactionContent,
    RevokeContent,
    StickerContent,
    Target,
    TextContent,
    VideoContent,
    VoteContent,
)
from wagate.model.messages import Outgoing

pytestmark = pytest.mark.anyio

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"
MINE = Target(message_id="W1", from_me=True)
FILES: list[tuple[Any, bytes, str]] = [
    (ImageContent, JPEG, "image/jpeg"),
    (VideoContent, MP4, "video/mp4"),
    (AudioContent, OPUS_VOICE, "audio/ogg; codecs=opus"),
    (DocumentContent, PDF, "application/pdf"),
    (StickerContent, WEBP, "image/webp"),
]


def out(wire_id: str, content: Content, to: str = BEN) -> Outgoing:
    return Outgoing(wire_id=wire_id, chat=to if "@" in to else jid(to), content=content)


async def arrived(sink: Any, count: int = 1) -> list[Arrived]:
    await until(lambda: len(sink.of(Arrived)) >= count)
    await settle()
    found: list[Arrived] = sink.of(Arrived)
    assert len(found) == count
    return found


# Files.


async def test_a_file_that_is_not_there_is_not_sent(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    with pytest.raises(Gone):
        await connection.send(out("W1", ImageContent(media=Media(id="med_none", mimetype="image/jpeg"))))
    assert await world.shown() == []


@pytest.mark.parametrize("ref", ["sandbox-none", "med_1"])
async def test_a_file_that_the_network_has_not_is_gone(world: Sandbox, ref: str) -> None:
    connection, _ = await world.linked("s1", ANN)
    await world.file("med_1")
    with pytest.raises(Gone):
        await connection.perform(FetchMedia(media=Media(ref=ref, mimetype="image/jpeg"), into="med_9"))
    assert await world.bytes_of("med_9") is None


@pytest.mark.parametrize(("kind", "data", "mimetype"), FILES)
async def test_a_file_arrives_and_is_fetched(world: Sandbox, kind: Any, data: bytes, mimetype: str) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    sent = await world.file("med_1", data, mimetype, filename="name", caption="words", voice=True)
    await ours.send(out("W1", kind(media=sent)))
    (message,) = await arrived(sink)
    told = message.content
    assert isinstance(told, kind)
    assert (told.media.mimetype, told.media.size, told.media.sha256) == (mimetype, sent.size, sent.sha256)
    assert (told.media.filename, told.media.caption, told.media.voice) == ("name", "words", True)
    assert told.media.ref
    assert not told.media.id
    # The sender's own copy may go: the network has one.
    await world.files.remove(["med_1"])
    fetched = await theirs.perform(FetchMedia(media=told.media, into="med_2"))
    assert (fetched.size, fetched.sha256) == (len(data), sha256(data).hexdigest())
    assert await world.bytes_of("med_2") == data


async def test_a_file_is_still_to_be_had_after_a_restart(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.close()
    await world.speak(BEN, jid(ANN), ImageContent(media=await world.file()))
    await world.crash()
    again, sink = await world.open("s1", jid=jid(ANN))
    await again.connect()
    (message,) = await arrived(sink)
    assert isinstance(message.content, ImageContent)
    assert await again.perform(FetchMedia(media=message.content.media, into="med_2"))


# Albums.


def album(files: list[Media], *ids: str) -> AlbumContent:
    items = [AlbumItem(content=ImageContent(media=each), message_id=id) for each, id in zip(files, ids, strict=True)]
    return AlbumContent(items=items, quote=Quote(message_id="W0"))


async def test_an_album_arrives_as_its_items(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    _, theirs = await world.linked("s2", BEN)
    files = [await world.file(f"med_{place}", caption=f"{place}") for place in range(3)]
    ack = await connection.send(out("W1", album(files, "W1", "W2", "W3")))
    assert (ack.wire_id, ack.item_ids) == ("W1", ["W1", "W2", "W3"])
    messages = await arrived(theirs, 3)
    assert [message.wire_id for message in messages] == ["W1", "W2", "W3"]
    contents = [message.content for message in messages]
    assert [each.media.caption for each in contents if isinstance(each, ImageContent)] == ["0", "1", "2"]
    assert [bool(each.quote) for each in contents if isinstance(each, ImageContent)] == [True, False, False]
    await until(lambda: {wire_id for told in sink.of(Receipt) for wire_id in told.wire_ids} == {"W1", "W2", "W3"})


async def test_an_album_sent_again_is_the_same_album(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    files = [await world.file(f"med_{place}") for place in range(2)]
    sending = out("W1", album(files, "W1", "W2"))
    first = await connection.send(sending)
    await world.crash()
    again, _ = await world.open("s1", jid=jid(ANN))
    await again.connect()
    await world.files.remove(["med_0", "med_1"])
    assert await again.send(sending) == first
    assert [copy.wa_message_id for copy in await world.shown()] == ["W1", "W2"]


# Changes.


@pytest.mark.parametrize(
    "change",
    [
        EditContent(target=Target(message_id="X", from_me=False, sender=jid(BEN)), text="x"),
        RevokeContent(target=Target(message_id="X", from_me=False, sender=jid(BEN))),
        VoteContent(target=Target(message_id="X", from_me=False, sender=jid(BEN)), options=["a"]),
        VoteContent(target=Target(message_id="nothing", from_me=False, sender=jid(BEN)), options=["a"]),
    ],
)
async def test_what_nobody_may_do_to_anothers_message_is_refused(world: Sandbox, change: Content) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, sink = await world.linked("s2", BEN)
    wire_id = await world.say(BEN, jid(ANN))
    aimed: Any = change
    if aimed.target.message_id == "X":
        aimed = type(aimed)(**{**{name: getattr(aimed, name) for name in aimed.__struct_fields__},
                               "target": Target(message_id=wire_id, from_me=False, sender=jid(BEN))})  # fmt: skip
    sink.calls.clear()
    with pytest.raises(Refused) as caught:
        await connection.send(out("C1", aimed))
    assert caught.value.details["reason"] == "not_allowed"
    await settle()
    assert not sink.of(Arrived)


async def test_an_edit_is_refused_after_a_quarter_of_an_hour(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.pass_time(15 * 60 + 1)
    with pytest.raises(Refused) as caught:
        await connection.send(out("C1", EditContent(target=MINE, text="late")))
    assert caught.value.details["reason"] == "too_old"


async def test_a_revoke_is_refused_after_two_days(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.pass_time(2 * 86400 + 1)
    with pytest.raises(Refused) as caught:
        await connection.send(out("C1", RevokeContent(target=MINE)))
    assert caught.value.details["reason"] == "too_old"


@pytest.mark.parametrize(
    "change",
    [
        EditContent(target=MINE, text="better"),
        RevokeContent(target=MINE),
        ReactionContent(target=MINE, emoji="🎉"),
    ],
)
async def test_a_change_arrives_with_the_target_as_each_one_sees_it(world: Sandbox, change: Any) -> None:
    connection, sink = await world.linked("s1", ANN)
    _, theirs = await world.linked("s2", BEN)
    _, own = await world.linked("s3", ANN)
    await connection.send(text("W1", BEN))
    ack = await connection.send(out("C1", change))
    assert ack.wire_id == "C1"
    for other, chat, from_me, target in (
        (theirs, jid(ANN), False, Target(message_id="W1", from_me=False, sender=jid(ANN))),
        (own, jid(BEN), True, MINE),
    ):
        message = (await arrived(other, 2))[1]
        assert (message.wire_id, message.chat, message.from_me) == ("C1", chat, from_me)
        assert type(message.content) is type(change)
        assert getattr(message.content, "target", None) == target
    await world.pass_time(1)
    assert not sink.of(Arrived)
    assert {wire_id for told in sink.of(Receipt) for wire_id in told.wire_ids} == {"W1"}


async def test_a_change_sent_again_is_the_same_change(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, sink = await world.linked("s2", BEN)
    await connection.send(text("W1", BEN))
    for _ in range(2):
        await connection.send(out("C1", ReactionContent(target=MINE, emoji="🎉")))
    await connection.send(out("C2", ReactionContent(target=MINE, emoji="")))
    await connection.send(out("C1", ReactionContent(target=MINE, emoji="🎉")))
    assert [message.wire_id for message in await arrived(sink, 3)] == ["W1", "C1", "C2"]
    assert (await world.shown("W1"))[0].reactions == []


async def test_a_vote_arrives(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    theirs, _ = await world.linked("s2", BEN)
    await connection.send(out("W1", PollContent(name="when?", options=["now", "later"])))
    vote = VoteContent(target=Target(message_id="W1", from_me=False, sender=jid(ANN)), options=["now"])
    await theirs.send(out("V1", vote, ANN))
    (message,) = await arrived(sink)
    assert message.content == VoteContent(target=MINE, options=["now"])


async def test_an_admin_revokes_anothers_message(world: Sandbox) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(BEN), jid(CAT)]))).group_jid
    await ours.send(text("W1", group))
    await theirs.send(text("W2", group))
    with pytest.raises(Refused):
        await theirs.send(
            out("C1", RevokeContent(target=Target(message_id="W1", from_me=False, sender=jid(ANN))), group)
        )
    await ours.send(out("C2", RevokeContent(target=Target(message_id="W2", from_me=False, sender=jid(BEN))), group))
    told = (await arrived(sink, 2))[1]
    assert (told.sender, told.content) == (jid(ANN), RevokeContent(target=Target(message_id="W2", from_me=True)))


async def test_a_quote_says_whose_words_it_repeats(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, sink = await world.linked("s2", BEN)
    wire_id = await world.say(BEN, jid(ANN), "what?")
    sink.calls.clear()
    await connection.send(out("W1", TextContent(text="that", quote=Quote(message_id=wire_id))))
    (message,) = await arrived(sink)
    quote = message.content.quote
    assert isinstance(quote, Quote)
    assert (quote.sender_jid, quote.body, quote.from_me) == (jid(BEN), "what?", True)


async def test_two_changes_at_once_both_come_about(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    theirs, _ = await world.linked("s2", BEN)
    await connection.send(text("W1", BEN))
    aimed = Target(message_id="W1", from_me=False, sender=jid(ANN))
    await asyncio.gather(
        connection.send(out("C1", ReactionContent(target=MINE, emoji="1"))),
        theirs.send(out("C2", ReactionContent(target=aimed, emoji="2"), ANN)),
    )
    (copy,) = await world.shown("W1")
    assert {(each.sender_jid, each.emoji) for each in copy.reactions} == {(jid(ANN), "1"), (jid(BEN), "2")}


@pytest.mark.parametrize("kind", ["duplicate_event", "reorder_events"])
async def test_changes_are_doubled_and_swapped_on_request(world: Sandbox, kind: str) -> None:
    connection, sink = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.pass_time(1)
    await world.fault(kind, session="s1")
    await world.change(BEN, "W1", "react", text="1")
    await world.change(BEN, "W1", "react", text="2")
    await world.pass_time(1)
    said = [getattr(message.content, "emoji", None) for message in sink.of(Arrived)]
    assert said == (["1", "1", "2"] if kind == "duplicate_event" else ["2", "1"])
