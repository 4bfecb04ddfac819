"""Documents as large as a file may be, and who sends them: a process of its own, beside the one that measures.

`python -m bench.uploads PORT KEY SESSION` makes everything beforehand, says `ready`, and for each line that it reads it
sends documents from all callers at once and prints a line of JSON: the wire id of each, by its number.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import sys
from functools import cached_property

import uvloop

from bench.wire import Caller, connect

CALLERS = 4
EACH = 3
"""How many documents each caller sends, one after the other, whenever it is told to send."""

SIZE = 16 * 1024 * 1024
_HEAD = 48
"""The bytes in which documents differ: as base64 takes three at a time, the text of all the others is the same."""


class Documents:
    """Documents of `SIZE` bytes by number: alike but for their beginning, so that thousands need the memory of one."""

    @cached_property
    def _rest(self) -> bytes:
        return random.Random(1).randbytes(SIZE - _HEAD)

    @cached_property
    def _rest_in_base64(self) -> bytes:
        return base64.b64encode(self._rest)

    def content(self, number: int) -> bytes:
        """The bytes of one."""
        return self._head(number) + self._rest

    def base64(self, number: int) -> tuple[bytes, bytes]:
        """The text of one, in two parts."""
        return base64.b64encode(self._head(number)), self._rest_in_base64

    def request(self, caller: Caller, session: str, number: int) -> list[bytes]:
        """The bytes of the request that sends one, in parts."""
        to, name = f"9990000{number % 10_000:04}", f"document {number}.bin"
        body = {"type": "document", "to": to, "media": {"filename": name, "data": "@"}}
        empty = caller.request("POST", f"/sessions/{session}/messages", body)
        head, _, body_text = empty.partition(b"\r\n\r\n")
        before, _, after = body_text.partition(b"@")
        parts = [before, *self.base64(number), after]
        length = sum(map(len, parts))
        return [head.replace(b"length: %d" % len(body_text), b"length: %d" % length) + b"\r\n\r\n", *parts]

    @staticmethod
    def _head(number: int) -> bytes:
        return f"{number:0{_HEAD}}".encode()


async def _send(caller: Caller, session: str, documents: Documents, numbers: list[int]) -> dict[int, str]:
    """Send these, one after the other; their wire ids."""
    line, found = await connect(caller.port), dict[int, str]()
    for number in numbers:
        status, body = await line.ask(*documents.request(caller, session, number))
        if status != 200:
            raise RuntimeError(f"{status}: {body[:500]!r}")
        found[number] = json.loads(body)["waMessageId"]
    line.close()
    return found


async def _serve(caller: Caller, session: str) -> None:
    documents, number = Documents(), 0
    documents.base64(0)
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        turns = [list(range(first, first + EACH)) for first in range(number, number + CALLERS * EACH, EACH)]
        number += CALLERS * EACH
        sent = await asyncio.gather(*(_send(caller, session, documents, turn) for turn in turns))
        print(json.dumps({number: id for each in sent for number, id in each.items()}), flush=True)


if __name__ == "__main__":
    # The probe is on the same core: it comes first.
    os.nice(10)
    uvloop.run(_serve(Caller(int(sys.argv[1]), sys.argv[2]), sys.argv[3]))
