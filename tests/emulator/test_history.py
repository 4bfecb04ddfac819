"""What a phone gives its companions: the keys of the app state, and the history of its chats."""

from __future__ import annotations

import pytest

from tests.emulator.emulator import Emulator
from tests.emulator.library import Library, enum, eventually, jid, why_not
from tests.emulator.phones import switch_on
from tests.emulator.schemas import HistorySync
from tests.emulator.town import ANNA, BEN

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def test_a_phone_shares_keys_and_history_with_a_new_companion() -> None:
    async with Emulator() as emulator, Library(emulator) as library:
        phone = await switch_on(library, ANNA)
        anna = await library.link("anna", ANNA)
        ben = await library.link("ben", BEN)
        await phone.share_keys()
        await anna.wait("Message")
        await anna.call("set_profile_name", "Anna")
        await anna.call("send_presence", enum("Presence", "AVAILABLE"))
        await eventually(lambda: emulator.person(ANNA).account.name == "Anna")
        assert emulator.states[ANNA, "critical_block"]
        history = HistorySync(syncType=HistorySync.INITIAL_BOOTSTRAP, chunkOrder=1, progress=100)
        chat = history.conversations.add(ID=f"{BEN}@s.whatsapp.net", unreadCount=1, name="Ben")
        old = chat.messages.add().message
        old.key.remoteJID, old.key.fromMe, old.key.ID = f"{BEN}@s.whatsapp.net", False, "OLD1"
        old.messageTimestamp = 1700000000
        old.message.conversation = "long ago"
        history.pushnames.add(ID=f"{BEN}@s.whatsapp.net", pushname="Benny")
        await phone.send_history(history)
        told = await anna.wait("HistorySync")
        assert "long ago" in str(told.told)
        await ben.call("send_message", jid(ANNA), "hello phone")
        await phone.session.text("hello phone")
