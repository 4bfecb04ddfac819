"""Media: uploads that wait to be said, and the bytes of messages."""

from __future__ import annotations

import re
from typing import Any, get_args

from wagate.api.blobs import Described, of_blob
from wagate.api.messages import MessageQuery
from wagate.api.operations import MEDIA_BODY, READ, SEND, Call, HeaderParameter, Operation, Reply
from wagate.errors import (
    BadRequest,
    Gone,
    NoAnswer,
    NotFound,
    PayloadTooLarge,
    RangeNotSatisfiable,
    SessionNotConnected,
    Unavailable,
    UnsupportedByEngine,
)
from wagate.gateway import downloads, media
from wagate.gateway.downloads import Where
from wagate.model import jid
from wagate.model.media import Uploaded
from wagate.model.sends import MimeType

_TYPE = re.compile(get_args(MimeType)[1].pattern)
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u200b-\u200f\u2028-\u202e]")
# What clients say of any bytes when nobody told them what to say.
_SAYS_NOTHING = frozenset({"application/octet-stream", "application/x-www-form-urlencoded"})

_RANGE = HeaderParameter(
    name="Range", description="One range of bytes; several are answered with the whole.", schema={"type": "string"}
)


async def upload_media(call: Call) -> Any:
    """Upload a file, to be sent as `media.id` once or more within a day. The body is the file itself."""
    return await media.upload(call.gw, call.caller, call.body, mimetype=_told(call.header("content-type")))


async def get_media(call: Call) -> Reply:
    """Get the file of a message, sent or received; a range of it, if asked. Received ones are fetched at first."""
    where = Where(
        session_id=call.path["session"],
        wire_id=call.path["mid"],
        chat=jid.known_chat(call.query.chat) if call.query.chat else None,
    )
    known, blob = await downloads.open(call.gw, call.caller, where)
    # A name from the network is whatever its sender wrote.
    filename = None if known.filename is None else _NOT_IN_NAMES.sub("_", known.filename)[:255]
    return of_blob(call, blob, Described(mimetype=known.mimetype, sha256=known.sha256, filename=filename))


def _told(content_type: str | None) -> str | None:
    """The type that the client gave its bytes, if it gave any."""
    told = (content_type or "").strip()
    if not _TYPE.fullmatch(told) or len(told) > 128 or told.partition(";")[0].strip().lower() in _SAYS_NOTHING:
        return None
    return told


OPERATIONS = [
    Operation(
        id="uploadMedia",
        method="POST",
        path="/media",
        run=upload_media,
        tag="messages",
        capability=SEND,
        body=bytes,
        answer=Uploaded,
        statuses=(201,),
        max_body=MEDIA_BODY,
        spooled=True,
        errors=(BadRequest, PayloadTooLarge, Unavailable),
    ),
    Operation(
        id="getMedia",
        method="GET",
        path="/sessions/{session}/messages/{mid}/media",
        run=get_media,
        tag="messages",
        capability=READ,
        query=MessageQuery,
        answer=bytes,
        also=("*/*",),
        statuses=(200, 206),
        headers=(_RANGE,),
        errors=(
            NotFound,
            Gone,
            RangeNotSatisfiable,
            SessionNotConnected,
            UnsupportedByEngine,
            Unavailable,
            NoAnswer,
        ),
    ),
]
