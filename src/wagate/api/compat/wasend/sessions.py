"""Sessions and the account: made, looked at, deleted."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from wagate.api.compat.wasend.naming import moment
from wagate.api.compat.wasend.serving import served
from wagate.api.lists import EVERYTHING
from wagate.api.operations import MANAGE, Call
from wagate.api.sessions import LOOK
from wagate.errors import BadRequest, Forbidden, NotFound
from wagate.gateway import Gateway, Window, budgets, organizations, sessions, webhooks
from wagate.gateway.sessions import Setup
from wagate.model import Ask, Line, Maybe, Shape, jid
from wagate.model.sessions import CreateSession, Label, Session
from wagate.model.webhooks import CreateWebhook, Webhook

_STATUS = {
    "stopped": "STOPPED",
    "starting": "STARTING",
    "scan_qr_code": "SCAN_QR_CODE",
    "working": "CONNECTED",
    "failed": "ERROR",
    "logged_out": "STOPPED",
}
"""A session's status as the SDK's guide calls it; it has no word for a code that waits to be scanned."""
_BELOW = _STATUS | {"working": "WORKING", "failed": "FAILED"}
"""The same in the words of what the SDK calls downstream."""


class NewSession(Ask, frozen=True, kw_only=True):
    """What a new session is to be."""

    session_name: Annotated[Label, Meta(min_length=1)]
    phone_number: Annotated[Line, Meta(min_length=5, max_length=32)]
    enable_account_protection: bool | None = None
    enable_message_logging: bool | None = None
    enable_webhook: bool | None = None
    webhook_url: Annotated[Line, Meta(max_length=2048)] | None = None


class Remarks(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of what a session's maker said, because no rule of ours needs it."""

    phone: str
    message_logging: bool


class Metadata(Shape, frozen=True, kw_only=True):
    """Whose a session is."""

    user_id: str
    user_email: str = ""


class NowebStore(Shape, frozen=True, kw_only=True):
    """Whether messages are stored, and how much of what was before is."""

    enabled: bool = True
    full_sync: bool = False


class Noweb(Shape, frozen=True, kw_only=True):
    """How the account shows itself."""

    mark_online: bool = False
    store: NowebStore = NowebStore()


class Switches(Shape, frozen=True, kw_only=True):
    """The three switches that a session was made with, as they stand now."""

    enable_account_protection: bool
    enable_message_logging: bool
    enable_webhook: bool


class Config(Switches, frozen=True, kw_only=True):
    """How a session is set up. `debug`, `noweb` and the metadata's address have no counterpart here."""

    metadata: Metadata
    debug: bool = False
    noweb: Noweb = Noweb()
    webhooks: list[dict[str, Any]] = []


class Grpc(Shape, frozen=True, kw_only=True):
    """Always empty: no such process stands behind a session here."""

    client: str = ""
    stream: str = ""


class Gows(Shape, frozen=True, kw_only=True):
    """Whether the session's engine is there and connected."""

    found: bool
    connected: bool


class EngineStatus(Shape, frozen=True, kw_only=True):
    """How a session's engine stands."""

    grpc: Grpc = Grpc()
    gows: Gows


class Details(Switches, frozen=True, kw_only=True):
    """A session in lists. Times in ISO 8601; `phoneNumber` is the account's once it is linked, before that the one that
    was said, or empty.
    """

    id: str
    unique_session_id: str
    user_id: str
    session_name: str
    phone_number: str
    created_at: str
    updated_at: str
    webhook_url: Maybe[str] = UNSET
    status: str


class Whole(Details, frozen=True, kw_only=True):
    """A session by itself."""

    name: str
    config: Config
    engine: EngineStatus


class Downstream(Shape, frozen=True, kw_only=True):
    """How a session stands with the network."""

    name: str
    status: str
    config: Config
    engine: EngineStatus


class Listed(Shape, frozen=True, kw_only=True):
    """One session of a list."""

    session: Details
    downstream: Downstream


class SessionList(Shape, frozen=True, kw_only=True):
    """All sessions that the key may see."""

    sessions: list[Listed]


class Account(Shape, frozen=True, kw_only=True):
    """Whose key this is. There are no plans here."""

    id: str
    name: str
    plan: str = "self-hosted"


class Done(Shape, frozen=True, kw_only=True):
    """What was asked for is done."""

    success: bool = True
    message: str


async def create_session(call: Call) -> Whole:
    """Create a session on the gateway's default engine, with its budget and its webhook."""
    body: NewSession = call.body
    said = Remarks(phone=jid.phone(body.phone_number, "phoneNumber"), message_logging=bool(body.enable_message_logging))
    setup = Setup(
        remarks=msgspec.json.encode(said).decode(),
        rates=budgets.protecting(call.gw.rules, body.enable_account_protection),
        webhook=_hook(call.gw, body),
    )
    wish = CreateSession(label=body.session_name)
    return await whole(call, await sessions.create(call.gw, call.caller, wish, setup=setup))


def _hook(gw: Gateway, body: NewSession) -> CreateWebhook | None:
    """The webhook that goes with the session; switched off it keeps the URL."""
    if not body.webhook_url:
        if body.enable_webhook:
            raise BadRequest.field("webhookUrl", "is needed where enableWebhook is true")
        return None
    try:
        webhooks.judge(gw, body.webhook_url)
    except BadRequest as error:
        raise BadRequest.field("webhookUrl", error.message.removeprefix("url: ")) from None
    return CreateWebhook(url=body.webhook_url, active=bool(body.enable_webhook))


async def list_sessions(call: Call) -> SessionList:
    """List the sessions that the key may see."""
    rows, _ = await sessions.page(call.gw, call.caller, Window(EVERYTHING))
    said = await sessions.remarks(call.gw, call.caller)
    hooks = await webhooks.bound(call.gw, call.caller)
    listed = [_told(call, row, said.get(row.id), hooks.get(row.id)) for row in rows]
    return SessionList(
        sessions=[
            Listed(
                session=msgspec.convert(msgspec.to_builtins(each), Details),
                downstream=Downstream(
                    name=each.name, status=_BELOW[row.status], config=each.config, engine=each.engine
                ),
            )
            for row, each in zip(rows, listed, strict=True)
        ]
    )


async def get_session(call: Call) -> Whole:
    """Get a session."""
    return await whole(call, call.found)


async def delete_session(call: Call) -> Done:
    """Delete a session, its keys, its stored data and the webhook that was made with it."""
    await sessions.delete(call.gw, call.caller, call.path["session"])
    return Done(message="the session is deleted")


async def get_account(call: Call) -> Account:
    """Get the organization that the key belongs to."""
    mine = await organizations.find(call.gw, call.caller.organization_id)
    if mine is None:
        raise NotFound("account not found")
    return Account(id=mine.id, name=mine.name)


async def whole(call: Call, session: Session) -> Whole:
    """A session with all that is told of it."""
    said = await sessions.remarks(call.gw, call.caller, session.id)
    hooks = await webhooks.bound(call.gw, call.caller, session.id)
    return _told(call, session, said.get(session.id), hooks.get(session.id))


def _told(call: Call, session: Session, said: str | None, hook: Webhook | None) -> Whole:
    remarks = Remarks(phone="", message_logging=True) if said is None else msgspec.json.decode(said, type=Remarks)
    number = session.phone_number or remarks.phone
    switches: dict[str, Any] = {
        "enable_account_protection": budgets.limited(session),
        "enable_message_logging": remarks.message_logging,
        "enable_webhook": hook is not None and hook.active,
    }
    # Where a webhook leads may be a secret: it is shown to those who may see it natively.
    shown = hook if MANAGE & call.caller.capabilities else None
    config = Config(
        metadata=Metadata(user_id=session.organization_id),
        webhooks=[] if shown is None else [{"url": shown.url, "events": shown.events}],
        **switches,
    )
    return Whole(
        id=session.id,
        unique_session_id=session.id,
        user_id=session.organization_id,
        session_name=session.label or "",
        phone_number=f"+{number}" if number else "",
        created_at=moment(session.created_at),
        updated_at=moment(session.updated_at),
        webhook_url=UNSET if shown is None else shown.url,
        name=session.id,
        status="CREATED" if session.status == "stopped" and not session.wa_jid else _STATUS[session.status],
        config=config,
        engine=EngineStatus(gows=Gows(found=True, connected=session.status == "working")),
        **switches,
    )


_WORDS = "Statuses are CREATED, STARTING, SCAN_QR_CODE, CONNECTED, STOPPED and ERROR."
_HIDDEN = "Where its webhook leads is shown to keys that may `manage`."
SERVED = [
    served(
        "createSession",
        "POST /sessions",
        create_session,
        sdk="createSession",
        capability=MANAGE,
        body=NewSession,
        answer=Whole,
        statuses=(201,),
        errors=(BadRequest, Forbidden),
        difference="The session runs on the gateway's default engine. enableAccountProtection is its send budget: true "
        "the operator's (20 a minute and 200 an hour where that is unlimited), false none, absent the operator's. "
        "enableMessageLogging is kept and shown; messages are stored either way, for chats are read from the store. "
        "With a webhookUrl a webhook for all of its events is made, active if enableWebhook is true, and deleted with "
        "the session. " + _WORDS,
    ),
    served(
        "retrieveAllSessions",
        "GET /sessions",
        list_sessions,
        sdk="retrieveAllSessions",
        capability=LOOK,
        answer=SessionList,
        difference="`session` has a status too; `downstream` says WORKING and FAILED for CONNECTED and ERROR. "
        f"{_HIDDEN}",
    ),
    served(
        "retrieveSessionInfo",
        "GET /sessions/{session}",
        get_session,
        sdk="retrieveSessionInfo",
        capability=LOOK,
        answer=Whole,
        difference="`config` holds the switches too. `grpc`, `noweb`, `debug` and `userEmail` have no counterpart and "
        f"are empty or false. {_HIDDEN}",
    ),
    served(
        "deleteSession",
        "DELETE /sessions/{session}",
        delete_session,
        sdk="deleteSession",
        capability=MANAGE,
        answer=Done,
    ),
    served(
        "retrieveAccount",
        "GET /account",
        get_account,
        sdk="retrieveAccount",
        capability=LOOK,
        answer=Account,
        difference="The organization that the key belongs to; there are no plans.",
    ),
]
