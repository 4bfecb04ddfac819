"""Groups, seen from the protocol: requests become the sandbox's rules, and what a rule reports becomes notices.

The truth about a group is the sandbox's own `Group`, changed by `wagate.engines.sandbox.rules` alone. What the rules do
not know stands beside it: the timer of disappearing messages, the id of a description, codes that were taken back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import replace

from tests.emulator.accounts import Account, Device
from tests.emulator.group_nodes import info, notices
from tests.emulator.nodes import HIDDEN, Jid, Node, parse
from tests.emulator.refusals import Refusal, wire_code
from wagate.engines.sandbox import rules
from wagate.engines.sandbox.groups import Group, code_of
from wagate.engines.sandbox.people import number_of
from wagate.engines.sandbox.rules import Change, Moment
from wagate.errors import NotGroupAdmin, WagateError

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

_TIMERS = (0, 86400, 604800, 7776000)
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
        return None if self._emulator.accounts.of(Jid(number, "s.whatsapp.net")) is not None else "not_on_whatsapp"

    # Requests.

    async def answer(self, emulator: Emulator, device: Device, request: Node) -> list[Node]:
        """Requests of `w:g2`."""
        own, asked = device.account, request.children[0]
        if not request.attrs["to"].user:
            return await self._of_all(own, request.attrs["type"], asked)
        group = self.get(request.attrs["to"])
        if group is None:
            raise Refusal(404)
        if asked.tag == "accept" or (asked.tag == "query" and asked.first("add_request") is not None):
            return await self._with_pass(group, own, asked)
        if own.number not in group.truth.members:
            raise Refusal(403)
        if asked.tag == "query":
            return [info(self._emulator.accounts, group)]
        if asked.tag in ("add", "remove", "promote", "demote"):
            return [await self._people(group, own, asked)]
        if asked.tag == "invite":
            rule = rules.reset_invite if request.attrs["type"] == "set" else rules.show_invite
            answer = await self.change(group, own.number, rule, None)
            return [Node("invite", {"code": code_of(answer.invite)})]
        if asked.tag == "membership_approval_requests":
            pending = await self.change(group, own.number, rules.list_pending, None)
            asking = [
                Node("membership_approval_request", {"jid": parse(each.jid), "request_time": each.requested_at // 1000})
                for each in pending
            ]
            return [Node("membership_approval_requests", {}, asking)]
        return await self._settings(group, own, asked)

    async def _of_all(self, own: Account, kind: str, asked: Node) -> list[Node]:
        if asked.tag == "create":
            return [await self._create(own, asked)]
        if asked.tag == "participating":
            mine = [group for group in self._all.values() if own.number in group.truth.members]
            return [Node("groups", {}, [info(self._emulator.accounts, group) for group in mine])]
        if asked.tag == "leave":
            return [Node("leave", {}, [await self._leave(own, each) for each in asked.all("group")])]
        if asked.tag == "invite":
            return await self._by_link(own, kind, asked.attrs["code"])
        raise Refusal(501)

    async def _create(self, own: Account, asked: Node) -> Node:
        accounts = self._emulator.accounts
        if len(asked.attrs["subject"]) > 100:
            raise Refusal(406)
        people = [number_of(str(each.attrs["jid"].bare)) or "" for each in asked.all("participant")]
        group = await self.create(own.number, asked.attrs["subject"], [number for number in people if number])
        if (ephemeral := asked.first("ephemeral")) is not None:
            group.timer = int(ephemeral.attrs["expiration"])
        group.truth = replace(
            group.truth,
            announce=asked.first("announcement") is not None,
            locked=asked.first("locked") is not None,
            approves=asked.first("membership_approval_mode") is not None,
        )
        node = info(accounts, group)
        for each in asked.all("participant"):
            number = number_of(str(each.attrs["jid"].bare))
            if number is None or number not in group.truth.members:
                code = 404 if accounts.of(each.attrs["jid"]) is None else 403
                node.children.append(Node("participant", {"jid": each.attrs["jid"], "error": code}))
        return node

    async def _leave(self, own: Account, each: Node) -> Node:
        jid = each.attrs["id"]
        group = self.get(jid if isinstance(jid, Jid) else parse(jid))
        if group is None or own.number not in group.truth.members:
            return Node("group", {"id": jid, "error": 404})
        await self.change(group, own.number, rules.leave, own.number)
        return Node("group", {"id": jid})

    async def _by_link(self, own: Account, kind: str, code: str) -> list[Node]:
        group = next((each for each in self._all.values() if each.truth.invite == code), None)
        if group is None:
            raise Refusal(410 if any(code in each.retired for each in self._all.values()) else 406)
        if kind == "get":
            return [info(self._emulator.accounts, group, outside=True)]
        return await self._join(group, own, code)

    async def _join(self, group: Gathering, own: Account, code: str) -> list[Node]:
        await self.change(group, own.number, rules.join, (own.number, code))
        tag = "group" if own.number in group.truth.members else "membership_approval_request"
        return [Node(tag, {"jid": group.jid})]

    async def _with_pass(self, group: Gathering, own: Account, asked: Node) -> list[Node]:
        """An invite for one person: look at the group with it, or come in."""
        given = asked.first("add_request") or asked
        code = given.attrs["code"]
        held = group.truth.passes.get(code)
        if held is None or held.number != own.number or held.expires_at < time.time() * 1000:
            raise Refusal(410 if held is not None else 406)
        if asked.tag == "query":
            return [info(self._emulator.accounts, group, outside=True)]
        return await self._join(group, own, code)

    async def _people(self, group: Gathering, own: Account, asked: Node) -> Node:
        """Add, remove, promote, demote: one result for each person."""
        jids = [each.attrs["jid"] for each in asked.all("participant")]
        if asked.tag == "add":
            answer = await self.change(group, own.number, rules.add, [str(jid.bare) for jid in jids])
            return Node("add", {}, [_added(jid, result) for jid, result in zip(jids, answer.results, strict=True)])
        rule = {"remove": rules.remove, "promote": rules.promote, "demote": rules.demote}[asked.tag]
        role = group.truth.members[own.number]
        if role == "member":
            raise Refusal(401)
        results = []
        for jid in jids:
            number = number_of(str(jid.bare))
            error = None
            if number is None or number not in group.truth.members:
                error = 404
            else:
                try:
                    await self.change(group, own.number, rule, number)
                except Refusal as refusal:
                    error = 403 if isinstance(refusal.__cause__, NotGroupAdmin) else refusal.code
            results.append(Node("participant", {"jid": jid, "error": error}))
        return Node(asked.tag, {}, results)

    async def _settings(self, group: Gathering, own: Account, asked: Node) -> list[Node]:
        number = own.number
        flags = {
            "announcement": (rules.announce, True),
            "not_announcement": (rules.announce, False),
            "locked": (rules.lock, True),
            "unlocked": (rules.lock, False),
        }
        if asked.tag in flags:
            await self.change(group, number, *flags[asked.tag])
        elif asked.tag == "subject":
            if len(asked.bytes.decode()) > 100:
                raise Refusal(406)
            await self.change(group, number, rules.rename, asked.bytes.decode())
        elif asked.tag == "description":
            if asked.attrs.get("prev", "") != group.topic:
                raise Refusal(409)
            body = asked.first("body")
            self._must_edit(group, number)
            group.topic, group.topic_by = asked.attrs["id"] if body is not None else "", number
            await self.change(group, number, rules.describe, body.bytes.decode() if body is not None else "")
        elif asked.tag in ("ephemeral", "not_ephemeral"):
            await self._set_timer(group, own, int(asked.attrs.get("expiration", 0)))
        else:
            raise Refusal(501)
        return []

    def _must_edit(self, group: Gathering, number: str) -> None:
        try:
            rules.may_edit(group.truth, self.moment(number))
        except WagateError as error:
            raise Refusal(wire_code(error)) from error

    async def _set_timer(self, group: Gathering, own: Account, seconds: int) -> None:
        if seconds not in _TIMERS:
            raise Refusal(400)
        self._must_edit(group, own.number)
        group.timer = seconds
        notice = Node("ephemeral", {"expiration": seconds}) if seconds else Node("not_ephemeral")
        await self.tell(group, own.number, notice, [*group.truth.members])


def _added(jid: Jid, result: Any) -> Node:
    if result.wa_code == 200:
        return Node("participant", {"jid": jid})
    asked = []
    if result.invite is not UNSET:
        asked = [Node("add_request", {"code": result.invite.code, "expiration": result.invite.expires_at // 1000})]
    return Node("participant", {"jid": jid, "error": result.wa_code}, asked or None)
