"""Chats as stored, the messages in them, and who is there now."""

from __future__ import annotations

from typing import Any

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import READ, SEND, Call, Operation
from wagate.api.sessions import LIVE, find
from wagate.errors import BadRequest, NotFound, Refused
from wagate.gateway import actions, chats, messages, presence, removals
from wagate.model import actions as live
from wagate.model import jid
from wagate.model.chats import Chat, ChatPresence, SetChatPresence, UpdateChat
from wagate.model.messages import Message


async def list_chats(call: Call) -> Any:
    """List the chats that hold a message: pinned ones first, then the newest."""
    window = lists.window(call)
    rows, following = await chats.page(call.gw, call.caller, call.path["session"], window)
    return lists.page(call, rows, following)


async def get_chat(call: Call) -> Any:
    """Get a chat; either address of its person finds it."""
    return await chats.get(call.gw, call.caller, call.path["session"], jid.known_chat(call.path["cid"], "cid"))


async def list_chat_messages(call: Call) -> Any:
    """List a chat's messages, newest first."""
    window = lists.window(call)
    rows, following = await messages.page(
        call.gw, call.caller, call.path["session"], window, chat=jid.known_chat(call.path["cid"], "cid")
    )
    return lists.page(call, rows, following)


async def update_chat(call: Call) -> Any:
    """Archive, pin or mute the stored chat; WhatsApp is not told.

    `unmute` wins over `mutedUntil`; a time that is over mutes nothing. What changes makes an event `chat.update`.
    """
    return await chats.update(call.gw, call.caller, call.path["session"], _chat(call), call.body)


async def delete_chat(call: Call) -> None:
    """Delete the stored chat and its messages; WhatsApp is not told, and a new message makes it anew."""
    await removals.delete(call.gw, call.caller, call.path["session"], _chat(call))


async def read_chat(call: Call) -> Any:
    """Set the chat's unread counter to zero; nobody gets a receipt."""
    return await chats.read(call.gw, call.caller, call.path["session"], _chat(call))


async def get_chat_presence(call: Call) -> Any:
    """Get where somebody is.

    From now on their presence makes events `presence.update`.
    """
    return await presence.look(call.gw, call.caller, call.path["session"], _others(call))


async def set_chat_presence(call: Call) -> None:
    """Show in a chat that the account types, records or stopped."""
    action = live.SetChatPresence(chat=_others(call), state=call.body.state)
    await actions.ask(call.gw, call.caller, call.path["session"], action)


def _chat(call: Call) -> str:
    return jid.known_chat(call.path["cid"], "cid")


def _others(call: Call) -> str:
    """A chat in which somebody can be."""
    return jid.chat(call.path["cid"], "cid")


def _operation(id: str, path: str, run: Any, **more: Any) -> Operation:
    more = {"method": "GET", "capability": READ, "errors": (NotFound, BadRequest), **more}
    return Operation(id=id, path="/sessions/{session}/chats" + path, run=run, tag="chats", **more)


_PRESENCE = {"errors": (*LIVE, BadRequest, Refused), "find": find}
_WRITE = {"capability": SEND, "find": find}
OPERATIONS = [
    _operation("listChats", "", list_chats, query=ListQuery, answer=Page[Chat]),
    _operation("getChat", "/{cid}", get_chat, answer=Chat),
    _operation("updateChat", "/{cid}", update_chat, method="PATCH", body=UpdateChat, answer=Chat, **_WRITE),
    _operation("deleteChat", "/{cid}", delete_chat, method="DELETE", statuses=(204,), **_WRITE),
    _operation("readChat", "/{cid}/read", read_chat, method="POST", answer=Chat, **_WRITE),
    _operation("getChatPresence", "/{cid}/presence", get_chat_presence, answer=ChatPresence, **_PRESENCE),
    _operation(
        "setChatPresence",
        "/{cid}/presence",
        set_chat_presence,
        method="PUT",
        capability=SEND,
        body=SetChatPresence,
        statuses=(204,),
        **_PRESENCE,
    ),
    _operation("listChatMessages", "/{cid}/messages", list_chat_messages, query=ListQuery, answer=Page[Message]),
]
