"""Live actions: ask the worker that holds a session to do something, and wait for its answer.

Called by api (ask) and by workers, which answer in the form of `Answer`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from wagate.backends.broker import Bell
from wagate.errors import NoAnswer, Unavailable, UnsupportedByEngine, WireError, from_wire
from wagate.gateway import Gateway, leases, sessions, waits
from wagate.model import Shape
from wagate.model.actions import Action
from wagate.model.organizations import Caller
from wagate.model.sessions import PairingCode, Session


class Answer(Shape, frozen=True, kw_only=True):
    """What comes back over the broker: an answer in its action's shape, or an error."""

    answer: msgspec.Raw = msgspec.Raw(b"null")
    error: WireError | None = None


async def require_connected(gw: Gateway, caller: Caller, session_id: str) -> Session:
    """The caller's session, working.

    Raises:
        NotFound: not the caller's session.
        SessionNotConnected: it is not working; told at once.
    """
    session = await sessions.require(gw.db, caller, session_id)
    if session.status != "working":
        raise await waits.offline(gw.db, session, gw.clock.now())
    return session


async def ask(gw: Gateway, caller: Caller, session_id: str, action: Action) -> Any:
    """Have an action performed by whoever holds the session; the answer has the action's `answer` type.

    Raises:
        SessionNotConnected, UnsupportedByEngine: told at once.
        Unavailable: the worker that holds the session does not answer to its name.
        NoAnswer: no answer in time; it may have happened.
        WagateError: what the engine says.
    """
    session = await require_connected(gw, caller, session_id)
    _must_perform(gw, session, action)
    return await _request(gw, f"runner.{session_id}", action)


async def ask_for_code(gw: Gateway, caller: Caller, session_id: str, action: Action) -> PairingCode:
    """Begin linking and have the network give a pairing code.

    Raises:
        BadRequest: the session is linked already.
    """
    session = await sessions.begin_linking(gw, caller, session_id)
    _must_perform(gw, session, action)
    answer: PairingCode = await _request_soon(gw, f"runner.{session_id}", action)
    return answer


async def ask_network(gw: Gateway, caller: Caller, action: Action) -> Any:
    """Have something done to the organization's pretend network by whoever holds it."""
    subject = f"network.{caller.organization_id}"
    try:
        return await _request(gw, subject, action)
    except Unavailable:
        await leases.need_network(gw, caller.organization_id)
        return await _request_soon(gw, subject, action)


_decode = msgspec.json.Decoder(Answer).decode


def encode_answer(answer: Any) -> bytes:
    """What a worker sends back when an action succeeded."""
    return msgspec.json.encode(Answer(answer=msgspec.Raw(msgspec.json.encode(answer))))


def encode_error(error: WireError) -> bytes:
    """What a worker sends back when an action failed."""
    return msgspec.json.encode(Answer(error=error))


def _must_perform(gw: Gateway, session: Session, action: Action) -> None:
    if type(action).__name__ not in gw.rules.engine(session.engine).actions:
        raise UnsupportedByEngine


async def _request(gw: Gateway, subject: str, action: Action) -> Any:
    payload = msgspec.json.encode(action)
    try:
        raw = await gw.broker.request(subject, payload, timeout=gw.rules.action_timeout)
    except TimeoutError:
        raise NoAnswer from None
    answer = _decode(raw)
    if answer.error is not None:
        raise from_wire(answer.error)
    if type(action).answer is None:
        return None
    return msgspec.json.decode(answer.answer, type=type(action).answer)


async def _request_soon(gw: Gateway, subject: str, action: Action) -> Any:
    """As `_request`, but somebody is on the way to hold the subject: wait for them."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + gw.rules.action_timeout
    with Bell(gw.broker, f"{subject}.here", "closing") as bell, Bell(gw.broker, "closing") as closing:
        while True:
            bell.rung = False
            try:
                return await _request(gw, subject, action)
            except Unavailable:
                left = deadline - loop.time()
                if left <= 0 or closing.rung:
                    raise
                await bell.wait(min(left, 0.25))
