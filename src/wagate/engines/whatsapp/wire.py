"""What the gateway and a host process say to each other: frames of msgpack over a Unix socket, each behind its length.

Bytes of files never go this way; both sides name paths. Imported by both sides, so it imports neither.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import msgspec

from wagate.engines import base
from wagate.errors import WireError
from wagate.model import Maybe
from wagate.model.actions import SessionAction
from wagate.model.messages import Outgoing

FRAME_LIMIT = 16 << 20
"""Octets in a frame at most; the largest is a history chunk's people and messages."""

_LENGTH = struct.Struct(">I")


class Want(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the gateway wants of a host, for one line. Without a word on it, the answer's body is null."""


class Open(Want, frozen=True, kw_only=True):
    """Hold this session's store from now on. `folder`: the session's own, on this machine.

    Refused as `lost` while another process holds the folder.
    """

    account: base.Account
    folder: str


class Ping(Want, frozen=True, kw_only=True):
    """Say that you live; of no line."""


class Link(Want, frozen=True, kw_only=True):
    """Begin linking by QR. `proxy`: by which to reach WhatsApp."""

    proxy: str | None = None


class LinkByCode(Want, frozen=True, kw_only=True):
    """Begin linking by a code for the phone with these digits; the body is the code."""

    phone: str
    proxy: str | None = None


class Connect(Want, frozen=True, kw_only=True):
    """Go online with the kept keys; answered when online."""

    proxy: str | None = None


class Look(Want, frozen=True, kw_only=True):
    """What the account knows now; the body is a `base.Snapshot`."""


class Send(Want, frozen=True, kw_only=True):
    """Send; the body is an `Ack`. `files`: where the bytes of the content's media are, by media id."""

    outgoing: Outgoing
    files: dict[str, str] = {}


class Perform(Want, frozen=True, kw_only=True):
    """Perform an action; the body is its answer. `file`: bytes that go with it, or where fetched ones belong."""

    action: SessionAction
    file: str | None = None


class Read(Want, frozen=True, kw_only=True):
    """Send read receipts."""

    chat: str
    sender: Maybe[str] = msgspec.UNSET
    wire_ids: list[str]


class Logout(Want, frozen=True, kw_only=True):
    """Unlink at the network and forget the keys."""


class Close(Want, frozen=True, kw_only=True):
    """Go offline and let the folder go; the line is over when this is answered."""


AnyWant = Open | Ping | Link | LinkByCode | Connect | Look | Send | Perform | Read | Logout | Close


class Asked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A want with a number for its answer. `line`: which line of this host; `seconds`: how long is waited for it."""

    id: int
    line: int
    want: AnyWant
    seconds: float


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything that was told on this line up to `number` is committed: it need not be kept."""

    line: int
    number: int


class Here(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The gateway lives. A host that hears nothing for its patience ends: somebody else may have its sessions then."""


FromGateway = Asked | Taken | Here


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first frame of a host that is ready; `library`: name, version and digest of what it loaded."""

    library: str


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A want is done. `after`: the last number told on the line before it, 0 for none."""

    id: int
    body: msgspec.Raw
    after: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A want is not done: one of an error of the tree, a link that has ended, or (neither) a line that is lost."""

    id: int
    error: WireError | None = None
    ended: base.Ended | None = None
    after: int = 0


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A report by the name of its type."""

    kind: str
    body: msgspec.Raw


class Told(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Reports of a line. A `number` above 0 is kept by the host until it is `Taken`; they rise on each line."""

    line: int
    number: int
    reports: list[Reported]


FromHost = Hello | Answered | Failed | Told

_encoder = msgspec.msgpack.Encoder()
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in base.Report.__args__}
_decoders = {name: msgspec.msgpack.Decoder(kind) for name, kind in _KINDS.items()}


def report(told: base.Report) -> Reported:
    """A report, ready to be told."""
    return Reported(kind=type(told).__name__, body=msgspec.Raw(_encoder.encode(told)))


def reported(told: Reported) -> base.Report:
    """The report again.

    Raises:
        msgspec.DecodeError: it is none that this version knows.
    """
    decoder = _decoders.get(told.kind)
    if decoder is None:
        raise msgspec.DecodeError(f"a report of the unknown kind {told.kind}")
    found: base.Report = decoder.decode(told.body)
    return found


def told_alone(told: Reported) -> Told:
    """One report as a frame of its own, of no line."""
    return Told(line=0, number=0, reports=[told])


def body(answer: Any) -> msgspec.Raw:
    """An answer's body."""
    return msgspec.Raw(_encoder.encode(answer))


def framed(message: FromGateway | FromHost) -> bytes:
    """A message as it goes over the socket.

    Raises:
        ValueError: it is larger than a frame may be.
    """
    encoded = _encoder.encode(message)
    if len(encoded) > FRAME_LIMIT:
        raise ValueError(f"a frame of {len(encoded)} octets")
    return _LENGTH.pack(len(encoded)) + encoded


async def next_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's msgpack; None when the other side is gone.

    Raises:
        ValueError: the other side does not keep to the form.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > FRAME_LIMIT:
            raise ValueError(f"a frame of {length} octets was announced")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
