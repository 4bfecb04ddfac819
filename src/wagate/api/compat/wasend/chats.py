"""Chats as stored, and the messages in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from wagate.api.compat.wasend import messages as told_as
from wagate.api.compat.wasend import naming
from wagate.api.compat.wasend.messages import Stored, stored
from wagate.api.compat.wasend.naming import shown
from wagate.api.compat.wasend.serving import Sorting, part, served
from wagate.api.lists import EVERYTHING
from wagate.api.operations import READ, SEND, Call
from wagate.api.sessions import LIVE
from wagate.errors import BadRequest, NotFound
from wagate.gateway import Gateway, Window, actions, chats, messages, receipts
from wagate.gateway.receipts import Reach
from wagate.model import Ask, Maybe, Shape
from wagate.model import actions as live
from wagate.model.chats import Chat
from wagate.model.contacts import Picture
from wagate.model.messages import Message
from wagate.model.organizations import Caller

_DAY = 86_400_000
_MOST = 1000
"""How many messages one request reads at most."""
_MILLIS_FROM = 100_000_000_000
"""A time from here on is in milliseconds: in seconds it would be the year 5138."""
_SORTS: dict[str, Any] = {
    "id": lambda chat: chat.jid,
    "name": lambda chat: (chat.name or "").casefold(),
    "conversationTimestamp": lambda chat: chat.last_message_at or 0,
    "timestamp": lambda chat: chat.last_message_at or 0,
}
_Moment = Annotated[float, Meta(ge=0, le=253_402_300_799_999)]


class ChatsQuery(Sorting, frozen=True, kw_only=True):
    """Which chats."""

    sort_by: Literal["conversationTimestamp", "timestamp", "id", "name"] | None = None
    sort_order: Literal["asc", "desc"] | None = None


class OverviewQuery(Ask, frozen=True, kw_only=True):
    """Which chats, by their ids."""

    limit: int | None = None
    offset: int | None = None
    ids: list[str] | None = None


class ReadQuery(Ask, frozen=True, kw_only=True):
    """How many of the newest messages, and how many days back."""

    messages: Annotated[int, Meta(ge=0)] | None = None
    days: Annotated[int, Meta(ge=0, le=36_500)] | None = None


class MessagesQuery(Ask, frozen=True, kw_only=True):
    """Which messages. Times in seconds; what is too large for that counts as milliseconds."""

    limit: int | None = None
    offset: int | None = None
    download_media: bool | None = None
    until: _Moment | None = msgspec.field(name="filter.timestamp.lte", default=None)
    since: _Moment | None = msgspec.field(name="filter.timestamp.gte", default=None)
    from_me: bool | None = msgspec.field(name="filter.fromMe", default=None)
    ack: list[int] | None = msgspec.field(name="filter.ack", default=None)


class MessageQuery(Ask, frozen=True, kw_only=True):
    """Media have their own address, asked for or not."""

    download_media: bool | None = None


class PictureQuery(Ask, frozen=True, kw_only=True):
    """A picture is always asked for anew."""

    refresh: bool | None = None


class ChatTold(Shape, frozen=True, kw_only=True):
    """A conversation. `timestamp` is in seconds."""

    id: str
    name: Maybe[str] = UNSET
    is_group: bool
    timestamp: Maybe[int] = UNSET
    unread_count: int
    archived: bool
    pinned: bool


class Overview(ChatTold, frozen=True, kw_only=True):
    """A conversation with its newest message."""

    last_message: Maybe[Stored] = UNSET


class ReadTold(Shape, frozen=True, kw_only=True):
    """How many messages were marked as read."""

    success: bool = True
    message: str


class ChatPicture(Shape, frozen=True, kw_only=True):
    """Where a chat's picture is; without an address on the sandbox."""

    url: Maybe[str] = UNSET
    id: Maybe[str] = UNSET


async def list_chats(call: Call) -> list[ChatTold]:
    """List the chats that hold a message: pinned ones first, then the newest."""
    query: ChatsQuery = call.query
    found = await _every(call)
    if query.sort_by is not None or query.sort_order is not None:
        found.sort(key=_SORTS[query.sort_by or "timestamp"], reverse=query.sort_order == "desc")
    return [_told(each) for each in part(found, query)]


async def list_overview(call: Call) -> list[Overview]:
    """List chats with the newest message of each."""
    query: OverviewQuery = call.query
    found = await _every(call)
    if query.ids:
        wanted = {naming.address(id, f"ids[{position}]") for position, id in enumerate(query.ids)}
        # A chat knows every address of its person.
        found = [each for each in found if not wanted.isdisjoint([each.jid, *(each.aliases or ())])]
    chosen = part(found, Sorting(limit=query.limit, offset=query.offset))
    newest = await messages.newest(*_where(call), [each.jid for each in chosen])
    return [_overview(call, each, newest.get(each.jid)) for each in chosen]


async def read_messages(call: Call) -> ReadTold:
    """Send read receipts for what is unread in a chat, or for its newest messages."""
    query: ReadQuery = call.query
    chat, where = _chat(call), _where(call)
    since = None if query.days is None else max(call.gw.clock.now() - query.days * _DAY, 0)
    count = await receipts.catch_up(*where, chat, reach=Reach(most=query.messages, since=since))
    return ReadTold(message=f"{count} messages are marked as read")


async def list_messages(call: Call) -> list[Stored]:
    """List a chat's messages, newest first."""
    query: MessagesQuery = call.query
    until = _last_milli(query.until)
    sieve = messages.Sieve(
        limit=min(max(query.limit or 50, 1), _MOST),
        skip=max(query.offset or 0, 0),
        since=_millis(query.since or 0),
        until=2**62 if until is None else until,
        from_me=query.from_me,
        ack_levels=query.ack or None,
    )
    found = await messages.sifted(*_where(call), sieve, chat=_chat(call))
    return [stored(each, call.found) for each in found]


async def get_message(call: Call) -> Stored:
    """Get a message of a chat."""
    named = naming.message(call.path["mid"], "messageId")
    found = await messages.get(*_where(call), named.wire_id, chat=_chat(call))
    if not named.fits(found):
        raise NotFound("message not found")
    return stored(found, call.found)


async def get_picture(call: Call) -> ChatPicture:
    """Get where a chat's picture is."""
    found: Picture = await actions.ask(*_where(call), live.GetPicture(jid=_chat(call)))
    return ChatPicture(url=found.url, id=found.id)


def _where(call: Call) -> tuple[Gateway, Caller, str]:
    return call.gw, call.caller, call.path["session"]


def _chat(call: Call) -> str:
    return naming.address(call.path["cid"], "chatId")


async def _every(call: Call) -> list[Chat]:
    found, _ = await chats.page(*_where(call), Window(EVERYTHING))
    return found


def _millis(moment: float) -> int:
    """A time as clients write it."""
    return int(moment) if moment >= _MILLIS_FROM else int(moment * 1000)


def _last_milli(moment: float | None) -> int | None:
    """The last millisecond of a time as clients write it: a whole second lasts to its end, for that is what we show."""
    if moment is None:
        return None
    return _millis(moment) + (999 if moment < _MILLIS_FROM and moment.is_integer() else 0)


def _told(chat: Chat) -> ChatTold:
    return ChatTold(
        id=shown(chat.jid),
        name=chat.name,
        is_group=chat.type == "group",
        timestamp=chat.last_message_at // 1000 if isinstance(chat.last_message_at, int) else UNSET,
        unread_count=chat.unread_count,
        archived=chat.archived,
        pinned=chat.pinned,
    )


def _overview(call: Call, chat: Chat, newest: Message | None) -> Overview:
    last = UNSET if newest is None else stored(newest, call.found)
    return Overview(**msgspec.structs.asdict(_told(chat)), last_message=last)


_CHATS = "/{session}/chats"
_CHAT = _CHATS + "/{cid}"
_SECONDS = "Times are in seconds; a filter too large for that counts as milliseconds."
_FETCHED = "downloadMedia changes nothing: media are fetched at the first call of their `mediaUrl`."
SERVED = [
    served(
        "getAllChats",
        f"GET {_CHATS}",
        list_chats,
        sdk="getAllChats",
        capability=READ,
        query=ChatsQuery,
        answer=list[ChatTold],
        difference=f"Chats that hold a message; all of them without a limit. {_SECONDS}",
    ),
    served(
        "getChatsOverview",
        f"GET {_CHATS}/overview",
        list_overview,
        sdk="getChatsOverview",
        capability=READ,
        query=OverviewQuery,
        answer=list[Overview],
        errors=(NotFound, BadRequest),
        difference="With the newest message of each chat in `lastMessage`; without pictures.",
    ),
    served(
        "readMessages",
        f"POST {_CHAT}/messages/read",
        read_messages,
        sdk="readMessages",
        capability=SEND,
        query=ReadQuery,
        answer=ReadTold,
        errors=(*LIVE, BadRequest),
        difference="Without messages and days: what is unread. At most 1000 at once.",
    ),
    served(
        "getMessages",
        f"GET {_CHAT}/messages",
        list_messages,
        sdk="getMessages",
        capability=READ,
        query=MessagesQuery,
        answer=list[Stored],
        errors=(NotFound, BadRequest),
        difference=f"Newest first; 50 without a limit, at most 1000. {_SECONDS} {_FETCHED} {told_as.STORED}",
    ),
    served(
        "getChatPicture",
        f"GET {_CHAT}/picture",
        get_picture,
        sdk="getChatPicture",
        capability=READ,
        query=PictureQuery,
        answer=ChatPicture,
        errors=(*LIVE, BadRequest),
        difference="Always asked for anew. No picture: 404. On the sandbox without url.",
    ),
    served(
        "getMessageById",
        f"GET {_CHAT}/messages/{{mid}}",
        get_message,
        sdk="getMessageById",
        capability=READ,
        query=MessageQuery,
        answer=Stored,
        errors=(NotFound, BadRequest),
        difference=f"{_FETCHED} {told_as.STORED}",
    ),
]
