"""Accounts and their devices: a phone (device 0), and the companions linked to it.

Numbers are sandbox numbers (`999` and 7 to 12 digits), people behave as the sandbox network says (the fourth digit),
and LIDs are the sandbox's. What only this protocol knows stands here: keys, device lists, and what waits for whom.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulator.keys import KeyPair
from tests.emulator.nodes import HIDDEN, PHONE, Jid, Node, parse
from tests.emulator.schemas import ADVKeyIndexList, ADVSignedKeyIndexList
from wagate.engines.sandbox.people import default_name, habits, lid_of, number_of

if TYPE_CHECKING:
    from tests.emulator.lines import Line

SignedPreKey = tuple[bytes, bytes, bytes]


@dataclass(eq=False)
class Device:
    """One device. `waiting`: what it was sent and has not acknowledged, oldest first; `acknowledged`: ids in order;
    `collisions`: logins that met an earlier connection of it.

    `sent_at` and `settled_at`: when a message was first put on its line, and when its acknowledgement had come, by
    id, in nanoseconds of the machine's monotonic clock.
    """

    account: Account
    place: int
    noise: bytes = b""
    identity: bytes = b""
    registration: bytes = b""
    signed: SignedPreKey | None = None
    prekeys: dict[bytes, bytes] = field(default_factory=dict)
    waiting: list[Node] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    sent_at: dict[str, int] = field(default_factory=dict)
    settled_at: dict[str, int] = field(default_factory=dict)
    logins: int = 0
    collisions: int = 0
    line: Line | None = None

    def jid(self, mode: str = PHONE) -> Jid:
        """Its address, by number or by LID."""
        return Jid(self.account.jid(mode).user, mode, self.place)

    async def deliver(self, node: Node, *, keep: bool = True) -> None:
        """Send to it now, or when it comes; with `keep` again at every login until it acknowledges."""
        if keep:
            self.waiting.append(node)
        if self.line is not None and not (keep and self.line.entering):
            await self.line.send(node)

    def settle(self, kind: str, wire_id: str, like: dict[str, Any] | None = None) -> None:
        """It acknowledged a stanza of this kind. Several receipts share an id: `like`, what else it says of which."""
        found = [node for node in self.waiting if (node.tag, node.attrs.get("id")) == (kind, wire_id)]
        alike = [node for node in found if all(node.attrs.get(name) == said for name, said in (like or {}).items())]
        if found:
            # By identity: two that say the same are two all the same.
            gone = (alike or found)[0]
            self.waiting[:] = [node for node in self.waiting if node is not gone]
            self.acknowledged.append(wire_id)
            self.settled_at.setdefault(wire_id, time.monotonic_ns())


@dataclass(eq=False)
class Account:
    """A person with a phone.

    `known`: whom they talked with; `watchers`: who asked for their devices, and hears when these change; `blocked`:
    numbers, in order; `timelocked`: messages to strangers are refused (463); `declines`: cannot be had in any group;
    `refusal`: why no login is taken now; `shown`: their phone shows them as online.
    """

    number: str
    identity: KeyPair
    devices: dict[int, Device] = field(default_factory=dict)
    name: str = ""
    about: str = ""
    picture: str = ""
    blocked: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    watchers: set[str] = field(default_factory=set)
    privacy: dict[str, str] = field(default_factory=dict)
    timelocked: bool = False
    declines: bool = False
    shown: bool = False
    refusal: dict[str, str] | None = None
    last_seen: int = 0
    next_place: int = 1
    _index: tuple[tuple[int, ...], bytes] | None = None

    def jid(self, mode: str = PHONE) -> Jid:
        """Its address without a device."""
        return Jid(self.number, PHONE) if mode == PHONE else parse(lid_of(self.number))

    @property
    def companions(self) -> list[Device]:
        """The linked devices, in the order in which they came."""
        return [device for place, device in self.devices.items() if place]

    @property
    def phone(self) -> Device:
        """The phone; nobody answers there unless a session was linked in its place."""
        return self.devices[0]

    @property
    def online(self) -> list[Device]:
        """The devices that are connected."""
        return [device for device in self.devices.values() if device.line is not None]

    @property
    def answers_itself(self) -> bool:
        """Whether the pretend phone acknowledges messages: no session does it for the person, and it is on."""
        return not self.companions and not self.phone.noise and not habits(self.number).off

    def key_index(self) -> bytes | None:
        """The signed list of its companions; None without any."""
        places = tuple(place for place in self.devices if place)
        if not places:
            return None
        if self._index is None or self._index[0] != places:
            index = ADVKeyIndexList(rawID=7, timestamp=int(time.time()), currentIndex=max(places))
            index.validIndexes.extend((0, *places))
            details = index.SerializeToString()
            signed = ADVSignedKeyIndexList(
                details=details,
                accountSignature=self.identity.sign(b"\x06\x02" + details),
                accountSignatureKey=self.identity.public,
            )
            self._index = places, signed.SerializeToString()
        return self._index[1]


class Accounts:
    """Everybody who was ever named here, by number."""

    def __init__(self) -> None:
        self._all: dict[str, Account] = {}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._all.values())

    def get(self, number: str) -> Account:
        """The account with this number, made on first mention: a phone whose keys nobody holds."""
        if number not in self._all:
            identity, signed = (KeyPair(hashlib.sha256(f"{kind} {number}".encode()).digest()) for kind in ("id", "pre"))
            account = Account(number=number, identity=identity, name=default_name(number))
            account.devices[0] = Device(
                account=account,
                place=0,
                identity=identity.public,
                registration=(1234).to_bytes(4, "big"),
                signed=(b"\0\0\1", signed.public, identity.sign(b"\x05" + signed.public)),
            )
            self._all[number] = account
        return self._all[number]

    def of(self, jid: Jid) -> Account | None:
        """Whose address this is; None when nobody on this network can have it."""
        number = number_of(str(jid.bare)) if jid.server in (PHONE, HIDDEN) else None
        return self.get(number) if number is not None and habits(number).exists else None

    def device(self, jid: Jid) -> Device | None:
        """The device with this address, while it is linked."""
        account = self.of(jid)
        return account.devices.get(jid.device) if account is not None else None


def hash_of(devices: list[Jid]) -> str:
    """The hash by which client and server compare what devices they know."""
    digest = hashlib.sha256("".join(sorted(device.with_device for device in devices)).encode()).digest()
    return "2:" + base64.b64encode(digest[:6]).decode().rstrip("=")
