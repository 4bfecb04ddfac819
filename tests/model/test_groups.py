"""Invites: the bare code or the link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagate.errors import BadRequest
from wagate.model.groups import invite_code

CODE = "AbCdEfGh12345678_-Zz"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "short", "a" * 65, "has space here", CODE + "!", "https://example.com/" + CODE,
        "https://chat.whatsapp.com/", "https://chat.whatsapp.com.example.com/" + CODE, "chat.whatsapp.com/" + CODE,
        "https://chat.whatsapp.com/" + CODE + "/more", "ftp://chat.whatsapp.com/" + CODE, CODE + "\n" + CODE,
        "https://wa.me/" + CODE, "ÄbcdefghijklÖ",
    ],
)  # fmt: skip
def test_what_is_no_invite_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        invite_code(text)
    assert refused.value.details["fields"][0]["path"] == "invite"


@pytest.mark.parametrize(
    "text",
    [
        CODE, f" {CODE} ", f"https://chat.whatsapp.com/{CODE}", f"http://chat.whatsapp.com/{CODE}",
        f"https://chat.whatsapp.com/invite/{CODE}", f"https://chat.whatsapp.com/{CODE}?mode=ac_t",
    ],
)  # fmt: skip
def test_every_form_of_an_invite(text: str) -> None:
    assert invite_code(text) == CODE


@given(st.text())
def test_any_text_is_an_invite_or_a_bad_request(text: str) -> None:
    try:
        code = invite_code(text)
    except BadRequest:
        return
    assert invite_code(code) == code
