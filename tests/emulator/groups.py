"""Groups, seen from the protocol: requests become the sandbox's rules, and what a rule reports becomes notices.

The truth about a group is the sandbox's own `Group`, changed by `wagate.engines.sandbox.rules` alone. What the rules do
not know stands beside it: the timer of disappearing messages, the id of a description, codes that were taken back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tests.emulator.accounts import Account
from tests.emulator.group_nodes import info, notices
from tests.emulator.nodes import HIDDEN, PHONE, Jid, Node, parse
from tests.emulator.refusals import Refusal, wire_code
from wagate.engines.sandbox import rules
from wagate.engines.sandbox.groups import Group
from wagate.engines.sandbox.rules import Change, Moment
from wagate.errors import WagateError

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

_PASS_SECONDS = 3 * 86400


@dataclass(eq=False)
class Gathering:
    """A group. `truth`: what the sandbox's rules know of it; `mode`: how its members address one another."""

    truth: Group
    mode: str = HIDDEN
    timer: int = 0
    topic: str = ""
    topic_by: str = ""
    version: int = 1
    retired: set[str] = field(default_factory=set)

    @property
    def jid(self) -> Jid:
        """Its address."""
        return parse(self.truth.jid)


class Groups:
    """Every group of the network."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._all: dict[str, Gathering] = {}
        self._made = 0

    def __iter__(self) -> Iterator[Gathering]:
        return iter(self._all.values())

    def get(self, jid: Jid) -> Gathering | None:
        """The group with this address."""
        return self._all.get(str(jid))

    def moment(self, actor: str | None) -> Moment:
        """Now, for a rule; an actor of None is the world outside."""
        accounts = self._emulator.accounts
        return Moment(
            actor=actor,
            now=int(time.time() * 1000),
            names=lambda number: accounts.get(number).name,
            mint=lambda purpose: secrets.token_urlsafe(16),
            refuses=self._refuses,
            pass_seconds=_PASS_SECONDS,
        )

    def clear(self) -> None:
        """Forget every group, for the next story."""
        self._all.clear()

    async def create(self, owner: str, subject: str, people: list[str], *, mode: str = HIDDEN) -> Gathering:
        """A new group. `people` are numbers; who cannot be added is left out, as by the sandbox."""
        self._made += 1
        moment = self.moment(owner)
        truth = Group(
            jid=f"120363{time.time_ns() // 1000 % 10**9:09d}{self._made:03d}@g.us",
            subject=subject,
            owner=owner,
            created_at=moment.now,
            invite=secrets.token_urlsafe(16),
        )
        group = Gathering(truth=truth, mode=mode)
        self._all[truth.jid] = group
        await self.commit(group, owner, rules.create(truth, moment, people))
        return group

    async def change(self, group: Gathering, actor: str | None, rule: Callable[..., Change], argument: Any) -> Any:
        """Let somebody change a group by a rule; the rule's answer.

        Raises:
            Refusal: as WhatsApp would refuse it.
        """
        try:
            change = rule(group.truth, self.moment(actor), argument)
        except WagateError as error:
            raise Refusal(wire_code(error)) from error
        if change.group.invite != group.truth.invite:
            group.retired.add(group.truth.invite)
        await self.commit(group, actor, change)
        return change.answer

    async def commit(self, group: Gathering, actor: str | None, change: Change) -> None:
        """The group is as the change says; tell its members, those who left, and those who are new."""
        group.truth = change.group
        group.version += 1
        for number, why in change.joined.items():
            await self._welcome(group, actor, number, why)
        told = [number for number in (*change.group.members, *change.left) if number not in change.joined]
        for report in change.reports:
            for node in notices(self._emulator.accounts, group, report):
                await self.tell(group, actor, node, told)

    def approve_joins(self, group: Gathering, on: bool = True) -> None:
        """Whether admins approve who comes in by the link; set on somebody's phone, as the library cannot."""
        group.truth = replace(group.truth, approves=on)

    async def tell(self, group: Gathering, actor: str | None, notice: Node, people: list[str]) -> None:
        """Send a notice of the group to all devices of these people."""
        for number in people:
            account = self._emulator.accounts.get(number)
            await self._emulator.notify(account, self._attrs(group, actor), [notice])

    async def depict(self, actor: Account, jid: Jid, picture: str) -> None:
        """A new picture, or none."""
        group = self.get(jid)
        if group is None:
            raise Refusal(404)
        await self.change(group, actor.number, rules.depict, picture)
        change = Node("set", {"jid": jid, "id": picture, "author": actor.jid(group.mode)})
        gone = Node("delete", {"jid": jid, "author": actor.jid(group.mode)})
        for number in group.truth.members:
            attrs = {"type": "picture", "from": jid, "participant": actor.jid(group.mode)}
            await self._emulator.notify(self._emulator.accounts.get(number), attrs, [change if picture else gone])

    def _attrs(self, group: Gathering, actor: str | None) -> dict[str, Any]:
        attrs: dict[str, Any] = {
            "type": "w:gp2",
            "from": group.jid,
            "addressing_mode": "lid" if group.mode == HIDDEN else "pn",
        }
        if actor is not None:
            account = self._emulator.accounts.get(actor)
            attrs |= {"participant": account.jid(group.mode), "notify": account.name}
            if group.mode == HIDDEN:
                attrs["participant_pn"] = account.jid()
        return attrs

    async def _welcome(self, group: Gathering, actor: str | None, number: str, why: str) -> None:
        reason = {"created": None, "added": None, "approved": None}.get(why, why)
        kind = "new" if group.version == 2 else None
        body = Node("create", {"type": kind, "reason": reason}, [info(self._emulator.accounts, group)])
        await self._emulator.notify(self._emulator.accounts.get(number), self._attrs(group, actor), [body])

    def _refuses(self, number: str) -> Any:
        account = self._emulator.accounts.of(Jid(number, PHONE))
        if account is None:
            return "not_on_whatsapp"
        return "declined" if account.declines else None
