"""Changes that are told twice: by the answer to our own action, and by the network's notice of it. Each is told once.

An action's change must be told before the action is answered, and the notice may come before, after or never. Pure:
times are given, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.engines import base
from wagate.model.channels import ChannelChanged
from wagate.model.chats import ChatMarked
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged
from wagate.model.messages import Arrived

_APART_SECONDS = 60.0
"""An answer and its notice are never further apart; after that, the same change is another one."""


class Echoes:
    """What one side told and the other has not, by what changed."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bool, Hashable], deque[float]] = {}

    def tell(self, change: Hashable, *, ours: bool, now: float) -> bool:
        """Whether this is to be told: not if the other side has told it already. `ours`: from an action's answer."""
        others = self._waiting.get((not ours, change))
        while others and now - others[0] > _APART_SECONDS:
            others.popleft()
        if others:
            others.popleft()
            return False
        if len(self._waiting) > 1000:
            self._forget(now)
        self._waiting.setdefault((ours, change), deque()).append(now)
        return True

    def _forget(self, now: float) -> None:
        old = [key for key, times in self._waiting.items() if not times or now - times[-1] > _APART_SECONDS]
        for key in old:
            del self._waiting[key]


def change_of(report: base.Report, own: Callable[[str], bool]) -> Hashable | None:
    """What both sides say of the same change of a group; None for what only one of them tells.

    People are named by one address, and in one order: the two sides know different things of the same people.
    """
    match report:
        case GroupSeen():
            return ("seen", report.group_jid)
        case GroupChanged() if own(report.sender or ""):
            said: dict[str, Any] = msgspec.structs.asdict(report) | {"timestamp": 0, "sender": UNSET}
            return ("changed", *(value for value in said.values()))
        case MembersChanged() if own(report.sender or ""):
            people = sorted(each.person.jid or each.person.lid or "" for each in report.people)
            return ("moved", report.group_jid, report.change, *people)
        case ChannelChanged():
            return ("channel", report.jid, report.action)
        case ChatMarked() if report.picture_id or report.picture_removed:
            return ("picture", report.chat, report.picture_removed is True)
        case ChatMarked() if report.chat.endswith("@newsletter"):
            return ("muted", report.chat, bool(report.muted_until))
        case Arrived() if report.chat.endswith("@newsletter"):
            # What is posted in a channel comes back to whoever posted it, as everybody's.
            return ("post", report.chat, report.wire_id)
    return None
