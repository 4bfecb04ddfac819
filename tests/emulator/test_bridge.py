"""What the library's bridge to Python cannot do, shown: each of these must be looked at again when it is renewed."""

from __future__ import annotations

import pytest

from tests.emulator.library import LibraryError, enum, jid, patch, why_not
from tests.emulator.phones import switch_on
from tests.emulator.schemas import PatchInfo
from tests.emulator.town import ANNA, BEN, Town

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def test_a_patch_of_the_app_state_lacks_its_collections_name(town: Town) -> None:
    phone = await switch_on(town.library, ANNA)
    await phone.share_keys()
    await town.anna.wait("Message", lambda told: "appStateSyncKeyShare" in str(told))
    pin = PatchInfo(Type=PatchInfo.REGULAR_LOW, Timestamp=1)
    pin.Mutations.add(Index=["pin_v1", f"{BEN}@s.whatsapp.net"], Version=5).Value.pinAction.pinned = True
    with pytest.raises(LibraryError, match="400"):
        await town.anna.call("send_app_state", patch(pin))
    assert "<collection" in town.emulator.unknown[-1]
    assert " name=" not in town.emulator.unknown.pop()


async def test_a_privacy_setting_is_set_and_called_an_error(town: Town) -> None:
    with pytest.raises(LibraryError, match="SetPrivacySettingError"):
        await town.ben.call(
            "set_privacy_setting", enum("PrivacySettingType", "LAST_SEEN"), enum("PrivacySetting", "CONTACTS")
        )
    assert town.emulator.person(BEN).account.privacy == {"last": "contacts"}


async def test_a_poll_cannot_be_counted_by_the_bridge_alone(town: Town) -> None:
    poll = await town.anna.call("build_poll_vote_creation", "Apples?", ["yes", "no"], enum("VoteType", "SINGLE"))
    await town.anna.call("send_message", jid(BEN), {"message": poll["raw"]})
    asked = await town.ben.wait("Message", lambda told: "pollCreationMessage" in str(told))
    vote = await town.ben.call("build_poll_vote", {"asked": asked.raw}, ["yes"])
    await town.ben.call("send_message", jid(ANNA), {"message": vote["raw"]})
    voted = await town.anna.wait("Message", lambda told: "pollUpdateMessage" in str(told))
    with pytest.raises(LibraryError, match="TypeError"):
        await town.anna.call("decrypt_poll_vote", {"arrived": voted.raw})
