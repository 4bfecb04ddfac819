"""Every operation, with every credential and every kind of bad input: made from the list of operations."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import key, organization, refused
from wagate import testing
from wagate.api.operations import SUPER_ADMIN, Operation
from wagate.bootstrap import OPERATIONS
from wagate.errors import SessionNotConnected
from wagate.model.organizations import CAPABILITIES
from wagate.testing import SandboxGateway

JPEG = base64.b64encode(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(64) + b"\xff\xd9").decode()
GOOD: dict[str, Any] = {
    "createSession": {},
    "updateSession": {"label": "mine"},
    "sessionPairingCode": {"phone": "9990000003"},
    "sendMessage": {"type": "text", "to": "9990000002", "text": "hello"},
    "setPresence": {"state": "online"},
    "postStatus": {"text": "hello"},
    "editMessage": {"chat": "9990000002", "text": "hello"},
    "revokeMessage": {"chat": "9990000002"},
    "forwardMessage": {"chat": "9990000002", "to": "9990000003"},
    "addReaction": {"chat": "9990000002", "emoji": "\U0001f44d"},
    "removeReaction": {"chat": "9990000002"},
    "voteMessage": {"chat": "9990000002", "options": ["a"]},
    "markRead": {"chat": "9990000002", "messageIds": ["3EB000000000000000"]},
    "updateChat": {"archived": True},
    "setChatPresence": {"state": "composing"},
    "rejectGroupMembers": {"participants": ["9990000002"]},
    "setGroupPicture": {"media": {"data": JPEG}},
    "createChannel": {"name": "channel"},
    "muteChannel": {"mute": True},
    "createRealtimeTicket": {"scope": "organization"},
    "createWebhook": {"url": "http://hooks.invalid/", "events": [], "active": False},
    "updateWebhook": {"active": False},
    "createKey": {"name": "key", "permissions": ["read"]},
    "sandboxReact": {"from": "9990000002", "emoji": "\U0001f44d"},
    "sandboxEdit": {"from": "9990000002", "text": "hello"},
    "sandboxRevoke": {"from": "9990000002"},
    "sandboxVote": {"from": "9990000002", "options": ["a"]},
    "sandboxRing": {"to": "9990000001"},
    "createGroup": {"name": "group", "participants": ["9990000002"]},
    "updateGroup": {"subject": "group"},
    "addGroupMembers": {"participants": ["9990000002"]},
    "approveGroupMembers": {"participants": ["9990000002"]},
    "joinGroup": {"invite": "abcdefghijklmnop"},
    "sandboxScan": {"phone": "9990000004"},
    "sandboxDrop": {},
    "sandboxSay": {"type": "text", "from": "9990000002", "to": "9990000001", "text": "hello"},
    "sandboxRead": {"from": "9990000002"},
    "sandboxPlay": {"from": "9990000002"},
    "sandboxMakeGroup": {"owner": "9990000002", "subject": "group", "participants": ["9990000003"]},
    **{f"sandbox{step}": {"phone": "9990000002"} for step in ("Join", "Leave", "Request", "Promote", "Demote")},
    "sandboxChangePerson": {"online": True},
    "sandboxInjectFault": {"kind": "ack_delay"},
    "sandboxTurnClock": {"advanceSeconds": 1},
}
"""A body that each operation takes."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
KEYED = [operation for operation in OPERATIONS if operation.capability != SUPER_ADMIN]
PLATFORM = [operation for operation in OPERATIONS if operation not in KEYED]
SESSIONS = [operation for operation in KEYED if "session" in operation.names]
BODIES = [operation for operation in OPERATIONS if operation.body not in (None, bytes)]
# Media that is here is read without a connection, and the message is looked for first.
LIVE = [o for o in KEYED if SessionNotConnected in o.errors and o.id != "getMedia"]
QUERIES = {"checkContact": "?phone=9990000002", "previewInvite": "?invite=abcdefghijklmnop"}
"""What must be asked in a query."""


class Stage:
    """A gateway with a linked and stopped session, and another organization that has one too."""

    def __init__(self, wagate: SandboxGateway) -> None:
        self.wagate = wagate
        self.stopped = wagate.linked("9990000001")["id"]
        wagate.post(f"/sessions/{self.stopped}:stop")
        self.stranger = organization(wagate)
        self.strangers_key = key(wagate, owner=self.stranger)
        self.foreign = self.ask("POST", "/sessions", {}, key=self.strangers_key).body["id"]
        self.without = {
            operation.id: key(wagate, *(set(CAPABILITIES) - operation.capability)) for operation in OPERATIONS
        }

    def ask(self, *args: Any, **more: Any) -> Any:
        return self.wagate.ask(*args, **more)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with testing.gateway(tmp_path_factory.mktemp("wagate") / "data") as wagate:
        yield Stage(wagate)


def path(operation: Operation, session: str = "ses_nobody") -> str:
    """The operation's path with ids of things that are not there."""
    values = {"session": session, "gid": "120363000000000000@g.us", "jid": "9990000002", "phone": "9990000002"}
    values |= {
        "mid": "3EB000000000000000",
        "outboxId": "ob_nothing",
        "cid": "9990000002",
        "lid": "9990000002",
        "id": "key_nothing",
        "did": "dlv_nothing",
    }
    return operation.path.format_map(values) + QUERIES.get(operation.id, "")


def each(operations: list[Operation]) -> Any:
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.id)


def test_every_operation_that_takes_a_body_has_a_good_one_here() -> None:
    assert set(GOOD) == {operation.id for operation in BODIES}


def test_there_are_live_operations() -> None:
    assert {"sendMessage", "createGroup", "updateGroup", "joinGroup", "leaveGroup"} <= {each.id for each in LIVE}


@each(OPERATIONS)
def test_without_a_credential_nothing_is_answered(stage: Stage, operation: Operation) -> None:
    for bad in ("", "wa_" + "0" * 43, "nonsense"):
        answer = stage.ask(operation.method, path(operation), GOOD.get(operation.id), key=bad)
        refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


@each(OPERATIONS)
def test_without_the_capability_nothing_is_looked_up(stage: Stage, operation: Operation) -> None:
    lacking = stage.without[operation.id]
    for session in ("ses_nobody", stage.foreign, stage.stopped):
        refused(stage.ask(operation.method, path(operation, session), b"{", key=lacking), 403, "forbidden")


@each(SESSIONS)
def test_what_another_organization_has_does_not_exist(stage: Stage, operation: Operation) -> None:
    for body in (GOOD.get(operation.id), b'{"unknown":'):
        foreign = stage.ask(operation.method, path(operation, stage.foreign), body)
        nobody = stage.ask(operation.method, path(operation), body)
        assert (foreign.status, foreign.body) == (nobody.status, nobody.body)
        if type(body) is not bytes:
            refused(foreign, 404, "not_found")
    assert stage.ask("GET", f"/sessions/{stage.foreign}", key=stage.strangers_key).body["status"] == "stopped"


@each(LIVE)
def test_a_live_action_on_a_stopped_session_is_501(stage: Stage, operation: Operation) -> None:
    answer = stage.ask(operation.method, path(operation, stage.stopped), GOOD.get(operation.id))
    assert refused(answer, 501, "not_implemented")["reason"] == "session_not_connected"


@each([o for o in KEYED if o.method in ("POST", "PUT", "PATCH") and o.body is not bytes])
def test_a_malformed_body_is_400(stage: Stage, operation: Operation) -> None:
    where = path(operation, stage.stopped)
    unknown = b'{"nothingLikeThis": 1}'
    for body in (b"{", b"[]", b'"text"', b"7", b"\xff\xfe", b"{" * 100_000, b"[" * 100_000, unknown, b"{}x"):
        refused(stage.ask(operation.method, where, body), 400, "validation_error")


@each([operation for operation in BODIES if GOOD[operation.id]])
def test_a_field_of_the_wrong_type_is_400(stage: Stage, operation: Operation) -> None:
    where = path(operation, stage.stopped)
    for field in GOOD[operation.id]:
        for wrong in (7.5, ["\0"], {"a": 1}, "\x00", "x" * 70_000):
            answer = stage.ask(operation.method, where, GOOD[operation.id] | {field: wrong})
            if not (field == "advanceSeconds" and wrong == 7.5):
                refused(answer, 400, "validation_error")


@each(PLATFORM)
def test_no_key_reaches_what_is_the_platforms(stage: Stage, operation: Operation) -> None:
    for session in ("ses_nobody", stage.foreign, stage.stopped):
        refused(stage.ask(operation.method, path(operation, session)), 403, "forbidden")


@each(KEYED)
def test_an_unknown_query_parameter_is_400(stage: Stage, operation: Operation) -> None:
    where = path(operation, stage.stopped)
    where += ("&" if "?" in where else "?") + "nothing=1"
    answer = stage.ask(operation.method, where, GOOD.get(operation.id))
    details = refused(answer, 400, "validation_error")
    assert details["fields"] == [{"path": "nothing", "message": "is not a known query parameter"}]


@each(OPERATIONS)
def test_a_wrong_method_is_405_and_says_which_are_right(stage: Stage, operation: Operation) -> None:
    where = path(operation, stage.stopped)
    allowed = {other.method for other in OPERATIONS if other.path == operation.path}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    for method in set(METHODS) - allowed:
        answer = stage.ask(method, where)
        if method != "HEAD":
            refused(answer, 405, "method_not_allowed")
        assert answer.status == 405
        assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if len(each.capability) > 1], ids=lambda operation: operation.id
)
def test_any_of_several_capabilities_is_enough(stage: Stage, operation: Operation) -> None:
    for capability in operation.capability - SUPER_ADMIN:
        one = key(stage.wagate, capability)
        refused_or_not = stage.ask(operation.method, path(operation, stage.stopped), key=one)
        assert refused_or_not.status != 403


def test_ids_below_an_own_session_are_not_those_of_another(stage: Stage) -> None:
    made = stage.ask("POST", "/sandbox/groups", GOOD["sandboxMakeGroup"], key=stage.strangers_key).body
    refused(stage.ask("GET", f"/sandbox/groups/{made['groupJid']}"), 404, "not_found")
    refused(stage.ask("POST", f"/sandbox/groups/{made['groupJid']}:leave", {"phone": "9990000002"}), 404, "not_found")
    refused(stage.ask("GET", f"/events?session={stage.foreign}"), 404, "not_found")
    fault = {"kind": "refuse", "session": stage.foreign}
    refused(stage.ask("POST", "/sandbox/faults", fault), 404, "not_found")
