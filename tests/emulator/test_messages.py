"""Messages through the unmodified library: what arrives where, what is told of it, and what is refused."""

from __future__ import annotations

import os

import pytest

from tests.emulator.library import LibraryError, enum, eventually, jid, message, raw, text_of, why_not
from tests.emulator.media import HOST
from tests.emulator.phones import switch_on
from tests.emulator.schemas import Message
from tests.emulator.town import ANNA, BEN, CLEO, Town

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

UNLINKED, OFF, NOBODY, SILENT = "99900000077", "99920000001", "99930000001", "99910000001"


async def test_a_message_is_edited_reacted_to_read_and_revoked(town: Town) -> None:
    anna, ben = town.anna, town.ben
    sent = await anna.call("send_message", jid(BEN), "frist")
    wire_id = sent["told"]["ID"]
    arrived = await ben.text("frist")
    await anna.wait("Receipt", lambda told: wire_id in told["MessageIDs"])
    edited = message(Message(conversation="first"))
    await anna.call("edit_message", jid(BEN), wire_id, edited)
    await ben.wait("Message", lambda told: "first" in str(told.get("Message", {}).get("protocolMessage", told)))
    reaction = await ben.call("build_reaction", jid(ANNA), jid(ANNA), wire_id, "👍")
    await ben.call("send_message", jid(ANNA), {"message": reaction["raw"]})
    await anna.wait("Message", lambda told: "👍" in str(told))
    chat = arrived.told["Info"]["MessageSource"]
    where, who = [f"{chat[each]['User']}@{chat[each]['Server']}" for each in ("Chat", "Sender")]
    await ben.call("mark_read", wire_id, chat=jid(where), sender=jid(who), receipt=enum("ReceiptType", "READ"))
    await anna.wait("Receipt", lambda told: wire_id in told["MessageIDs"] and "READ" in str(told).upper())
    await anna.call("revoke_message", jid(BEN), jid(ANNA), wire_id)
    await ben.wait("Message", lambda told: "REVOKE" in str(told))


async def test_a_file_goes_through_the_proxy_and_comes_out_as_it_was(town: Town) -> None:
    content = os.urandom(300_000)
    await town.anna.call("send_document", jid(BEN), raw(content), filename="a.bin", mimetype="application/x-test")
    arrived = await town.ben.wait("Message", lambda told: "documentMessage" in str(told))
    given = await town.ben.call("download_any", {"content": arrived.raw})
    assert given == {"bytes": raw(content)["bytes"]}
    assert town.emulator.proxy.asked.count(f"{HOST}:443") >= 1
    town.emulator.media.refuse = 503
    with pytest.raises(LibraryError):
        await town.anna.call("upload", raw(b"never kept"), enum("MediaType", "MediaDocument"))
    town.emulator.media.refuse = 0


async def test_a_second_device_of_an_account_gets_copies_of_both_sides(town: Town) -> None:
    tablet = await town.library.link("tablet", ANNA)
    await town.ben.call("send_message", jid(ANNA), "to both of you")
    await town.anna.text("to both of you")
    await tablet.text("to both of you")
    await town.anna.call("send_message", jid(BEN), "from one of us")
    copied = await tablet.text("from one of us")
    assert copied.told["Info"]["MessageSource"]["IsFromMe"]
    await town.emulator.person(ANNA).unlink(town.emulator.person(ANNA).devices[-1])
    await tablet.wait("LoggedOut")
    await town.ben.call("send_message", jid(ANNA), "only one now")
    await town.anna.text("only one now")


async def test_what_one_device_reads_the_other_one_hears_of(town: Town) -> None:
    tablet = await town.library.link("other-tablet", ANNA)
    sent = (await town.ben.call("send_message", jid(ANNA), "read me once"))["told"]
    source = (await town.anna.text("read me once")).told["Info"]["MessageSource"]
    chat = jid(f"{source['Chat']['User']}@{source['Chat']['Server']}")
    await town.anna.call("mark_read", sent["ID"], chat=chat, sender=chat, receipt=enum("ReceiptType", "READ"))
    told = (await tablet.wait("Receipt", lambda told: sent["ID"] in told["MessageIDs"])).told["MessageSource"]
    assert told["IsFromMe"]
    assert told["Chat"]["User"] == source["Chat"]["User"]
    await town.emulator.person(ANNA).unlink(town.emulator.person(ANNA).devices[-1])


async def test_a_phone_without_a_session_reports_delivery_as_its_number_says(town: Town) -> None:
    sent = await town.anna.call("send_message", jid(UNLINKED), "hello?")
    await town.anna.wait(
        "Receipt", lambda told: sent["told"]["ID"] in told["MessageIDs"] and "READ" in str(told).upper()
    )
    silent = await town.anna.call("send_message", jid(SILENT), "hello?")
    await town.anna.wait("Receipt", lambda told: silent["told"]["ID"] in told["MessageIDs"])
    off = await town.anna.call("send_message", jid(OFF), "hello?")
    with pytest.raises(LibraryError):
        await town.anna.call("send_message", jid(NOBODY), "hello?")
    told = [each.told for each in town.anna.told if each.kind == "Receipt"]
    assert not any(off["told"]["ID"] in each["MessageIDs"] for each in told)
    assert not any(silent["told"]["ID"] in each["MessageIDs"] and "READ" in str(each).upper() for each in told)


async def test_people_are_looked_up_shown_and_blocked(town: Town) -> None:
    anna, ben = town.anna, town.ben
    found = await anna.call("is_on_whatsapp", BEN, NOBODY)
    assert [each["told"].get("IsIn", False) for each in found] == [True, False]
    lid = await anna.call("get_lid_from_pn", jid(BEN))
    assert f"{lid['told']['User']}@lid" == town.emulator.person(BEN).lid
    with pytest.raises(LibraryError):
        await anna.call("get_profile_picture", jid(BEN))
    picture = b"\xff\xd8\xff" + os.urandom(100)
    await ben.call("set_profile_photo", raw(picture))
    shown = await anna.call("get_profile_picture", jid(BEN))
    assert shown["told"]["URL"].startswith("https://pps.whatsapp.net/")
    await ben.call("set_status_message", "in the garden")
    info = await anna.call("get_user_info", jid(BEN))
    assert "in the garden" in str(info)
    await anna.call("update_blocklist", jid(CLEO), enum("BlocklistAction", "BLOCK"))
    assert town.emulator.person(ANNA).account.blocked == [CLEO]
    await town.cleo.call("send_message", jid(ANNA), "let me in")
    await town.ben.call("send_message", jid(ANNA), "after cleo")
    await anna.text("after cleo")
    assert not any(text_of(each.told) == "let me in" for each in anna.told if each.kind == "Message")
    await anna.call("update_blocklist", jid(CLEO), enum("BlocklistAction", "UNBLOCK"))
    assert town.emulator.person(ANNA).account.blocked == []


async def test_presence_and_typing_reach_those_who_watch(town: Town) -> None:
    phone = await switch_on(town.library, BEN)
    await phone.share_keys()
    await town.ben.wait("Message", lambda told: "appStateSyncKeyShare" in str(told))
    await town.ben.call("set_profile_name", "Ben")
    await town.ben.call("send_presence", enum("Presence", "AVAILABLE"))
    await town.anna.call("subscribe_presence", jid(BEN))
    await town.anna.wait("Presence", lambda told: not told.get("Unavailable", False))
    await town.ben.call("send_presence", enum("Presence", "UNAVAILABLE"))
    await town.anna.wait("Presence", lambda told: told.get("Unavailable", False))
    state, media = (
        enum("ChatPresence", "CHAT_PRESENCE_COMPOSING"),
        enum("ChatPresenceMedia", "CHAT_PRESENCE_MEDIA_TEXT"),
    )
    await town.ben.call("send_chat_presence", jid(ANNA), state, media)
    await town.anna.wait("ChatPresence")


async def test_a_reach_out_lock_refuses_strangers_and_lets_known_chats_be(town: Town) -> None:
    person = town.emulator.person(ANNA)
    await town.anna.call("send_message", jid(BEN), "we know each other")
    person.timelock()
    with pytest.raises(LibraryError, match="463"):
        await town.anna.call("send_message", jid("99900000055"), "hello stranger")
    await town.anna.call("send_message", jid(BEN), "still here")
    await town.ben.text("still here")
    person.timelock(False)
    await town.anna.call("send_message", jid("99900000055"), "hello stranger")


async def test_a_message_that_cannot_be_read_is_asked_for_again_and_arrives(town: Town) -> None:
    await town.anna.call("send_message", jid(CLEO), "readable")
    await town.cleo.text("readable")
    town.emulator.messages.spoil = 1
    await town.anna.call("send_message", jid(CLEO), "spoilt on the way")
    await town.cleo.wait("UndecryptableMessage")
    await town.cleo.text("spoilt on the way")
    people = [town.emulator.person(number) for number in (BEN, CLEO)]
    group = await town.emulator.create_group(town.emulator.person(ANNA), "Noisy", people)
    town.emulator.messages.spoil = 1
    await town.anna.call("send_message", jid(group.truth.jid), "spoilt in the group")
    for session in (town.ben, town.cleo):
        await session.text("spoilt in the group")


async def test_a_call_rings_and_is_rejected_or_given_up(town: Town) -> None:
    anna, ben = town.emulator.person(ANNA), town.emulator.person(BEN)
    first = await ben.ring(anna)
    offered = await town.anna.wait("CallOffer")
    meta = offered.told["basicCallMeta"]
    await town.anna.call("reject_call", jid(f"{meta['from']['User']}@{meta['from']['Server']}"), meta["callID"])
    second = await ben.ring(anna, video=True)
    await town.anna.wait("CallOffer", lambda told: told["basicCallMeta"]["callID"] == second.identity)
    await ben.hang_up(second)
    await town.anna.wait("CallTerminate")
    await eventually(lambda: (first.ended, second.ended) == ("rejected", "hung up"))


async def test_a_status_update_reaches_the_contacts_of_its_author(town: Town) -> None:
    await town.anna.call("contact.put_contact_name", jid(CLEO), "Cleo", "Cleo")
    await town.anna.call("send_message", jid("status@broadcast"), "sunny today")
    told = (await town.cleo.text("sunny today")).told["Info"]["MessageSource"]
    assert (told["Chat"]["User"], told["Chat"]["Server"]) == ("status", "broadcast")
    assert not any(text_of(each.told) == "sunny today" for each in town.ben.told if each.kind == "Message")


async def test_a_device_short_of_keys_is_asked_for_more(town: Town) -> None:
    device = town.emulator.person(CLEO).devices[0]
    while len(device.prekeys) > 3:
        device.prekeys.popitem()
    dora = await town.library.link("dora", "99900000004")
    await dora.call("send_message", jid(CLEO), "a first word")
    await town.cleo.text("a first word")
    await eventually(lambda: len(device.prekeys) > 40)
