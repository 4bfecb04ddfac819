"""A group's settings: what it is called, how it is described, and who may change and say things."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta

from wagate.api.compat.wasend import shapes
from wagate.api.compat.wasend.serving import ADMIN, Served, served
from wagate.api.compat.wasend.shapes import Ended, Settings
from wagate.api.operations import READ, SEND, Call, Run
from wagate.errors import BadRequest, NotFound
from wagate.gateway import groups
from wagate.model import Ask, Line, Shape
from wagate.model.groups import Description, Group, Subject, UpdateGroup


class NewSubject(Ask, frozen=True, kw_only=True):
    """What a group is to be called, by either name."""

    subject: Subject | None = None
    name: Subject | None = None


class NewDescription(Ask, frozen=True, kw_only=True):
    """How a group is to be described; empty removes the description."""

    description: Description


class Switch(Ask, frozen=True, kw_only=True):
    """Whether only admins may. Who changed it and when is WhatsApp's to say: what is given here changes nothing."""

    enabled: bool
    changed_at: Annotated[Line, Meta(max_length=100)] | None = None
    changed_by: Annotated[Line, Meta(max_length=100)] | None = None


class NewSettings(Ask, frozen=True, kw_only=True):
    """What is to change; absent stays."""

    info_admin_only: bool | None = None
    messages_admin_only: bool | None = None


class Switched(Shape, frozen=True, kw_only=True):
    """Whether only admins may."""

    enabled: bool
    success: bool = True


class SubjectTold(Shape, frozen=True, kw_only=True):
    """What a group is called."""

    success: bool = True
    subject: str


class DescriptionTold(Shape, frozen=True, kw_only=True):
    """How a group is described; empty where it is not."""

    success: bool = True
    description: str


class SettingsTold(Settings, frozen=True, kw_only=True):
    """A group's settings."""

    success: bool = True


async def set_subject(call: Call) -> Ended:
    """Rename a group."""
    subject = call.body.subject or call.body.name
    if subject is None:
        raise BadRequest.field("subject", "is missing")
    return await _update(call, UpdateGroup(subject=subject), "the group is renamed")


async def get_subject(call: Call) -> SubjectTold:
    """Get what a group is called."""
    return SubjectTold(subject=(await _stored(call)).subject or "")


async def set_description(call: Call) -> Ended:
    """Describe a group."""
    return await _update(call, UpdateGroup(description=call.body.description), "the description is set")


async def get_description(call: Call) -> DescriptionTold:
    """Get how a group is described."""
    return DescriptionTold(description=(await _stored(call)).description or "")


async def set_info_admin_only(call: Call) -> Ended:
    """Set whether only admins may change subject, description and picture."""
    return await _update(call, UpdateGroup(locked=call.body.enabled), "the setting is changed")


async def get_info_admin_only(call: Call) -> Switched:
    """Get whether only admins may change subject, description and picture."""
    return Switched(enabled=(await _stored(call)).is_locked is True)


async def set_messages_admin_only(call: Call) -> Ended:
    """Set whether only admins may send messages."""
    return await _update(call, UpdateGroup(announce=call.body.enabled), "the setting is changed")


async def get_messages_admin_only(call: Call) -> Switched:
    """Get whether only admins may send messages."""
    return Switched(enabled=(await _stored(call)).is_announce is True)


async def set_settings(call: Call) -> Ended:
    """Set who may do what; each is one operation of WhatsApp's, and an earlier one stands if the later fails."""
    body: NewSettings = call.body
    wish = UpdateGroup(
        locked=UNSET if body.info_admin_only is None else body.info_admin_only,
        announce=UNSET if body.messages_admin_only is None else body.messages_admin_only,
    )
    return await _update(call, wish, "the settings are changed")


async def get_settings(call: Call) -> SettingsTold:
    """Get who may do what."""
    known = shapes.settings(await _stored(call))
    return SettingsTold(info_admin_only=known.info_admin_only, messages_admin_only=known.messages_admin_only)


async def _stored(call: Call) -> Group:
    return await groups.get(call.gw, call.caller, call.path["session"], call.path["gid"])


async def _update(call: Call, wish: UpdateGroup, done: str) -> Ended:
    await groups.update(call.gw, call.caller, call.path["session"], call.path["gid"], wish)
    return Ended(message=done)


_GROUP = "/{session}/groups/{gid}"
_WRITE: dict[str, Any] = {"capability": SEND, "answer": Ended, "errors": (*ADMIN, BadRequest)}
_READ: dict[str, Any] = {"capability": READ, "errors": (NotFound,)}
_CHANGED = "changedAt and changedBy are WhatsApp's to say: taken, and without effect."
_UNSAID = "Without changedAt and changedBy, which WhatsApp does not tell."


def _switch(name: str, path: str, set_it: Run, get_it: Run) -> list[Served]:
    where = f"{_GROUP}/settings/security/{path}"
    return [
        served(f"set{name}", f"PUT {where}", set_it, sdk=f"set{name}", body=Switch, difference=_CHANGED, **_WRITE),
        served(f"get{name}", f"GET {where}", get_it, sdk=f"get{name}", answer=Switched, difference=_UNSAID, **_READ),
    ]


SERVED = [
    served(
        "setGroupSubject",
        f"PUT {_GROUP}/subject",
        set_subject,
        sdk="setGroupSubject",
        body=NewSubject,
        **_WRITE,
    ),
    served("setGroupName", f"PUT {_GROUP}/name", set_subject, body=NewSubject, **_WRITE),
    served("getGroupSubject", f"GET {_GROUP}/subject", get_subject, answer=SubjectTold, **_READ),
    served(
        "setGroupDescription",
        f"PUT {_GROUP}/description",
        set_description,
        sdk="setGroupDescription",
        body=NewDescription,
        **_WRITE,
    ),
    served("getGroupDescription", f"GET {_GROUP}/description", get_description, answer=DescriptionTold, **_READ),
    *_switch("GroupInfoAdminOnly", "info-admin-only", set_info_admin_only, get_info_admin_only),
    *_switch("GroupMessagesAdminOnly", "messages-admin-only", set_messages_admin_only, get_messages_admin_only),
    served("setGroupSettings", f"PUT {_GROUP}/settings", set_settings, body=NewSettings, **_WRITE),
    served("getGroupSettings", f"GET {_GROUP}/settings", get_settings, answer=SettingsTold, **_READ),
]
