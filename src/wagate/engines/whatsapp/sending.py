"""Sends: our content said through the library."""

from __future__ import annotations

from wagate.engines.whatsapp import content, wire
from wagate.engines.whatsapp.addresses import to_library
from wagate.engines.whatsapp.line import Line
from wagate.model.messages import Ack


async def send(line: Line, want: wire.Send) -> Ack:
    """Send; returns when WhatsApp's server has it. The library chooses the id.

    Raises:
        Complaint: as the library says; whether it went out, `refusals.meant` judges.
    """
    outgoing = want.outgoing
    message = content.message_of(outgoing.content).SerializeToString()
    to = to_library(line.library.messages, outgoing.chat)
    answer = await line.call("SendMessage", to, len(to), message, len(message), returns="SendMessageReturnFunction")
    sent = answer.SendResponse
    return Ack(wire_id=sent.ID, timestamp=sent.Timestamp * 1000 if sent.Timestamp < 10**11 else sent.Timestamp)
