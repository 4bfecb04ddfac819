"""The catalogue of events: the names and the fields that clients were promised."""

from __future__ import annotations

import msgspec
import pytest

from wagate.model import events
from wagate.model.events import CATALOGUE, Event

COMMON = (
    "waMessageId chatJid fromMe type timestamp hasMedia media senderJid? senderLid? pushName? body? quotedMessageId?"
    " quotedSenderJid? quotedSenderLid? quotedBody? quotedFromMe? mentions? location? contact? poll?"
)
PROMISED = {
    "session.status": "status reason?",
    "auth.qr": "code",
    "auth.code": "jid? lid? businessName? platform?",
    "message": COMMON,
    "message.from_me": COMMON,
    "message.status": "chatJid messageIds status timestamp senderJid? outboxId? error?",
    "message.reaction": COMMON + " reaction targetId",
    "message.edited": COMMON + " targetId",
    "message.revoked": COMMON + " targetId",
    "poll.vote": COMMON + " targetId selectedOptions",
    "poll.recap": "pollMessageId chatJid name options selectableCount endTime hideVotes totalVotes voters?",
    "presence.update": "from state chatJid? media? unavailable? lastSeen?",
    "group.update": ("groupJid sender? timestamp? subject? description? isAnnounce? isLocked? newInviteLink? reason?"),
    "group.participant": "groupJid sender? timestamp? join? leave? promote? demote?",
    "chat.update": "chatJid change pictureId? removed? archived? pinned? mutedUntil? unreadCount?",
    "contact.update": "jid pushName? fullName? firstName?",
    "call.incoming": "callId from timestamp isGroup groupJid?",
    "newsletter.update": "jid action",
    "webhook.disabled": "webhookId reason? lastError?",
    "webhook.test": "webhookId reason? lastError?",
}
"""Each event's payload; a field with `?` is absent when there is nothing to say."""


def test_no_event_is_missing_and_none_was_invented() -> None:
    assert set(CATALOGUE) == set(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_a_payload_has_the_promised_fields(name: str) -> None:
    fields = msgspec.structs.fields(CATALOGUE[name])
    told = {field.encode_name + ("" if field.required else "?") for field in fields}
    assert told == set(PROMISED[name].split())
    assert all(field.required or field.default is msgspec.UNSET for field in fields)


def test_the_envelope_is_always_whole() -> None:
    event = Event(id="evt_1", event="auth.qr", session="s", organization="o", timestamp=1, payload=msgspec.Raw(b"{}"))
    assert msgspec.json.decode(msgspec.json.encode(event)) == {
        "schema": "v1", "id": "evt_1", "event": "auth.qr", "session": "s", "organization": "o", "timestamp": 1,
        "payload": {},
    }  # fmt: skip


def test_what_there_is_nothing_to_say_about_is_absent() -> None:
    assert msgspec.json.encode(events.SessionStatus(status="working")) == b'{"status":"working"}'
    said = events.MessageSaid(
        wa_message_id="A", chat_jid="c", from_me=False, type="text", timestamp=1, has_media=False, media=None
    )
    assert msgspec.json.decode(msgspec.json.encode(said)) == {
        "waMessageId": "A", "chatJid": "c", "fromMe": False, "type": "text", "timestamp": 1, "hasMedia": False,
        "media": None,
    }  # fmt: skip
