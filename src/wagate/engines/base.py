"""The port to a network: an engine opens connections, and says what it performs and promises.

What an implementer must keep:

- `send` returns only when the network has the message. A raised error of the tree means that the network refused, or
  that its answer did not come (`NoAnswer`). `ConnectionLost` means that the line broke before an answer: the caller
  sends the same `wire_id` again on the next connection, and the network must show one message. `NeverLeft` means that
  nothing of it was written: whatever the engine promises, the caller may send it again.
- Reports go to the `Sink` in the order in which the network told them, one call at a time for a connection. The sink
  returns when they are committed; only then may an engine that `acks_after_commit` acknowledge them to the network.
- What an action changes has passed through the sink before the action's answer is returned.
- Nothing is called after `close` has returned, and nothing is reported.

Known by workers and bootstrap only.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

from wagate.model import Maybe, Shape
from wagate.model.actions import Action
from wagate.model.channels import ChannelChanged
from wagate.model.chats import ChatMarked, PresenceHeard
from wagate.model.contacts import CallRang, Person
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged
from wagate.model.messages import Ack, Arrived, Outgoing, Receipt
from wagate.model.sessions import Pairing, Reason


class ConnectionLost(Exception):
    """The line to the network broke; what was under way has no known outcome."""


class NeverLeft(ConnectionLost):
    """There was no line before anything of a send was written: it certainly did not go out, and may be sent again."""


class SinkClosed(Exception):
    """The sink takes nothing more: this process does not hold the session any longer. Nothing of what it was given is
    committed; who holds the session next is to be told.
    """


class NotTried(ConnectionLost):
    """Nothing was tried, for others find just now that the network is away: ask again at once, the asking waits."""


class LinkEnded(Exception):
    """The network ended this link while connecting: trying again by itself is of no use.

    `until`: before this moment, in epoch ms, it will not be let in either. Without a `reason` it is nothing that the
    network said, and the log says it.
    """

    def __init__(
        self, status: Literal["failed", "logged_out"], reason: Reason | None, until: int | None = None
    ) -> None:
        super().__init__(reason)
        self.until = until
        self.status: Literal["failed", "logged_out"] = status
        self.reason: Reason | None = reason


class Promises(Shape, frozen=True, kw_only=True):
    """What an engine can promise.

    `chooses_wire_id`: it sends with an id that was chosen beforehand, so a repeat after a crash is no second message.
    `acks_after_commit`: it acknowledges to the network only what the sink has committed.
    """

    chooses_wire_id: bool
    acks_after_commit: bool


class Account(Shape, frozen=True, kw_only=True):
    """The session a connection is for. `jid` is set when it is linked."""

    session_id: str
    organization_id: str
    jid: str | None = None
    lid: str | None = None
    proxy_url: str | None = None


class QrShown(Shape, frozen=True, kw_only=True):
    """A code to scan; a newer one replaces it. `expires_at` in epoch milliseconds."""

    code: str
    expires_at: int


class LinkTimedOut(Shape, frozen=True, kw_only=True):
    """Nobody scanned in time; linking has ended."""


class Linked(Shape, frozen=True, kw_only=True):
    """A phone accepted; the keys are kept, and the connection may now `connect`."""

    pairing: Pairing


class LineLost(Shape, frozen=True, kw_only=True):
    """The connection broke; the runner reconnects."""


class Ended(Shape, frozen=True, kw_only=True):
    """This link is over; the runner stops. `until`: before this moment, in epoch ms, the network lets nobody in."""

    status: Literal["failed", "logged_out"]
    reason: Reason | None
    until: int | None = None


class PeopleSeen(Shape, frozen=True, kw_only=True):
    """What the network says of some people."""

    people: list[Person]


Report = (
    QrShown
    | LinkTimedOut
    | Linked
    | LineLost
    | Ended
    | PeopleSeen
    | Arrived
    | Receipt
    | GroupSeen
    | GroupChanged
    | MembersChanged
    | PresenceHeard
    | ChatMarked
    | CallRang
    | ChannelChanged
)

Sink = Callable[[Sequence[Report]], Awaitable[None]]
"""Takes reports; returns when they are committed. Raises `SinkClosed`."""


class Snapshot(Shape, frozen=True, kw_only=True):
    """All groups and people that the account knows now."""

    groups: list[GroupSeen]
    people: list[Person]


class Connection(Protocol):
    """One session's line to the network."""

    async def link(self) -> None:
        """Begin linking by QR: codes come as `QrShown` until `Linked` or `LinkTimedOut`. Returns at once."""
        ...

    async def connect(self) -> None:
        """Go online with the kept keys; returns when online.

        Raises:
            ConnectionLost: not now; try again later.
            LinkEnded: the network no longer knows this link, or banned it.
        """
        ...

    async def snapshot(self) -> Snapshot:
        """What the account knows; called when online."""
        ...

    async def send(self, outgoing: Outgoing) -> Ack:
        """Send; returns when the network has it. See the module for the errors."""
        ...

    async def perform(self, action: Action) -> Any:
        """Perform one of the engine's `actions`; the answer has the action's `answer` type."""
        ...

    async def read(self, chat: str, sender: Maybe[str], wire_ids: list[str]) -> None:
        """Tell the network that the account has read these messages (as the action `MarkRead`)."""
        ...

    async def logout(self) -> None:
        """Unlink at the network and forget the keys.

        Raises:
            ConnectionLost: the network could not be told.
        """
        ...

    async def close(self) -> None:
        """Go offline, keep the keys. Idempotent."""
        ...


class Engine(Protocol):
    """A way to speak to a network."""

    name: str
    promises: Promises
    contents: frozenset[str]
    """The content types it sends."""
    actions: frozenset[type[Action]]
    """The actions it performs on a connection."""

    async def open(self, account: Account, sink: Sink) -> Connection:
        """A connection for a session, not yet online."""
        ...

    async def forget(self, account: Account) -> None:
        """The session is deleted or logged out: remove its keys. Nothing is unlinked on the phone.

        Raises:
            Unavailable: not now; they are in use, or not at hand.
        """
        ...

    async def kept(self) -> list[str]:
        """The sessions of which this machine keeps something beside the database, by their ids."""
        ...

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        ...


class NetworkHost(Engine, Protocol):
    """An engine that holds a whole network for each organization (the sandbox); held under a lease."""

    async def host(self, organization_id: str) -> None:
        """Load the organization's network from its store; from now on this process holds it."""
        ...

    async def drive(self, organization_id: str, action: Action) -> Any:
        """Do something to the network from outside: the answer has the action's `answer` type."""
        ...

    async def release(self, organization_id: str) -> None:
        """Let the network go; another process may hold it now."""
        ...


class Files(Protocol):
    """The blob store, as far as an engine needs it: bytes of media under keys.

    The gateway's own copies lie under the id of a `Media`; an engine's own keys begin with its name and a dash. Every
    method may raise `StorageUnavailable`.
    """

    def local(self, key: str) -> AbstractAsyncContextManager[Path | None]:
        """The bytes as a file of this machine for as long as the context lasts, not to be changed; None: not there."""
        ...

    async def put(self, key: str, pieces: AsyncIterable[bytes] | Iterable[bytes]) -> None:
        """Keep bytes; whole and durable when it returns, or not at all."""
        ...

    async def copy(self, source: str, key: str) -> bool:
        """The same bytes under another key, without a second copy of them where that can be; False: not there."""
        ...

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove what is there of these."""
        ...


class Store(Protocol):
    """The small store an engine may ask for: text by key, in its own transactions, within one scope."""

    async def put(self, changes: Mapping[str, str | None]) -> None:
        """Write all (None removes); durable and all at once when it returns."""
        ...

    async def get(self, key: str) -> str | None:
        """The value, or None."""
        ...

    async def page(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, str]]:
        """Pairs whose key starts with `prefix` and is greater than `after`, in the order of their keys."""
        ...


StoreFor = Callable[[str], Store]
"""The store of a scope; the sandbox's scopes are organizations."""

__all__ = [
    "Account",
    "Ack",
    "Arrived",
    "CallRang",
    "ChannelChanged",
    "ChatMarked",
    "Connection",
    "ConnectionLost",
    "Ended",
    "Engine",
    "Files",
    "LineLost",
    "LinkEnded",
    "LinkTimedOut",
    "Linked",
    "NetworkHost",
    "NeverLeft",
    "Outgoing",
    "PeopleSeen",
    "PresenceHeard",
    "Promises",
    "QrShown",
    "Receipt",
    "Report",
    "Sink",
    "Snapshot",
    "Store",
    "StoreFor",
]
