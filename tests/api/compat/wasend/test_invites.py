"""Invites through the dialect: the operation that it all started from, to the letter."""

from __future__ import annotations

import pytest

from tests.support.dialect import BASES, Dialect, told
from tests.support.gateways import Account

LINK = "https://chat.whatsapp.com/"


def test_somebody_who_is_no_admin_is_403(docs: Dialect, guest: Account, group: str) -> None:
    for method, path in (("POST", "invite-link/revoke"), ("GET", "invite-link"), ("POST", "invite-code/revoke")):
        told(docs.ask(method, f"/{guest.session}/groups/{group}/{path}"), 403, "not an admin of the group")


def test_a_revoke_takes_no_body(docs: Dialect, shop: str, group: str) -> None:
    told(docs.ask("POST", f"/{shop}/groups/{group}/invite-link/revoke", {"reason": "none"}), 400)


@pytest.mark.parametrize("base", BASES)
def test_a_revoked_link_stops_working_at_once(owner: Account, base: str, shop: str, group: str) -> None:
    client = Dialect(owner.wagate, base=base)
    where = f"/{shop}/groups/{group}/invite-link"
    old = client.get(where)
    assert old == {"success": True, "inviteLink": old["inviteLink"], "expiresAt": None}
    new = client.post(f"{where}/revoke")
    assert new == {"success": True, "inviteLink": new["inviteLink"], "expiresAt": None}
    assert new["inviteLink"].startswith(LINK)
    assert new["inviteLink"] != old["inviteLink"]
    told(client.ask("GET", f"/{shop}/groups/join-info?code={old['inviteLink']}"), 400)
    assert client.get(f"/{shop}/groups/join-info?code={new['inviteLink']}")["jid"] == group
    assert client.get(where) == new
    assert owner.get(f"/{group}/invite")["invite"] == new["inviteLink"]


def test_the_sdk_gets_a_text_and_others_an_object(docs: Dialect, sdk: Dialect, shop: str, group: str) -> None:
    where = f"/{shop}/groups/{group}/invite-code"
    code = sdk.get(where)
    assert isinstance(code, str)
    assert docs.get(where) == {"success": True, "inviteCode": code}
    newer = sdk.post(f"{where}/revoke")
    assert isinstance(newer, str)
    assert newer != code
    newest = docs.post(f"{where}/revoke")
    assert set(newest) == {"success", "inviteCode"}
    assert docs.get(f"/{shop}/groups/{group}/invite-link")["inviteLink"] == LINK + newest["inviteCode"]
