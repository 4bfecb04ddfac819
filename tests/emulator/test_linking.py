"""Linking by QR and by code, coming again, leaving: the unmodified library against the emulator."""

from __future__ import annotations

import pytest

from tests.emulator.emulator import Emulator
from tests.emulator.library import Library, LibraryError, enum, eventually, jid, raw, why_not
from tests.emulator.media import HOST
from tests.emulator.refusals import Refusal
from tests.emulator.town import ANNA, BEN

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def test_the_library_refuses_the_emulator_while_its_own_root_key_stands() -> None:
    async with Emulator() as emulator, Library(emulator, trusts=False) as library:
        session = await library.open("anna")
        ended = await session.wait("ended")
        assert "cert" in str(ended.told)
        assert not any(told.kind == "qr" for told in session.told)


async def test_two_sessions_link_by_qr_and_text_each_other_and_come_again_without_linking() -> None:
    async with Emulator() as emulator:
        async with Library(emulator) as library:
            session = await library.open("anna")
            with pytest.raises(Refusal, match="404"):
                await emulator.person(ANNA).scan("unknown,AAAA,AAAA,AAAA")
            await emulator.person(ANNA).scan(await session.qr())
            await session.wait("Connected")
            ben = await library.link("ben", BEN)
            await session.call("send_message", jid(BEN), "hello")
            await ben.text("hello")
            await ben.call("send_message", jid(ANNA), "hello yourself")
            await session.text("hello yourself")
            await session.wait("Receipt")
            await session.stop()
            await ben.call("send_message", jid(ANNA), "are you there?")
        async with Library(emulator) as library:
            again = await library.open("anna")
            await again.wait("Connected")
            await again.text("are you there?")
            assert not any(told.kind == "qr" for told in again.told)
            await again.call("send_message", jid(BEN), "back again")
        async with Library(emulator) as library:
            await (await library.open("ben")).text("back again")
        assert set(emulator.proxy.asked) == {"web.whatsapp.com:443"}
        assert emulator.proxy.refused == []


async def test_a_session_links_by_a_code_that_is_typed_into_the_phone() -> None:
    async with Emulator() as emulator, Library(emulator) as library:
        session = await library.open("anna")
        await session.qr()
        with pytest.raises(LibraryError):
            await session.call("PairPhone", "99930000001", True)
        code = await session.call("PairPhone", ANNA, True)
        assert len(code) == 9
        person = emulator.person(ANNA)
        await person.type_in("1234-5678")
        await eventually(lambda: emulator.linking.wrong_codes(person.account) == 1)
        assert person.devices == []
        await person.type_in(code)
        await session.wait("Connected")
        ben = await library.link("ben", BEN)
        await ben.call("send_message", jid(ANNA), "linked by a code")
        await session.text("linked by a code")


async def test_a_session_that_is_unlinked_on_the_phone_or_logs_out_is_gone_on_both_sides() -> None:
    async with Emulator() as emulator, Library(emulator) as library:
        anna, ben = await library.link("anna", ANNA), await library.link("ben", BEN)
        await emulator.person(ANNA).unlink()
        await anna.wait("LoggedOut")
        assert emulator.person(ANNA).devices == []
        await ben.call("logout")
        await ben.wait("LoggedOut")
        assert emulator.person(BEN).devices == []


@pytest.mark.long
async def test_a_session_comes_by_socks_with_a_password_and_hears_later_that_it_was_unlinked() -> None:
    async with Emulator() as emulator:
        address = emulator.socks_url.replace("://", "://anna:secret@")
        async with Library(emulator, proxy=address) as library:
            anna = await library.link("anna", ANNA)
            await anna.call("upload", raw(b"a file"), enum("MediaType", "MediaDocument"))
        await emulator.person(ANNA).unlink()
        async with Library(emulator, proxy=emulator.proxy_url.replace("://", "://anna:secret@")) as library:
            await (await library.open("anna")).wait("LoggedOut")
        assert set(emulator.proxy.callers) == {"anna:secret"}
        assert set(emulator.proxy.asked) == {"web.whatsapp.com:443", f"{HOST}:443"}
        assert emulator.proxy.refused == []
