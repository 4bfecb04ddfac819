"""Pictures of groups: looked at, set, removed."""

from __future__ import annotations

from typing import Literal

from wagate.api import groups as native
from wagate.api.compat.wasend import shapes
from wagate.api.compat.wasend.serving import ADMIN, served
from wagate.api.compat.wasend.shapes import Ended, PictureTold
from wagate.api.operations import READ, SEND, Call
from wagate.errors import BadRequest
from wagate.gateway import groups
from wagate.gateway.media import Offered
from wagate.model import Ask
from wagate.model import actions as live
from wagate.model.contacts import Picture
from wagate.model.sends import Url

JPEG = "Only a JPEG is taken, whatever its format is called; nothing is converted or cropped."


class RefreshQuery(Ask, frozen=True, kw_only=True):
    """A picture is always asked for anew."""

    refresh: bool | None = None


class NewPicture(Ask, frozen=True, kw_only=True):
    """A group's picture: a JPEG."""

    url: Url
    format: Literal["jpeg", "jpg", "png", "webp"] | None = None
    crop_to_square: bool | None = None


async def get_picture(call: Call) -> PictureTold:
    """Get where a group's picture is."""
    group = call.path["gid"]
    found: Picture = await groups.ask(
        call.gw, call.caller, call.path["session"], live.GetPicture(jid=group), group=group
    )
    return shapes.picture(found.url, found.id)


async def set_picture(call: Call) -> Ended:
    """Set a group's picture."""
    picture = offered(call.body.url, "url")
    await groups.set_picture(call.gw, call.caller, call.path["session"], call.path["gid"], picture)
    return Ended(message="the picture is set")


async def delete_picture(call: Call) -> Ended:
    """Take a group's picture away; also when it has none."""
    await native.delete_group_picture(call)
    return Ended(message="the picture is removed")


def offered(url: str, path: str) -> Offered:
    """A picture as a client offers it; `path` names it to the client."""
    return Offered(wanted="picture", path=path, url=url)


_GROUP = "/{session}/groups/{gid}"
SERVED = [
    served(
        "getGroupPicture",
        f"GET {_GROUP}/picture",
        get_picture,
        sdk="getGroupPicture",
        capability=READ,
        query=RefreshQuery,
        answer=PictureTold,
        errors=ADMIN,
        difference="Always asked for anew. No picture: 404. WhatsApp tells neither format nor size; on the sandbox the "
        "url is empty.",
    ),
    served(
        "setGroupPicture",
        f"PUT {_GROUP}/picture",
        set_picture,
        sdk="setGroupPicture",
        capability=SEND,
        body=NewPicture,
        answer=Ended,
        errors=(*ADMIN, BadRequest),
        difference=JPEG,
    ),
    served(
        "deleteGroupPicture",
        f"DELETE {_GROUP}/picture",
        delete_picture,
        sdk="deleteGroupPicture",
        capability=SEND,
        answer=Ended,
        errors=ADMIN,
    ),
]
