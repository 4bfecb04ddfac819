"""What goes wrong: broken lines, replaced and banned sessions, old clients, and acknowledgements that do not come."""

from __future__ import annotations

import asyncio

import pytest

from tests.emulator.emulator import Emulator
from tests.emulator.library import Library, LibraryError, Session, eventually, jid, why_not
from tests.emulator.town import ANNA, BEN

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def pair(library: Library) -> tuple[Session, Session]:
    """Two linked sessions."""
    return await library.link("anna", ANNA), await library.link("ben", BEN)


async def test_a_broken_line_is_taken_up_again_and_nothing_is_lost_meanwhile() -> None:
    async with Emulator() as emulator, Library(emulator) as library:
        anna, ben = await pair(library)
        person = emulator.person(BEN)
        device = person.devices[0]
        person.drop()
        await eventually(lambda: device.logins == 2)
        await person.refuse_logins(503)
        for number in range(3):
            await anna.call("send_message", jid(BEN), f"while you were away {number}")
        assert len(device.waiting) >= 3
        person.pardon()
        for number in range(3):
            await ben.text(f"while you were away {number}")
        before = len(ben.told)
        await person.stream_error(503)
        await ben.wait("Connected", after=before)
        before = len(ben.told)
        emulator.proxy.cut()
        await ben.wait("Connected", after=before)
        await eventually(lambda: not device.waiting)


async def test_a_session_that_is_replaced_says_so_and_stays_away() -> None:
    async with Emulator() as emulator, Library(emulator) as library:
        anna = await library.link("anna", ANNA)
        await emulator.person(ANNA).replace()
        await anna.wait("StreamReplaced")
        assert not emulator.person(ANNA).online
        async with Library(emulator) as other:
            again = await other.open("anna")
            await again.wait("Connected")


async def test_a_temporary_ban_is_told_with_its_end_and_passes() -> None:
    async with Emulator() as emulator:
        person = emulator.person(ANNA)
        async with Library(emulator) as library:
            anna = await library.link("anna", ANNA)
            await person.ban(3600, code=104)
            banned = await anna.wait("TemporaryBan")
            assert "3600" in str(banned.told)
        person.pardon()
        async with Library(emulator) as library:
            await (await library.open("anna")).wait("Connected")


async def test_an_old_client_and_a_ban_for_ever_are_told_apart() -> None:
    async with Emulator() as emulator:
        person = emulator.person(ANNA)
        async with Library(emulator) as library:
            anna = await library.link("anna", ANNA)
            await person.outdate()
            await anna.wait("ClientOutdated")
        person.pardon()
        async with Library(emulator) as library:
            anna = await library.open("anna")
            await anna.wait("Connected")
            await person.ban_for_ever()
            await anna.wait("LoggedOut")


async def test_a_lost_acknowledgement_leaves_the_sender_without_an_answer() -> None:
    async with Emulator() as emulator, Library(emulator) as library:
        anna, ben = await pair(library)
        await anna.call("send_message", jid(BEN), "first")
        emulator.messages.ack_delay = 0.5
        await anna.call("send_message", jid(BEN), "slow")
        emulator.messages.ack_delay = 0.0
        emulator.messages.lose_acks = 1
        with pytest.raises((TimeoutError, LibraryError)):
            async with asyncio.timeout(2):
                await anna.call("send_message", jid(BEN), "unanswered")
        await ben.text("unanswered")


async def test_people_answer_as_their_numbers_say() -> None:
    silent, refusing, breaking, slow = (f"999{digit}0000001" for digit in "6789")
    async with Emulator() as emulator, Library(emulator) as library:
        anna = await library.link("anna", ANNA)
        with pytest.raises(LibraryError, match="463"):
            await anna.call("send_message", jid(refusing), "hello")
        began = asyncio.get_running_loop().time()
        await anna.call("send_message", jid(slow), "hello")
        assert asyncio.get_running_loop().time() - began >= 2
        logins = emulator.person(ANNA).devices[0].logins
        sent = await anna.call("send_message", jid(breaking), "hello")
        assert emulator.person(ANNA).devices[0].logins == logins + 1
        same = [node for _, node in emulator.messages.seen if node.attrs["id"] == sent["told"]["ID"]]
        assert len(same) == 2
        with pytest.raises((TimeoutError, LibraryError)):
            async with asyncio.timeout(2):
                await anna.call("send_message", jid(silent), "hello")
