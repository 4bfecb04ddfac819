"""Around a running gateway (`wagate.testing`): other organizations, keys, accounts, and how an error must look."""

from __future__ import annotations

from typing import Any

from wagate.gateway import keys, organizations
from wagate.model.organizations import CAPABILITIES, Capability, CreateKey
from wagate.testing import Answer, SandboxGateway


def home(wagate: SandboxGateway) -> str:
    """The id of the organization `demo`."""
    found: str = wagate.run(organizations.all_of_them(wagate.running.gw))[0].id
    return found


def organization(wagate: SandboxGateway, name: str = "other", id: str | None = None) -> str:
    """The id of a new organization."""
    made: str = wagate.run(organizations.create(wagate.running.gw, name, id=id)).id
    return made


def key(
    wagate: SandboxGateway,
    *capabilities: Capability,
    owner: str | None = None,
    sessions: list[str] | None = None,
    expires_at: int | None = None,
) -> str:
    """The secret of a new key: of `demo` unless `owner` says otherwise, with all capabilities unless some are named."""
    wish = CreateKey(
        name="test", permissions=list(capabilities or CAPABILITIES), session_ids=sessions, expires_at=expires_at
    )
    made: str = wagate.run(keys.create(wagate.running.gw, owner or home(wagate), wish)).secret
    return made


def refused(answer: Answer, status: int, code: str | None = None) -> dict[str, Any]:
    """The details of an error with this status and code, whose body is one of the contract's and nothing else."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert set(answer.body) == {"error"}
    error = answer.body["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "details"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert code is None or error["code"] == code, error
    details: dict[str, Any] = error.get("details", {})
    assert isinstance(details, dict)
    if error["code"] == "validation_error" and details:
        assert all(isinstance(sentence, str) for sentence in details["errors"])
        assert all(set(field) == {"path", "message"} for field in details["fields"])
    return details


def invalid(answer: Answer, path: str | None = None) -> None:
    """A 400 whose first complaint is about `path`."""
    details = refused(answer, 400, "validation_error")
    if path is not None:
        assert details["fields"][0]["path"] == path, details


def exactly(shape: dict[str, Any], always: str, sometimes: str = "") -> None:
    """A shape has every field of `always`, none but those and `sometimes`, and no null."""
    present = set(shape)
    assert set(always.split()) <= present, set(always.split()) - present
    assert present <= {*always.split(), *sometimes.split()}, present - {*always.split(), *sometimes.split()}
    assert None not in shape.values(), shape


def events(wagate: SandboxGateway, *names: str, session: str | None = None, key: str | None = None) -> list[Any]:
    """The whole log, from the beginning, of these names."""
    found, after = [], ""
    while True:
        where = f"/events?limit=200&after={after}" if after else "/events?limit=200"
        where += f"&events={','.join(names)}" if names else ""
        where += f"&session={session}" if session else ""
        answer = wagate.ask("GET", where, key=key)
        assert answer.status == 200, answer.body
        found += answer.body["data"]
        if answer.body["nextCursor"] == after or not answer.body["data"]:
            return found
        after = answer.body["nextCursor"]


def text(to: str, words: str = "hello", **more: Any) -> dict[str, Any]:
    """The body of a text send."""
    return {"type": "text", "to": to, "text": words, **more}


class Account:
    """A working session and what it asks of its groups."""

    def __init__(self, wagate: SandboxGateway, phone: str) -> None:
        self.wagate = wagate
        self.phone = phone
        self.jid = f"{phone}@s.whatsapp.net"
        self.session = wagate.linked(phone)["id"]
        self.groups = f"/sessions/{self.session}/groups"

    def ask(self, method: str, below: str = "", body: Any = None, **headers: str) -> Answer:
        return self.wagate.ask(method, self.groups + below, body, headers=headers)

    def get(self, below: str = "") -> Any:
        return self.wagate.get(self.groups + below)

    def made(self, *participants: str, name: str = "group") -> str:
        group: str = self.wagate.post(self.groups, {"name": name, "participants": list(participants)})["groupJid"]
        return group

    def roles(self, group: str) -> dict[str, str]:
        return {each["phoneNumber"]: each["role"] for each in self.get(f"/{group}/members")["data"]}

    def knows(self, group: str) -> str:
        """Wait until the session has stored the group."""
        self.wagate.until(lambda: self.ask("GET", f"/{group}").status == 200)
        return group
