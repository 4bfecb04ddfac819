"""Webhooks of a gateway without a server: made, fed, and delivered by a deliverer until a condition holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.support.parts import within
from tests.support.receiver import Receiver
from wagate.gateway import Gateway, Window, deliveries, events, webhooks
from wagate.model.events import ContactUpdate
from wagate.model.organizations import Caller
from wagate.model.webhooks import CreateWebhook, Delivery, Webhook
from wagate.workers.deliverer import Deliverer

SECONDS = 60.0


async def made(gw: Gateway, who: Caller, url: str, **more: Any) -> Webhook:
    """A webhook for everything, unless told otherwise."""
    return await webhooks.create(gw, who, CreateWebhook(url=url, **more))


async def happened(
    gw: Gateway, who: Caller, *jids: str, session: str = "ses_one", event: str = "contact.update"
) -> None:
    """An event for each, in one transaction."""
    facts: list[events.Fact] = [(event, ContactUpdate(jid=jid)) for jid in jids]
    await within(gw, lambda tx: events.record(tx, gw.clock.now(), who.organization_id, session_id=session, facts=facts))
    events.hint(gw, who.organization_id)


async def listed(gw: Gateway, who: Caller, hook: Webhook, status: str | None = None) -> list[Delivery]:
    """Its deliveries, the newest first."""
    found, _ = await deliveries.page(gw, who, hook.id, Window(1000), status=status)
    return found


@asynccontextmanager
async def delivering(gw: Gateway) -> AsyncIterator[Deliverer]:
    """A deliverer at work."""
    deliverer = Deliverer(gw)
    await deliverer.start(alone=False)
    task = asyncio.ensure_future(deliverer.run())
    try:
        yield deliverer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await deliverer.close()


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition, which may be a coroutine's."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {SECONDS} s"
        await asyncio.sleep(0.005)


def got(server: Receiver, path: str = "/x") -> list[Any]:
    """The envelopes that came to a path, in order."""
    return [json.loads(body) for place, body in zip(server.paths, server.bodies, strict=False) if place == path]


def head(server: Receiver, number: int = -1) -> dict[str, str]:
    """The headers of a post, names in small letters."""
    lines = server.heads[number].strip().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
