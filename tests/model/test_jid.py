"""Addresses: every form that is taken, canonical after one reading, and nothing else taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagate.errors import BadRequest
from wagate.model import jid

DIGITS = st.text("0123456789", min_size=7, max_size=12).map(lambda digits: "999" + digits)
PEOPLE = st.one_of(
    DIGITS,
    DIGITS.map("+{}".format),
    DIGITS.map("{}@s.whatsapp.net".format),
    DIGITS.map("{}@c.us".format),
    DIGITS.map("{}@lid".format),
    st.builds("{}:{}@s.whatsapp.net".format, DIGITS, st.integers(0, 99999)),
    st.builds("{}:{}@lid".format, DIGITS, st.integers(0, 99999)),
)
GROUPS = st.one_of(
    st.from_regex(r"[0-9]{1,40}@g\.us", fullmatch=True),
    st.from_regex(r"[0-9]{1,40}-[0-9]{1,20}@g\.us", fullmatch=True),
    st.from_regex(r"[0-9]{1,40}@newsletter", fullmatch=True),
).filter(str.isascii)

BAD = [
    "", " ", "+", "-", "x", "12", "999", "99900000", "999000000000000001", "9990000001@", "@s.whatsapp.net",
    "9990000001@s.whatsapp.net ", " 9990000001@lid", "9990000001@S.WHATSAPP.NET", "9990000001@example.com",
    "9990000001@s.whatsapp.net@lid", "+9990000001@s.whatsapp.net", "999 000 0001@s.whatsapp.net", "9990000001@\n",
    "9990000001\n", "9990000001\0", "٩٩٩٠٠٠٠٠٠١", "9990000001:@lid", "9990000001:x@lid", "9990000001:123456@lid",
    "abc@lid", "12@lid", "9" * 21 + "@lid", "++9990000001", "999+0000001", "status@broadcast",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=repr)
@pytest.mark.parametrize("read", [jid.person, jid.chat])
def test_what_is_nobodys_address_is_refused_and_the_field_named(read: Callable[[str, str], str], text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(text, "there")
    assert refused.value.details["fields"][0]["path"] == "there"


@pytest.mark.parametrize("text", ["1@g.us", "1@newsletter", "status@broadcast"])
def test_a_group_is_no_person(text: str) -> None:
    with pytest.raises(BadRequest):
        jid.person(text)


@pytest.mark.parametrize(
    "text", ["x@g.us", "@g.us", "1-@g.us", "-1@g.us", "1-2-3@g.us", "1" * 41 + "@g.us", "1@g.us ", "1@G.US", "١@g.us"]
)
def test_what_is_no_group_is_refused(text: str) -> None:
    assert not jid.is_group_input(text)
    with pytest.raises(BadRequest):
        jid.chat(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("9990000001", "9990000001@s.whatsapp.net"),
        ("+999 000-0001", "9990000001@s.whatsapp.net"),
        ("+999 (000) 00.01", "9990000001@s.whatsapp.net"),
        (" 9990000001 ", "9990000001@s.whatsapp.net"),
        ("9990000001@c.us", "9990000001@s.whatsapp.net"),
        ("9990000001@s.whatsapp.net", "9990000001@s.whatsapp.net"),
        ("9990000001:12@s.whatsapp.net", "9990000001@s.whatsapp.net"),
        ("123456789012345@lid", "123456789012345@lid"),
        ("123456789012345:3@lid", "123456789012345@lid"),
        ("+49 151 23456789", "4915123456789@s.whatsapp.net"),
    ],
)
def test_every_form_of_a_person(text: str, wanted: str) -> None:
    assert jid.person(text) == jid.chat(text) == wanted


@given(PEOPLE)
def test_reading_a_person_twice_is_reading_once(text: str) -> None:
    once = jid.person(text)
    assert jid.person(once) == jid.chat(once) == jid.chat(text) == once
    assert jid.is_phone(once) != jid.is_lid(once)
    assert jid.chat_type(once) == "dm"
    assert jid.user(once).isdecimal()


@given(GROUPS)
def test_a_group_or_channel_is_canonical_as_it_stands(text: str) -> None:
    assert jid.chat(text) == text
    assert jid.is_group(text) == jid.is_group_input(text) == text.endswith("@g.us")
    assert jid.chat_type(text) == ("group" if jid.is_group(text) else "newsletter")


@given(st.text())
def test_any_text_is_an_address_or_a_bad_request(text: str) -> None:
    for read in (jid.person, jid.chat, jid.phone):
        try:
            canonical = read(text, "x")
        except BadRequest:
            continue
        assert read(canonical, "x") == canonical
        assert canonical.isascii()


@pytest.mark.parametrize(("digits", "is_one"), [("9990000001", True), ("999" + "1" * 12, True), ("999000000", False),
                                                ("999" + "1" * 13, False), ("4915123456789", False)])  # fmt: skip
def test_the_sandboxs_numbers(digits: str, is_one: bool) -> None:
    assert jid.is_sandbox_number(digits) is is_one


def test_the_status_broadcast_is_a_chat_of_its_own_kind() -> None:
    assert (jid.chat_type("status@broadcast"), jid.chat_type("1@broadcast")) == ("status", "broadcast")
