"""Actions: from ours to the library's calls. The table of what this engine performs."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp import channels, group_actions, refusals, wire
from wagate.engines.whatsapp.addresses import as_addressed, as_written_in, both_known, by_text, to_library
from wagate.engines.whatsapp.content import referred
from wagate.engines.whatsapp.groups import seen
from wagate.engines.whatsapp.line import Line
from wagate.engines.whatsapp.refusals import Complaint
from wagate.errors import Gone, NotFound, Refused, UnsupportedByEngine, WagateError
from wagate.model import actions
from wagate.model.chats import ChatPresence
from wagate.model.contacts import About, ContactCheck, Person, Picture
from wagate.model.media import FetchedMedia

_STATES = {"composing": (0, 0), "recording": (0, 1), "paused": (1, 0)}
_LOOKED_FOR = (
    actions.GetPicture,
    actions.GetAbout,
    actions.FollowChannel,
    actions.UnfollowChannel,
    actions.MuteChannel,
)
_GONE = (403, 404, 410)
_PEOPLE_AT_ONCE = 500


async def perform(line: Line, want: wire.Perform) -> Any:
    """Perform an action; its answer.

    Raises:
        UnsupportedByEngine: the library has no call for it.
    """
    action = want.action
    if isinstance(action, actions.FetchMedia):
        return await _fetch(line, action, want.file)
    deed = DEEDS.get(type(action))
    if deed is None and not isinstance(action, actions.SetGroupPicture):
        raise UnsupportedByEngine
    try:
        if isinstance(action, actions.SetGroupPicture):
            return await group_actions.set_picture(line, action, want.file)
        assert deed is not None
        return await deed(line, action)
    except Complaint as complaint:
        error = _refusal(action, complaint)
        if error is None:
            raise
        raise error from None


def _refusal(action: actions.Action, complaint: Complaint) -> WagateError | None:
    """What the complaint means for this action; None: what it means anywhere."""
    if getattr(action, "group", None) is not None:
        return refusals.of_a_group(complaint)
    return refusals.of_something(complaint) if isinstance(action, _LOOKED_FOR) else None


async def look(line: Line) -> base.Snapshot:
    """All groups and people that the account knows."""
    groups = await line.call("GetJoinedGroups", returns="GetJoinedGroupsReturnFunction")
    contacts = await _contacts(line)
    line.acquaintances.begin(contacts, lambda: _look_again(line))
    return await asyncio.to_thread(_snapshot, line, groups.Group, contacts)


async def _look_again(line: Line) -> None:
    """Tell whose names have changed since they were told."""
    try:
        changed = line.acquaintances.new(await _contacts(line))
        people = await asyncio.to_thread(lambda: [_known(line, each) for each in changed])
    except (Complaint, base.ConnectionLost):
        return  # the next connection tells all
    for start in range(0, len(people), _PEOPLE_AT_ONCE):
        line.keep([base.PeopleSeen(people=people[start : start + _PEOPLE_AT_ONCE])])


async def _contacts(line: Line) -> list[Any]:
    found = await line.call("GetAllContacts", returns="ContactsGetAllContactsReturnFunction")
    return [each for each in found.Contact if each.JID.Server in ("s.whatsapp.net", "lid")]


def _snapshot(line: Line, groups: Any, contacts: list[Any]) -> base.Snapshot:
    people = [_known(line, each) for each in contacts]
    return base.Snapshot(groups=[seen(line, group) for group in groups], people=[line.me, *people])


async def read(line: Line, want: wire.Read) -> None:
    """Send read receipts."""
    action = actions.MarkRead(chat=want.chat, sender=want.sender, message_ids=want.wire_ids)
    await _mark_read(line, action)


def _known(line: Line, each: Any) -> Person:
    info = each.Info
    return msgspec.structs.replace(
        both_known(line, each.JID),
        push_name=info.PushName or UNSET,
        full_name=info.FullName or UNSET,
        business_name=info.BusinessName or UNSET,
    )


async def _mark_read(line: Line, action: actions.MarkRead) -> None:
    chat = sender = _address(line, await asyncio.to_thread(as_addressed, line, action.chat))
    if action.sender:
        sender = _address(line, await asyncio.to_thread(as_written_in, line, action.chat, action.sender))
    ids = " ".join(action.message_ids).encode()
    await line.call("MarkRead", ids, int(time.time()), chat, len(chat), sender, len(sender), b"read")


async def _set_presence(line: Line, action: actions.SetPresence) -> None:
    await line.call("SendPresence", b"available" if action.online else b"unavailable")


async def _set_chat_presence(line: Line, action: actions.SetChatPresence) -> None:
    chat = _address(line, action.chat)
    await line.call("SendChatPresence", chat, len(chat), *_STATES[action.state])


async def _watch(line: Line, action: actions.WatchPresence) -> ChatPresence:
    """What has been heard so far. A group cannot be watched, and who types in it is heard without."""
    if action.chat.endswith("@g.us"):
        try:
            await group_actions.look_at(line, action.chat)
        except Complaint as complaint:
            raise refusals.of_a_group(complaint) or complaint from None
        return line.whereabouts.of(action.chat, time.monotonic())
    chat = _address(line, action.chat)
    await line.call("SubscribePresence", chat, len(chat))
    who = await asyncio.to_thread(by_text, line, action.chat)
    if who.jid and not who.lid:
        # Who types is named by LID alone.
        await _describe(line, who.jid)
    return line.whereabouts.of(who.jid or who.lid or action.chat, time.monotonic())


async def _check(line: Line, action: actions.CheckContact) -> ContactCheck:
    number = f"+{action.phone}".encode()
    found = await line.call("IsOnWhatsApp", number, len(number), returns="IsOnWhatsAppReturnFunction")
    for each in found.IsOnWhatsAppResponse:
        if each.IsIn:
            who = await asyncio.to_thread(both_known, line, each.JID)
            if who.jid and not who.lid:
                await _describe(line, who.jid)
                who = await asyncio.to_thread(both_known, line, each.JID)
            return ContactCheck(query=action.phone, is_on_whatsapp=True, jid=who.jid, lid=who.lid)
    return ContactCheck(query=action.phone, is_on_whatsapp=False)


async def _about(line: Line, action: actions.GetAbout) -> About:
    (about,) = await _describe(line, action.person) or [None]
    # Whoever has an account has a phone.
    if about is None or not about.Devices:
        raise NotFound("not on WhatsApp", reason="not_on_whatsapp")
    return About(about=about.Status)


async def _describe(line: Line, person: str) -> list[Any]:
    """What WhatsApp says of somebody; the library learns the LID of a phone by it."""
    who = line.library.messages.JIDArray(
        JIDS=[line.library.messages.JID.FromString(_address(line, person))]
    ).SerializeToString()
    found = await line.call("GetUserInfo", who, len(who), returns="GetUserInfoReturnFunction")
    return [each.UserInfo for each in found.UsersInfo]


async def _picture(line: Line, action: actions.GetPicture) -> Picture:
    who = _address(line, action.jid)
    how = line.library.messages.GetProfilePictureParams().SerializeToString()
    found = await line.call(
        "GetProfilePicture", who, len(who), how, len(how), returns="GetProfilePictureReturnFunction"
    )
    if not found.Picture.ID:
        raise NotFound
    return Picture(id=found.Picture.ID, url=found.Picture.URL or UNSET)


async def _block(line: Line, action: actions.SetBlocked) -> None:
    if line.is_own(action.person):
        raise Refused("nobody blocks themselves", reason="not_allowed")
    who = _address(line, action.person)
    how = b"block" if action.blocked else b"unblock"
    await line.call("UpdateBlocklist", who, len(who), how, returns="GetBlocklistReturnFunction")


async def _fetch(line: Line, action: actions.FetchMedia, into: str | None) -> FetchedMedia:
    if into is None or not action.media.ref:
        raise NotFound
    try:
        message = referred(action.media.ref)
    except ValueError:
        raise Gone from None
    try:
        found = await line.call("DownloadAny", message, len(message), returns="DownloadReturnFunction")
    except Complaint as complaint:
        if complaint.code in _GONE:
            raise Gone from None
        raise
    await asyncio.to_thread(Path(into).write_bytes, found.Binary)
    return FetchedMedia(size=len(found.Binary), sha256=hashlib.sha256(found.Binary).hexdigest())


def _address(line: Line, jid: str) -> bytes:
    return to_library(line.library.messages, jid)


DEEDS: dict[type[actions.Action], Callable[[Line, Any], Awaitable[Any]]] = {
    actions.CreateGroup: group_actions.create,
    actions.SetSubject: group_actions.set_subject,
    actions.SetDescription: group_actions.set_description,
    actions.SetAnnounce: group_actions.set_announce,
    actions.SetLocked: group_actions.set_locked,
    actions.GetInvite: group_actions.get_invite,
    actions.ResetInvite: group_actions.reset_invite,
    actions.AddMembers: group_actions.add,
    actions.RemoveMember: group_actions.remove,
    actions.PromoteMember: group_actions.promote,
    actions.DemoteMember: group_actions.demote,
    actions.ListPending: group_actions.pending,
    actions.PreviewInvite: group_actions.preview,
    actions.JoinGroup: group_actions.join,
    actions.LeaveGroup: group_actions.leave,
    actions.MarkRead: _mark_read,
    actions.SetPresence: _set_presence,
    actions.SetChatPresence: _set_chat_presence,
    actions.WatchPresence: _watch,
    actions.CheckContact: _check,
    actions.GetAbout: _about,
    actions.GetPicture: _picture,
    actions.SetBlocked: _block,
    actions.CreateChannel: channels.create,
    actions.FollowChannel: channels.follow,
    actions.UnfollowChannel: channels.unfollow,
    actions.MuteChannel: channels.mute,
}
"""What is performed, and how; what comes with a file is in `WITH_FILES`. Approving who asks to join, and removing a
picture, the library does not offer."""

WITH_FILES: frozenset[type[actions.Action]] = frozenset({actions.FetchMedia, actions.SetGroupPicture})
"""Performed as well; bytes go with them, as a file of this machine."""
