"""What the network carried: one record for each message with its copies, one frame for everything it saw.

Frames are numbered from 1 without reuse and live under `f/<number>`; a message's record lives under
`m/<wire id>/<author>`, so the same wire id of the same author is found again after any restart. Only the newest frames
are kept, and the records that they brought. Little of it is in memory: the records in use, and a hash of each known id
so that a fresh one needs no look into the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from wagate.engines.base import Store
from wagate.engines.sandbox.people import lid_of, number_of
from wagate.engines.sandbox.settings import Bounds
from wagate.model.contents import Change, GoneContent, MessageContent
from wagate.model.sandbox import Frame

Status = Literal["sent", "delivered", "read", "played"]
LEVELS: dict[str, int] = {"sent": 1, "delivered": 2, "read": 3, "played": 4}
Changes = dict[str, str | None]
CARRIED = frozenset({"message", "edit", "revoke", "reaction", "poll_vote"})
"""The kinds of frames that brought a record: messages, and changes of messages."""

_MARK = "mark"
_MARK_EVERY = 256
_PAGE = 1000


class Sent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message as the network keeps it. `copies`: the status on each recipient's phone, by number.

    `silent`: its author never got the acknowledgement, so nothing is told about it until they ask again.
    `echo`: it answers another one, and is not answered itself. `hidden`: its author told only its LID. `by_lid`: it was
    sent to a LID. `album`: the ids of all items, on the first one. `reactions` and `votes` by number.
    """

    wire_id: str
    author: str
    chat: str
    content: MessageContent | Change | GoneContent
    timestamp: int
    frame: int
    copies: dict[str, Status]
    silent: bool = False
    echo: bool = False
    hidden: bool = False
    by_lid: bool = False
    album: list[str] = []
    edited: bool = False
    reactions: dict[str, str] = {}
    votes: dict[str, list[str]] = {}

    @property
    def revoked(self) -> bool:
        """Whether it was taken back."""
        return isinstance(self.content, GoneContent)

    @property
    def address(self) -> str:
        """The chat as the author's sessions know it."""
        number = number_of(self.chat)
        return lid_of(number) if self.by_lid and number is not None else self.chat

    @property
    def key(self) -> str:
        """Its key in the store."""
        return record_key(self.wire_id, self.author)


class _Mark(msgspec.Struct, kw_only=True):
    frame: int = 0
    settled: int = 0


_encode = msgspec.json.Encoder().encode
_decode_sent = msgspec.json.Decoder(Sent).decode
_decode_frame = msgspec.json.Decoder(Frame).decode


def record_key(wire_id: str, author: str) -> str:
    """Where a message's record lives."""
    return f"m/{wire_id}/{author}"


def frame_key(number: int) -> str:
    """Where a frame lives."""
    return f"f/{number:012d}"


class Unsettled:
    """Which frames still have something to tell, counted; after a crash the telling starts at the lowest."""

    def __init__(self) -> None:
        self._held: dict[int, int] = {}

    def __contains__(self, frame: int) -> bool:
        return frame in self._held

    def hold(self, frame: int) -> None:
        """One more thing is to be told about the frame's message."""
        self._held[frame] = self._held.get(frame, 0) + 1

    def free(self, frame: int) -> None:
        """One thing is told, or safe in the store."""
        left = self._held.get(frame, 0) - 1
        if left > 0:
            self._held[frame] = left
        else:
            self._held.pop(frame, None)

    def lowest(self, otherwise: int) -> int:
        """The lowest frame with something left to tell."""
        return min(self._held) if self._held else otherwise


class History:
    """The messages and frames of one network.

    Whoever changes a record encodes it with `save` into the changes that it puts; puts of one record are applied in
    the order in which they were begun.
    """

    def __init__(self, store: Store, bounds: Bounds) -> None:
        self.store = store
        self.bounds = bounds
        self.unsettled = Unsettled()
        self.frame = 0
        self._at_hand: dict[str, Sent] = {}
        self._known: set[int] = set()
        self._knows_all = True
        self._oldest = 1

    async def load(self) -> list[Frame]:
        """Find where the numbering stands; the frames whose telling may be unfinished."""
        text = await self.store.get(_MARK)
        mark = msgspec.json.decode(text, type=_Mark) if text else _Mark()
        unfinished = [frame async for frame in self.pages(mark.settled)]
        self.frame = max(mark.frame, unfinished[-1].number if unfinished else 0)
        first = await self.store.page("f/", limit=1)
        self._oldest = _decode_frame(first[0][1]).number if first else self.frame + 1
        self._knows_all = not first
        return unfinished

    async def learn_all(self) -> None:
        """Read once through the ids of earlier lives; until it is done, each fresh id costs a look into the store."""
        if self._knows_all:
            return
        async for frame in self.pages(0, until=self.frame):
            if frame.kind in CARRIED:
                self._known.add(_hash(frame))
        self._knows_all = True

    def next(self, kind: str, now: int, **parts: Any) -> tuple[int, Changes]:
        """The next frame's number, and the changes that write it. A carried frame is unsettled until it is freed."""
        self.frame += 1
        if kind in CARRIED:
            self.unsettled.hold(self.frame)
        frame = Frame(number=self.frame, timestamp=now, kind=kind, **parts)
        changes: Changes = {frame_key(self.frame): _encode(frame).decode()}
        if self.frame % _MARK_EVERY == 0:
            changes |= self.mark()
        return self.frame, changes

    def mark(self) -> Changes:
        """Where the numbering stands, and what is told: written in passing, and when the network is let go."""
        settled = self.unsettled.lowest(self.frame + 1) - 1
        return {_MARK: _encode(_Mark(frame=self.frame, settled=settled)).decode()}

    def expect(self, wire_id: str, author: str) -> None:
        """A record is about to be put: from now on its id is no fresh one."""
        self._known.add(hash((wire_id, author)))

    def save(self, sent: Sent) -> str:
        """The record as it is kept; it stays at hand."""
        self._at_hand.pop(sent.key, None)
        self._at_hand[sent.key] = sent
        while len(self._at_hand) > self.bounds.at_hand:
            del self._at_hand[next(iter(self._at_hand))]
        return _encode(sent).decode()

    def drop(self, sent: Sent) -> None:
        """The record could not be put."""
        self._at_hand.pop(sent.key, None)

    async def find(self, wire_id: str, author: str) -> Sent | None:
        """The message with this id by this author."""
        if self._knows_all and hash((wire_id, author)) not in self._known:
            return None
        key = record_key(wire_id, author)
        if (sent := self._at_hand.get(key)) is not None:
            return sent
        return self._hold(key, await self.store.get(key))

    async def named(self, wire_id: str) -> list[Sent]:
        """Every message with this id, oldest first; ids are unique only within an author."""
        rows = await self.store.page(f"m/{wire_id}/")
        found = [self._at_hand.get(key) or self._hold(key, value) for key, value in rows]
        return sorted((sent for sent in found if sent is not None), key=lambda sent: sent.frame)

    async def of(self, frame: Frame) -> Sent | None:
        """The message that this frame brought; None for a repeat and for frames of other kinds."""
        if frame.kind not in CARRIED or not frame.wa_message_id or not frame.from_:
            return None
        sent = await self.find(frame.wa_message_id, frame.from_.partition("@")[0])
        return sent if sent is not None and sent.frame == frame.number else None

    async def pages(self, after: int, *, until: int | None = None) -> AsyncIterator[Frame]:
        """The frames after a number, oldest first, read from the store as they are asked for."""
        last = frame_key(after)
        while True:
            rows = await self.store.page("f/", after=last, limit=_PAGE)
            # A store may answer at once: whoever reads far back lets others run.
            await asyncio.sleep(0)
            for _, value in rows:
                frame = _decode_frame(value)
                if until is not None and frame.number > until:
                    return
                yield frame
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    @property
    def overfull(self) -> bool:
        """Whether it is time to `trim`."""
        return self.frame - self._oldest >= self.bounds.frames + _PAGE

    @property
    def oldest(self) -> int:
        """The oldest frame that is kept."""
        return self._oldest

    def let_go(self, sent: Sent) -> bool:
        """Whether the message is among those that are no longer kept; its record must not come back."""
        return sent.frame < self._oldest

    async def trim(self) -> None:
        """Let the oldest frames go, and the records that they brought."""
        while self.overfull:
            newest = self.frame - self.bounds.frames
            changes: Changes = {}
            async for frame in self.pages(self._oldest - 1, until=min(newest, self._oldest + _PAGE)):
                changes |= self._gone(frame)
            self._oldest = min(newest, self._oldest + _PAGE) + 1
            await self.store.put(changes)

    def _gone(self, frame: Frame) -> Changes:
        changes: Changes = {frame_key(frame.number): None}
        if frame.kind in CARRIED and frame.wa_message_id:
            # A repeat's record went with the first frame, or goes now: it needs no look.
            key = record_key(frame.wa_message_id, str(frame.from_).partition("@")[0])
            changes[key] = None
            self._known.discard(_hash(frame))
            self._at_hand.pop(key, None)
        return changes

    def _hold(self, key: str, text: str | None) -> Sent | None:
        if text is None:
            return None
        # Another reader may have been quicker: there is one record in memory for one in the store.
        if (sent := self._at_hand.get(key)) is None:
            sent = self._at_hand[key] = _decode_sent(text)
        return sent


def _hash(frame: Frame) -> int:
    return hash((frame.wa_message_id, str(frame.from_).partition("@")[0]))
