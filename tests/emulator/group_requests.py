"""What clients ask about groups (`w:g2`), and what each request is answered with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from msgspec.structs import replace

from tests.emulator.accounts import Account, Device
from tests.emulator.group_nodes import info
from tests.emulator.groups import Gathering
from tests.emulator.nodes import Jid, Node, parse
from tests.emulator.refusals import Refusal, wire_code
from wagate.engines.sandbox import rules
from wagate.engines.sandbox.groups import code_of
from wagate.engines.sandbox.people import number_of
from wagate.errors import NotGroupAdmin, WagateError

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

_TIMERS = (0, 86400, 604800, 7776000)
_LONGEST_SUBJECT = 100


class GroupRequests:
    """Answers the requests of `w:g2`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._groups = emulator.groups

    async def answer(self, device: Device, request: Node) -> list[Node]:
        """One request; its answer.

        Raises:
            Refusal: as WhatsApp would.
        """
        own, asked = device.account, request.children[0]
        if not request.attrs["to"].user:
            return await self._of_all(own, request.attrs["type"], asked)
        group = self._groups.get(request.attrs["to"])
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
            answer = await self._groups.change(group, own.number, rule, None)
            return [Node("invite", {"code": code_of(answer.invite)})]
        if asked.tag == "membership_approval_requests":
            pending = await self._groups.change(group, own.number, rules.list_pending, None)
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
            mine = [group for group in self._groups if own.number in group.truth.members]
            return [Node("groups", {}, [info(self._emulator.accounts, group) for group in mine])]
        if asked.tag == "leave":
            return [Node("leave", {}, [await self._leave(own, each) for each in asked.all("group")])]
        if asked.tag == "invite":
            return await self._by_link(own, kind, asked.attrs["code"])
        raise Refusal(501)

    async def _create(self, own: Account, asked: Node) -> Node:
        accounts = self._emulator.accounts
        if len(asked.attrs["subject"]) > _LONGEST_SUBJECT:
            raise Refusal(406)
        people = [number_of(str(each.attrs["jid"].bare)) or "" for each in asked.all("participant")]
        group = await self._groups.create(own.number, asked.attrs["subject"], [number for number in people if number])
        if (ephemeral := asked.first("ephemeral")) is not None:
            group.timer = int(ephemeral.attrs["expiration"])
        group.truth = replace(
            group.truth,
            announce=asked.first("announcement") is not None,
            locked=asked.first("locked") is not None,
            approves=_approves(asked),
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
        group = self._groups.get(jid if isinstance(jid, Jid) else parse(jid))
        if group is None or own.number not in group.truth.members:
            return Node("group", {"id": jid, "error": 404})
        await self._groups.change(group, own.number, rules.leave, own.number)
        return Node("group", {"id": jid})

    async def _by_link(self, own: Account, kind: str, code: str) -> list[Node]:
        group = next((each for each in self._groups if each.truth.invite == code), None)
        if group is None:
            raise Refusal(410 if any(code in each.retired for each in self._groups) else 406)
        if kind == "get":
            return [info(self._emulator.accounts, group, outside=True)]
        return await self._join(group, own, code)

    async def _join(self, group: Gathering, own: Account, code: str) -> list[Node]:
        await self._groups.change(group, own.number, rules.join, (own.number, code))
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
            answer = await self._groups.change(group, own.number, rules.add, [str(jid.bare) for jid in jids])
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
                    await self._groups.change(group, own.number, rule, number)
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
            await self._groups.change(group, number, *flags[asked.tag])
        elif asked.tag == "subject":
            if len(asked.bytes.decode()) > _LONGEST_SUBJECT:
                raise Refusal(406)
            await self._groups.change(group, number, rules.rename, asked.bytes.decode())
        elif asked.tag == "description":
            if asked.attrs.get("prev", "") != group.topic:
                raise Refusal(409)
            body = asked.first("body")
            self._must_edit(group, number)
            group.topic, group.topic_by = asked.attrs["id"] if body is not None else "", number
            await self._groups.change(group, number, rules.describe, body.bytes.decode() if body is not None else "")
        elif asked.tag in ("ephemeral", "not_ephemeral"):
            await self._set_timer(group, own, int(asked.attrs.get("expiration", 0)))
        else:
            raise Refusal(501)
        return []

    def _must_edit(self, group: Gathering, number: str) -> None:
        try:
            rules.may_edit(group.truth, self._groups.moment(number))
        except WagateError as error:
            raise Refusal(wire_code(error)) from error

    async def _set_timer(self, group: Gathering, own: Account, seconds: int) -> None:
        if seconds not in _TIMERS:
            raise Refusal(400)
        self._must_edit(group, own.number)
        group.timer = seconds
        notice = Node("ephemeral", {"expiration": seconds}) if seconds else Node("not_ephemeral")
        await self._groups.tell(group, own.number, notice, [*group.truth.members])


def _approves(asked: Node) -> bool:
    """Whether admins shall approve who joins: the library names the mode in any case."""
    mode = asked.first("membership_approval_mode")
    return mode is not None and mode.need("group_join").attrs["state"] == "on"


def _added(jid: Jid, result: Any) -> Node:
    if result.wa_code == 200:
        return Node("participant", {"jid": jid})
    asked = []
    if result.invite is not UNSET:
        asked = [Node("add_request", {"code": result.invite.code, "expiration": result.invite.expires_at // 1000})]
    return Node("participant", {"jid": jid, "error": result.wa_code}, asked or None)
