"""Contacts, as the Python SDK sees them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways import Account
from tests.support.sdk import Sdk, digits, refused
from wagate.testing import SandboxGateway

NAMED = {"9990000031": "Zoe", "9990000032": "adam", "9990000033": "Mia"}


@pytest.fixture(scope="module")
def me(wagate: SandboxGateway) -> Account:
    """An account that three people with names have written to."""
    account = Account(wagate, "9990000030")
    for number, name in NAMED.items():
        wagate.ask("PATCH", f"/sandbox/people/{number}", {"name": name})
        wagate.post("/sandbox/messages", {"from": number, "to": account.phone, "type": "text", "text": "hello"})
    contacts = f"/sessions/{account.session}/contacts"
    wagate.until(lambda: set(NAMED.values()) <= {each.get("name") for each in wagate.get(contacts)["data"]})
    return account


def named(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"] or each["push_name"] for each in found if digits(each["phone_number"]) in NAMED]


def test_contacts_are_listed_sorted_and_paged(sdk: Sdk, me: Account) -> None:
    assert named(sdk.get_contacts(me.session, sort_by="name")) == ["adam", "Mia", "Zoe"]
    assert named(sdk.get_contacts(me.session, sort_by="name", sort_order="desc")) == ["Zoe", "Mia", "adam"]
    ids = [each["id"] for each in sdk.get_contacts(me.session, sort_by="id")]
    assert ids == sorted(ids)
    assert len(ids) >= 3
    pages = [sdk.get_contacts(me.session, sort_by="id", limit=1, offset=place) for place in range(len(ids) + 1)]
    assert [each["id"] for page in pages for each in page] == ids
    assert [len(page) for page in pages] == [1] * len(ids) + [0]


@pytest.mark.parametrize("wrong", [{"sort_by": "colour"}, {"sort_order": "up"}])
def test_contacts_are_not_listed_by_what_they_do_not_have(sdk: Sdk, me: Account, wrong: dict[str, Any]) -> None:
    refused(400, lambda: sdk.get_contacts(me.session, **wrong))


@pytest.mark.parametrize("written", ["+{}", "{}", "{}@c.us", "{}@s.whatsapp.net"])
def test_a_contact_is_found_by_number_and_by_address(sdk: Sdk, me: Account, written: str) -> None:
    found = sdk.get_contact(me.session, contact_id=written.format("9990000031"))
    assert digits(found["phone_number"]) == "9990000031"
    assert named([found]) == ["Zoe"]
    assert found["id"] in {each["id"] for each in sdk.get_contacts(me.session)}


def test_who_was_never_heard_of_is_no_contact(sdk: Sdk, me: Account) -> None:
    refused(404, lambda: sdk.get_contact(me.session, contact_id="+9990000099"))
    refused(400, lambda: sdk.get_contact(me.session, contact_id="nobody"))


def test_whether_a_number_is_on_whatsapp_is_told(sdk: Sdk, me: Account) -> None:
    there = sdk.check_contact_exists(me.session, phone="9990000031")
    assert (there["exists"], digits(there["phone"]), digits(there["jid"])) == (True, "9990000031", "9990000031")
    nobody = sdk.check_contact_exists(me.session, phone="9993000001")
    assert (nobody["exists"], digits(nobody["phone"])) == (False, "9993000001")
    refused(400, lambda: sdk.check_contact_exists(me.session, phone="nobody"))


def test_a_picture_is_told_while_there_is_one(sdk: Sdk, wagate: SandboxGateway, me: Account) -> None:
    def picture(**more: Any) -> Any:
        return sdk.get_contact_profile_picture(me.session, contact_id="+9990000031", **more)

    wagate.ask("PATCH", "/sandbox/people/9990000031", {"picture": True})
    for refresh in (None, True, False):
        assert isinstance(picture(refresh=refresh)["url"], str)
    wagate.ask("PATCH", "/sandbox/people/9990000031", {"picture": False})
    refused(404, lambda: picture(refresh=True))
