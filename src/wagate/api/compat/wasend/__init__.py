"""The Wasend dialect: what its SDK and its documentation ask for, answered by this gateway.

Where the two differ on one route, the SDK gets what it can read, told by its fixed `User-Agent`, and everybody else
what the documentation says. What differs from a program's expectations stands beside each operation and is printed in
docs/guides/wasend.md. Mounted by bootstrap, below /wasend and at the root.
"""

from __future__ import annotations

from collections.abc import Mapping

from wagate.api.compat.wasend import (
    chats,
    contacts,
    groups,
    invites,
    linking,
    messages,
    participants,
    pictures,
    sends,
    sessions,
    settings,
    standings,
)
from wagate.api.compat.wasend.errors import refuse
from wagate.api.compat.wasend.naming import SDK_AGENT
from wagate.api.compat.wasend.serving import Served
from wagate.api.dialects import Dialect
from wagate.api.operations import Headers
from wagate.api.wire import IDLE_SECONDS

SECTIONS: dict[str, list[Served]] = {
    "Sessions and the account": [*sessions.SERVED, *linking.SERVED],
    "Groups": [*groups.SERVED, *standings.SERVED, *pictures.SERVED],
    "A group's settings": settings.SERVED,
    "A group's invite": invites.SERVED,
    "A group's participants": participants.SERVED,
    "Contacts": contacts.SERVED,
    "Messages": [*sends.SERVED, *messages.SERVED],
    "Chats": chats.SERVED,
}
"""Every operation of the dialect, by what it is about."""

_IDLE = IDLE_SECONDS - 5
"""What clients are told: a request that is on its way while the time ends must still find the connection open."""

_AT_ONCE = 1
"""What the SDK is told. Its process is blocked between two calls: it neither sees that a connection was closed
meanwhile, nor that its time is over, and would write into it. Told a second, it does not keep the connection at all."""


def _kept(headers: Mapping[bytes, bytes]) -> Headers:
    sdk = headers.get(b"user-agent") == SDK_AGENT.encode()
    return [(b"connection", b"keep-alive"), (b"keep-alive", b"timeout=%d" % (_AT_ONCE if sdk else _IDLE))]


DIALECT = Dialect(
    name="wasend",
    home="/wasend",
    bases=("/wasend", ""),
    operations=tuple(each.operation for section in SECTIONS.values() for each in section),
    refuse=refuse,
    kept=_kept,
)
