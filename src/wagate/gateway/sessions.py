"""Sessions: what an organization wants of them, and how they stand.

A row holds two sides. `wanted` (none, run, restart, link, logout) is the organization's wish, written here by routes.
`status` is how it stands, written by the worker that holds the session's lease (see leases.py). Every change of status
is an event in the same transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType

from wagate.backends.broker import Bell
from wagate.backends.database import Reader, Row, Tx
from wagate.errors import BadRequest, Conflict, Forbidden, NotFound
from wagate.gateway import Gateway, Window, events, proxies, webhooks
from wagate.model import ids
from wagate.model.events import SessionStatus
from wagate.model.organizations import Caller
from wagate.model.sessions import CreateSession, Me, QrCode, Reason, Session, Status, UpdateSession
from wagate.model.webhooks import CreateWebhook

_COLUMNS = (
    "id, organization_id, gateway_id, status, status_reason, is_admin_session, auto_read, presence_typing,"
    " rate_per_min, rate_per_hour, created_at, updated_at, label, created_by_user_id, phone_number, wa_jid, wa_lid,"
    " last_connected_at, engine, proxy"
)
_GET = f"SELECT {_COLUMNS} FROM sessions WHERE organization_id = :organization_id AND id = :id"
_GET_LOCKED = _GET + " {for_update}"
_LIST = f"""
SELECT {_COLUMNS} FROM sessions WHERE organization_id = :organization_id AND id > :after ORDER BY id LIMIT :limit
"""
_LIST_ALL = f"""
-- any organization: the platform's own view
SELECT {_COLUMNS} FROM sessions WHERE id > :after ORDER BY id LIMIT :limit
"""
_INSERT = """
INSERT INTO sessions (id, organization_id, engine, status, wanted, label, created_by_user_id, auto_read,
  presence_typing, rate_per_min, rate_per_hour, created_at, updated_at, gateway_id, proxy, remarks)
VALUES (:id, :organization_id, :engine, 'stopped', 'none', :label, :user_id, :auto_read, :presence_typing,
  :rate_per_min, :rate_per_hour, :now, :now, :node, :proxy, :remarks)
"""
_UPDATE = f"""
UPDATE sessions SET label = :label, auto_read = :auto_read, presence_typing = :presence_typing,
  rate_per_min = :rate_per_min, rate_per_hour = :rate_per_hour, proxy = :proxy, updated_at = :now
WHERE organization_id = :organization_id AND id = :id RETURNING {_COLUMNS}
"""
_WANT = f"""
UPDATE sessions SET wanted = :wanted, status = :status, status_reason = :reason, qr_code = NULL, qr_expires_at = NULL,
  updated_at = :now
WHERE organization_id = :organization_id AND id = :id RETURNING {_COLUMNS}
"""
_QR = "SELECT qr_code, qr_expires_at FROM sessions WHERE organization_id = :organization_id AND id = :id"
_FORGET = f"""
UPDATE sessions SET wanted = 'none', status = 'logged_out', status_reason = :reason, phone_number = NULL, wa_jid = NULL,
  wa_lid = NULL, qr_code = NULL, qr_expires_at = NULL, updated_at = :now
WHERE organization_id = :organization_id AND id = :id RETURNING {_COLUMNS}
"""
_NAMED = """
SELECT id FROM sessions WHERE organization_id = :organization_id AND label = :label
  AND (:everything = 1 OR id IN ({each:ids})) ORDER BY id LIMIT 2
"""
_REMARKS = """
SELECT id, remarks FROM sessions
WHERE organization_id = :organization_id AND remarks IS NOT NULL AND (:id = '' OR id = :id)
"""
_DELETE = "DELETE FROM sessions WHERE organization_id = :organization_id AND id = :id"
_PURGE = "INSERT INTO purges (session_id, organization_id, engine) VALUES (:id, :organization_id, :engine)"
_COUNT = """
-- any organization: a number for the operator's metrics
SELECT status, COUNT(*) FROM sessions GROUP BY status
"""

_OTHERS = """
-- any organization: a question of the whole process
SELECT 1 FROM sessions WHERE engine <> :engine LIMIT 1
"""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has from its first moment on and no native request says.

    `remarks` are kept as they are; `rates`, sends a minute and an hour, are in place of the operator's; `webhook` is
    the session's own, and goes when it goes.
    """

    remarks: str | None = None
    rates: tuple[int, int] | None = None
    webhook: CreateWebhook | None = None


PLAIN = Setup()
"""As the native API makes them."""


async def create(gw: Gateway, caller: Caller, wish: CreateSession, *, setup: Setup = PLAIN) -> Session:
    """A new session, stopped, or on its way to being linked with `start`: whole, or not at all.

    Raises:
        Forbidden: the key is limited to certain sessions.
        BadRequest: the engine does not exist or is switched off, or there can be no such webhook.
    """
    if caller.session_ids is not UNSET:
        raise Forbidden("a key that is limited to certain sessions cannot create one")
    engine = wish.engine or gw.rules.default_engine
    if engine not in gw.rules.engines:
        raise BadRequest.field("engine", f"`{engine}` is not switched on here")
    id, now = ids.mint("ses", gw.clock.now()), gw.clock.now()
    proxy = proxies.sealed(gw, id, engine, wish.proxy_url)
    rate_per_min, rate_per_hour = setup.rates or (gw.rules.rate_per_min, gw.rules.rate_per_hour)
    hook = None
    if setup.webhook is not None:
        of_this = msgspec.structs.replace(setup.webhook, session_id=id)
        hook = webhooks.drafted(gw, caller.organization_id, of_this, bound=True)

    async def work(tx: Tx) -> Session:
        await tx.run(
            _INSERT,
            id=id,
            organization_id=caller.organization_id,
            engine=engine,
            label=wish.label,
            user_id=caller.user_id if isinstance(caller.user_id, str) else None,
            auto_read=int(gw.rules.auto_read if wish.auto_read is None else wish.auto_read),
            presence_typing=int(bool(wish.presence_typing)),
            rate_per_min=rate_per_min,
            rate_per_hour=rate_per_hour,
            now=now,
            node=gw.rules.node,
            proxy=proxy,
            remarks=setup.remarks,
        )
        if hook is not None:
            await webhooks.put(tx, hook)
        made = await require(tx, caller, id)
        return await _wish(tx, now, made, "link", "starting") if wish.start else made

    made = await gw.db.write(work)
    if wish.start:
        hint(gw, id)
        events.hint(gw, caller.organization_id)
    return made


async def get(gw: Gateway, caller: Caller, id: str) -> Session:
    """The caller's session.

    Raises:
        NotFound: absent, another organization's, or not one of the key's.
    """
    return await require(gw.db, caller, id)


async def require(reader: Reader, caller: Caller, id: str, *, lock: bool = False) -> Session:
    """As `get`, also inside a transaction, where `lock` keeps others off the row. Every noun begins with this."""
    if isinstance(caller.session_ids, UnsetType) or id in caller.session_ids:
        row = await reader.one(_GET_LOCKED if lock else _GET, organization_id=caller.organization_id, id=id)
        if row is not None:
            return session(row)
    raise NotFound("session not found")


async def named(gw: Gateway, caller: Caller, label: str) -> Session:
    """The one of the caller's sessions that has this label.

    Raises:
        NotFound: none has.
        Conflict: several have.
    """
    limits = caller.session_ids
    rows = await gw.db.all(
        _NAMED,
        organization_id=caller.organization_id,
        label=label,
        everything=int(isinstance(limits, UnsetType)),
        ids="[]" if isinstance(limits, UnsetType) else msgspec.json.encode(sorted(limits)).decode(),
    )
    if not rows:
        raise NotFound("session not found")
    if len(rows) > 1:
        raise Conflict("several sessions are called so; name one by its id")
    return await get(gw, caller, rows[0][0])


async def remarks(gw: Gateway, caller: Caller, id: str = "") -> dict[str, str]:
    """What was kept of the organization's sessions, or of one, when they were created; those without are not there.

    Of sessions that the caller has found already.
    """
    rows = await gw.db.all(_REMARKS, organization_id=caller.organization_id, id=id)
    return {row[0]: row[1] for row in rows}


async def page(gw: Gateway, caller: Caller, window: Window) -> tuple[list[Session], Any]:
    """The caller's sessions, oldest first, and where the next page begins."""
    start, found = (str(window.after[0]) if window.after else ""), list[Session]()
    while len(found) < window.limit:
        rows = await gw.db.all(_LIST, organization_id=caller.organization_id, after=start, limit=window.limit + 1)
        for row in rows:
            if isinstance(caller.session_ids, UnsetType) or row[0] in caller.session_ids:
                if len(found) == window.limit:
                    return found, [found[-1].id]
                found.append(session(row))
            start = row[0]
        if len(rows) <= window.limit:
            return found, None
    more = await gw.db.one(_LIST, organization_id=caller.organization_id, after=start, limit=1)
    return found, None if more is None else [start]


async def page_of_all(gw: Gateway, window: Window) -> tuple[list[Session], list[Any] | None]:
    """The sessions of all organizations, oldest first. For the platform's operator only."""
    after = str(window.after[0]) if window.after else ""
    rows = await gw.db.all(_LIST_ALL, after=after, limit=window.limit + 1)
    found = [session(row) for row in rows[: window.limit]]
    return found, [found[-1].id] if len(rows) > window.limit else None


async def update(gw: Gateway, caller: Caller, id: str, wish: UpdateSession) -> Session:
    """Change settings; absent ones stay. Another proxy is taken at the next start or restart.

    Raises:
        BadRequest: a proxy that cannot be used.
    """

    async def work(tx: Tx) -> Row | None:
        old = await require(tx, caller, id)
        proxy = await proxies.kept(tx, caller.organization_id, id)
        return await tx.one(
            _UPDATE,
            organization_id=caller.organization_id,
            id=id,
            now=gw.clock.now(),
            label=wish.label if wish.label is not None else (old.label if isinstance(old.label, str) else None),
            auto_read=int(old.auto_read if wish.auto_read is None else wish.auto_read),
            presence_typing=int(old.presence_typing if wish.presence_typing is None else wish.presence_typing),
            rate_per_min=old.rate_per_min if wish.rate_per_min is None else wish.rate_per_min,
            rate_per_hour=old.rate_per_hour if wish.rate_per_hour is None else wish.rate_per_hour,
            proxy=proxies.sealed(gw, id, old.engine, wish.proxy_url, old=proxy),
        )

    row = await gw.db.write(work)
    assert row is not None
    hint(gw, id)
    return session(row)


async def delete(gw: Gateway, caller: Caller, id: str) -> None:
    """Remove a session, its keys, its stored data and the webhooks that were made with it; the phone is not told.

    Its data goes piece by piece later on.
    """

    async def work(tx: Tx) -> list[str]:
        gone = await require(tx, caller, id)
        await tx.run(_DELETE, organization_id=caller.organization_id, id=id)
        unbound = await webhooks.unbind(tx, caller.organization_id, id, now=gw.clock.now())
        await tx.run(_PURGE, organization_id=caller.organization_id, id=id, engine=gone.engine)
        return unbound

    for webhook_id in await gw.db.write(work):
        webhooks.tell_changed(gw, webhook_id)
    hint(gw, id)


async def start(gw: Gateway, caller: Caller, id: str) -> Session:
    """Connect a linked session; nothing if it runs.

    Raises:
        BadRequest: not linked yet.
    """
    now = await require(gw.db, caller, id)
    _must_be_linked(now)
    if now.status in ("starting", "working"):
        return now
    return await want(gw, caller, id, "run")


async def stop(gw: Gateway, caller: Caller, id: str) -> Session:
    """Disconnect; what links it is kept. Nothing if it does not run."""
    now = await require(gw.db, caller, id)
    if now.status in ("stopped", "logged_out"):
        return now
    return await want(gw, caller, id, "none", status="stopped")


async def restart(gw: Gateway, caller: Caller, id: str) -> Session:
    """Disconnect and connect again.

    Raises:
        BadRequest: not linked yet.
    """
    _must_be_linked(await require(gw.db, caller, id))
    return await want(gw, caller, id, "restart")


async def logout(gw: Gateway, caller: Caller, id: str, *, timeout: float = 10.0) -> Session:
    """Unlink; nothing if not linked. When the network cannot be told in time the keys go all the same."""
    now = await require(gw.db, caller, id)
    if isinstance(now.wa_jid, UnsetType):
        return now
    await want(gw, caller, id, "logout", status=now.status if now.status == "working" else "starting")
    done = await wait(gw, caller, id, until=lambda s: s.status == "logged_out", timeout=timeout)
    if done.status == "logged_out":
        return done

    async def work(tx: Tx) -> Session:
        return await forget(tx, caller.organization_id, id, now=gw.clock.now(), reason="unlink_unconfirmed")

    gone = await gw.db.write(work)
    hint(gw, id)
    events.hint(gw, caller.organization_id)
    return gone


async def me(gw: Gateway, caller: Caller, id: str) -> Me:
    """The account behind a session.

    Raises:
        NotFound: not linked.
    """
    now = await require(gw.db, caller, id)
    if isinstance(now.wa_jid, UnsetType):
        raise NotFound("session is not linked")
    return Me(
        session_id=id,
        status=now.status,
        connected=now.status == "working",
        phone_number=now.phone_number,
        wa_jid=now.wa_jid,
        wa_lid=now.wa_lid,
    )


async def qr(gw: Gateway, caller: Caller, id: str) -> QrCode:
    """The present code; asking begins linking.

    Raises:
        BadRequest: already linked.
        NotFound: no code yet.
    """
    await begin_linking(gw, caller, id)
    row = await gw.db.one(_QR, organization_id=caller.organization_id, id=id)
    if row is None or row[0] is None or row[1] <= gw.clock.now():
        raise NotFound("no QR code is ready yet")
    return QrCode(code=row[0], expires_at=row[1])


async def begin_linking(gw: Gateway, caller: Caller, id: str) -> Session:
    """See to it that an unlinked session waits for a phone.

    Raises:
        BadRequest: already linked.
    """
    now = await require(gw.db, caller, id)
    if not isinstance(now.wa_jid, UnsetType):
        raise BadRequest("the session is linked already")
    if now.status in ("starting", "scan_qr_code"):
        return now
    return await want(gw, caller, id, "link")


async def want(gw: Gateway, caller: Caller, id: str, wanted: str, *, status: Status = "starting") -> Session:
    """Write down what the organization wants, and wake whoever brings it about."""

    async def work(tx: Tx) -> Session:
        return await _wish(tx, gw.clock.now(), await require(tx, caller, id), wanted, status)

    changed = await gw.db.write(work)
    hint(gw, id)
    events.hint(gw, caller.organization_id)
    return changed


async def _wish(tx: Tx, now: int, before: Session, wanted: str, status: Status) -> Session:
    here = {"organization_id": before.organization_id, "id": before.id}
    row = await tx.one(_WANT, **here, wanted=wanted, status=status, reason=None, now=now)
    assert row is not None
    if before.status != status:
        await record_status(tx, now, session(row))
    return session(row)


async def forget(tx: Tx, organization_id: str, id: str, *, now: int, reason: Reason | None) -> Session:
    """The link is gone: no keys, no number; stored chats stay."""
    row = await tx.one(_FORGET, organization_id=organization_id, id=id, reason=reason, now=now)
    if row is None:
        raise NotFound("session not found")
    await record_status(tx, now, session(row))
    return session(row)


async def record_status(tx: Tx, now: int, changed: Session) -> None:
    """Write the event of a status that changed in this transaction."""
    payload = SessionStatus(status=changed.status, reason=changed.status_reason)
    facts: list[events.Fact] = [("session.status", payload)]
    await events.record(tx, now, changed.organization_id, session_id=changed.id, facts=facts)


async def wait(gw: Gateway, caller: Caller, id: str, *, until: Callable[[Session], bool], timeout: float) -> Session:
    """The session as soon as `until` holds of it, or as it is after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    with Bell(gw.broker, f"sessions.{id}", "closing") as bell, Bell(gw.broker, "closing") as closing:
        while True:
            bell.rung = False
            now = await require(gw.db, caller, id)
            left = deadline - loop.time()
            if until(now) or left <= 0 or closing.rung:
                return now
            await bell.wait(min(left, 1.0))


async def count_by_status(gw: Gateway) -> dict[str, int]:
    """How many sessions stand how, of all organizations. For metrics."""
    counts: dict[str, int] = dict.fromkeys(get_args(Status), 0)
    return counts | {row[0]: row[1] for row in await gw.db.all(_COUNT)}


async def other_engines(gw: Gateway, engine: str) -> bool:
    """Whether any organization has a session of an engine other than this one. Asked at the start."""
    return await gw.db.one(_OTHERS, engine=engine) is not None


def hint(gw: Gateway, id: str) -> None:
    """Wake the supervisor, and whoever waits for this session. Only after the commit."""
    gw.broker.publish("sessions", id.encode())
    gw.broker.publish(f"sessions.{id}")


def session(row: Row) -> Session:
    """A row of `_COLUMNS` as clients see it."""
    return Session(
        id=row[0],
        organization_id=row[1],
        gateway_id=row[2],
        status=row[3],
        status_reason=_maybe(row[4]),
        is_admin_session=row[5] == 1,
        auto_read=row[6] == 1,
        presence_typing=row[7] == 1,
        rate_per_min=row[8],
        rate_per_hour=row[9],
        created_at=row[10],
        updated_at=row[11],
        label=_maybe(row[12]),
        created_by_user_id=_maybe(row[13]),
        phone_number=_maybe(row[14]),
        wa_jid=_maybe(row[15]),
        wa_lid=_maybe(row[16]),
        last_connected_at=_maybe(row[17]),
        engine=row[18],
        has_proxy=row[19] is not None,
    )


def _must_be_linked(now: Session) -> None:
    if isinstance(now.wa_jid, UnsetType):
        raise BadRequest("the session is not linked to a phone yet")


def _maybe(value: Any) -> Any:
    return UNSET if value is None else value
