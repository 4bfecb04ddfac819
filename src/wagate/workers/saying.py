"""One send, said through a line: what became of it. Called by runner.py."""

from __future__ import annotations

import asyncio

import structlog

from wagate.engines import base
from wagate.errors import NoAnswer, StorageUnavailable, WagateError
from wagate.gateway import Gateway, outbox
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Entry
from wagate.model.messages import Ack, Outgoing
from wagate.telemetry import traces

log = structlog.get_logger(__name__)


async def say(
    gw: Gateway, engine: base.Engine, line: base.Connection, held: Held, entry: Entry
) -> Ack | WagateError | None:  # fmt: skip
    """What the network said; None when the line broke and the same wire id may go out again.

    Raises:
        NeverLeft: it certainly did not go out.
        StorageUnavailable: nothing was said; the same wire id may go out again.
    """
    outgoing = Outgoing(wire_id=entry.wire_id, chat=entry.chat, content=entry.content)
    try:
        with traces.span("send", entry.traceparent, kind="client") as here:
            if here.recorded:
                here.tell(_named(engine, held, entry))
            async with asyncio.timeout(gw.rules.send_timeout):
                return await line.send(outgoing)
    except TimeoutError:
        return NoAnswer()
    except base.NeverLeft:
        raise
    except base.ConnectionLost:
        return None if engine.promises.chooses_wire_id else NoAnswer()
    except StorageUnavailable:
        # What the engine keeps could not be written: that is no answer of the network's. The same wire id goes
        # out again when it can.
        if engine.promises.chooses_wire_id:
            raise
        return NoAnswer()
    except WagateError as error:
        return error
    except Exception:
        # A defect of the engine: nobody knows whether it went out.
        log.exception("send failed", session=held.id, entry=entry.id)
        return NoAnswer()


def _named(engine: base.Engine, held: Held, entry: Entry) -> dict[str, str | int | bool]:
    return outbox.named(held.organization_id, held.id) | {
        "messaging.system": engine.name,
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "wagate.outbox.id": entry.id,
    }
