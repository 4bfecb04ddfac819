"""Drive the sandbox: phones that scan, people who write, faults, and the clock."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET

from wagate.api import offers
from wagate.api.lists import ListQuery, Page, PlainPage, page, window
from wagate.api.operations import MANAGE, MEDIA_BODY, Call, Operation
from wagate.api.sessions import find
from wagate.clock import ManualClock
from wagate.errors import BadRequest, Conflict, Forbidden, NoAnswer, NotFound, PayloadTooLarge, Refused, Unavailable
from wagate.gateway import actions, contents, media, sessions
from wagate.model import jid
from wagate.model.actions import Action
from wagate.model.sandbox import (
    Acknowledge,
    Advance,
    AlterPerson,
    ChangeMessage,
    ChangePerson,
    Disturb,
    Drop,
    Edit,
    Fault,
    Frame,
    From,
    GroupStep,
    InjectFault,
    LinkPhone,
    ListFrames,
    ListShown,
    LookAtGroup,
    MadeGroup,
    MakeGroup,
    MoveMember,
    NewGroup,
    React,
    Ring,
    Said,
    Say,
    Scan,
    Scanned,
    Shown,
    Speak,
    TrueGroup,
    Vote,
)
from wagate.model.sandbox import Call as Ringing


class ShownQuery(ListQuery, frozen=True, kw_only=True):
    """Which copies of messages."""

    to: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    mid: str | None = None


async def scan(call: Call) -> Any:
    """A phone scans the session's code, or enters its pairing code."""
    phone = None if call.body.phone is None else jid.phone(call.body.phone)
    return await _ask(call, LinkPhone(session=call.path["session"], phone=phone, name=call.body.name))


async def unlink(call: Call) -> None:
    """The session is removed on the phone."""
    await _ask(call, Disturb(session=call.path["session"], what="unlink"))


async def ban(call: Call) -> None:
    """The account is banned."""
    await _ask(call, Disturb(session=call.path["session"], what="ban"))


async def replace(call: Call) -> None:
    """Another connection takes over."""
    await _ask(call, Disturb(session=call.path["session"], what="replace"))


async def drop(call: Call) -> None:
    """The session's connection is lost, and refused for a while."""
    await _ask(call, Disturb(session=call.path["session"], what="drop", seconds=call.body.seconds or 0))


async def say(call: Call) -> Any:
    """A person sends a message."""
    sender = jid.person(call.body.from_, "from")
    to = jid.chat(call.body.to, "to")
    _may_drive(call)
    files = await offers.of_form(call.spools, call.body)
    taken = await media.take_in(call.gw, call.caller, files, session_id=None) if files else []
    try:
        content = contents.canonical(call.body, taken)
        return await _ask(call, Speak(sender=sender, to=to, content=content))
    finally:
        # The network has made copies of its own.
        await media.discard(call.gw, call.caller, taken)


async def react(call: Call) -> None:
    """A person reacts to a message, or takes the reaction back."""
    await _change(call, "react", text=call.body.emoji)


async def edit(call: Call) -> None:
    """A person edits a message of theirs."""
    await _change(call, "edit", text=call.body.text)


async def revoke(call: Call) -> None:
    """A person takes a message back: their own, or as an admin of the group another's."""
    await _change(call, "revoke")


async def vote(call: Call) -> None:
    """A person votes in a poll."""
    await _change(call, "vote", options=call.body.options)


async def read_message(call: Call) -> None:
    """A person reads a message."""
    await _acknowledge(call, "read")


async def play_message(call: Call) -> None:
    """A person plays a voice message."""
    await _acknowledge(call, "play")


async def list_shown(call: Call) -> Any:
    """List what phones show: one entry for each copy of a message."""
    query: ShownQuery = call.query
    part = window(call)
    shown = await _ask(
        call,
        ListShown(
            to=jid.known_chat(query.to, "to") if query.to else None,
            sender=jid.person(query.from_, "from") if query.from_ else None,
            message=query.mid or None,
            after=part.after[0] if part.after else "",
            limit=part.limit,
        ),
    )
    return _page(call, shown.rows, shown.next)


async def list_frames(call: Call) -> Any:
    """List every frame that the network saw, in order."""
    part = window(call)
    seen = await _ask(call, ListFrames(after=part.after[0] if part.after else "", limit=part.limit))
    return _page(call, seen.rows, seen.next)


async def make_group(call: Call) -> Any:
    """People make a group."""
    people = [jid.person(text, f"participants[{i}]") for i, text in enumerate(call.body.participants)]
    owner = jid.person(call.body.owner, "owner")
    approves = bool(call.body.approve_joins)
    return await _ask(call, MakeGroup(owner=owner, subject=call.body.subject, people=people, approve_joins=approves))


async def look_at_group(call: Call) -> Any:
    """Get the network's truth about a group."""
    return await _ask(call, LookAtGroup(group=call.path["gid"]))


async def change_person(call: Call) -> None:
    """Change something about a person."""
    await _ask(call, AlterPerson(phone=jid.phone(call.path["phone"]), change=call.body))


async def ring(call: Call) -> None:
    """A person rings somebody, or a group they are in."""
    caller, to = jid.phone(call.path["phone"]), jid.chat(call.body.to, "to")
    await _ask(call, Ring(caller=caller, to=to, video=bool(call.body.video)))


async def inject_fault(call: Call) -> None:
    """Make something go wrong."""
    if call.body.session is not None:
        call.found = await sessions.get(call.gw, call.caller, call.body.session)
    await _ask(call, InjectFault(fault=call.body))


async def turn_clock(call: Call) -> None:
    """Turn the clock; only with `WAGATE_CLOCK=manual`."""
    _may_drive(call)
    if not isinstance(call.gw.clock, ManualClock):
        raise Conflict("the clock runs by itself: start the gateway with WAGATE_CLOCK=manual to turn it")
    await call.gw.clock.advance(call.body.advance_seconds)


def _step(step: Literal["join", "leave", "request", "promote", "demote"], sentence: str) -> Any:
    async def run(call: Call) -> None:
        person = jid.person(call.body.phone, "phone")
        await _ask(call, MoveMember(group=call.path["gid"], person=person, step=step, invite=call.body.invite))

    run.__doc__ = sentence
    return run


async def _change(call: Call, what: Literal["react", "edit", "revoke", "vote"], **more: Any) -> None:
    sender = jid.person(call.body.from_, "from")
    await _ask(call, ChangeMessage(sender=sender, message=call.path["mid"], what=what, **more))


async def _acknowledge(call: Call, what: Literal["read", "play"]) -> None:
    sender = jid.person(call.body.from_, "from")
    await _ask(call, Acknowledge(sender=sender, message=call.path["mid"], what=what))


def _may_drive(call: Call) -> None:
    if call.found is None and call.caller.session_ids is not UNSET:
        # The network is the whole organization's: other sessions' messages pass through it.
        raise Forbidden("a key that is limited to certain sessions cannot drive the organization's network")


async def _ask(call: Call, action: Action) -> Any:
    _may_drive(call)
    return await actions.ask_network(call.gw, call.caller, action)


def _page(call: Call, rows: Any, following: str) -> PlainPage:
    return page(call, rows, [following] if following else None)


_ERRORS = (BadRequest, NotFound, Conflict, Refused, Unavailable, NoAnswer)


def _operation(id: str, method: str, path: str, run: Any, **more: Any) -> Operation:
    answer = more.pop("answer", None)
    return Operation(
        id=id,
        method=method,
        path="/sandbox" + path,
        run=run,
        tag="sandbox",
        capability=MANAGE,
        answer=answer,
        statuses=(204,) if answer is None else (200,),
        errors=more.pop("errors", _ERRORS),
        sandbox=True,
        **more,
    )


_SESSION = "/sessions/{session}:"
_GROUP = "/groups/{gid}"
OPERATIONS = [
    _operation("sandboxScan", "POST", _SESSION + "scan", scan, body=Scan, answer=Scanned, find=find),
    _operation("sandboxUnlink", "POST", _SESSION + "unlink", unlink, find=find),
    _operation("sandboxBan", "POST", _SESSION + "ban", ban, find=find),
    _operation("sandboxReplace", "POST", _SESSION + "replace", replace, find=find),
    _operation("sandboxDrop", "POST", _SESSION + "drop", drop, body=Drop, find=find),
    _operation(
        "sandboxSay",
        "POST",
        "/messages",
        say,
        body=Say,
        answer=Said,
        max_body=MEDIA_BODY,
        spooled=True,
        errors=(*_ERRORS, PayloadTooLarge),
    ),
    _operation("sandboxReact", "POST", "/messages/{mid}:react", react, body=React),
    _operation("sandboxEdit", "POST", "/messages/{mid}:edit", edit, body=Edit),
    _operation("sandboxRevoke", "POST", "/messages/{mid}:revoke", revoke, body=From),
    _operation("sandboxVote", "POST", "/messages/{mid}:vote", vote, body=Vote),
    _operation("sandboxRead", "POST", "/messages/{mid}:read", read_message, body=From),
    _operation("sandboxPlay", "POST", "/messages/{mid}:play", play_message, body=From),
    _operation("sandboxListMessages", "GET", "/messages", list_shown, query=ShownQuery, answer=Page[Shown]),
    _operation("sandboxMakeGroup", "POST", "/groups", make_group, body=NewGroup, answer=MadeGroup),
    _operation("sandboxGetGroup", "GET", _GROUP, look_at_group, answer=TrueGroup),
    _operation(
        "sandboxJoin", "POST", _GROUP + ":join", _step("join", "A person joins a group by its invite."), body=GroupStep
    ),
    _operation("sandboxLeave", "POST", _GROUP + ":leave", _step("leave", "A person leaves a group."), body=GroupStep),
    _operation(
        "sandboxRequest",
        "POST",
        _GROUP + ":request",
        _step("request", "A person asks to join a group."),
        body=GroupStep,
    ),
    _operation(
        "sandboxPromote", "POST", _GROUP + ":promote", _step("promote", "A member becomes an admin."), body=GroupStep
    ),
    _operation(
        "sandboxDemote", "POST", _GROUP + ":demote", _step("demote", "An admin becomes a member."), body=GroupStep
    ),
    _operation("sandboxChangePerson", "PATCH", "/people/{phone}", change_person, body=ChangePerson),
    _operation("sandboxRing", "POST", "/people/{phone}:call", ring, body=Ringing),
    _operation("sandboxInjectFault", "POST", "/faults", inject_fault, body=Fault),
    _operation("sandboxListFrames", "GET", "/audit", list_frames, query=ListQuery, answer=Page[Frame]),
    _operation("sandboxTurnClock", "POST", "/clock", turn_clock, body=Advance),
]
