"""Webhooks: which there are, and which of them an event is for.

The floor below the event log: `enlist` writes one delivery for each matching webhook in the transaction that records
the event, so that none is lost. What becomes of deliveries is in deliveries.py. Secrets and custom headers are stored
sealed. A key that is limited to sessions sees and makes the webhooks of those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from wagate.backends.database import Reader, Row, Tx
from wagate.backends.guard import FRAMING, HeaderRefused, UrlRefused, judge_header
from wagate.backends.sealing import CannotOpen
from wagate.errors import BadRequest, Forbidden, NotFound
from wagate.gateway import Gateway, Window
from wagate.model import Shape, ids
from wagate.model.organizations import Caller
from wagate.model.signatures import OURS, key_of
from wagate.model.webhooks import CreateWebhook, RetryPolicy, RetryPolicyWish, UpdateWebhook, Webhook

ROTATION_MS = 24 * 3_600_000
"""For how long the previous secret signs beside the newest."""

TEST_EVENT = "webhook.test"
"""For the webhook that is tested alone, which gets it at once: no delivery is written."""

log = structlog.get_logger(__name__)

_COLUMNS = (
    "id, organization_id, url, events, retry_policy, active, ordered, created_at, updated_at, session_id,"
    " custom_headers, secret, previous_secret, previous_until"
)
_GET = f"""
SELECT {_COLUMNS} FROM webhooks WHERE organization_id = :organization_id AND id = :id AND deleted_at IS NULL
"""
_GET_LOCKED = _GET + " {for_update}"
_LIST = f"""
SELECT {_COLUMNS} FROM webhooks WHERE organization_id = :organization_id AND deleted_at IS NULL AND id > :after
ORDER BY id
"""
_INSERT = """
INSERT INTO webhooks (id, organization_id, url, events, every, session_id, retry_policy, active, ordered,
  custom_headers, secret, created_at, updated_at, bound)
VALUES (:id, :organization_id, :url, :events, :every, :session_id, :retry_policy, :active, :ordered,
  :custom_headers, :secret, :now, :now, :bound)
"""
_UPDATE = f"""
UPDATE webhooks SET url = :url, events = :events, every = :every, session_id = :session_id,
  retry_policy = :retry_policy, active = :active, ordered = :ordered, custom_headers = :custom_headers,
  secret = :secret, previous_secret = :previous_secret, previous_until = :previous_until, updated_at = :now,
  failing_since = CASE WHEN active = 0 AND CAST(:active AS BIGINT) = 1 THEN NULL ELSE failing_since END
WHERE organization_id = :organization_id AND id = :id RETURNING {_COLUMNS}
"""
_REORDER = """
UPDATE deliveries SET lane = CASE WHEN :ordered = 1 THEN session_id ELSE NULL END,
  ready = CASE WHEN :ordered = 1 AND EXISTS (SELECT 1 FROM deliveries e WHERE e.webhook_id = deliveries.webhook_id
    AND e.session_id = deliveries.session_id AND e.open = 1 AND e.event_id < deliveries.event_id) THEN 0 ELSE 1 END
WHERE organization_id = :organization_id AND webhook_id = :id AND open = 1
"""
_DELETE = """
UPDATE webhooks SET active = 0, deleted_at = :now, custom_headers = NULL, secret = NULL, previous_secret = NULL
WHERE organization_id = :organization_id AND id = :id
"""
_BOUND = f"""
SELECT {_COLUMNS} FROM webhooks WHERE organization_id = :organization_id AND deleted_at IS NULL AND bound = 1
  AND (:session_id = '' OR session_id = :session_id) ORDER BY id
"""
_UNBIND = """
UPDATE webhooks SET active = 0, deleted_at = :now, custom_headers = NULL, secret = NULL, previous_secret = NULL
WHERE organization_id = :organization_id AND session_id = :session_id AND bound = 1 AND deleted_at IS NULL
RETURNING id
"""
_COUNT = """
UPDATE organizations SET webhooks = (
  SELECT COUNT(*) FROM webhooks w WHERE w.organization_id = organizations.id AND w.active = 1)
WHERE id = :organization_id
"""
LOCK = "SELECT id FROM organizations WHERE id = :organization_id {for_update}"
"""Keeps events of the organization from being recorded meanwhile. Taken before any row of a webhook is."""

_SESSION = "SELECT 1 FROM sessions WHERE organization_id = :organization_id AND id = :id"
_ENLIST = """
INSERT INTO deliveries (webhook_id, event_id, organization_id, session_id, event, timestamp, status, open, lane, ready,
  due_at, created_at, traceparent)
SELECT w.id, CAST(:event_id AS TEXT), w.organization_id, CAST(:session_id AS TEXT), CAST(:event AS TEXT),
  CAST(:now AS BIGINT), 'pending', 1, CASE WHEN w.ordered = 1 THEN CAST(:session_id AS TEXT) ELSE NULL END,
  CASE WHEN w.ordered = 1 AND EXISTS (SELECT 1 FROM deliveries e WHERE e.webhook_id = w.id
    AND e.lane = CAST(:session_id AS TEXT) AND e.open = 1) THEN 0 ELSE 1 END,
  CAST(:now AS BIGINT), CAST(:now AS BIGINT), CAST(:trace AS TEXT)
FROM webhooks w WHERE w.organization_id = :organization_id AND w.active = 1
  AND (w.session_id IS NULL OR w.session_id = CAST(:session_id AS TEXT))
  AND (w.every = 1 OR REPLACE(w.events, CAST(:named AS TEXT), '') <> w.events)
"""
_KEEP = """
UPDATE deliveries SET payload = (
  SELECT e.payload FROM events e WHERE e.organization_id = :organization_id AND e.id = deliveries.event_id)
WHERE organization_id = :organization_id AND open = 1 AND payload IS NULL AND event_id < :before
  AND webhook_id IN (SELECT w.id FROM webhooks w WHERE w.organization_id = :organization_id)
"""


class Receiver(Shape, frozen=True, kw_only=True, dict=True):
    """A webhook as its deliverer needs it, still sealed. What `opened` finds is kept with it, as long as it lives."""

    webhook: Webhook
    headers: str | None
    secrets: list[str]
    """The newest first; the one before as long as it signs."""


async def enlist(tx: Tx, organization_id: str, session_id: str, rows: Sequence[Any]) -> None:
    """Write the deliveries of events that this transaction records. Called by events.record alone.

    `rows` have `id`, `event`, `timestamp` and `trace`, in the log's order, under the lock of the organization's row.
    """
    wanted = [
        {
            "organization_id": organization_id,
            "session_id": session_id,
            "event_id": row["id"],
            "event": row["event"],
            "now": row["timestamp"],
            "trace": row["trace"],
            "named": f"\n{row['event']}\n",
        }
        for row in rows
        if row["event"] != TEST_EVENT
    ]
    await tx.many(_ENLIST, wanted)


async def keep(tx: Tx, organization_id: str, before: str) -> None:
    """Events before this id leave the log: keep what deliveries that are still open will say of them."""
    await tx.run(_KEEP, organization_id=organization_id, before=before)


async def create(gw: Gateway, caller: Caller, wish: CreateWebhook) -> Webhook:
    """A new webhook; it gets what is recorded from now on.

    Raises:
        BadRequest: the URL, a header or the secret cannot be used, or the session is none of the organization's.
        Forbidden: a limited key names no session.
    """
    row = drafted(gw, caller.organization_id, wish)
    await _check_session(gw.db, caller, wish.session_id)

    async def work(tx: Tx) -> None:
        await put(tx, row)

    await gw.db.write(work)
    return await get(gw, caller, row["id"])


def drafted(gw: Gateway, organization_id: str, wish: CreateWebhook, *, bound: bool = False) -> dict[str, Any]:
    """The row of a new webhook, for `put`: judged and sealed. `bound`: it goes when its session is deleted.

    Called by `create`, and by sessions.create for the webhook of a new session.

    Raises:
        BadRequest: the URL, a header or the secret cannot be used.
    """
    judge(gw, wish.url, wish.custom_headers, wish.secret)
    id, now = ids.mint("wh", gw.clock.now()), gw.clock.now()
    return {
        **_row(_names(["*"] if wish.events is None else wish.events), _policy(RetryPolicy(), wish.retry_policy)),
        "id": id,
        "organization_id": organization_id,
        "url": wish.url,
        "session_id": wish.session_id,
        "active": int(wish.active is not False),
        "ordered": int(bool(wish.ordered)),
        "custom_headers": _sealed_headers(gw, id, wish.custom_headers),
        "secret": None if wish.secret is None else gw.sealer.seal(wish.secret, about=f"{id} secret"),
        "now": now,
        "bound": int(bound),
    }


async def put(tx: Tx, row: dict[str, Any]) -> None:
    """Write down a webhook that was drafted."""
    await tx.run(LOCK, organization_id=row["organization_id"])
    await tx.run(_INSERT, **row)
    await recount(tx, row["organization_id"])


async def get(gw: Gateway, caller: Caller, id: str) -> Webhook:
    """The caller's webhook.

    Raises:
        NotFound: absent, another organization's, or not of one of the key's sessions.
    """
    return _webhook(gw, await require(gw.db, caller, id))


async def require(reader: Reader, caller: Caller, id: str, *, lock: bool = False) -> Row:
    """As `get`: the row, also inside a transaction; `lock` keeps others off it."""
    row = await reader.one(_GET_LOCKED if lock else _GET, organization_id=caller.organization_id, id=id)
    if row is None or not _sees(caller, row[9]):
        raise NotFound("webhook not found")
    return row


async def page(gw: Gateway, caller: Caller, window: Window) -> tuple[list[Webhook], list[Any] | None]:
    """The caller's webhooks, oldest first."""
    after = str(window.after[0]) if window.after else ""
    rows = await gw.db.all(_LIST, organization_id=caller.organization_id, after=after)
    seen = [row for row in rows if _sees(caller, row[9])]
    found = [_webhook(gw, row) for row in seen[: window.limit]]
    return found, [found[-1].id] if len(seen) > window.limit else None


async def update(gw: Gateway, caller: Caller, id: str, wish: UpdateWebhook) -> Webhook:
    """Change what is named. Raises what `create` does, and NotFound."""
    headers = wish.custom_headers if isinstance(wish.custom_headers, dict) else None
    judge(gw, wish.url, headers, wish.secret if isinstance(wish.secret, str) else None)
    await require(gw.db, caller, id)
    if not isinstance(wish.session_id, UnsetType):
        await _check_session(gw.db, caller, wish.session_id)
    now = gw.clock.now()

    async def work(tx: Tx) -> Row | None:
        await tx.run(LOCK, organization_id=caller.organization_id)
        old = await require(tx, caller, id, lock=True)
        names = old[3] if wish.events is None else _names(wish.events)
        ordered = old[6] if wish.ordered is None else int(wish.ordered)
        sealed = wish.custom_headers
        row = await tx.one(
            _UPDATE,
            **_row(names, _policy(msgspec.json.decode(old[4], type=RetryPolicy), wish.retry_policy)),
            **_secrets(gw, old, wish.secret, now),
            id=id,
            organization_id=caller.organization_id,
            url=wish.url or old[2],
            session_id=old[9] if isinstance(wish.session_id, UnsetType) else wish.session_id,
            active=old[5] if wish.active is None else int(wish.active),
            ordered=ordered,
            custom_headers=old[10] if isinstance(sealed, UnsetType) else _sealed_headers(gw, id, sealed),
            now=now,
        )
        if ordered != old[6]:
            await tx.run(_REORDER, organization_id=caller.organization_id, id=id, ordered=ordered)
        await tx.run(_COUNT, organization_id=caller.organization_id)
        return row

    row = await gw.db.write(work)
    assert row is not None
    tell_changed(gw, id)
    return _webhook(gw, row)


async def delete(gw: Gateway, caller: Caller, id: str) -> None:
    """Remove a webhook; what was on its way to it is not delivered any more. Its deliveries go piece by piece.

    Raises:
        NotFound: see `get`.
    """

    async def work(tx: Tx) -> None:
        await tx.run(LOCK, organization_id=caller.organization_id)
        await require(tx, caller, id, lock=True)
        await tx.run(_DELETE, organization_id=caller.organization_id, id=id, now=gw.clock.now())
        await recount(tx, caller.organization_id)

    await gw.db.write(work)
    tell_changed(gw, id)


def tell_changed(gw: Gateway, id: str) -> None:
    """Tell deliverers that what they hold of this webhook is old. Only after the commit."""
    gw.broker.publish("webhooks", id.encode())


async def bound(gw: Gateway, caller: Caller, session_id: str = "") -> dict[str, Webhook]:
    """The webhook that goes with each session, or with one, by the session's id.

    Of sessions that the caller has found already.
    """
    rows = await gw.db.all(_BOUND, organization_id=caller.organization_id, session_id=session_id)
    return {row[9]: _webhook(gw, row) for row in rows}


async def unbind(tx: Tx, organization_id: str, session_id: str, *, now: int) -> list[str]:
    """A session goes: remove the webhooks that go with it; their ids, of which deliverers are told after the commit.

    Called by sessions.delete, after the session.
    """
    await tx.run(LOCK, organization_id=organization_id)
    gone = await tx.all(_UNBIND, organization_id=organization_id, session_id=session_id, now=now)
    if gone:
        await recount(tx, organization_id)
    return [row[0] for row in gone]


async def recount(tx: Tx, organization_id: str) -> None:
    """Write down anew how many webhooks of the organization are active, after that changed in this transaction."""
    await tx.run(_COUNT, organization_id=organization_id)


async def receiver(reader: Reader, organization_id: str, id: str, now: int) -> Receiver | None:
    """A webhook for its deliverer, switched on or not; None: it is gone."""
    row = await reader.one(_GET, organization_id=organization_id, id=id)
    return None if row is None else receiver_of(row, now)


def receiver_of(row: Row, now: int) -> Receiver:
    """A row that `require` gave, for its deliverer."""
    secrets = [] if row[11] is None else [row[11]]
    if row[12] is not None and row[13] > now:
        secrets.append(row[12])
    return Receiver(webhook=_shown(row), headers=row[10], secrets=secrets)


def opened(gw: Gateway, receiver: Receiver) -> tuple[dict[str, str], list[str]]:
    """The custom headers that may go out, and the secrets, newest first.

    Raises:
        CannotOpen: they were sealed with another key than this process has.
    """
    kept: tuple[dict[str, str], list[str]] | None = receiver.__dict__.get("opened")
    if kept is None:
        id = receiver.webhook.id
        headers = _opened_headers(gw, id, receiver.headers)
        wanted = {name: value for name, value in headers.items() if name.lower() not in OURS | FRAMING}
        kept = wanted, [gw.sealer.open(each, about=f"{id} secret") for each in receiver.secrets]
        receiver.__dict__["opened"] = kept
    return kept


def judge(gw: Gateway, url: str | None, headers: dict[str, str] | None = None, secret: str | None = None) -> None:
    """Refuse what a webhook cannot have, before anything is made.

    Raises:
        BadRequest: the URL, a header or the secret cannot be used.
    """
    if url is not None:
        try:
            gw.http.judge(url)
        except UrlRefused as refusal:
            raise BadRequest.field("url", refusal.reason) from None
    for name, value in (headers or {}).items():
        try:
            # What only the gateway may set is not refused here: it is left out of the delivery.
            judge_header("x" if name.lower() in FRAMING else name, value)
        except HeaderRefused as refusal:
            raise BadRequest.field("customHeaders", refusal.reason) from None
    if secret is not None:
        key_of(secret)


async def _check_session(reader: Reader, caller: Caller, session_id: str | None) -> None:
    limited = not isinstance(caller.session_ids, UnsetType)
    if session_id is None:
        if limited:
            raise Forbidden("a key that is limited to certain sessions cannot have a webhook for all of them")
        return
    found = await reader.one(_SESSION, organization_id=caller.organization_id, id=session_id)
    if found is None or not _sees(caller, session_id):
        raise BadRequest.field("sessionId", "is not a session of the organization")


def _sees(caller: Caller, session_id: str | None) -> bool:
    return isinstance(caller.session_ids, UnsetType) or session_id in caller.session_ids


def _names(events: Sequence[str]) -> str:
    """Each name once, between line ends."""
    return "".join(f"\n{name}\n" for name in dict.fromkeys(events))


def _row(names: str, policy: RetryPolicy) -> dict[str, Any]:
    every = int("\n*\n" in names)
    return {"events": names, "every": every, "retry_policy": msgspec.json.encode(policy).decode()}


def _policy(old: RetryPolicy, wish: RetryPolicyWish | None) -> RetryPolicy:
    if wish is None:
        return old
    named = {name: value for name, value in msgspec.structs.asdict(wish).items() if value is not None}
    return msgspec.structs.replace(old, **named)


def _secrets(gw: Gateway, old: Row, wish: str | UnsetType | None, now: int) -> dict[str, Any]:
    secret, previous, until = old[11:14]
    if wish is None:
        secret = previous = until = None
    elif not isinstance(wish, UnsetType) and not _is_secret(gw, old, wish):
        previous, until = secret, None if secret is None else now + ROTATION_MS
        secret = gw.sealer.seal(wish, about=f"{old[0]} secret")
    return {"secret": secret, "previous_secret": previous, "previous_until": until}


def _is_secret(gw: Gateway, old: Row, wish: str) -> bool:
    """Whether a webhook's newest secret is this: a change that is asked for twice is made once."""
    try:
        return old[11] is not None and gw.sealer.open(old[11], about=f"{old[0]} secret") == wish
    except CannotOpen:
        return False


def _sealed_headers(gw: Gateway, id: str, headers: dict[str, str] | None) -> str | None:
    return gw.sealer.seal(msgspec.json.encode(headers).decode(), about=f"{id} headers") if headers else None


def _opened_headers(gw: Gateway, id: str, sealed: str | None) -> dict[str, str]:
    if sealed is None:
        return {}
    return msgspec.json.decode(gw.sealer.open(sealed, about=f"{id} headers"), type=dict[str, str])


def _shown(row: Row) -> Webhook:
    return Webhook(
        id=row[0],
        organization_id=row[1],
        url=row[2],
        events=[name for name in row[3].split("\n") if name],
        retry_policy=msgspec.json.decode(row[4], type=RetryPolicy),
        active=row[5] == 1,
        ordered=row[6] == 1,
        created_at=row[7],
        updated_at=row[8],
        session_id=UNSET if row[9] is None else row[9],
    )


def _webhook(gw: Gateway, row: Row) -> Webhook:
    """A row as clients see it; headers that cannot be opened any more hide no webhook."""
    try:
        headers = _opened_headers(gw, row[0], row[10])
    except CannotOpen as failure:
        log.warning("the headers of a webhook are not shown", webhook=row[0], why=str(failure))
        headers = {}
    return msgspec.structs.replace(_shown(row), custom_headers=headers or UNSET)
