"""Changes of messages: edit, revoke, forward, react, vote, mark as read; and status posts.

Each but `messages:read` is a send of its own: written down, dispatched, and answered when WhatsApp has it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from wagate.api import offers
from wagate.api.operations import MEDIA_BODY, SEND, Call, Operation
from wagate.api.sessions import find
from wagate.errors import (
    BadRequest,
    Forbidden,
    NoAnswer,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Refused,
    SessionNotConnected,
    Unavailable,
    UnsupportedByEngine,
)
from wagate.gateway import Gateway, changes, contents, forwards, outbox, outcomes, receipts
from wagate.gateway.outbox import Coming, Entry, Offer
from wagate.gateway.receipts import Reading
from wagate.gateway.targets import Pointer
from wagate.model import Ask, jid
from wagate.model.contents import Content
from wagate.model.messages import PostedStatus, SendResult
from wagate.model.organizations import Caller
from wagate.model.sends import (
    AddReaction,
    CastVote,
    EditMessage,
    ForwardMessage,
    ImageForm,
    MarkRead,
    PostStatus,
    RemoveReaction,
    RevokeMessage,
    TextForm,
)


class PointAtQuery(Ask, frozen=True, kw_only=True):
    """Which message, where there is no body to say it."""

    chat: Annotated[str | None, msgspec.Meta(description="The chat's JID; the body's wins.")] = None
    sender: Annotated[str | None, msgspec.Meta(description="The author's JID; the body's wins.")] = None


async def edit_message(call: Call) -> Any:
    """Edit an own message: its text, or its caption."""
    pointer = _pointer(call)
    return await send(call, pointer, await changes.edit(*_where(call), pointer, call.body.text))


async def revoke_message(call: Call) -> Any:
    """Take a message back: an own one, or as an admin of the group another's."""
    pointer = _pointer(call)
    return await send(call, pointer, await changes.revoke(*_where(call), pointer))


async def forward_message(call: Call) -> Any:
    """Forward a stored message: a copy of its content, marked as forwarded."""
    to = jid.chat(call.body.to, "to")
    return await _answered(call, await forwards.forward(*_where(call), _pointer(call), to=to))


async def add_reaction(call: Call) -> Any:
    """React to a message; a later reaction replaces it."""
    pointer = _pointer(call)
    return await send(call, pointer, await changes.react(*_where(call), pointer, call.body.emoji))


async def remove_reaction(call: Call) -> Any:
    """Take the own reaction to a message back."""
    pointer = _pointer(call)
    return await send(call, pointer, await changes.react(*_where(call), pointer, ""))


async def vote_message(call: Call) -> Any:
    """Vote in a poll: the full set of options to choose; none takes the vote back."""
    pointer = _pointer(call)
    return await send(call, pointer, await changes.vote(*_where(call), pointer, call.body.options))


async def mark_read(call: Call) -> None:
    """Send read receipts for messages."""
    reading = Reading(
        chat=jid.known_chat(call.body.chat), message_ids=call.body.message_ids, sender=_sender(call.body.sender)
    )
    await receipts.mark_read(*_where(call), reading)


async def post_status(call: Call) -> Any:
    """Post a status for all contacts: a text, or a picture with an optional text as its caption."""
    form = _status(call.body)
    coming = Coming(kind="image" if isinstance(form, ImageForm) else "text", mode="sync", digest="")
    files = await offers.of_form(call.spools, form)
    entry = await offers.accepted(call, jid.STATUS, coming, files, lambda taken: contents.canonical(form, taken))
    return PostedStatus(message_id=(await outcomes.wait(call.gw, call.caller, entry)).wire_id or "")


def _status(body: PostStatus) -> TextForm | ImageForm:
    """What is posted; without a type it is a picture if there is one."""
    if body.type == "text" or (body.type is None and body.media is None):
        if body.media is not None:
            raise BadRequest.field("media", "does not belong to a text")
        if body.text is None:
            raise BadRequest.field("text", "is missing")
        return TextForm(text=body.text)
    if body.media is None:
        raise BadRequest.field("media", "is missing")
    caption = body.media.caption if body.text is None else body.text
    return ImageForm(media=msgspec.structs.replace(body.media, caption=caption))


def _where(call: Call) -> tuple[Gateway, Caller, str]:
    return call.gw, call.caller, call.path["session"]


def _pointer(call: Call) -> Pointer:
    """The message that is meant: by the body, and by the query where the body is silent."""
    chat = call.body.chat or getattr(call.query, "chat", None)
    if not chat:
        raise BadRequest.field("chat", "is missing")
    sender = getattr(call.body, "sender", None) or getattr(call.query, "sender", None)
    return Pointer(chat=jid.known_chat(chat), message_id=call.path["mid"], sender=_sender(sender))


def _sender(given: str | None) -> str | None:
    return jid.person(given, "sender") if given else None


async def send(call: Call, pointer: Pointer, content: Content) -> SendResult:
    """Send a change of a message from the path's session, and wait for what becomes of it."""
    offer = Offer(chat=pointer.chat, content=content, mode="sync", digest="")
    return await _answered(call, await outbox.accept(*_where(call), offer))


async def _answered(call: Call, entry: Entry) -> SendResult:
    return outbox.result(await outcomes.wait(call.gw, call.caller, entry))


_LIVE = (BadRequest, NotFound, SessionNotConnected, UnsupportedByEngine, Unavailable, NoAnswer)
_SENT = (*_LIVE, Forbidden, Refused, RateLimited)


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    more = {"answer": SendResult, "errors": _SENT, **more}
    return Operation(
        id=id,
        method=method,
        path="/sessions/{session}/messages" + path,
        run=run,
        tag="messages",
        capability=SEND,
        find=find,
        **more,
    )


_REACTION = "/{mid}/reaction"
OPERATIONS = [
    _operation("editMessage", "PATCH", "/{mid}", edit_message, body=EditMessage),
    _operation("revokeMessage", "DELETE", "/{mid}", revoke_message, body=RevokeMessage, query=PointAtQuery),
    _operation("forwardMessage", "POST", "/{mid}/forward", forward_message, body=ForwardMessage),
    _operation("addReaction", "POST", _REACTION, add_reaction, body=AddReaction),
    _operation("removeReaction", "DELETE", _REACTION, remove_reaction, body=RemoveReaction, query=PointAtQuery),
    _operation("voteMessage", "POST", "/{mid}/vote", vote_message, body=CastVote),
    _operation("markRead", "POST", ":read", mark_read, body=MarkRead, answer=None, statuses=(204,), errors=_LIVE),
    Operation(
        id="postStatus",
        method="POST",
        path="/sessions/{session}/status",
        run=post_status,
        tag="sessions",
        capability=SEND,
        find=find,
        body=PostStatus,
        answer=PostedStatus,
        max_body=MEDIA_BODY,
        spooled=True,
        errors=(*_SENT, PayloadTooLarge),
    ),
]
