"""From the library's events to our reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import history, reading
from wagate.engines.whatsapp.addresses import both_of, known_as, person_of, text_of
from wagate.engines.whatsapp.groups import changed_group, joined_group
from wagate.model import Maybe
from wagate.model.channels import ChannelChanged
from wagate.model.chats import ChatMarked, PresenceHeard, PresenceState
from wagate.model.contacts import CallRang
from wagate.model.contents import Change, MessageContent, VoteContent
from wagate.model.messages import Arrived, Receipt

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line

log = structlog.get_logger(__name__)

_RECEIPTS = {1: "delivered", 9: "delivered", 4: "read", 6: "played"}
"""The library's number of a receipt; 9 is a device that has the message while its person is not there."""


def reports(line: Line, code: int, body: bytes) -> list[base.Report]:
    """What an event says; nothing for what we have no word for. Runs on a thread of the library's."""
    read = line.library.read
    match code:
        case 13:
            return history.reports(line, read("HistorySync", body).Data)
        case 17:
            return _message(line, read("Message", body))
        case 18:
            return _receipt(read("Receipt", body))
        case 19:
            return _typing(read("ChatPresence", body))
        case 20:
            return _presence(read("Presence", body))
        case 21:
            return joined_group(read("JoinedGroup", body))
        case 22:
            return changed_group(line, read("GroupInfoEvent", body))
        case 23:
            return _picture(read("Picture", body))
        case 32 | 33 | 34:
            return _channel(read, code, body)
        case 36 | 40:
            return _call(read("CallOffer" if code == 36 else "CallOfferNotice", body))
        case 44:
            log.warning("a message could not be decrypted", session=line.account.session_id)
    return []


def _message(line: Line, event: Any) -> list[base.Report]:
    info = event.Info
    source = info.MessageSource
    content = _content(line, event)
    if content is None:
        return []
    phone, lid = both_of(source.Sender, source.SenderAlt)
    return [
        Arrived(
            wire_id=info.ID,
            chat=_chat(source),
            from_me=source.IsFromMe,
            timestamp=millis(info.Timestamp),
            content=content,
            sender=phone or lid,
            sender_lid=lid,
            push_name=info.Pushname or UNSET,
        )
    ]


def _chat(source: Any) -> str:
    """The chat as we call it: a person by phone where that is known."""
    if source.IsGroup or source.Chat.Server not in ("lid", "s.whatsapp.net"):
        return text_of(source.Chat)
    alternate = source.RecipientAlt if source.IsFromMe else source.SenderAlt
    return known_as(source.Chat, alternate)


def _content(line: Line, event: Any) -> MessageContent | Change | None:
    message = reading.bare(event.Message)
    if message.HasField("pollUpdateMessage"):
        return _vote(line, event, message.pollUpdateMessage)
    return reading.content_of(event.Message, line.is_own)


def _vote(line: Line, event: Any, update: Any) -> VoteContent | None:
    """What somebody chose: hashes of options, for only the gateway knows what the poll offered."""
    encoded = event.SerializeToString()
    answer = line.library.read(
        "ReturnFunctionWithError", line.call_now("DecryptPollVote", encoded, len(encoded))
    )  # fmt: skip
    if answer.Error:
        log.warning("a vote could not be decrypted", session=line.account.session_id, error=answer.Error[:200])
        return None
    chosen = [bytes(option).hex() for option in answer.PollVoteMessage.selectedOptions]
    return VoteContent(target=reading.target_of(update.pollCreationMessageKey, line.is_own), options=chosen)


def _receipt(event: Any) -> list[base.Report]:
    status = _RECEIPTS.get(event.Type)
    source = event.MessageSource
    if status is None or source.IsFromMe:
        return []
    sender = known_as(source.Sender, source.SenderAlt)
    return [
        Receipt(
            chat=text_of(source.Chat) if source.IsGroup else sender,
            wire_ids=list(event.MessageIDs),
            status=status,  # type: ignore[arg-type]
            timestamp=millis(event.Timestamp),
            sender=sender or UNSET,
        )
    ]


def _typing(event: Any) -> list[base.Report]:
    source = event.MessageSource
    person = known_as(source.Sender, source.SenderAlt)
    composes = event.State == 1
    state: PresenceState = "composing" if composes else "paused"
    media: Any = UNSET if not composes else "audio" if event.Media == 2 else "text"
    return [PresenceHeard(person=person, state=state, chat=_chat(source), media=media)]


def _presence(event: Any) -> list[base.Report]:
    last_seen: Maybe[int] = millis(event.LastSeen) if event.LastSeen > 0 else UNSET
    state: PresenceState = "unavailable" if event.Unavailable else "available"
    return [PresenceHeard(person=text_of(event.From), state=state, last_seen=last_seen)]


def _picture(event: Any) -> list[base.Report]:
    removed: Maybe[bool] = True if event.Remove else UNSET
    picture: Maybe[str] = UNSET if event.Remove else str(event.Timestamp)
    return [ChatMarked(chat=text_of(event.JID), picture_id=picture, picture_removed=removed)]


def _channel(read: Any, code: int, body: bytes) -> list[base.Report]:
    if code == 32:
        about = read("NewsletterJoin", body).NewsletterMetadata
        return [ChannelChanged(jid=text_of(about.ID), action="join", name=about.ThreadMeta.Name.Text or UNSET)]
    if code == 33:
        return [ChannelChanged(jid=text_of(read("NewsletterLeave", body).ID), action="leave")]
    return [ChannelChanged(jid=text_of(read("NewsletterMuteChange", body).ID), action="mute")]


def _call(event: Any) -> list[base.Report]:
    meta = event.basicCallMeta
    person = person_of(meta.callCreator, meta.callCreatorAlt)
    caller = person.jid or person.lid
    if not caller or not meta.callID:
        return []
    return [CallRang(call_id=meta.callID, caller=caller, timestamp=millis(meta.timestamp))]


def millis(moment: int) -> int:
    """The library gives seconds in some events and milliseconds in others; nothing of ours is older than 2001."""
    return moment * 1000 if moment < 100_000_000_000 else moment
