"""An answer in pieces, for as long as somebody takes them. Called by app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

from wagate.api.bodies import Receive

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def pour(
    send: Send, piece: bytes, following: AsyncGenerator[bytes, None], *, receive: Receive | None, timeout: float
) -> None:
    """Send `piece` and what follows; closing `following` is the caller's.

    It ends early when the client goes away, which `receive` tells, or takes nothing for `timeout` seconds: the answer
    stays incomplete then, and the server ends the connection.
    """
    gone = None if receive is None else asyncio.create_task(_gone(receive))
    try:
        while piece and not (gone is not None and gone.done()):
            async with asyncio.timeout(timeout):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await _next(following, gone)
        if not piece:
            await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        pass
    finally:
        if gone is not None:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def _next(following: AsyncGenerator[bytes, None], gone: asyncio.Task[None] | None) -> bytes:
    """The next piece; when the client goes away before there is one, it is not waited for."""
    if gone is None:
        return await anext(following, b"")
    coming = asyncio.ensure_future(anext(following, b""))
    try:
        await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not coming.done():
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming
    return b"" if coming.cancelled() else coming.result()


async def _gone(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
