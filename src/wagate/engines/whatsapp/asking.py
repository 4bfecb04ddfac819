"""One session as the library is asked about it: calls on threads, and who is who to this account.

The lower half of a line; see line.py.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Executor
from typing import Any

from wagate.engines import base
from wagate.engines.whatsapp import refusals
from wagate.engines.whatsapp.addresses import person_of, text_of
from wagate.engines.whatsapp.library import Library
from wagate.errors import NoAnswer
from wagate.model.contacts import Person


class Asking:
    """`calls`: threads for calls that wait for WhatsApp. Made on the event loop."""

    def __init__(self, library: Library, calls: Executor) -> None:
        self.library = library
        self.own_jid = ""
        self.me = Person()
        self.hidden: set[str] = set()
        self.plain: set[str] = set()
        self._calls = calls
        self._name = ""
        self._own: frozenset[str] = frozenset()

    def _is(self, me: Any) -> None:
        """This is the account, as the library tells it."""
        self._own = frozenset({text_of(me.JID), text_of(me.LID)} - {""})
        self.own_jid = text_of(me.JID)
        self.me = person_of(me.JID, me.LID)

    async def call(self, name: str, *arguments: Any, returns: str | None = None) -> Any:
        """Call the library for this session, on a thread; with `returns`, its answer read as that class.

        Raises:
            ConnectionLost: the session is not in the library.
            Complaint: the library says that it did not work.
            NoAnswer: nobody waits for it any longer, and it was not begun: it never will be.
        """
        turn = threading.Lock()

        def enter() -> Any:
            return self.library.call(name, self._name, *arguments) if turn.acquire(blocking=False) else None

        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._calls, enter)
        except KeyError:
            raise base.ConnectionLost from None
        except asyncio.CancelledError:
            if turn.acquire(blocking=False):
                raise NoAnswer(certain=True) from None
            raise
        if returns is None:
            if isinstance(answer, bytes) and answer:
                raise refusals.Complaint(answer.decode(errors="replace"))
            return answer
        read = self.library.read(returns, answer)
        if getattr(read, "Error", ""):
            raise refusals.Complaint(read.Error)
        return read

    def call_now(self, name: str, *arguments: Any) -> bytes:
        """Call the library from a thread that may wait, as translating does.

        Raises:
            ConnectionLost: the session is not in the library (any more).
        """
        try:
            found: bytes = self.library.call(name, self._name, *arguments)
        except KeyError:
            raise base.ConnectionLost from None
        return found

    def is_own(self, address: str) -> bool:
        """Whether this is the account itself."""
        user, _, server = address.partition("@")
        return f"{user.partition(':')[0]}@{server}" in self._own

    def phone_of(self, address: Any) -> str:
        """How we call somebody that the library names: by phone where its store knows that. It may wait."""
        if address.Server != "lid" or not address.User:
            return text_of(address)
        encoded = address.SerializeToString()
        found = self.library.read(
            "GetJIDFromStoreReturnFunction", self.call_now("GetPNFromLID", encoded, len(encoded))
        )  # fmt: skip
        return text_of(found.Jid) or text_of(address)
