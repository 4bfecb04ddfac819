"""Files that bodies offer: each named as its field is, its bytes decoded if they came along; and sends that have some.

What becomes of the offers is gateway/media's. Called by the operations whose bodies hold media.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wagate.api.operations import Call
from wagate.api.spools import Spools, media_file
from wagate.errors import BadRequest, WagateError
from wagate.gateway import media, outbox
from wagate.gateway.media import Offered
from wagate.gateway.outbox import Coming, Entry, Offer
from wagate.model.contents import Content, Media
from wagate.model.filetypes import Wanted
from wagate.model.sends import (
    AlbumForm,
    AlbumMedia,
    AudioForm,
    AudioInput,
    DocumentForm,
    ImageForm,
    PictureInput,
    Source,
    StickerForm,
    StickerInput,
    VideoForm,
)


async def of_form(spools: Spools, form: Any) -> list[Offered]:
    """The files of a message, in order; none where its type has none.

    Raises:
        BadRequest: not exactly one source, base64 that is none, 0 bytes.
        PayloadTooLarge, StorageUnavailable: the bytes cannot be taken.
    """
    match form:
        case AlbumForm():
            wanted: list[tuple[AlbumMedia, Wanted]] = [(each, each.type or "shown") for each in form.medias]
            return [
                await of_source(spools, each, wanted=kind, path=f"medias[{position}]")
                for position, (each, kind) in enumerate(wanted)
            ]
        case ImageForm():
            return [await of_source(spools, form.media, wanted="image")]
        case VideoForm():
            return [await of_source(spools, form.media, wanted="video")]
        case AudioForm():
            return [await of_source(spools, form.media, wanted="voice" if form.media.voice else "audio")]
        case DocumentForm():
            return [await of_source(spools, form.media, wanted="document")]
        case StickerForm():
            return [await of_source(spools, form.media, wanted="sticker")]
        case _:
            return []


async def of_source(spools: Spools, source: Source, *, wanted: Wanted, path: str = "media") -> Offered:
    """One file, raising as `of_form` does; `path` names it to the client."""
    if [source.data, source.url, source.id].count(None) != 2:
        raise BadRequest.field(path, "exactly one of `data`, `url` and `id` is needed")
    held = None if source.data is None else await media_file(source.data, spools, path=f"{path}.data")
    return Offered(
        wanted=wanted,
        path=path,
        file=None if held is None else held.file,
        url=source.url,
        id=source.id,
        mimetype=source.mimetype or (None if held is None else held.mimetype),
        filename=source.filename if isinstance(source, PictureInput | AudioInput | StickerInput) else None,
        caption=source.caption if isinstance(source, PictureInput) else None,
    )


async def accepted(
    call: Call, chat: str, coming: Coming, files: Sequence[Offered], make: Callable[[Sequence[Media]], Content]
) -> Entry:
    """Write a send of the path's session down, its files taken in before; `make` makes the content of them.

    What is certain to be refused, or is a repeat, takes nothing in; what is refused afterwards leaves nothing behind.
    Raises what `media.take_in` and `outbox.accept` raise.
    """
    session = call.path["session"]
    taken: list[Media] = []
    if files:
        known = await outbox.foresee(call.gw, call.caller, session, coming)
        if known is not None:
            return known
        taken = await media.take_in(call.gw, call.caller, files, session_id=session)
    try:
        offer = Offer(chat=chat, content=make(taken), mode=coming.mode, digest=coming.digest, key=coming.key)
        entry = await outbox.accept(call.gw, call.caller, session, offer)
    except WagateError:
        await media.discard(call.gw, call.caller, taken)
        raise
    if entry.replayed:
        await media.discard(call.gw, call.caller, taken)
    return entry
