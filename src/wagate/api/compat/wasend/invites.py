"""Invites of groups: shown and revoked, as a link and as a bare code."""

from __future__ import annotations

from typing import Any

from wagate.api import groups as native
from wagate.api.compat.wasend import naming
from wagate.api.compat.wasend.serving import ADMIN, served
from wagate.api.operations import READ, SEND, Call
from wagate.model import Shape
from wagate.model.groups import Invite, invite_code


class InviteLink(Shape, frozen=True, kw_only=True):
    """A group's invite. WhatsApp gives invites no end, so `expiresAt` is null and never made up."""

    success: bool = True
    invite_link: str
    expires_at: None = None


class InviteCode(Shape, frozen=True, kw_only=True):
    """A group's invite as the documentation has its code."""

    success: bool = True
    invite_code: str


async def get_invite_link(call: Call) -> InviteLink:
    """Get a group's invite link."""
    return _link(await native.get_group_invite(call))


async def revoke_invite_link(call: Call) -> InviteLink:
    """Revoke a group's invite link: the old one stops working at once, and the new one is the answer."""
    return _link(await native.revoke_group_invite(call))


async def get_invite_code(call: Call) -> Any:
    """Get the code of a group's invite."""
    return _code(call, await native.get_group_invite(call))


async def revoke_invite_code(call: Call) -> Any:
    """Revoke a group's invite: the old code stops working at once, and the new one is the answer."""
    return _code(call, await native.revoke_group_invite(call))


def _link(invite: Invite) -> InviteLink:
    return InviteLink(invite_link=invite.invite)


def _code(call: Call, invite: Invite) -> str | InviteCode:
    code = invite_code(invite.invite)
    return code if naming.is_sdk(call) else InviteCode(invite_code=code)


_GROUP = "/{session}/groups/{gid}"
_STOPPED = "A session that is not connected is 503, which the documentation's list does not have."
_EITHER = "The SDK gets a JSON string, everybody else `{success, inviteCode}`."
SERVED = [
    served(
        "getGroupInviteLink",
        f"GET {_GROUP}/invite-link",
        get_invite_link,
        capability=READ,
        answer=InviteLink,
        errors=ADMIN,
        difference=_STOPPED,
    ),
    served(
        "revokeGroupInviteLink",
        f"POST {_GROUP}/invite-link/revoke",
        revoke_invite_link,
        capability=SEND,
        answer=InviteLink,
        errors=ADMIN,
        difference=_STOPPED,
    ),
    served(
        "getGroupInviteCode",
        f"GET {_GROUP}/invite-code",
        get_invite_code,
        sdk="getGroupInviteCode",
        capability=READ,
        answer=InviteCode,
        errors=ADMIN,
        difference=_EITHER,
    ),
    served(
        "revokeGroupInviteCode",
        f"POST {_GROUP}/invite-code/revoke",
        revoke_invite_code,
        sdk="revokeGroupInviteCode",
        capability=SEND,
        answer=InviteCode,
        errors=ADMIN,
        difference=_EITHER,
    ),
]
