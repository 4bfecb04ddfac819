"""People of the pretend network: who a number is, how it behaves, and its two addresses.

A person needs no row: any sandbox number is somebody, and its fourth digit says how they behave. Only what was changed
from outside is kept. The LID is a keyed permutation of the number: stable, distinct, and it leads back to the number
without a table; a LID never looks like a sandbox number.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import msgspec
from msgspec import structs

from wagate.model.contacts import Person
from wagate.model.jid import HIDDEN, PHONE, is_sandbox_number, user
from wagate.model.sandbox import ChangePerson

_KEY = b"wagate sandbox lid"
_HALF = 25
_MASK = (1 << _HALF) - 1
_FIRST_LID = 10**14
_LIDS = 899 * 10**12  # 15 digits that do not begin with 999
_SUFFIXES = range(7, 13)


class Somebody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was changed about a person; the default is everybody else. `online` None: as the number says.

    `blocked`: they block everybody. `picture`: its id. `last_seen`: when they were last online, 0 unknown.
    """

    name: str | None = None
    about: str = ""
    online: bool | None = None
    typing: bool = False
    blocked: bool = False
    banned: bool = False
    picture: str = ""
    last_seen: int = 0


def altered(person: Somebody, change: ChangePerson, *, now: int, picture: str) -> Somebody:
    """The person after a change; `picture` is the id of a new picture, if there is to be one."""
    fields = {field: value for field, value in structs.asdict(change).items() if value is not None}
    if (has_picture := fields.pop("picture", None)) is not None:
        fields["picture"] = picture if has_picture else ""
    if change.online is False:
        fields["typing"] = False
        if person.online is not False:
            fields["last_seen"] = now
    return structs.replace(person, **fields)


class Habits:
    """How the number with this fourth digit behaves."""

    __slots__ = ("breaks", "echoes", "exists", "loses_ack", "off", "private", "reads", "refuses", "slow")

    def __init__(self, digit: str) -> None:
        self.reads = digit not in "123"
        self.off = digit == "2"
        self.exists = digit != "3"
        self.private = digit == "4"
        self.echoes = digit == "5"
        self.loses_ack = digit == "6"
        self.refuses = digit == "7"
        self.breaks = digit == "8"
        self.slow = digit == "9"


_HABITS = {digit: Habits(digit) for digit in "0123456789"}


def habits(number: str) -> Habits:
    """How the person with this number behaves by nature."""
    return _HABITS[number[3]]


@lru_cache(maxsize=16384)
def jid_of(number: str) -> str:
    """The phone JID."""
    return f"{number}@{PHONE}"


@lru_cache(maxsize=16384)
def lid_of(number: str) -> str:
    """The LID; see the module."""
    suffix = number[3:]
    place = int(suffix) + sum(10**length for length in _SUFFIXES if length < len(suffix))
    place = _mix(place)
    while place >= _LIDS:
        place = _mix(place)
    return f"{_FIRST_LID + place}@{HIDDEN}"


@lru_cache(maxsize=16384)
def number_of(jid: str) -> str | None:
    """The number behind a person's canonical JID; None when nobody on this network has it."""
    digits, _, server = jid.partition("@")
    if server == PHONE:
        return digits if is_sandbox_number(digits) else None
    if server != HIDDEN or len(digits) != 15:
        return None
    place = int(digits) - _FIRST_LID
    if not 0 <= place < _LIDS:
        return None
    place = _unmix(place)
    while place >= _LIDS:
        place = _unmix(place)
    for length in _SUFFIXES:
        if place < 10**length:
            return f"999{place:0{length}d}"
        place -= 10**length
    return None


def person_of(number: str, name: str | None = None) -> Person:
    """The person as sessions are told of them."""
    return Person(jid=jid_of(number), lid=lid_of(number), push_name=name or default_name(number))


def default_name(number: str) -> str:
    """What somebody is called whom nobody has named."""
    return f"Sandbox {user(number)[3:]}"


def _mix(value: int) -> int:
    left, right = value >> _HALF, value & _MASK
    for turn in range(4):
        left, right = right, left ^ _scramble(right, turn)
    return left << _HALF | right


def _unmix(value: int) -> int:
    left, right = value >> _HALF, value & _MASK
    for turn in reversed(range(4)):
        left, right = right ^ _scramble(left, turn), left
    return left << _HALF | right


def _scramble(half: int, turn: int) -> int:
    digest = blake2b(bytes([turn]) + half.to_bytes(4, "big"), key=_KEY, digest_size=4).digest()
    return int.from_bytes(digest, "big") & _MASK
