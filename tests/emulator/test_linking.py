"""Linking, coming again, and text both ways: the unmodified library against the emulator."""

from __future__ import annotations

import pytest

from tests.emulator.emulator import Emulator
from tests.emulator.library import Library, LibraryError, jid, why_not

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]

ANNA, BEN = "99900000001", "99900000002"


async def test_two_sessions_link_by_qr_and_text_each_other() -> None:
    async with Emulator() as emulator, Library(emulator) as library:
        anna, ben = await library.link("anna", ANNA), await library.link("ben", BEN)
        await anna.call("send_message", jid(BEN), "hello")
        await ben.text("hello")
        await ben.call("send_message", jid(ANNA), "hello yourself")
        await anna.text("hello yourself")
        await anna.wait("Receipt")
        assert emulator.unknown == []
        assert set(emulator.proxy.asked) == {"web.whatsapp.com:443"}
