"""Every operation of the dialect, at both of its places, with every credential and every kind of bad input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.dialect import BASES, Dialect, told
from tests.support.gateways import key, organization
from wagate import testing
from wagate.api.compat.wasend import DIALECT
from wagate.api.operations import Operation
from wagate.bootstrap import OPERATIONS as NATIVE
from wagate.bootstrap import openapi_document
from wagate.errors import SessionNotConnected
from wagate.model.organizations import CAPABILITIES
from wagate.testing import SandboxGateway

OPERATIONS = DIALECT.operations
PEER = "+9990000002"
_WHOM = {"participants": [PEER]}
_SENT = {"to": PEER, "content": ""}
GOOD: dict[str, Any] = {
    "createSession": {"sessionName": "new", "phoneNumber": "+9990000009"},
    "createGroup": {"name": "group", "participants": [{"id": PEER}]},
    "joinGroup": {"code": "abcdefghijklmnop"},
    "setGroupPicture": {"url": "http://127.0.0.1:9/a.jpg"},
    "setGroupSubject": {"subject": "group"},
    "setGroupName": {"name": "group"},
    "setGroupDescription": {"description": "group"},
    "setGroupInfoAdminOnly": {"enabled": True},
    "setGroupMessagesAdminOnly": {"enabled": True},
    "setGroupSettings": {"infoAdminOnly": True},
    "addGroupParticipants": _WHOM,
    "removeGroupParticipants": _WHOM,
    "deleteGroupParticipants": _WHOM,
    "promoteGroupParticipants": _WHOM,
    "promoteParticipants": _WHOM,
    "demoteGroupParticipants": _WHOM,
    "demoteParticipants": _WHOM,
    "send": {"to": PEER, "text": "hello"},
    "sendText": {**_SENT, "text": "hello"},
    "sendImage": {**_SENT, "url": "http://127.0.0.1:9/a.jpg"},
    "sendFile": {**_SENT, "url": "http://127.0.0.1:9/a.pdf", "fileName": "a.pdf", "mimeType": "application/pdf"},
    "sendVoice": {**_SENT, "url": "http://127.0.0.1:9/a.ogg"},
    "sendVideo": {**_SENT, "url": "http://127.0.0.1:9/a.mp4"},
    "sendLinkCustomPreview": {**_SENT, "text": "https://a.example/", "preview": {"title": "A"}},
    "sendLinkPreview": {**_SENT, "text": "https://a.example/", "preview": {"title": "A"}},
    "sendSeen": {"to": PEER, "messageId": "3EB000000000000000"},
    "sendReaction": {"messageId": "3EB000000000000000", "reaction": ""},
    "startTyping": {"to": PEER},
    "stopTyping": {"to": PEER},
}
"""A body that each operation takes."""
QUERIES = {
    "getGroupJoinInfo": "code=abcdefghijklmnop",
    "getContact": f"contactId={PEER[1:]}",
    "checkContactExists": f"phone={PEER[1:]}",
    "getContactProfilePicture": f"contactId={PEER[1:]}",
    "getMessages": "limit=10",
}
"""What must be asked in a query."""
NAMES = {operation.id: operation.id.removeprefix("wasend.") for operation in OPERATIONS}
BODIES = [operation for operation in OPERATIONS if operation.body is not None]
LIVE = [operation for operation in OPERATIONS if SessionNotConnected in operation.errors]
GROUPS = [operation for operation in OPERATIONS if "gid" in operation.names]
IN_BODY = [operation for operation in BODIES if "session" in operation.body.__struct_fields__]
IN_QUERY = [operation for operation in OPERATIONS if "session" in operation.query.__struct_fields__]
IN_PATH = [operation for operation in OPERATIONS if "session" in operation.names]
SESSIONS = [*IN_PATH, *IN_BODY, *IN_QUERY]
ANY_MEMBER = {
    "leaveGroup",
    "getGroupPicture",
    "setGroupPicture",
    "deleteGroupPicture",
    "setGroupSubject",
    "setGroupName",
    "setGroupDescription",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Stage:
    """A gateway with a linked and stopped session, a working one, and another organization that has one too."""

    def __init__(self, wagate: SandboxGateway) -> None:
        self.wagate = wagate
        self.stopped = wagate.linked("9990000001")["id"]
        wagate.post(f"/sessions/{self.stopped}:stop")
        self.working = wagate.linked("9990000003")["id"]
        self.strangers_key = key(wagate, owner=organization(wagate))
        self.foreign = wagate.ask("POST", "/sessions", {"label": "theirs"}, key=self.strangers_key).body["id"]
        group = {"owner": "9990000005", "subject": "group", "participants": ["9990000002"]}
        self.group = wagate.post("/sandbox/groups", group)["groupJid"]
        self.mine = wagate.post("/sandbox/groups", group | {"participants": ["9990000003"]})["groupJid"]
        wagate.until(lambda: wagate.ask("GET", f"/sessions/{self.working}/groups/{self.mine}").status == 200)
        self.without = {
            operation.id: key(wagate, *(set(CAPABILITIES) - operation.capability)) for operation in OPERATIONS
        }

    def ask(self, operation: Operation, session: str, body: Any = ..., **more: Any) -> Any:
        """Ask at both places, which answer alike; `session` goes where the operation wants it."""
        where, told_body = self.request(operation, session, more.pop("group", self.group))
        if body is ...:
            body = told_body
        answers = [
            Dialect(self.wagate, base=base).ask(
                operation.method, where + more.get("query", ""), body, key=more.get("key")
            )
            for base in BASES
        ]
        assert answers[0].status == answers[1].status, [each.body for each in answers]
        return answers[0]

    def request(self, operation: Operation, session: str, group: str) -> tuple[str, Any]:
        values = {"session": session, "gid": group, "cid": "9990000002@c.us", "mid": "3EB000000000000000"}
        path, body = operation.path.format_map(values), GOOD.get(NAMES[operation.id])
        query = QUERIES.get(NAMES[operation.id], "")
        if operation in IN_QUERY:
            query += f"&session={session}"
        if operation in IN_BODY:
            body = body | {"session": session}
        return path + (f"?{query}" if query else ""), body


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("wagate") / "data"
    with testing.gateway(folder, allowed_networks=("127.0.0.0/8",)) as wagate:
        yield Stage(wagate)


def each(operations: Any) -> Any:
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: NAMES[operation.id])


def test_every_operation_that_takes_a_body_has_a_good_one_here() -> None:
    assert set(GOOD) == {NAMES[operation.id] for operation in BODIES}


def test_there_are_operations_of_every_kind() -> None:
    names = {NAMES[operation.id] for operation in LIVE}
    assert {"send", "sendReaction", "createGroup", "revokeGroupInviteLink", "checkContactExists"} <= names
    assert len(IN_BODY) > 10
    assert len(IN_QUERY) == 4


def test_the_dialect_is_not_in_the_native_document() -> None:
    document = openapi_document(yaml=False)
    assert b"wasend" not in document
    assert not {operation.id for operation in OPERATIONS} & {operation.id for operation in NATIVE}


@each(OPERATIONS)
def test_without_a_credential_nothing_is_answered(stage: Stage, operation: Operation) -> None:
    for bad in ("", "wa_" + "0" * 43, "nonsense"):
        answer = stage.ask(operation, "ses_nobody", key=bad)
        told(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@each(OPERATIONS)
def test_without_the_capability_nothing_is_looked_up(stage: Stage, operation: Operation) -> None:
    for session in ("ses_nobody", stage.foreign, stage.stopped):
        told(stage.ask(operation, session, b"{", key=stage.without[operation.id]), 403, "capability")


@each(SESSIONS)
def test_what_another_organization_has_does_not_exist(stage: Stage, operation: Operation) -> None:
    for session in (stage.foreign, "theirs"):
        foreign, nobody = stage.ask(operation, session), stage.ask(operation, "ses_nobody")
        assert foreign.body == nobody.body
        told(foreign, 404, "session not found")


@each(SESSIONS)
def test_a_key_for_some_sessions_sees_no_other(stage: Stage, operation: Operation) -> None:
    limited = key(stage.wagate, sessions=[stage.working])
    told(stage.ask(operation, stage.stopped, key=limited), 404, "session not found")


@each(LIVE)
def test_a_session_that_is_not_connected_is_503(stage: Stage, operation: Operation) -> None:
    told(stage.ask(operation, stage.stopped), 503, "not connected")


@each([operation for operation in GROUPS if operation.id != "wasend.setGroupPicture"])
def test_a_group_that_the_account_is_not_in_is_404(stage: Stage, operation: Operation) -> None:
    # A picture is fetched before WhatsApp is asked whose group it is.
    for group in (stage.group, "120363000000000000@g.us", "120363000000000000", "nothing", PEER):
        told(stage.ask(operation, stage.working, group=group), 404)


@each([operation for operation in GROUPS if operation in LIVE and NAMES[operation.id] not in ANY_MEMBER])
def test_a_group_that_the_account_does_not_administer_is_403(stage: Stage, operation: Operation) -> None:
    told(stage.ask(operation, stage.working, group=stage.mine), 403, "admin")


@each([operation for operation in OPERATIONS if operation.method in ("POST", "PUT")])
def test_a_malformed_body_is_400(stage: Stage, operation: Operation) -> None:
    unknown = b'{"nothingLikeThis": 1}'
    for body in (b"{", b"[]", b'"text"', b"7", b"\xff\xfe", b"{" * 100_000, unknown, b"{}x"):
        told(stage.ask(operation, stage.stopped, body), 400)


@each(BODIES)
def test_a_field_of_the_wrong_type_is_400(stage: Stage, operation: Operation) -> None:
    good = GOOD[NAMES[operation.id]]
    for field in good:
        for wrong in (7.5, ["\0"], {"a": 1}, "\x00", "x" * 70_000):
            told(stage.ask(operation, stage.stopped, good | {field: wrong}), 400)


@each(BODIES)
def test_a_body_that_is_not_json_is_400(stage: Stage, operation: Operation) -> None:
    where, body = stage.request(operation, stage.stopped, stage.group)
    answer = Dialect(stage.wagate).ask(operation.method, where, body, headers={"content-type": "text/plain"})
    told(answer, 400, "Content-Type")


@each(OPERATIONS)
def test_an_unknown_query_parameter_is_400(stage: Stage, operation: Operation) -> None:
    asked = "&nothing=1" if NAMES[operation.id] in QUERIES or operation in IN_QUERY else "?nothing=1"
    assert told(stage.ask(operation, stage.stopped, query=asked), 400) == "nothing: is not a known query parameter"


@each(OPERATIONS)
def test_a_wrong_method_is_405_and_says_which_are_right(stage: Stage, operation: Operation) -> None:
    allowed = {other.method for other in OPERATIONS if other.path == operation.path}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    where, _ = stage.request(operation, stage.stopped, stage.group)
    for method in set(METHODS) - allowed:
        answer = Dialect(stage.wagate).ask(method, where)
        told(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == allowed


def test_a_body_that_is_too_large_is_413(stage: Stage) -> None:
    told(Dialect(stage.wagate).ask("POST", "/sendText", {"to": PEER, "text": "x" * 1_100_000}), 413, "larger than")
