"""Programs in a host's place, that answer the gateway as a story needs it."""

from __future__ import annotations

HEAD = """
import asyncio, os, socket, sys, time
import msgspec
from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.errors import Refused, to_wire
line = socket.socket(fileno=int(sys.argv[sys.argv.index("--socket") + 1]))
read = line.makefile("rb").read
def say(message):
    line.sendall(wire.framed(message))
def done(asked, answer=None):
    say(wire.Answered(id=asked.id, body=wire.body(answer)))
def heard():
    while len(head := read(4)) == 4:
        message = msgspec.msgpack.decode(read(int.from_bytes(head, "big")), type=wire.FromGateway)
        if isinstance(message, wire.Asked):
            return message
say(wire.Hello(library="none"))
"""
"""What each begins with: `heard` gives the next question, None at the end; `say` sends a frame, `done` an answer."""
