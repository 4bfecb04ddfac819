"""The codes by which a phone links a session: QR texts that are renewed, and a code to type."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from wagate.engines.base import LinkTimedOut, QrShown
from wagate.engines.sandbox.lines import Line, end
from wagate.model.sessions import PairingCode

log = logging.getLogger(__name__)


class Codes:
    """What one session shows now. `phone`: the number that the code to type was made for."""

    __slots__ = ("_over", "_task", "line", "mint", "phone", "qr", "typed")

    def __init__(self, line: Line, *, mint: Callable[[str, int], str], over: Callable[[], None]) -> None:
        self.line = line
        self.mint = mint
        self.qr: str | None = None
        self.typed: str | None = None
        self.phone: str | None = None
        self._over = over
        self._task: asyncio.Task[None] | None = None

    def show(self) -> None:
        """Show QR texts, one after the other, until somebody scans or nobody does. Idempotent while it runs."""
        if self.qr is None:
            self._next()
            self._begin(self._renew())

    def type_in(self, phone: str) -> PairingCode:
        """A code to type on the phone with this number; a newer one replaces it."""
        text = self.mint(f"code {phone}", 8).upper()
        self.typed, self.phone = f"{text[:4]}-{text[4:]}", phone
        life = self.line.timing.pairing_code
        if self.qr is None:
            self._begin(self._expire(life))
        return PairingCode(code=self.typed, expires_at=self.line.clock.now() + round(life * 1000))

    async def stop(self) -> None:
        """Show nothing any more."""
        self.qr = self.typed = self.phone = None
        await end(self._task)
        self._over()

    def _begin(self, run: Coroutine[Any, Any, None]) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.ensure_future(run)

    async def _renew(self) -> None:
        for life in self.line.timing.qr:
            expires_at = self.line.clock.now() + round(life * 1000)
            await self._tell(QrShown(code=self.qr or self._next(), expires_at=expires_at))
            await self.line.clock.sleep(life)
            self._next()
        await self._give_up()

    def _next(self) -> str:
        self.qr = "wagate-sandbox:2@" + ",".join(self.mint("qr", 44) for _ in range(3))
        return self.qr

    async def _expire(self, life: float) -> None:
        await self.line.clock.sleep(life)
        await self._give_up()

    async def _give_up(self) -> None:
        self.qr = self.typed = self.phone = None
        self._over()
        await self._tell(LinkTimedOut())

    async def _tell(self, report: QrShown | LinkTimedOut) -> None:
        while True:
            try:
                return await self.line.report(report)
            except Exception as error:
                log.warning("a code could not be told, trying again: %s", type(error).__name__)
                await self.line.clock.sleep(self.line.timing.retry)
