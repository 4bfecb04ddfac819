"""What is said between real sessions arrives as it was said: at the other, and on the own second device."""

from __future__ import annotations

import os
from hashlib import sha256

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from tests.emulator.library import Library
from tests.support.company import ANN, BEN, CAT, Company
from tests.support.engines import jid
from tests.support.whatsapp import why_not
from wagate.engines.base import GroupSeen
from wagate.engines.sandbox.people import lid_of
from wagate.errors import Gone, NoAnswer
from wagate.model.actions import FetchMedia, WatchPresence
from wagate.model.contents import (
    AlbumContent,
    AlbumItem,
    AudioContent,
    Card,
    ContactContent,
    Content,
    DocumentContent,
    EditContent,
    ImageContent,
    LocationContent,
    MediaContent,
    PollContent,
    Preview,
    Quote,
    ReactionContent,
    RevokeContent,
    StickerContent,
    Target,
    TextContent,
    VideoContent,
    VoteContent,
)
from wagate.model.messages import Arrived

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

EVE = "99900000005"
VCARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Cat\nEND:VCARD"
MORE_THAN_A_LINE = Quote(
    message_id="3EB0AA", sender_jid=jid(BEN), sender_lid=lid_of(BEN), body="what was asked " * 20, from_me=UNSET
)  # fmt: skip
SAID: list[Content] = [
    TextContent(text="hello"),
    TextContent(text="hello @99900000003", mentions=[jid(CAT)]),
    TextContent(text="see https://a.example/x", preview=Preview(title="A", description="what it is")),
    TextContent(text="it is", quote=MORE_THAN_A_LINE),
    TextContent(text="somebody said", forwarded=True),
    LocationContent(latitude=52.5, longitude=13.4, name="Here", address="A street"),
    ContactContent(cards=[Card(name="Cat", vcard=VCARD)]),
    ContactContent(cards=[Card(name="Cat", vcard=VCARD), Card(name="Dan", vcard=VCARD)]),
    PollContent(name="When?", options=["now", "later"], selectable_count=1),
    PollContent(name="Which?", options=["a", "b", "c"], selectable_count=0, poll_end_time=2_000_000_000_000),
]


async def test_what_is_said_arrives_as_it_was_said(company: Company) -> None:
    seen = company.emulator.messages.seen
    before = len(seen)
    for content in SAID:
        ack = await company.ann.say(content, BEN)
        arrived = await company.ben.gets(ack)
        expected = content
        if content.quote:  # the quoted one is Ben himself
            expected = replace(content, quote=replace(content.quote, from_me=True))
        assert arrived.content == expected
        assert (arrived.chat, arrived.sender, arrived.sender_lid) == (jid(ANN), jid(ANN), lid_of(ANN))
        assert (arrived.from_me, arrived.history, arrived.timestamp) == (False, False, ack.timestamp)
        copied = await company.tablet.gets(ack)
        assert copied.content == content
        assert (copied.chat, copied.from_me, copied.sender) == (jid(BEN), True, jid(ANN))
    assert len(company.ben.sink.of(Arrived)) == len(SAID), "each once"
    assert not any(node.first("bot") for _, node in seen[before:]), "phones would show AI"


async def test_files_arrive_with_all_that_is_known_of_them_and_can_be_fetched(company: Company) -> None:
    octets = {kind: os.urandom(20_000) for kind in ("image", "video", "voice", "audio", "document", "sticker")}
    said: dict[str, MediaContent] = {
        "image": ImageContent(media=await company.file("med_1", octets["image"], "image/jpeg", caption="look @9")),
        "video": VideoContent(media=await company.file("med_2", octets["video"], "video/mp4", caption="see")),
        "voice": AudioContent(media=await company.file("med_3", octets["voice"], "audio/ogg; codecs=opus", voice=True)),
        "audio": AudioContent(media=await company.file("med_4", octets["audio"], "audio/mpeg")),
        "document": DocumentContent(
            media=await company.file(
                "med_5", octets["document"], "application/pdf", filename="a b.pdf", caption="read it"
            )
        ),
        "sticker": StickerContent(media=await company.file("med_6", octets["sticker"], "image/webp")),
    }
    for kind, content in said.items():
        arrived = (await company.ben.gets(await company.ann.say(content, BEN))).content
        assert isinstance(arrived, MediaContent)
        assert replace(arrived, media=replace(arrived.media, ref=UNSET)) == replace(
            content, media=replace(content.media, id=UNSET)
        )
        fetched = await company.ben.do(FetchMedia(media=arrived.media, into=f"got_{kind}"))
        assert (fetched.size, fetched.sha256) == (20_000, sha256(octets[kind]).hexdigest())
        assert await company.bytes_of(f"got_{kind}") == octets[kind]
    company.emulator.media.refuse = 404
    try:
        with pytest.raises(Gone):
            await company.ben.do(FetchMedia(media=arrived.media, into="got_no_more"))
    finally:
        company.emulator.media.refuse = 0
    assert await company.bytes_of("got_no_more") is None


async def test_a_file_that_cannot_be_uploaded_is_certainly_not_sent(company: Company) -> None:
    picture = ImageContent(media=await company.file("med_7", b"\xff\xd8\xff", "image/jpeg"))
    before = len(company.emulator.messages.seen)
    company.emulator.media.refuse = 503
    try:
        with pytest.raises(NoAnswer) as caught:
            await company.ann.say(AlbumContent(items=[AlbumItem(content=picture), AlbumItem(content=picture)]), BEN)
    finally:
        company.emulator.media.refuse = 0
    assert caught.value.details["certain"]
    assert len(company.emulator.messages.seen) == before
    unknown = ImageContent(media=replace(picture.media, id="med_gone"))
    with pytest.raises(Gone):
        await company.ann.say(unknown, BEN)


async def test_an_album_is_its_items(company: Company) -> None:
    first = ImageContent(media=await company.file("med_8", b"\xff\xd8\xff1", "image/jpeg", caption="all of it"))
    second = VideoContent(media=await company.file("med_9", b"video", "video/mp4"))
    album = AlbumContent(items=[AlbumItem(content=first), AlbumItem(content=second)], mentions=[jid(CAT)])
    ack = await company.ann.say(album, BEN)
    assert ack.item_ids
    assert ack.item_ids[0] == ack.wire_id
    await company.ben.hears(Arrived, lambda report: ack.item_ids and report.wire_id == ack.item_ids[1])
    items = company.ben.sink.of(Arrived)
    assert [(each.wire_id, type(each.content)) for each in items] == [
        (ack.item_ids[0], ImageContent),
        (ack.item_ids[1], VideoContent),
    ]
    assert [each.content.mentions for each in items] == [[jid(CAT)], UNSET]


async def test_changes_are_about_the_message_that_they_are_about(company: Company) -> None:
    ours = await company.ann.say(TextContent(text="frist"), BEN)
    await company.ben.gets(ours)
    theirs = await company.ben.say(TextContent(text="what?"), ANN)
    await company.ann.gets(theirs)
    mine, other = Target(message_id=ours.wire_id, from_me=True), Target(message_id=theirs.wire_id, from_me=False)
    other = replace(other, sender=jid(BEN))
    for change in (
        EditContent(target=mine, text="first"),
        ReactionContent(target=mine, emoji="👍"),
        ReactionContent(target=other, emoji="👀"),
        ReactionContent(target=other, emoji=""),
        RevokeContent(target=mine),
    ):
        ack = await company.ann.say(change, BEN)
        seen_by_ben = Target(message_id=change.target.message_id, from_me=change.target is other)
        if not seen_by_ben.from_me:
            seen_by_ben = replace(seen_by_ben, sender=jid(ANN))
        assert (await company.ben.gets(ack)).content == replace(change, target=seen_by_ben)
        copied = await company.tablet.gets(ack)
        assert (copied.content, copied.from_me) == (change, True)


@pytest.mark.parametrize("by_number", [False, True], ids=["by LID", "by number"])
async def test_in_a_group_everybody_is_named_by_phone_however_the_group_does(
    company: Company, *, by_number: bool
) -> None:
    person = company.emulator.person
    gathering = await company.emulator.create_group(
        person(ANN), "Team", [person(BEN), person(CAT)], by_number=by_number
    )
    group = str(gathering.jid)
    ours = await company.ann.say(TextContent(text="hi @99900000002", mentions=[jid(BEN)]), group)
    arrived = await company.ben.gets(ours)
    assert (arrived.chat, arrived.sender, arrived.sender_lid) == (group, jid(ANN), lid_of(ANN))
    assert arrived.content == TextContent(text="hi @99900000002", mentions=[jid(BEN)])
    answer = Quote(message_id=ours.wire_id, sender_jid=jid(ANN), body="hi")
    theirs = await company.ben.say(TextContent(text="yes?", quote=answer), group)
    quote = (await company.ann.gets(theirs)).content.quote
    assert quote == Quote(message_id=ours.wire_id, sender_jid=jid(ANN), sender_lid=lid_of(ANN), body="hi", from_me=True)
    reaction = ReactionContent(target=Target(message_id=ours.wire_id, from_me=False, sender=jid(ANN)), emoji="x")
    ack = await company.ben.say(reaction, group)
    assert (await company.cat.gets(ack)).content == reaction
    assert (await company.ann.gets(ack)).content == replace(reaction, target=replace(_mine(ours.wire_id)))
    # An admin takes another's message back.
    revoke = RevokeContent(target=Target(message_id=theirs.wire_id, from_me=False, sender=jid(BEN)))
    ack = await company.ann.say(revoke, group)
    assert (await company.cat.gets(ack)).content == revoke
    assert (await company.ben.gets(ack)).content == RevokeContent(target=_mine(theirs.wire_id))
    sent = [node for _, node in company.emulator.messages.seen if node.attrs["id"] == ack.wire_id]
    assert sent[-1].attrs["edit"] == "8", "as an admin's"


@pytest.mark.parametrize("by_number", [False, True], ids=["by LID", "by number"])
async def test_mentions_are_said_as_a_group_s_members_address_one_another(company: Company, *, by_number: bool) -> None:
    person = company.emulator.person
    shown = jid(BEN) if by_number else lid_of(BEN)
    digits = shown.partition("@")[0]
    octets = await company.file("med_m", b"\xff\xd8\xff", "image/jpeg", caption=f"@{BEN}")
    async with Library(company.emulator) as library:
        # What is really said only a session of another client shows.
        eve = await library.link(f"eve-{by_number}", EVE)
        try:
            people = [person(BEN), person(EVE)]
            gathering = await company.emulator.create_group(person(ANN), "Team", people, by_number=by_number)
            group = str(gathering.jid)
            await company.ann.hears(GroupSeen, lambda report: report.group_jid == group)
            gathering.timer = 86400
            await company.ann.do(WatchPresence(chat=group))  # which looks at the group
            await company.ann.say(TextContent(text=f"hi @{BEN}, not @{CAT}", mentions=[jid(BEN)]), group)
            await company.ann.say(ImageContent(media=octets, mentions=[jid(BEN)]), group)
            paper = await company.file("med_d", b"%PDF", "application/pdf", filename="a.pdf", caption="read it")
            await company.ann.say(DocumentContent(media=paper), group)
            heard = await eve.wait("Message", lambda told: "documentMessage" in told["Message"])
            assert heard.told["IsDocumentWithCaption"], "phones show the words only so"
            for field, words in (("extendedTextMessage", f"hi @{digits}, not @{CAT}"), ("imageMessage", f"@{digits}")):
                heard = await eve.wait("Message", lambda told, field=field: field in told["Message"])  # type: ignore[misc]
                said = heard.told["Message"][field]
                context = said["contextInfo"]
                assert (said.get("text") or said["caption"], context["mentionedJID"]) == (words, [shown])
                assert context["expiration"] == 86400, "it lasts as long as the others' messages there"
        finally:
            await person(EVE).unlink()


async def test_votes_tell_what_was_chosen_by_whoever_it_was(company: Company) -> None:
    person = company.emulator.person
    group = str((await company.emulator.create_group(person(ANN), "Team", [person(BEN), person(CAT)])).jid)
    for chat, witness in ((BEN, company.tablet), (group, company.cat)):
        poll = await company.ann.say(PollContent(name="Which?", options=["a", "b", "c"], selectable_count=0), chat)
        await company.ben.gets(poll)
        await witness.gets(poll)
        about_ann = Target(message_id=poll.wire_id, from_me=False, sender=jid(ANN))
        theirs = await company.ben.say(VoteContent(target=about_ann, options=["a", "c"]), ANN if chat == BEN else chat)
        ours = await company.ann.say(VoteContent(target=_mine(poll.wire_id), options=["b"]), chat)
        hidden = [sha256(option.encode()).hexdigest() for option in ("a", "c")]
        assert (await company.ann.gets(theirs)).content == VoteContent(target=_mine(poll.wire_id), options=hidden)
        told = (await company.ben.gets(ours)).content
        assert told == VoteContent(target=about_ann, options=[sha256(b"b").hexdigest()])
        for ack in (ours, theirs):
            assert isinstance((await witness.gets(ack)).content, VoteContent)


async def test_a_status_is_posted_and_seen_on_the_own_tablet(company: Company) -> None:
    ack = await company.ann.say(TextContent(text="at the sea"), "status@broadcast")
    copied = await company.tablet.gets(ack)
    assert (copied.chat, copied.from_me, copied.content) == ("status@broadcast", True, TextContent(text="at the sea"))


def _mine(message_id: str) -> Target:
    return Target(message_id=message_id, from_me=True)
