"""Media: files that wait to be said, and files of messages, until their days are over.

A row is written before the bytes come, and says until when they are wanted; whatever goes wrong in between, the row
falls due and takes the bytes with it. A file that was taken in for a message is spare for an hour, until the
transaction that accepts the message keeps it (`keep`). An upload lives a day, and each use makes a copy of it.
Called by api (take_in, upload, discard), outbox (keep), forwards (duplicate), changes (drop), downloads, purges and
workers/janitor (expire).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from wagate.backends.database import Reader, Row, Tx
from wagate.backends.doors import FetchFailed, TooLarge
from wagate.backends.guard import UrlRefused
from wagate.backends.spool import SpoolFile
from wagate.errors import BadRequest, Gone, NotFound, PayloadTooLarge, WagateError
from wagate.gateway import Gateway
from wagate.model import ids
from wagate.model.contents import (
    AlbumContent,
    AlbumItem,
    AudioContent,
    Content,
    DocumentContent,
    ImageContent,
    Media,
    StickerContent,
    VideoContent,
)
from wagate.model.filetypes import HEAD_BYTES, Wanted, WrongType, judge
from wagate.model.media import ALBUM_BYTES, FILE_BYTES, StoredMedia, Uploaded
from wagate.model.organizations import Caller

DAY_MS = 86_400_000
SPARE_MS = 3_600_000
"""How long a file that was taken in waits for a message that keeps it, in milliseconds."""

_COLUMNS = "id, mimetype, size, sha256, expires_at, filename"
_INSERT = """
INSERT INTO media (id, organization_id, session_id, mimetype, filename, size, sha256, created_at, expires_at)
VALUES (:id, :organization_id, :session_id, :mimetype, :filename, :size, :sha256, :now, :expires_at)
"""
_UPLOAD = f"""
SELECT {_COLUMNS} FROM media WHERE organization_id = :organization_id AND id = :id AND session_id IS NULL
  AND gone_at IS NULL AND expires_at > :now
"""
_GET = f"""
SELECT {_COLUMNS} FROM media WHERE organization_id = :organization_id AND session_id = :session_id AND id = :id
  AND gone_at IS NULL AND expires_at > :now
"""
_KEEP = """
UPDATE media SET expires_at = :until WHERE organization_id = :organization_id AND session_id = :session_id
  AND id IN ({each:ids}) AND gone_at IS NULL AND expires_at > :now
"""
_DROP = """
UPDATE media SET expires_at = 0 WHERE organization_id = :organization_id AND id IN ({each:ids})
  AND gone_at IS NULL
"""
_SPARE = f"""
UPDATE media SET expires_at = 0 WHERE organization_id = :organization_id AND id IN ({{each:ids}})
  AND gone_at IS NULL AND expires_at <= created_at + {SPARE_MS} RETURNING id
"""
_DUE = """
-- any organization: what time alone does
SELECT id FROM media WHERE gone_at IS NULL AND expires_at <= :now ORDER BY expires_at LIMIT :limit
"""
_FORGET = f"""
-- any organization: what time alone does
DELETE FROM media WHERE id IN ({{each:ids}}) AND (session_id IS NULL OR expires_at <= created_at + {SPARE_MS})
"""
_GONE = """
-- any organization: what time alone does
UPDATE media SET gone_at = :now WHERE id IN ({each:ids})
"""
_OF_SESSION = """
SELECT id FROM media WHERE organization_id = :organization_id AND session_id = :session_id ORDER BY id LIMIT :limit
"""
_PURGE = "DELETE FROM media WHERE organization_id = :organization_id AND id IN ({each:ids})"


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A file as a client offers it: `file` came with the request, or `url` or `id` (of an upload) says where it is.

    `path` names the field to the client, `mimetype` is how the client calls it.
    """

    wanted: Wanted
    path: str
    file: SpoolFile | None = None
    url: str | None = None
    id: str | None = None
    mimetype: str | None = None
    filename: str | None = None
    caption: str | None = None


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes in the spool (`file`) or under another id (`source`), examined; `id` is theirs from now on."""

    id: str
    mimetype: str
    size: int
    sha256: str
    filename: str | None = None
    file: SpoolFile | None = None
    source: str | None = None


async def take_in(gw: Gateway, caller: Caller, offers: Sequence[Offered], *, session_id: str | None) -> list[Media]:
    """Take the files of one message in; when it returns their bytes are durable, and spare until `keep`.

    `session_id` None: for a message of the pretend network's, where nobody keeps them.

    Raises:
        BadRequest: a URL may not be used or does not answer, an upload is unknown, the bytes are nothing or not what
            they are to be.
        PayloadTooLarge: a file, or all of them together.
        StorageUnavailable: they cannot be stored now. Whatever is raised, nothing is left.
    """
    async with contextlib.AsyncExitStack() as spooled:
        found: list[_Found] = []
        deadline = asyncio.get_running_loop().time() + gw.rules.fetch_timeout
        for offer in offers:
            fetched = offer.file
            if offer.url is not None:
                fetched = await spooled.enter_async_context(await gw.blobs.spool())
                await _fetch(gw, offer, fetched, deadline)
            found.append(await _examined(gw, caller, offer, fetched))
            if sum(each.size for each in found) > ALBUM_BYTES:
                raise PayloadTooLarge(f"the files are larger than {ALBUM_BYTES} bytes together", limitBytes=ALBUM_BYTES)
        await _store(gw, caller, found, session_id=session_id, expires_at=gw.clock.now() + SPARE_MS)
    return [
        Media(
            id=each.id,
            mimetype=each.mimetype,
            size=each.size,
            sha256=each.sha256,
            filename=each.filename or UNSET,
            caption=offer.caption or UNSET,
            voice=True if offer.wanted == "voice" else UNSET,
        )
        for offer, each in zip(offers, found, strict=True)
    ]


async def examine(gw: Gateway, caller: Caller, offer: Offered) -> None:
    """Refuse a file that is here already and cannot be taken in; what a URL leads to is not asked.

    Raises:
        BadRequest: an unknown upload, or bytes that are nothing or not what they are to be.
        PayloadTooLarge: they are too many.
    """
    if offer.url is None:
        await _examined(gw, caller, offer, offer.file)


async def upload(gw: Gateway, caller: Caller, file: SpoolFile, *, mimetype: str | None) -> Uploaded:
    """Keep a file for a day, to be said as `media.id`.

    Raises:
        StorageUnavailable: it cannot be stored now.
    """
    known = await _examined(gw, caller, Offered(wanted="document", path="", mimetype=mimetype), file)
    await _store(gw, caller, [known], session_id=None, expires_at=gw.clock.now() + DAY_MS)
    return Uploaded(id=known.id, mimetype=known.mimetype, size=known.size)


async def keep(tx: Tx, session: tuple[str, str], content: Content, *, now: int, days: int) -> None:
    """The content is said from now on: its files stay for `days`. `session`: its organization's id and its own.

    Raises:
        Gone: one of them waited for too long.
    """
    organization_id, session_id = session
    wanted = ids_of(content)
    if not wanted:
        return
    kept = await tx.run(
        _KEEP,
        organization_id=organization_id,
        session_id=session_id,
        ids=_json(wanted),
        now=now,
        until=now + days * DAY_MS,
    )
    if kept < len(set(wanted)):
        raise Gone("the media is no longer kept")


async def discard(gw: Gateway, caller: Caller, files: Sequence[Media]) -> None:
    """Let files go that were taken in and that nobody kept; those that a message keeps stay."""
    given = [each.id for each in files if isinstance(each.id, str)]
    await _discard(gw, caller.organization_id, given)


async def duplicate(gw: Gateway, caller: Caller, session_id: str, content: Content) -> Content:
    """The same content with files of its own over the same bytes, spare until `keep`. What only the network has stays.

    Raises:
        NotFound: a file is no longer kept.
    """
    found: dict[str, _Found] = {}
    for source in ids_of(content):
        known = await stored(gw.db, (caller.organization_id, session_id), source, now=gw.clock.now())
        if known is None:
            raise NotFound("the media is no longer kept")
        found[source] = _copy_of(gw, known)
    if not found:
        return content
    try:
        await _store(gw, caller, [*found.values()], session_id=session_id, expires_at=gw.clock.now() + SPARE_MS)
    except BadRequest:
        raise NotFound("the media is no longer kept") from None

    def renamed(file: Media) -> Media:
        return msgspec.structs.replace(file, id=found[file.id].id, ref=UNSET) if isinstance(file.id, str) else file

    copied: Content = with_files(content, renamed)
    return copied


async def stored(reader: Reader, session: tuple[str, str], id: str, *, now: int) -> StoredMedia | None:
    """A file of a message of the session (its organization's id and its own); None: no longer kept."""
    organization_id, session_id = session
    row = await reader.one(_GET, organization_id=organization_id, session_id=session_id, id=id, now=now)
    return None if row is None else _stored(row)


async def drop(tx: Tx, organization_id: str, content: Content) -> None:
    """The content was taken back: its files are due, and the janitor removes their bytes."""
    if given := ids_of(content):
        await tx.run(_DROP, organization_id=organization_id, ids=_json(given))


async def expire(gw: Gateway, *, limit: int = 100) -> int:
    """Remove the bytes of files whose time is over; how many. Called by the janitor until 0."""
    now = gw.clock.now()
    due = [str(row[0]) for row in await gw.db.all(_DUE, now=now, limit=limit)]
    await _remove(gw, due, now)
    return len(due)


async def purge(gw: Gateway, organization_id: str, session_id: str, *, limit: int = 100) -> int:
    """Remove files of a deleted session, rows and bytes; how many. Called until 0."""
    here = {"organization_id": organization_id}
    found = [str(row[0]) for row in await gw.db.all(_OF_SESSION, **here, session_id=session_id, limit=limit)]
    if found:
        await gw.blobs.remove(found)
        given = _json(found)

        async def work(tx: Tx) -> None:
            await tx.run(_PURGE, **here, ids=given)

        await gw.db.write(work)
    return len(found)


def files_of(content: Content) -> list[Media]:
    """Every file of a content, in order."""
    match content:
        case ImageContent() | VideoContent() | AudioContent() | DocumentContent() | StickerContent():
            return [content.media]
        case AlbumContent():
            return [item.content.media for item in content.items]
        case _:
            return []


def ids_of(content: Content) -> list[str]:
    """The ids of a content's files that are here."""
    return [each.id for each in files_of(content) if isinstance(each.id, str)]


def with_files(content: Any, change: Any) -> Any:
    """The content with `change(file)` in each file's place."""
    if isinstance(content, AlbumContent):
        items = [
            AlbumItem(content=with_files(item.content, change), message_id=item.message_id) for item in content.items
        ]
        return msgspec.structs.replace(content, items=items)
    return msgspec.structs.replace(content, media=change(content.media)) if files_of(content) else content


async def _fetch(gw: Gateway, offer: Offered, file: SpoolFile, deadline: float) -> None:
    """Fetch what a client's URL leads to into `file`."""
    left = max(0.0, round(deadline - asyncio.get_running_loop().time(), 1))
    try:
        await gw.http.get(offer.url or "", sink=file.write, most_bytes=FILE_BYTES, timeout=left)
    except TooLarge:
        raise _too_large() from None
    except (UrlRefused, FetchFailed) as failure:
        raise BadRequest.field(f"{offer.path}.url", f"cannot be used: {failure.reason}") from None


async def _examined(gw: Gateway, caller: Caller, offer: Offered, file: SpoolFile | None) -> _Found:
    """What the bytes are, judged."""
    id = ids.mint("med", gw.clock.now())
    if file is None:
        return await _upload(gw, caller, offer, id)
    if not file.size:
        raise BadRequest.field(offer.path, "is empty")
    if file.size > FILE_BYTES:
        raise _too_large()
    mimetype = _judged(offer, await file.head(HEAD_BYTES), offer.mimetype)
    return _Found(id=id, mimetype=mimetype, size=file.size, sha256=file.sha256, filename=offer.filename, file=file)


async def _upload(gw: Gateway, caller: Caller, offer: Offered, id: str) -> _Found:
    """An upload of the caller's organization, judged again for what it is to be now."""
    row = await gw.db.one(_UPLOAD, organization_id=caller.organization_id, id=offer.id or "", now=gw.clock.now())
    blob = None if row is None else await gw.blobs.open(str(row[0]))
    if row is None or blob is None:
        raise _no_upload(offer)
    head = b""
    async with contextlib.aclosing(blob.read(0, HEAD_BYTES)) as pieces:
        async for piece in pieces:
            head += piece
    known = _stored(row)
    mimetype = _judged(offer, head, offer.mimetype or known.mimetype)
    return msgspec.structs.replace(_copy_of(gw, known), id=id, mimetype=mimetype, filename=offer.filename)


def _judged(offer: Offered, head: bytes, given: str | None) -> str:
    try:
        return judge(offer.wanted, head, given)
    except WrongType as wrong:
        raise BadRequest.field(offer.path, wrong.reason) from None


async def _store(
    gw: Gateway, caller: Caller, found: Sequence[_Found], *, session_id: str | None, expires_at: int
) -> None:
    """Rows first, then bytes: a crash leaves no bytes that no row knows."""
    now = gw.clock.now()

    async def work(tx: Tx) -> None:
        for each in found:
            await tx.run(
                _INSERT,
                id=each.id,
                organization_id=caller.organization_id,
                session_id=session_id,
                mimetype=each.mimetype,
                filename=each.filename,
                size=each.size,
                sha256=each.sha256,
                now=now,
                expires_at=expires_at,
            )

    await gw.db.write(work)
    try:
        for each in found:
            if each.file is not None:
                await gw.blobs.adopt(each.file, each.id)
            elif not await gw.blobs.copy(each.source or "", each.id):
                raise BadRequest("the media is no longer kept")
    except WagateError:
        await _remove(gw, [each.id for each in found], now)
        raise


async def _discard(gw: Gateway, organization_id: str, given: list[str]) -> None:
    if not given:
        return
    wanted = _json(given)

    async def work(tx: Tx) -> list[Row]:
        return await tx.all(_SPARE, organization_id=organization_id, ids=wanted)

    await _remove(gw, [str(row[0]) for row in await gw.db.write(work)], gw.clock.now())


async def _remove(gw: Gateway, due: list[str], now: int) -> None:
    """Bytes first, then rows: whatever a crash leaves is still due."""
    if not due:
        return
    await gw.blobs.remove(due)
    given = _json(due)

    async def work(tx: Tx) -> None:
        await tx.run(_FORGET, ids=given)
        await tx.run(_GONE, ids=given, now=now)

    await gw.db.write(work)


def _copy_of(gw: Gateway, known: StoredMedia) -> _Found:
    return _Found(
        id=ids.mint("med", gw.clock.now()),
        mimetype=known.mimetype,
        size=known.size,
        sha256=known.sha256,
        filename=known.filename,
        source=known.id,
    )


def _stored(row: Row) -> StoredMedia:
    return StoredMedia(id=row[0], mimetype=row[1], size=row[2], sha256=row[3], expires_at=row[4], filename=row[5])


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"a file is larger than {FILE_BYTES} bytes", limitBytes=FILE_BYTES)


def _no_upload(offer: Offered) -> BadRequest:
    return BadRequest.field(f"{offer.path}.id", "is no upload that is still kept")


def _json(given: Sequence[str]) -> str:
    return msgspec.json.encode(list(given)).decode()
