"""From the library's events to our reports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import history, reading, sealed
from wagate.engines.whatsapp.addresses import both_known, by_text, called, note_mode, person, text_of
from wagate.engines.whatsapp.channels import ON, muted
from wagate.engines.whatsapp.groups import changed_group, joined_group
from wagate.model import Maybe
from wagate.model.channels import ChannelChanged
from wagate.model.chats import ChatMarked, PresenceHeard, PresenceState
from wagate.model.contacts import CallRang, Person
from wagate.model.contents import (
    Change,
    EditContent,
    MessageContent,
    ReactionContent,
    RevokeContent,
    Target,
    VoteContent,
)
from wagate.model.messages import Arrived, Receipt

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line

log = structlog.get_logger(__name__)

_RECEIPTS = {1: "delivered", 9: "delivered", 4: "read", 6: "played"}
"""The library's number of a receipt; 9 is a device that has the message while its person is not there."""

_READ_BY_ME = (4, 5, 6, 7)
_COMPOSING, _AUDIO = 1, 2
_CHATS = ("@s.whatsapp.net", "@lid", "@g.us", "@newsletter", "@broadcast")
_MESSAGE_EDIT = 2
_EDITED_POST, _REVOKED_POST = "3", "8"


def reports(line: Line, code: int, body: bytes) -> list[base.Report]:
    """What an event says; nothing for what we have no word for. Runs on a thread of the library's."""
    read = line.library.read
    match code:
        case 13:
            return history.reports(line, read("HistorySync", body).Data)
        case 17:
            return _message(line, read("Message", body))
        case 18:
            return _receipt(line, read("Receipt", body))
        case 19:
            return _typing(line, read("ChatPresence", body))
        case 20:
            return _presence(line, read("Presence", body))
        case 21:
            return joined_group(line, read("JoinedGroup", body))
        case 22:
            return changed_group(line, read("GroupInfoEvent", body))
        case 23:
            return _picture(line, read("Picture", body))
        case 32 | 33 | 34:
            return _channel(read, code, body)
        case 36 | 40:
            return _call(line, read("CallOffer" if code == 36 else "CallOfferNotice", body))
        case 44:
            log.warning("a message could not be decrypted", session=line.account.session_id)
    return []


def _message(line: Line, event: Any) -> list[base.Report]:
    info = event.Info
    source = info.MessageSource
    chat = _chat(line, source)
    if not chat.endswith(_CHATS):
        return []  # with a bot of WhatsApp's own, say: nobody whom an address of ours names
    sender = line.me if source.IsFromMe else person(line, source.Sender, source.SenderAlt)
    if not (source.IsFromMe and not source.IsGroup):
        note_mode(line, chat, source.Sender)
    if source.IsFromMe and event.Message.protocolMessage.HasField("appStateSyncKeyShare"):
        line.acquaintances.keys_came()
    if (seconds := reading.timer_in(event.Message)) is not None and not chat.endswith(("@broadcast", "@newsletter")):
        line.timers.note(chat, seconds)
    by = reading.Said("" if source.IsFromMe else sender.jid or sender.lid or "", chat)
    content = _content(line, event, by)
    edited = millis(event.NewsLetterMeta.EditTS)
    if chat.endswith("@newsletter"):
        content = _in_channel(event, content, edited)
    if content is None:
        return []
    return [
        Arrived(
            wire_id=info.ID,
            chat=chat,
            from_me=source.IsFromMe,
            timestamp=max(millis(info.Timestamp), edited),
            content=content,
            sender=sender.jid or sender.lid,
            sender_lid=sender.lid,
            push_name=info.Pushname or UNSET,
        )
    ]


def _chat(line: Line, source: Any) -> str:
    """The chat as we call it: a person by phone where that is known."""
    chat = source.Chat
    if chat.Server == "broadcast" and chat.User != "status" and not source.IsFromMe:
        # Said to a list of people: each has it in the chat with whoever said it.
        return called(line, source.Sender, source.SenderAlt)
    if source.IsGroup or chat.Server not in ("lid", "s.whatsapp.net"):
        return text_of(chat)
    return called(line, chat, source.RecipientAlt if source.IsFromMe else source.SenderAlt)


def _content(line: Line, event: Any, by: reading.Said) -> MessageContent | Change | None:
    message = reading.unwrapped(event.Message)
    if message.HasField("pollUpdateMessage"):
        return _vote(line, event, message.pollUpdateMessage, by)
    if message.HasField("secretEncryptedMessage"):
        return _sealed_edit(line, event, message.secretEncryptedMessage, by)
    if message.HasField("encReactionMessage"):
        return _sealed_reaction(line, event, message.encReactionMessage, by)
    return reading.content_of(event.Message, line, by)


def _in_channel(event: Any, said: MessageContent | Change | None, edited: int) -> MessageContent | Change | None:
    """What is posted; a post that is edited comes as a whole once more, under its id, and one that is revoked empty."""
    target = Target(message_id=event.Info.ID, from_me=False)
    if said is None or isinstance(said, Change):
        return RevokeContent(target=target) if event.Info.Edit == _REVOKED_POST else said
    if event.Info.Edit == _EDITED_POST or edited > 0:
        return EditContent(target=target, text=reading.words_of(said))
    return said


def _vote(line: Line, event: Any, update: Any, by: reading.Said) -> VoteContent | None:
    """What somebody chose: hashes of options, for only the gateway knows what the poll offered."""
    encoded = event.SerializeToString()
    answer = line.library.read(
        "ReturnFunctionWithError", line.call_now("DecryptPollVote", encoded, len(encoded))
    )  # fmt: skip
    if answer.Error:
        log.warning("a vote could not be decrypted", session=line.account.session_id, error=answer.Error[:200])
        return None
    chosen = [bytes(option).hex() for option in answer.PollVoteMessage.selectedOptions]
    return VoteContent(target=reading.target_of(update.pollCreationMessageKey, line, by), options=chosen)


def _sealed_edit(line: Line, event: Any, envelope: Any, by: reading.Said) -> MessageContent | Change | None:
    """An edit as phones send it since 2026; what else comes in such envelopes (events, schedules) we do not tell."""
    if envelope.secretEncType != _MESSAGE_EDIT:
        return None
    writer = _writer(line, event)
    inside = sealed.opened(line.folder, envelope, sealed.EDIT, author=writer, by=writer)
    if inside is None:
        log.warning("an edit could not be opened", session=line.account.session_id)
        return None
    edit = type(event.Message).FromString(inside)
    if not edit.HasField("protocolMessage"):
        # The new content alone.
        inner, edit = edit, type(event.Message)()
        edit.protocolMessage.editedMessage.CopyFrom(inner)
    edit.protocolMessage.type = edit.protocolMessage.MESSAGE_EDIT
    edit.protocolMessage.key.CopyFrom(envelope.targetMessageKey)
    return reading.content_of(edit, line, by)


def _sealed_reaction(line: Line, event: Any, envelope: Any, by: reading.Said) -> ReactionContent | None:
    target = reading.target_of(envelope.targetMessageKey, line, by)
    author = _author(line, target)
    inside = sealed.opened(line.folder, envelope, sealed.REACTION, author=author, by=_writer(line, event))
    if inside is None:
        log.warning("a reaction could not be opened", session=line.account.session_id)
        return None
    return ReactionContent(target=target, emoji=type(event.Message.reactionMessage).FromString(inside).text)


def _writer(line: Line, event: Any) -> Person:
    source = event.Info.MessageSource
    return line.me if source.IsFromMe else both_known(line, source.Sender, source.SenderAlt)


def _author(line: Line, target: Target) -> Person:
    return by_text(line, target.sender) if target.sender else line.me


def _receipt(line: Line, event: Any) -> list[base.Report]:
    source = event.MessageSource
    if source.IsFromMe:
        # Read on another device of the account's own.
        return [ChatMarked(chat=_chat(line, source), read=True)] if event.Type in _READ_BY_ME else []
    status = _RECEIPTS.get(event.Type)
    if status is None:
        return []
    sender = called(line, source.Sender, source.SenderAlt)
    alone = source.Chat.Server in ("lid", "s.whatsapp.net")
    return [
        Receipt(
            chat=sender if alone else text_of(source.Chat),
            wire_ids=list(event.MessageIDs),
            status=status,  # type: ignore[arg-type]
            timestamp=millis(event.Timestamp),
            sender=sender or UNSET,
        )
    ]


def _typing(line: Line, event: Any) -> list[base.Report]:
    source = event.MessageSource
    if source.IsFromMe:
        return []
    composes = event.State == _COMPOSING
    state: PresenceState = "composing" if composes else "paused"
    media: Any = UNSET if not composes else "audio" if event.Media == _AUDIO else "text"
    who = called(line, source.Sender, source.SenderAlt)
    return _noted(line, PresenceHeard(person=who, state=state, chat=_chat(line, source), media=media))


def _presence(line: Line, event: Any) -> list[base.Report]:
    last_seen: Maybe[int] = millis(event.LastSeen) if event.LastSeen > 0 else UNSET
    state: PresenceState = "unavailable" if event.Unavailable else "available"
    return _noted(line, PresenceHeard(person=called(line, event.From), state=state, last_seen=last_seen))


def _noted(line: Line, report: PresenceHeard) -> list[base.Report]:
    """What is heard of somebody, remembered for whoever asks. To be watched again is answered with what was told."""
    return [report] if line.whereabouts.heard(report, time.monotonic()) else []


def _picture(line: Line, event: Any) -> list[base.Report]:
    """The library tells when a picture was set, not its id; WhatsApp makes the id of that very second."""
    removed: Maybe[bool] = True if event.Remove else UNSET
    picture: Maybe[str] = UNSET if event.Remove else str(millis(event.Timestamp) // 1000)
    return [ChatMarked(chat=called(line, event.JID), picture_id=picture, picture_removed=removed)]


def _channel(read: Any, code: int, body: bytes) -> list[base.Report]:
    if code == 32:
        about = read("NewsletterJoin", body).NewsletterMetadata
        return [ChannelChanged(jid=text_of(about.ID), action="join", name=about.ThreadMeta.Name.Text or UNSET)]
    if code == 33:
        return [ChannelChanged(jid=text_of(read("NewsletterLeave", body).ID), action="leave")]
    change = read("NewsletterMuteChange", body)
    return muted(text_of(change.ID), UNSET, on=change.Mute == ON)


def _call(line: Line, event: Any) -> list[base.Report]:
    meta = event.basicCallMeta
    caller = called(line, meta.callCreator, meta.callCreatorAlt)
    if not caller or not meta.callID:
        return []
    group = next((each.text or text_of(each.jid) for each in event.data.Attrs if each.name == "group-jid"), "")
    return [CallRang(call_id=meta.callID, caller=caller, timestamp=millis(meta.timestamp), group=group or UNSET)]


def millis(moment: int) -> int:
    """The library gives seconds in some events and milliseconds in others; nothing of ours is older than 2001."""
    return moment * 1000 if moment < 100_000_000_000 else moment
