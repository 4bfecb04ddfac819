"""What every engine promises about files, albums and changes of messages, where it sends such contents."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.engines import NO_CHOICE, NO_TURNING, Sandbox, chosen, jid, needs, settle, text, until
from tests.support.files import JPEG, MP3, MP4, OPUS_VOICE, PDF, WEBP
from wagate.engines.base import Arrived, Receipt
from wagate.engines.sandbox.people import lid_of
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
STATUS = "status@broadcast"
FILES: list[tuple[Any, bytes, str, dict[str, Any]]] = [
    (ImageContent, JPEG, "image/jpeg", {"caption": "words"}),
    (VideoContent, MP4, "video/mp4", {"caption": "words"}),
    (AudioContent, MP3, "audio/mpeg", {}),
    (AudioContent, OPUS_VOICE, "audio/ogg; codecs=opus", {"voice": True}),
    (DocumentContent, PDF, "application/pdf", {"filename": "a name.pdf", "caption": "words"}),
    (StickerContent, WEBP, "image/webp", {}),
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


@pytest.mark.parametrize("ref", ["sandbox-none", "med_1", "!", "CgA="])
async def test_a_file_that_the_network_has_not_is_gone(world: Sandbox, ref: str) -> None:
    connection, _ = await world.linked("s1", ANN)
    await world.file("med_1")
    with pytest.raises(Gone):
        await connection.perform(FetchMedia(media=Media(ref=ref, mimetype="image/jpeg"), into="med_9"))
    assert await world.bytes_of("med_9") is None


@pytest.mark.parametrize(("kind", "data", "mimetype", "more"), FILES)
async def test_a_file_arrives_and_is_fetched(
    world: Sandbox, kind: Any, data: bytes, mimetype: str, more: dict[str, Any]
) -> None:
    ours, _ = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    sent = await world.file("med_1", data, mimetype, **more)
    await ours.send(out("W1", kind(media=sent)))
    (message,) = await arrived(sink)
    told = message.content
    assert isinstance(told, kind)
    assert (told.media.mimetype, told.media.size, told.media.sha256) == (mimetype, sent.size, sent.sha256)
    said = {"filename": told.media.filename, "caption": told.media.caption, "voice": told.media.voice}
    assert {name: value for name, value in said.items() if value} == more
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
    ids = [chosen(world, ack, "W1"), *ack.item_ids[1:]]
    assert ack.item_ids == ids
    assert ids == ["W1", "W2", "W3"] or not world.engine.promises.chooses_wire_id
    messages = await arrived(theirs, 3)
    assert [message.wire_id for message in messages] == ids
    contents = [message.content for message in messages]
    assert [each.media.caption for each in contents if isinstance(each, ImageContent)] == ["0", "1", "2"]
    assert [bool(each.quote) for each in contents if isinstance(each, ImageContent)] == [True, False, False]
    await until(lambda: set(ids) <= {wire_id for told in sink.of(Receipt) for wire_id in told.wire_ids})


async def test_an_album_sent_again_is_the_same_album(world: Sandbox) -> None:
    needs((world.engine.promises.chooses_wire_id, NO_CHOICE))
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
    connection, ours = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    wire_id = chosen(world, await theirs.send(text("X", ANN)), "X")
    await arrived(ours)
    aimed: Any = change
    if aimed.target.message_id == "X":
        aimed = replace(aimed, target=replace(aimed.target, message_id=wire_id))
    with pytest.raises(Refused) as caught:
        await connection.send(out("C1", aimed))
    assert caught.value.details["reason"] == "not_allowed"
    assert caught.value.certain
    await settle()
    assert not sink.of(Arrived)


async def test_an_edit_is_refused_after_a_quarter_of_an_hour(world: Sandbox) -> None:
    needs((world.turns_clock, NO_TURNING))
    connection, _ = await world.linked("s1", ANN)
    await connection.send(text("W1", BEN))
    await world.pass_time(15 * 60 + 1)
    with pytest.raises(Refused) as caught:
        await connection.send(out("C1", EditContent(target=MINE, text="late")))
    assert caught.value.details["reason"] == "too_old"


async def test_a_revoke_is_refused_after_two_days(world: Sandbox) -> None:
    needs((world.turns_clock, NO_TURNING))
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
    said = chosen(world, await connection.send(text("W1", BEN)), "W1")
    change = replace(change, target=replace(MINE, message_id=said))
    done = chosen(world, await connection.send(out("C1", change)), "C1")
    for other, chat, from_me, target in (
        (theirs, jid(ANN), False, Target(message_id=said, from_me=False, sender=jid(ANN))),
        (own, jid(BEN), True, change.target),
    ):
        message = (await arrived(other, 2))[1]
        assert (message.wire_id, message.chat, message.from_me) == (done, chat, from_me)
        assert message.content == replace(change, target=target)
    await world.pass_time(1)
    assert not sink.of(Arrived)
    await until(lambda: said in {wire_id for told in sink.of(Receipt) for wire_id in told.wire_ids})


async def test_a_change_sent_again_is_the_same_change(world: Sandbox) -> None:
    needs((world.engine.promises.chooses_wire_id, NO_CHOICE))
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
    theirs, their_sink = await world.linked("s2", BEN)
    poll = PollContent(name="when?", options=["now", "later"])
    mine = replace(MINE, message_id=chosen(world, await connection.send(out("W1", poll)), "W1"))
    await arrived(their_sink)
    for wire_id, options in (("V1", ["now"]), ("V2", ["later"]), ("V3", [])):
        vote = VoteContent(target=replace(mine, from_me=False, sender=jid(ANN)), options=options)
        await theirs.send(out(wire_id, vote, ANN))
    # A network that knows no more than hashes of the options tells these: the gateway has the poll.
    hashes = [[sha256(b"now").hexdigest()], [sha256(b"later").hexdigest()], []]
    votes = [message.content for message in await arrived(sink, 3)]
    assert [each.target for each in votes if isinstance(each, VoteContent)] == [mine] * 3
    assert [each.options for each in votes if isinstance(each, VoteContent)] in ([["now"], ["later"], []], hashes)


async def test_an_admin_revokes_anothers_message(world: Sandbox) -> None:
    ours, our_sink = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    group = (await ours.perform(CreateGroup(subject="Team", people=[jid(BEN), jid(CAT)]))).group_jid
    first = chosen(world, await ours.send(text("W1", group)), "W1")
    await arrived(sink)
    second = chosen(world, await theirs.send(text("W2", group)), "W2")
    await arrived(our_sink)
    aimed = Target(message_id=first, from_me=False, sender=jid(ANN))
    with pytest.raises(Refused) as caught:
        await theirs.send(out("C1", RevokeContent(target=aimed), group))
    assert caught.value.details["reason"] == "not_allowed"
    aimed = Target(message_id=second, from_me=False, sender=jid(BEN))
    await ours.send(out("C2", RevokeContent(target=aimed), group))
    told = (await arrived(sink, 2))[1]
    assert (told.sender, told.content) == (jid(ANN), RevokeContent(target=Target(message_id=second, from_me=True)))


async def test_a_quote_says_whose_words_it_repeats(world: Sandbox) -> None:
    connection, ours = await world.linked("s1", ANN)
    theirs, sink = await world.linked("s2", BEN)
    wire_id = chosen(world, await theirs.send(text("X", ANN, "what?")), "X")
    await arrived(ours)
    # As the gateway quotes what it has stored.
    quote = Quote(message_id=wire_id, sender_jid=jid(BEN), sender_lid=lid_of(BEN), body="what?", from_me=False)
    await connection.send(out("W1", TextContent(text="that", quote=quote)))
    (message,) = await arrived(sink)
    assert message.content.quote == replace(quote, from_me=True)


async def test_two_changes_at_once_both_come_about(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    theirs, their_sink = await world.linked("s2", BEN)
    said = chosen(world, await connection.send(text("W1", BEN)), "W1")
    await arrived(their_sink)
    mine, aimed = replace(MINE, message_id=said), Target(message_id=said, from_me=False, sender=jid(ANN))
    await asyncio.gather(
        connection.send(out("C1", ReactionContent(target=mine, emoji="1"))),
        theirs.send(out("C2", ReactionContent(target=aimed, emoji="2"), ANN)),
    )
    assert (await arrived(sink))[0].content == ReactionContent(target=mine, emoji="2")
    assert (await arrived(their_sink, 2))[1].content == ReactionContent(target=aimed, emoji="1")


async def test_a_voice_message_is_played(world: Sandbox) -> None:
    connection, sink = await world.linked("s1", ANN)
    voice = AudioContent(media=await world.file("med_1", OPUS_VOICE, "audio/ogg; codecs=opus", voice=True))
    said = chosen(world, await connection.send(out("W1", voice)), "W1")
    await world.pass_time(1)
    await until(lambda: [told.status for told in sink.of(Receipt)] == ["delivered", "read"])
    await world.acknowledge(BEN, said, "play")
    await until(lambda: len(sink.of(Receipt)) == 3)
    played = sink.of(Receipt)[2]
    assert (played.chat, played.wire_ids, played.status, played.sender) == (jid(BEN), [said], "played", jid(BEN))


async def test_a_status_is_shown_to_the_own_sessions(world: Sandbox) -> None:
    connection, _ = await world.linked("s1", ANN)
    _, own = await world.linked("s2", ANN)
    said = chosen(world, await connection.send(out("W1", TextContent(text="at the sea"), STATUS)), "W1")
    (message,) = await arrived(own)
    assert (message.wire_id, message.chat, message.from_me) == (said, STATUS, True)
    assert message.content == TextContent(text="at the sea")
