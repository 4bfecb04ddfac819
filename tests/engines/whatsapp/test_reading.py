"""From the library's messages to contents: what it is wrapped in, who is named how, and what we have no word for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import UNSET

from tests.emulator.library import why_not
from wagate.model.contents import (
    ContactContent,
    DocumentContent,
    EditContent,
    ImageContent,
    PollContent,
    Quote,
    ReactionContent,
    RevokeContent,
    Target,
    TextContent,
    VideoContent,
)
from wagate.model.messages import Arrived

if why_not():
    pytest.skip(why_not(), allow_module_level=True)

import Neonize_pb2

from tests.emulator.schemas import Message
from wagate.engines.whatsapp.addresses import as_addressed, note_mode
from wagate.engines.whatsapp.inbound import reports
from wagate.engines.whatsapp.reading import Said, content_of, timer_in
from wagate.engines.whatsapp.timers import Timers

ANN, ANN_LID = "4915100001@s.whatsapp.net", "111111@lid"
BEN, BEN_LID = "4915100002@s.whatsapp.net", "222222@lid"
CAT_LID = "333333@lid"
GROUP = "1203630@g.us"
PHONES = {ANN_LID: ANN, BEN_LID: BEN}
FILE = {"mimetype": "image/jpeg", "fileSHA256": b"\x01" * 32, "fileLength": 9, "directPath": "/v/x", "URL": "https://x"}


class Store:
    """Who is who in Ann's session; of Cat it knows no phone."""

    library: Any = SimpleNamespace(
        messages=Neonize_pb2, read=lambda kind, body: getattr(Neonize_pb2, kind).FromString(body)
    )
    hidden: set[str] = set()
    plain: set[str] = set()

    def is_own(self, address: str) -> bool:
        user, _, server = address.partition("@")
        return f"{user.partition(':')[0]}@{server}" in (ANN, ANN_LID)

    def phone_of(self, address: Any) -> str:
        known = f"{address.User}@{address.Server}"
        return PHONES.get(known, known)

    def call_now(self, name: str, *arguments: Any) -> bytes:
        asked = Neonize_pb2.JID.FromString(arguments[0])
        found = next((lid for lid, phone in PHONES.items() if phone == f"{asked.User}@{asked.Server}"), "@")
        user, _, server = found.partition("@")
        jid = Neonize_pb2.JID(User=user, Server=server, RawAgent=0, Device=0, Integrator=0, IsEmpty=not server)
        return bytes(Neonize_pb2.GetJIDFromStoreReturnFunction(Jid=jid).SerializeToString())


FROM_BEN, FROM_ANN = Said(BEN, BEN), Said("", BEN)
IN_GROUP = Said(BEN, GROUP)


def read(message: Any, by: Said = FROM_BEN) -> Any:
    return content_of(message, Store(), by)


@pytest.mark.parametrize(
    "wrapper",
    [
        "ephemeralMessage",
        "viewOnceMessage",
        "viewOnceMessageV2",
        "viewOnceMessageV2Extension",
        "documentWithCaptionMessage",
        "groupMentionedMessage",
        "editedMessage",
        "botInvokeMessage",
        "botForwardedMessage",
        "spoilerMessage",
        "questionMessage",
        "associatedChildMessage",
    ],
)
def test_what_it_is_wrapped_in_does_not_count(wrapper: str) -> None:
    inner = Message(conversation="hidden")
    assert read(Message(**{wrapper: {"message": inner}})) == TextContent(text="hidden")
    twice = Message(ephemeralMessage={"message": Message(**{wrapper: {"message": inner}})})
    assert read(twice) == TextContent(text="hidden")


def test_what_we_have_no_word_for_is_nothing() -> None:
    for message in (
        Message(),
        Message(albumMessage={"expectedImageCount": 2}),
        Message(protocolMessage={"type": 3, "ephemeralExpiration": 86400}),
        Message(protocolMessage={"type": 14, "editedMessage": Message()}),
        Message(protocolMessage={"type": 0}),
    ):
        assert read(message) is None


def test_mentions_are_told_by_phone_and_so_does_the_text_show_them() -> None:
    context = {"mentionedJID": [BEN_LID, CAT_LID, ANN]}
    text = "hi @222222, @333333, @4915100001 and 222222"
    said = read(Message(extendedTextMessage={"text": text, "contextInfo": context}))
    assert said.mentions == [BEN, CAT_LID, ANN]
    assert said.text == "hi @4915100002, @333333, @4915100001 and 222222"
    picture = read(Message(imageMessage={**FILE, "caption": "@222222", "contextInfo": {"mentionedJID": [BEN_LID]}}))
    assert (picture.mentions, picture.media.caption) == ([BEN], "@4915100002")


@pytest.mark.parametrize(
    ("quoted", "body"),
    [
        (Message(conversation="a text"), "a text"),
        (Message(ephemeralMessage={"message": Message(conversation="gone soon")}), "gone soon"),
        (Message(imageMessage={**FILE, "caption": "a caption"}), "a caption"),
        (Message(pollCreationMessageV3={"name": "Which?"}), "Which?"),
        (Message(locationMessage={"degreesLatitude": 1, "degreesLongitude": 2, "name": "Here"}), "Here"),
        (Message(stickerMessage=FILE), UNSET),
        (Message(), UNSET),
        (Message(conversation="ü" * 3000), "ü" * 2048),
    ],
)
def test_a_quote_shows_what_was_said_and_names_its_author_twice(quoted: Any, body: Any) -> None:
    context = {"stanzaID": "Q1", "participant": "222222:7@lid", "quotedMessage": quoted}
    said = read(Message(extendedTextMessage={"text": "yes", "contextInfo": context}))
    assert said.quote == Quote(message_id="Q1", sender_jid=BEN, sender_lid=BEN_LID, body=body)
    context["participant"] = ANN_LID
    said = read(Message(extendedTextMessage={"text": "yes", "contextInfo": context}))
    assert (said.quote.from_me, said.quote.sender_jid) == (True, ANN)


@pytest.mark.parametrize(
    ("key", "by", "target"),
    [
        ({"fromMe": True}, FROM_BEN, Target(message_id="M", from_me=False, sender=BEN)),
        ({"fromMe": True}, FROM_ANN, Target(message_id="M", from_me=True)),
        ({"fromMe": False, "remoteJID": BEN_LID}, FROM_BEN, Target(message_id="M", from_me=True)),
        ({"fromMe": False, "remoteJID": BEN_LID}, FROM_ANN, Target(message_id="M", from_me=False, sender=BEN)),
        ({"participant": ANN_LID}, IN_GROUP, Target(message_id="M", from_me=True)),
        ({"participant": CAT_LID}, IN_GROUP, Target(message_id="M", from_me=False, sender=CAT_LID)),
        ({"participant": "4915100002:3@s.whatsapp.net"}, IN_GROUP, Target(message_id="M", from_me=False, sender=BEN)),
    ],
)
def test_a_change_is_about_whose_message_it_is_from_our_side(key: dict[str, Any], by: Said, target: Target) -> None:
    key = {"ID": "M", **key}
    assert read(Message(reactionMessage={"key": key, "text": "x"}), by) == ReactionContent(target=target, emoji="x")
    assert read(Message(protocolMessage={"key": key, "type": 0}), by) == RevokeContent(target=target)
    edit = Message(protocolMessage={"key": key, "type": 14, "editedMessage": Message(conversation="new")})
    assert read(edit, by) == EditContent(target=target, text="new")
    edit.protocolMessage.editedMessage.Clear()
    edit.protocolMessage.editedMessage.imageMessage.caption = "a caption"
    assert read(edit, by) == EditContent(target=target, text="a caption")


def test_files_cards_and_polls_of_every_make() -> None:
    (image, video, document) = (
        read(Message(imageMessage=FILE)),
        read(Message(ptvMessage={**FILE, "mimetype": "video/mp4"})),
        read(Message(documentMessage={**FILE, "fileName": "a.pdf"})),
    )
    assert (type(image), type(video), type(document)) == (ImageContent, VideoContent, DocumentContent)
    assert (image.media.size, image.media.sha256, document.media.filename) == (9, "01" * 32, "a.pdf")
    several = Message(contactsArrayMessage={"contacts": [{"displayName": "A", "vcard": "V"}] * 2})
    assert len(read(several).cards) == len(ContactContent(cards=read(several).cards).cards) == 2
    poll = {"name": "Which?", "options": [{"optionName": "a"}], "selectableOptionsCount": 1}
    for field in ("", "V2", "V3", "V5", "V6"):
        assert isinstance(read(Message(**{f"pollCreationMessage{field}": poll})), PollContent)
    assert isinstance(read(Message(pollCreationMessageV4={"message": Message(pollCreationMessage=poll)})), PollContent)


def test_an_album_s_item_is_told_and_the_same_picture_in_better_quality_is_not() -> None:
    item, again = (
        {"messageAssociation": {"associationType": kind}} for kind in ("MEDIA_ALBUM", "HD_IMAGE_DUAL_UPLOAD")
    )
    for inside in (False, True):
        picture = Message(imageMessage=FILE)
        for context, told in ((item, True), (again, False)):
            wrapped = Message(associatedChildMessage={"message": picture})
            (picture if inside else wrapped).messageContextInfo.CopyFrom(
                Message(messageContextInfo=context).messageContextInfo
            )
            wrapped.associatedChildMessage.message.CopyFrom(picture)
            assert isinstance(read(wrapped), ImageContent) is told


COMPOSED = {
    "template": (
        {"templateMessage": {"hydratedTemplate": {
            "hydratedTitleText": "Shop", "hydratedContentText": "Your code is 123", "hydratedFooterText": "Thanks"
        }}},
        "Shop\nYour code is 123\nThanks",
    ),
    "the old template": (
        {"templateMessage": {"hydratedFourRowTemplate": {"hydratedContentText": "On its way"}}}, "On its way"
    ),
    "interactive in a template": (
        {"templateMessage": {"interactiveMessageTemplate": {"body": {"text": "Pay here"}}}}, "Pay here"
    ),
    "buttons": ({"buttonsMessage": {"text": "Hi", "contentText": "Yes or no?", "footerText": "Hi"}}, "Hi\nYes or no?"),
    "a list": ({"listMessage": {"title": "Menu", "description": "Choose", "buttonText": "Open"}}, "Menu\nChoose"),
    "interactive": (
        {"interactiveMessage": {
            "header": {"title": "News"}, "body": {"text": "Read"},
            "carouselMessage": {"cards": [{"body": {"text": "A"}}]},
        }},
        "News\nRead\nA",
    ),
    "a button that was pressed": ({"buttonsResponseMessage": {"selectedDisplayText": "Yes"}}, "Yes"),
    "one of a template": ({"templateButtonReplyMessage": {"selectedDisplayText": "Stop"}}, "Stop"),
    "a row that was chosen": ({"listResponseMessage": {"title": "Soup", "description": "hot"}}, "Soup\nhot"),
    "a form's answer": ({"interactiveResponseMessage": {"body": {"text": "Sent"}}}, "Sent"),
    "an invite": ({"groupInviteMessage": {"groupName": "Team", "caption": "Come in"}}, "Team\nCome in"),
    "an event": ({"eventMessage": {"name": "Party", "description": "Bring cake", "startTime": 1}}, "Party\nBring cake"),
    "an order": ({"orderMessage": {"orderTitle": "Shop", "message": "Two, please"}}, "Shop\nTwo, please"),
}  # fmt: skip


@pytest.mark.parametrize("kind", COMPOSED)
def test_what_is_composed_of_parts_is_a_text(kind: str) -> None:
    said, text = COMPOSED[kind]
    assert read(Message(**said)) == TextContent(text=text)
    assert read(Message(ephemeralMessage={"message": Message(**said)})) == TextContent(text=text)


def test_what_is_composed_above_a_text_carries_it_as_its_caption_and_an_answer_says_to_what() -> None:
    template = {"hydratedTemplate": {"imageMessage": FILE, "hydratedContentText": "Look"}}
    picture = read(Message(templateMessage=template))
    assert (type(picture), picture.media.caption, picture.media.size) == (ImageContent, "Look", 9)
    film = read(Message(interactiveMessage={"header": {"videoMessage": FILE}, "body": {"text": "See"}}))
    assert (type(film), film.media.caption) == (VideoContent, "See")
    context = {"stanzaID": "Q1", "participant": BEN_LID, "quotedMessage": Message(templateMessage=template)}
    answer = read(Message(templateButtonReplyMessage={"selectedDisplayText": "Yes", "contextInfo": context}))
    assert answer.quote == Quote(message_id="Q1", sender_jid=BEN, sender_lid=BEN_LID, body="Look")
    assert read(Message(templateMessage={})) is None
    assert read(Message(highlyStructuredMessage={"hydratedHsm": {}})) is None


def test_a_live_location_has_its_words_and_a_poll_its_end_in_milliseconds() -> None:
    place = read(Message(liveLocationMessage={"degreesLatitude": 1, "degreesLongitude": 2, "caption": "On my way"}))
    assert place.name == "On my way"
    for end in (2_000_000_000, 2_000_000_000_000):
        poll = read(Message(pollCreationMessage={"name": "When?", "options": [], "endTime": end}))
        assert poll.poll_end_time == 2_000_000_000_000


def test_what_is_said_to_a_bot_of_the_network_s_own_is_nothing() -> None:
    def event(server: str) -> bytes:
        nobody = {"User": "", "RawAgent": 0, "Device": 0, "Integrator": 0, "Server": "", "IsEmpty": True}
        chat = {**nobody, "User": "867051314767696", "Server": server, "IsEmpty": False}
        alternates = dict.fromkeys(("SenderAlt", "RecipientAlt", "BroadcastListOwner"), nobody)
        source = {"Chat": chat, "Sender": chat, "IsFromMe": False, "IsGroup": False, **alternates}
        info = {"MessageSource": source, "ID": "M", "Timestamp": 1, "ServerID": 0, "Multicast": False}
        words = dict.fromkeys(("Type", "Pushname", "Category", "MediaType", "Edit"), "")
        flags = (
            "Ephemeral",
            "ViewOnce",
            "ViewOnceV2",
            "ViewOnceV2Extension",
            "DocumentWithCaption",
            "LottieSticker",
            "Edit",
        )
        said = {**{f"Is{flag}": False for flag in flags}, "UnavailableRequestID": "", "RetryCount": 0}
        made = Neonize_pb2.Message(Info={**info, **words}, Message={"conversation": "hi"}, **said)
        return bytes(made.SerializeToString())

    assert reports(Store(), 17, event("bot")) == []  # type: ignore[arg-type]
    (arrived,) = reports(Store(), 17, event("lid"))  # type: ignore[arg-type]
    assert isinstance(arrived, Arrived)


def test_a_message_says_how_long_messages_last() -> None:
    lasting = {"text": "x", "contextInfo": {"expiration": 86400}}
    for message, seconds in (
        (Message(extendedTextMessage=lasting), 86400),
        (Message(ephemeralMessage={"message": Message(extendedTextMessage=lasting)}), 86400),
        (Message(protocolMessage={"type": "EPHEMERAL_SETTING", "ephemeralExpiration": 0}), 0),
        (Message(protocolMessage={"type": "REVOKE"}), None),
        (Message(extendedTextMessage={"text": "x"}), None),
        (Message(conversation="x"), None),
    ):
        assert timer_in(message) == seconds


def test_timers_are_kept_beside_the_keys(tmp_path: Path) -> None:
    timers = Timers(tmp_path)
    timers.note(GROUP, 86400)
    timers.note(BEN, 604800)
    timers.note(BEN, 0)
    assert [Timers(tmp_path).of(chat) for chat in (GROUP, BEN, ANN)] == [86400, 0, 0]
    (tmp_path / "timers").write_text("half")
    assert Timers(tmp_path).of(GROUP) == 0


def test_a_receipt_goes_back_to_the_address_that_a_message_came_from() -> None:
    store = Store()
    assert (as_addressed(store, BEN), as_addressed(store, CAT_LID), as_addressed(store, GROUP)) == (
        BEN_LID, CAT_LID, GROUP,
    )  # fmt: skip
    note_mode(store, BEN, SimpleNamespace(Server="s.whatsapp.net"))
    assert as_addressed(store, BEN) == BEN
    note_mode(store, BEN, SimpleNamespace(Server="lid"))
    assert as_addressed(store, BEN) == BEN_LID
