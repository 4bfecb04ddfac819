"""Chats as stored, and the messages in them."""

from __future__ import annotations

from typing import Any

from wagate.api import lists
from wagate.api.lists import ListQuery, Page
from wagate.api.operations import READ, Call, Operation
from wagate.errors import NotFound
from wagate.gateway import chats, messages
from wagate.model import jid
from wagate.model.chats import Chat
from wagate.model.messages import Message


async def list_chats(call: Call) -> Any:
    """List the chats that hold a message: pinned ones first, then the newest."""
    window = lists.window(call)
    rows, following = await chats.page(call.gw, call.caller, call.path["session"], window)
    return lists.page(call, rows, following)


async def get_chat(call: Call) -> Any:
    """Get a chat; either address of its person finds it."""
    return await chats.get(call.gw, call.caller, call.path["session"], jid.chat(call.path["cid"], "cid"))


async def list_chat_messages(call: Call) -> Any:
    """List a chat's messages, newest first."""
    window = lists.window(call)
    rows, following = await messages.page(
        call.gw, call.caller, call.path["session"], window, chat=jid.chat(call.path["cid"], "cid")
    )
    return lists.page(call, rows, following)


def _operation(id: str, path: str, run: Any, **more: Any) -> Operation:
    return Operation(
        id=id,
        method="GET",
        path="/sessions/{session}/chats" + path,
        run=run,
        tag="chats",
        capability=READ,
        errors=(NotFound,),
        **more,
    )


OPERATIONS = [
    _operation("listChats", "", list_chats, query=ListQuery, answer=Page[Chat]),
    _operation("getChat", "/{cid}", get_chat, answer=Chat),
    _operation("listChatMessages", "/{cid}/messages", list_chat_messages, query=ListQuery, answer=Page[Message]),
]
