"""How the SDK hears of each refusal: by the number where it throws, by our sentence where it answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialect import Dialect
from tests.support.gateways import Account, key, organization
from tests.support.sdk import Sdk, SdkError, refused
from wagate.testing import SandboxGateway


def reason(told: dict[str, Any]) -> str:
    """What an `SdkResponse` says of a refusal: our own words, not the HTTP library's."""
    assert told["success"] is False
    said = told["error"] if "error" in told else told["message"]
    assert said
    assert "status code" not in said, said
    return str(said)


def test_a_wrong_key_is_401_everywhere(sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str) -> None:
    session = owner.session
    for wrong in ("wa_wrong", "nonsense", "x.y.z"):
        stranger = sdk.with_key(wrong)
        refused(401, stranger.retrieve_all_sessions)
        refused(401, lambda stranger=stranger: stranger.get_group(session, group))
        refused(401, lambda stranger=stranger: stranger.revoke_group_invite_code(session, group))
        refused(401, lambda stranger=stranger: stranger.send(session=session, to="+9990000002", text="x"))
        reason(stranger.retrieve_account())
        reason(stranger.get_all_chats(session))
        reason(stranger.read_messages(session, "9990000002@c.us", messages=1))


def test_a_key_without_the_permission_is_403(sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str) -> None:
    reader = sdk.with_key(key(wagate, "read"))
    assert reader.get_group(owner.session, group)["jid"] == group
    refused(403, lambda: reader.revoke_group_invite_code(owner.session, group))
    refused(403, lambda: reader.send(session=owner.session, to="+9990000002", text="x"))
    refused(403, lambda: reader.create_session(session_name="x", phone_number="+9990000010"))
    refused(403, lambda: reader.delete_session(owner.session))
    reason(reader.send_reaction(session=owner.session, message_id="M", reaction="👍"))
    sender = sdk.with_key(key(wagate, "send"))
    reason(sender.get_all_chats(owner.session))


def test_what_is_another_organizations_is_404(sdk: Sdk, wagate: SandboxGateway, owner: Account, group: str) -> None:
    stranger = sdk.with_key(key(wagate, owner=organization(wagate)))
    session = owner.session
    refused(404, lambda: stranger.get_groups(session))
    refused(404, lambda: stranger.get_group(session, group))
    refused(404, lambda: stranger.revoke_group_invite_code(session, group))
    refused(404, lambda: stranger.get_contacts(session))
    refused(404, lambda: stranger.send(session=session, to="+9990000002", text="x"))
    refused(404, lambda: stranger.start_typing(session=session, to="+9990000002"))
    reason(stranger.get_all_chats(session))
    reason(stranger.get_messages(session, "9990000002@c.us", limit=5))
    reason(stranger.send_reaction(session=session, message_id="M", reaction="👍"))


@pytest.mark.parametrize("group", ["120363000000000000@g.us", "nonsense", "9990000002@c.us"])
def test_an_unknown_group_is_404(sdk: Sdk, owner: Account, group: str) -> None:
    refused(404, lambda: sdk.get_group(owner.session, group))
    refused(404, lambda: sdk.revoke_group_invite_code(owner.session, group))
    refused(404, lambda: sdk.leave_group(owner.session, group))
    refused(404, lambda: sdk.set_group_subject(owner.session, group, subject="x"))


def test_a_send_over_the_budget_is_429(sdk: Sdk, wagate: SandboxGateway) -> None:
    session = wagate.linked("9990000071", ratePerMin=1)["id"]
    assert sdk.send(session=session, to="+9990000002", text="first")["id"]
    refused(429, lambda: sdk.send(session=session, to="+9990000002", text="second"))
    answer = Dialect(wagate).ask("POST", "/send", {"session": session, "to": "+9990000002", "text": "third"})
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_a_stopped_session_is_503(sdk: Sdk, wagate: SandboxGateway) -> None:
    stopped = Account(wagate, "9990000072")
    group = stopped.knows(stopped.made("9990000002"))
    sdk.stop_session(stopped.session)
    wagate.until(lambda: not wagate.working(stopped.session))
    session = stopped.session
    refused(503, lambda: sdk.send(session=session, to="+9990000002", text="x"))
    refused(503, lambda: sdk.revoke_group_invite_code(session, group))
    refused(503, lambda: sdk.set_group_subject(session, group, subject="x"))
    refused(503, lambda: sdk.add_group_participants(session, group, participants=["+9990000003"]))
    refused(503, lambda: sdk.start_typing(session=session, to="+9990000002"))
    refused(503, lambda: sdk.check_contact_exists(session, phone="9990000002"))
    reason(sdk.send_reaction(session=session, message_id="M", reaction="👍"))
    # What is stored needs no connection.
    assert [each["jid"] for each in sdk.get_groups(session)] == [group]
    assert sdk.get_all_chats(session)["success"] is True


def test_a_name_of_two_sessions_is_409(sdk: Sdk) -> None:
    made = [sdk.create_session(session_name="twins", phone_number="+9990000010")["id"] for _ in range(2)]
    refused(409, lambda: sdk.retrieve_session_info("twins"))
    refused(409, lambda: sdk.get_groups("twins"))
    refused(409, lambda: sdk.send(session="twins", to="+9990000002", text="x"))
    reason(sdk.get_all_chats("twins"))
    sdk.delete_session(made[0])
    assert sdk.retrieve_session_info("twins")["id"] == made[1]


def test_nobody_there_is_told_by_the_sdk_itself(sdk: Sdk) -> None:
    with pytest.raises(SdkError, match="ECONNREFUSED"):
        sdk.at("http://127.0.0.1:9").retrieve_all_sessions()
