"""Messages: send them, follow them, read them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from wagate.api import lists, offers
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import READ, SEND, SEND_BODY, Call, HeaderParameter, Operation, Reply
from wagate.errors import (
    BadRequest,
    Conflict,
    NoAnswer,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Refused,
    SessionNotConnected,
    Unavailable,
    UnsupportedByEngine,
)
from wagate.gateway import contents, messages, outbox, outcomes
from wagate.gateway.outbox import Coming, Entry
from wagate.model import Ask, jid
from wagate.model.messages import Message, MessageStatus, SendResult
from wagate.model.sends import Send

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_IDEMPOTENCY = HeaderParameter(
    name="Idempotency-Key",
    description="1 to 255 visible characters, kept for 24 hours: a repeat sends nothing and returns the first result.",
    schema={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
)


class SendQuery(Ask, frozen=True, kw_only=True):
    """How to answer a send."""

    async_: Annotated[
        bool | None, msgspec.Meta(description="Answer 202 as soon as the send is written down, without waiting.")
    ] = msgspec.field(name="async", default=None)


class MessageQuery(Ask, frozen=True, kw_only=True):
    """Which of the messages with this id."""

    chat: Annotated[str | None, msgspec.Meta(description="The chat's JID; without it the newest match.")] = None


class OutboxQuery(ListQuery, frozen=True, kw_only=True):
    """Which entries of the outbox."""

    status: MessageStatus | None = None


async def send_message(call: Call) -> Reply:
    """Send a message.

    It is written down before anything else. Without `async` the answer waits for WhatsApp's acknowledgement.
    """
    mode: Literal["sync", "async"] = "async" if call.query.async_ else "sync"
    entry = await accept(call, call.body.to, call.body, mode)
    if mode == "sync":
        return Reply(status=200, body=outbox.result(await outcomes.wait(call.gw, call.caller, entry)))
    result = outbox.result(outcomes.unless_failed(entry))
    if not entry.replayed:
        # It may be claimed by the transaction that wrote it down; what becomes of it is told from now on.
        result = msgspec.structs.replace(result, status="queued")
    return Reply(status=202, body=result)


async def accept(call: Call, to: str, form: Any, mode: Literal["sync", "async"]) -> Entry:
    """Write a send of the path's session down; `form` is what is said. Raises what `offers.accepted` does.

    The request's body, whatever its shape, is what its Idempotency-Key stands for.
    """
    chat, files = jid.chat(to, "to"), await offers.of_form(call.spools, form)
    digest, kind = call.spools.digest(call.body), str(form.__struct_config__.tag)
    coming = Coming(kind=kind, mode=mode, digest=digest, key=_key(call))
    return await offers.accepted(call, chat, coming, files, lambda taken: contents.canonical(form, taken))


async def get_message(call: Call) -> Any:
    """Get a stored message by its WhatsApp id."""
    chat = jid.known_chat(call.query.chat) if call.query.chat else None
    return await messages.get(call.gw, call.caller, call.path["session"], call.path["mid"], chat=chat)


async def list_outbox(call: Call) -> Any:
    """List the session's outbox, newest first."""
    window = lists.window(call)
    rows, following = await outbox.page(
        call.gw, call.caller, call.path["session"], window, status=call.query.status or ""
    )
    return lists.page(call, [outbox.result(row) for row in rows], following)


async def get_outbox_entry(call: Call) -> Any:
    """Get where a send stands."""
    return outbox.result(await outbox.get(call.gw, call.caller, call.path["session"], call.path["outboxId"]))


async def cancel_outbox_entry(call: Call) -> Any:
    """Cancel a send that is still queued."""
    return await _by_hand(call, "cancel")


async def retry_outbox_entry(call: Call) -> Any:
    """Send an uncertain entry again."""
    return await _by_hand(call, "retry")


async def dismiss_outbox_entry(call: Call) -> Any:
    """Declare an uncertain entry failed."""
    return await _by_hand(call, "dismiss")


async def _by_hand(call: Call, what: Literal["cancel", "retry", "dismiss"]) -> SendResult:
    where = call.path["session"], call.path["outboxId"]
    return outbox.result(await outcomes.by_hand(call.gw, call.caller, *where, what=what))


def _key(call: Call) -> str | None:
    key = call.header("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise BadRequest.field("Idempotency-Key", "is not 1 to 255 visible ASCII characters")
    return key


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    return Operation(id=id, method=method, path="/sessions/{session}" + path, run=run, tag="messages", **more)


_ENTRY = "/outbox/{outboxId}"
_SETTLED = {"capability": SEND, "answer": SendResult, "errors": (NotFound, Conflict)}
OPERATIONS = [
    _operation(
        "sendMessage",
        "POST",
        "/messages",
        send_message,
        capability=SEND,
        body=Send,
        query=SendQuery,
        answer=SendResult,
        statuses=(200, 202),
        headers=(_IDEMPOTENCY,),
        max_body=SEND_BODY,
        spooled=True,
        errors=(
            BadRequest,
            NotFound,
            Conflict,
            PayloadTooLarge,
            Refused,
            RateLimited,
            SessionNotConnected,
            UnsupportedByEngine,
            Unavailable,
            NoAnswer,
        ),
    ),
    _operation(
        "getMessage",
        "GET",
        "/messages/{mid}",
        get_message,
        capability=READ,
        query=MessageQuery,
        answer=Message,
        errors=(NotFound,),
    ),
    _operation(
        "listOutbox",
        "GET",
        "/outbox",
        list_outbox,
        capability=READ,
        query=OutboxQuery,
        answer=Page[SendResult],
        errors=(NotFound,),
    ),
    _operation(
        "getOutboxEntry", "GET", _ENTRY, get_outbox_entry, capability=READ, answer=SendResult, errors=(NotFound,)
    ),
    _operation("cancelOutboxEntry", "DELETE", _ENTRY, cancel_outbox_entry, **_SETTLED),
    _operation("retryOutboxEntry", "POST", _ENTRY + ":retry", retry_outbox_entry, **_SETTLED),
    _operation("dismissOutboxEntry", "POST", _ENTRY + ":dismiss", dismiss_outbox_entry, **_SETTLED),
]
