"""The bytes of a message: ours at once, the network's fetched once, then kept like ours.

What was sent from here has its bytes from the beginning. What arrived has only the network's word for where they are,
until somebody asks for them, or at once where the operator wants that; from then on the stored content holds our id.
Called by api/media (open) and workers/fetcher (fetch).
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.backends.blobs import BlobFile
from wagate.backends.database import Reader, Row, Tx
from wagate.errors import Gone, NotFound
from wagate.gateway import Gateway, actions, contacts, contents, media, sessions
from wagate.model.actions import FetchMedia
from wagate.model.contents import Content, Media
from wagate.model.filetypes import UNKNOWN
from wagate.model.media import FetchedMedia, StoredMedia
from wagate.model.organizations import Caller

_MESSAGE = """
SELECT id, content FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND wire_id = :wire_id AND (:chat = '' OR chat_jid = :chat) ORDER BY position DESC LIMIT 1
"""
_AGAIN = """
SELECT id, content FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND wire_id = :wire_id AND id = :id {for_update}
"""
_HOLDS = """
UPDATE messages SET content = :content WHERE organization_id = :organization_id AND session_id = :session_id
  AND wire_id = :wire_id AND id = :id
"""
_BEGIN = """
INSERT INTO media (id, organization_id, session_id, mimetype, filename, size, sha256, created_at, expires_at)
VALUES (:id, :organization_id, :session_id, :mimetype, :filename, 0, '', :now, :expires_at)
ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, expires_at = excluded.expires_at, gone_at = NULL
"""
_FETCHED = """
UPDATE media SET size = :size, sha256 = :sha256, expires_at = :expires_at
WHERE organization_id = :organization_id AND id = :id
"""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a session; `chat` None: the newest with this wire id."""

    session_id: str
    wire_id: str
    chat: str | None = None


async def open(gw: Gateway, caller: Caller, where: Where) -> tuple[StoredMedia, BlobFile]:
    """The file of a message, fetched from the network if it is not here yet.

    Raises:
        NotFound: no such message, or it has no media (any more).
        Gone: its days are over, or the network no longer has it.
        SessionNotConnected, UnsupportedByEngine, Unavailable, NoAnswer: it is not here and cannot be fetched now.
    """
    id = await fetch(gw, caller, where)
    session = (caller.organization_id, where.session_id)
    known = await media.stored(gw.db, session, id, now=gw.clock.now())
    blob = None if known is None else await gw.blobs.open(id)
    if known is None or blob is None:
        raise Gone("the media is no longer kept")
    return known, blob


async def fetch(gw: Gateway, caller: Caller, where: Where) -> str:
    """See to it that a message's bytes are here; the id under which they are, or were. Raises as `open` does."""
    await sessions.require(gw.db, caller, where.session_id)
    row = await _message(gw, caller, where)
    known = None if row is None else _file(row)
    if row is None or known is None:
        raise NotFound("message not found" if row is None else "the message has no media")
    if isinstance(known.id, str):
        return known.id
    message = str(row[0])
    task = gw.underway.get(message)
    if task is None:
        task = gw.underway[message] = asyncio.ensure_future(_fetch(gw, caller, where, (message, known)))
        task.add_done_callback(lambda done: _over(gw, message, done))
    # Who asked first may go away; the others still wait for it.
    id: str = await asyncio.shield(task)
    return id


def _over(gw: Gateway, message: str, done: asyncio.Task[Any]) -> None:
    del gw.underway[message]
    if not done.cancelled():
        # Told to whoever still waits.
        done.exception()


async def _fetch(gw: Gateway, caller: Caller, where: Where, message: tuple[str, Media]) -> str:
    """Fetch into a row of its own; only once the bytes are here the message holds them."""
    row_id, known = message
    await actions.require_connected(gw, caller, where.session_id)
    # An id that follows from the message: two processes that fetch at once fetch the same.
    id = f"med_{row_id.removeprefix('msg_')}"
    now = gw.clock.now()
    row = {
        "id": id,
        "organization_id": caller.organization_id,
        "session_id": where.session_id,
        "mimetype": known.mimetype or UNKNOWN,
        "filename": known.filename or None,
        "now": now,
        "expires_at": now + media.SPARE_MS,
    }

    async def begin(tx: Tx) -> None:
        await tx.run(_BEGIN, **row)

    await gw.db.write(begin)
    asked = FetchMedia(media=known, into=id)
    fetched: FetchedMedia = await actions.ask(gw, caller, where.session_id, asked)

    async def keep(tx: Tx) -> bool:
        return await _keep(tx, caller, where, (row_id, id, fetched, _until(gw)))

    if not await gw.db.write(keep):
        await media.discard(gw, caller, [Media(mimetype=known.mimetype, id=id)])
        raise NotFound("the message has no media")
    return id


async def _keep(tx: Tx, caller: Caller, where: Where, held: tuple[str, str, FetchedMedia, int]) -> bool:
    """The stored message holds what was fetched; False: it has no media any more."""
    message, id, fetched, until = held
    here = {"organization_id": caller.organization_id, "session_id": where.session_id, "wire_id": where.wire_id}
    row = await tx.one(_AGAIN, **here, id=message)
    if row is None or _file(row) is None:
        return False

    def ours(file: Media) -> Media:
        return msgspec.structs.replace(file, id=id, size=fetched.size, sha256=fetched.sha256)

    content: Content = media.with_files(contents.decode(row[1]), ours)
    await tx.run(_HOLDS, **here, id=message, content=msgspec.json.encode(content).decode())
    await tx.run(
        _FETCHED,
        organization_id=caller.organization_id,
        id=id,
        size=fetched.size,
        sha256=fetched.sha256,
        expires_at=until,
    )
    return True


async def _message(gw: Gateway, caller: Caller, where: Where) -> Row | None:
    here = {"organization_id": caller.organization_id, "session_id": where.session_id, "wire_id": where.wire_id}
    return await gw.db.one(_MESSAGE, **here, chat=await _chat(gw.db, caller, where))


async def _chat(reader: Reader, caller: Caller, where: Where) -> str:
    if where.chat is None:
        return ""
    return await contacts.resolve(reader, caller.organization_id, where.session_id, where.chat)


def _until(gw: Gateway) -> int:
    return gw.clock.now() + gw.rules.media_days * media.DAY_MS


def _file(row: Row) -> Media | None:
    """The file of a stored message that is here or can be fetched."""
    found = media.files_of(contents.decode(row[1]))
    return found[0] if found and (found[0].id is not UNSET or found[0].ref is not UNSET) else None
