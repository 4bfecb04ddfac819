"""What clients call things, read and written."""

from __future__ import annotations

import pytest

from wagate.api.compat.wasend.naming import Named, address, digits, group, message, message_id, moment, shown
from wagate.errors import BadRequest

GROUP = "120363000000000001@g.us"


@pytest.mark.parametrize("text", ["", "nobody", "@g.us", "12", "x@c.us", "12036300000000000x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        address(text, "to")
    assert refused.value.details["fields"][0]["path"] == "to"


@pytest.mark.parametrize("id", ["false_nobody@c.us_3EB0", "true_1@c.us_3EB0", f"false_{GROUP}_3EB0_nobody"])
def test_an_id_with_a_broken_address_in_it_is_refused(id: str) -> None:
    with pytest.raises(BadRequest):
        message(id)


@pytest.mark.parametrize(
    ("text", "jid"),
    [
        ("+9990000001", "9990000001@s.whatsapp.net"),
        ("9990000001@c.us", "9990000001@s.whatsapp.net"),
        ("9990000001@s.whatsapp.net", "9990000001@s.whatsapp.net"),
        ("884953328436738@lid", "884953328436738@lid"),
        (GROUP, GROUP),
        (GROUP.removesuffix("@g.us"), GROUP),
    ],
)
def test_an_address_has_many_spellings(text: str, jid: str) -> None:
    assert address(text, "to") == jid


def test_a_group_may_come_without_its_end() -> None:
    assert group("120363000000000001") == group(GROUP) == GROUP
    assert group("4915700000000-1400000000") == "4915700000000-1400000000@g.us"
    assert group("nothing") == "nothing"


def test_people_are_shown_as_everybody_writes_them() -> None:
    assert shown("9990000001@s.whatsapp.net") == "9990000001@c.us"
    assert shown("884953328436738@lid") == "884953328436738@lid"
    assert shown(GROUP) == GROUP
    assert (digits("9990000001@s.whatsapp.net"), digits("884953328436738@lid")) == ("9990000001", "")


def test_an_id_says_its_chat_and_is_read_back() -> None:
    me, peer = "9990000001@s.whatsapp.net", "9990000002@s.whatsapp.net"
    own = message_id("3EB0AB", peer, from_me=True, sender=me)
    assert own == "true_9990000002@c.us_3EB0AB"
    assert message(own) == Named(wire_id="3EB0AB", chat=peer, from_me=True)
    theirs = message_id("3EB0AB", GROUP, from_me=False, sender=peer)
    assert theirs == f"false_{GROUP}_3EB0AB_9990000002@c.us"
    assert message(theirs) == Named(wire_id="3EB0AB", chat=GROUP, from_me=False, sender=peer)


def test_a_plain_id_stays_plain() -> None:
    assert message("3EB0AB") == Named(wire_id="3EB0AB")
    assert message("true_story") == Named(wire_id="true_story")


def test_a_moment_is_text() -> None:
    assert moment(1_795_284_196_627) == "2026-11-21T18:03:16.627Z"
