"""How sends end, and that each end stays what it was: refused, without an answer, cut off, slow, decided by hand."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import refused
from wagate.testing import Answer, SandboxGateway, gateway

FRIEND, OTHER = "9990900002", "9990900003"
NO_ANSWER, REFUSES, BREAKS, SLOW = "9996000001", "9997000001", "9998000001", "9999000001"
TIMEOUT = 1.0
PATIENT = 10.0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway that waits a second for an acknowledgement. Each test has a session of its own."""
    with gateway(tmp_path_factory.mktemp("hasty") / "wagate", send_timeout=TIMEOUT) as running:
        yield running


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway that waits longer than anything here takes."""
    with gateway(tmp_path_factory.mktemp("patient") / "wagate", send_timeout=PATIENT) as running:
        yield running


class Sender:
    """What a test says in the name of one session."""

    def __init__(self, gateway: SandboxGateway, session: str) -> None:
        self.gateway = gateway
        self.session = session

    def send(self, to: str, text: str, *, key: str | None = None, asynchronous: bool = False) -> Answer:
        path = f"/sessions/{self.session}/messages" + ("?async=true" if asynchronous else "")
        headers = {"idempotency-key": key} if key else {}
        return self.gateway.ask("POST", path, {"type": "text", "to": to, "text": text}, headers=headers)

    def queue(self, to: str, text: str, *, key: str | None = None) -> str:
        """The outbox id of an async send."""
        answer = self.send(to, text, key=key, asynchronous=True)
        assert (answer.status, answer.body["status"]) == (202, "queued"), answer.body
        return str(answer.body["outboxId"])

    def entry(self, id: str) -> Any:
        return self.gateway.get(f"/sessions/{self.session}/outbox/{id}")

    def decide(self, id: str, what: str) -> Answer:
        path = f"/sessions/{self.session}/outbox/{id}"
        return self.gateway.ask("DELETE", path) if what == "cancel" else self.gateway.ask("POST", f"{path}:{what}")

    def until(self, id: str, *statuses: str) -> Any:
        def there() -> Any:
            now = self.entry(id)
            return now if now["status"] in statuses else None

        return self.gateway.until(there)

    def shown(self, mid: str) -> list[str]:
        return [copy["status"] for copy in self.gateway.get(f"/sandbox/messages?mid={mid}")["data"]]

    def frames(self, mid: str) -> int:
        frames = pages(self.gateway, "/sandbox/audit")
        return len([frame for frame in frames if frame.get("waMessageId") == mid])

    def told(self, mid: str) -> list[str]:
        """The statuses that events told of a message, in order."""
        path = f"/events?limit=200&events=message.status&session={self.session}"
        events = self.gateway.get(path)["data"]
        return [event["payload"]["status"] for event in events if mid in event["payload"]["messageIds"]]


def linked(running: SandboxGateway) -> Sender:
    return Sender(running, running.linked()["id"])


def test_a_refused_send_is_422_and_the_next_one_too(hasty: SandboxGateway) -> None:
    me = linked(hasty)
    details = refused(me.send(REFUSES, "no"), 422, "refused")
    assert details["certain"] is True
    assert isinstance(details["waCode"], int)
    assert details["reason"]
    entry = me.entry(details["outboxId"])
    assert entry["status"] == "failed"
    assert entry["error"] == {key: details[key] for key in ("reason", "waCode", "certain")} | {"code": "refused"}
    assert (me.shown(details["waMessageId"]), me.frames(details["waMessageId"])) == ([], 1)
    assert me.until(me.queue(REFUSES, "no, later"), "failed")["error"]["code"] == "refused"


@pytest.mark.slow
def test_every_outcome_is_repeated_under_its_key_after_a_restart_too(tmp_path: Path) -> None:
    said = {"refused": (REFUSES, 422), "uncertain": (NO_ANSWER, 504), "sent": (FRIEND, 200)}
    with gateway(tmp_path / "wagate", send_timeout=TIMEOUT) as running:
        me = linked(running)
        first = {key: me.send(to, "x", key=key) for key, (to, _) in said.items()}
        assert {key: answer.status for key, answer in first.items()} == {key: code for key, (_, code) in said.items()}
        repeats_itself(me, said, first)
    with gateway(tmp_path / "wagate", send_timeout=TIMEOUT) as running:
        running.until(lambda: running.working(me.session))
        me = Sender(running, me.session)
        repeats_itself(me, said, first)
        assert [me.frames(mid(answer)) for answer in first.values()] == [1, 1, 1]


def repeats_itself(me: Sender, said: dict[str, tuple[str, int]], first: dict[str, Answer]) -> None:
    for key, (to, code) in said.items():
        for asynchronous in (False, True):
            again = me.send(to, "x", key=key, asynchronous=asynchronous)
            # Who does not wait is told how it stands, also of one that may still become anything.
            told = code == 200 or (code == 504 and asynchronous)
            assert again.status == (202 if told and asynchronous else code)
            where = again.body if told else again.body["error"]["details"]
            assert where["replayed"] is True
            assert mid(again) == mid(first[key])
            if not told:
                assert where == first[key].body["error"]["details"] | {"replayed": True}
        refused(me.send(to, "something else", key=key), 409, "conflict")


def mid(answer: Answer) -> str:
    """The wire id that an answer names."""
    where = answer.body if "mode" in answer.body else answer.body["error"]["details"]
    return str(where["waMessageId"])


def pages(running: SandboxGateway, path: str) -> list[Any]:
    """Everything that a list of the sandbox holds."""
    page = running.get(f"{path}?limit=200")
    found = page["data"]
    while page["nextCursor"]:
        page = running.get(f"{path}?limit=200&cursor={page['nextCursor']}")
        found += page["data"]
    return list(found)


@pytest.mark.slow
def test_a_send_without_an_answer_is_504_and_holds_up_its_chat_alone(hasty: SandboxGateway) -> None:
    me = linked(hasty)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(me.send, NO_ANSWER, "one", key="held")
        hasty.until(lambda: me.gateway.get(f"/sessions/{me.session}/outbox?status=pending")["data"])
        second = me.queue(NO_ANSWER, "two")
        assert me.send(FRIEND, "meanwhile").body["status"] in ("sent", "delivered", "read")
        assert me.entry(second)["status"] == "queued"
        details = refused(first.result(20), 504, "no_answer")
    assert details["certain"] is False
    uncertain = me.entry(details["outboxId"])
    assert (uncertain["status"], uncertain["error"]) == ("uncertain", {"code": "no_answer", "certain": False})
    # It is settled, though not for certain: the next in its chat goes out, and ends likewise.
    assert me.until(second, "uncertain")["waMessageId"] != details["waMessageId"]
    # Its phone did show it: only the answer was lost.
    assert len(me.shown(details["waMessageId"])) == 1
    again = refused(me.send(NO_ANSWER, "one", key="held"), 504, "no_answer")
    assert again == details | {"replayed": True}
    assert me.frames(details["waMessageId"]) == 1
    assert me.told(details["waMessageId"]) == ["uncertain"]


def test_a_late_sign_of_life_settles_what_was_uncertain(hasty: SandboxGateway) -> None:
    me = linked(hasty)
    hasty.post("/sandbox/faults", {"session": me.session, "kind": "ack_lost"})
    details = refused(me.send(FRIEND, "lost", key="late"), 504, "no_answer")
    mid = details["waMessageId"]
    hasty.post(f"/sandbox/messages/{mid}:read", {"from": FRIEND})
    settled = me.until(details["outboxId"], "sent", "delivered", "read")
    assert "error" not in settled
    replayed = me.send(FRIEND, "lost", key="late")
    assert (replayed.status, replayed.body["waMessageId"], replayed.body["replayed"]) == (200, mid, True)
    hasty.until(lambda: me.told(mid)[-1:] == ["read"])
    assert me.told(mid)[:2] == ["uncertain", "sent"]
    assert (me.frames(mid), len(me.shown(mid))) == (1, 1)
    refused(me.decide(details["outboxId"], "retry"), 409, "conflict")


@pytest.mark.slow
def test_an_uncertain_entry_is_decided_by_hand_once(hasty: SandboxGateway) -> None:
    me = linked(hasty)
    hasty.post("/sandbox/faults", {"session": me.session, "kind": "ack_lost", "count": 2})
    again = refused(me.send(FRIEND, "again", key="again"), 504)
    drop = refused(me.send(OTHER, "drop", key="drop"), 504)
    refused(me.decide("ob_nothing", "retry"), 404, "not_found")
    refused(me.decide(again["outboxId"], "cancel"), 409, "conflict")

    assert me.decide(drop["outboxId"], "dismiss").body["status"] == "failed"
    assert me.entry(drop["outboxId"])["error"]["certain"] is False
    for what in ("dismiss", "retry", "cancel"):
        refused(me.decide(drop["outboxId"], what), 409, "conflict")
    assert refused(me.send(OTHER, "drop", key="drop"), 504)["replayed"] is True

    assert me.decide(again["outboxId"], "retry").status == 200
    sent = me.until(again["outboxId"], "sent", "delivered", "read")
    mid = again["waMessageId"]
    assert sent["waMessageId"] == mid
    assert (me.frames(mid), len(me.shown(mid))) == (2, 1)
    for what in ("dismiss", "retry", "cancel"):
        refused(me.decide(again["outboxId"], what), 409, "conflict")
    assert me.send(FRIEND, "again", key="again").body["waMessageId"] == mid


def test_a_queued_entry_can_be_cancelled_and_the_next_takes_its_turn(hasty: SandboxGateway) -> None:
    me = linked(hasty)
    first = me.queue(NO_ANSWER, "first")
    me.until(first, "pending")
    second, third = me.queue(NO_ANSWER, "second", key="cancelled"), me.queue(NO_ANSWER, "third")
    for what in ("cancel", "retry", "dismiss"):
        refused(me.decide(first, what), 409, "conflict")
    for what in ("retry", "dismiss"):
        refused(me.decide(second, what), 409, "conflict")
    cancelled = me.decide(second, "cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "failed")
    assert cancelled.body["error"]["certain"] is True
    refused(me.decide(second, "cancel"), 409, "conflict")
    assert refused(me.send(NO_ANSWER, "second", key="cancelled"), 504)["certain"] is True
    me.until(third, "pending", "uncertain")
    assert me.shown(cancelled.body["waMessageId"]) == []
    assert me.frames(cancelled.body["waMessageId"]) == 0


@pytest.mark.slow
def test_a_sync_send_that_never_gets_its_turn_is_withdrawn(hasty: SandboxGateway) -> None:
    me = linked(hasty)
    first = me.queue(NO_ANSWER, "first")
    me.until(first, "pending")
    second = me.queue(NO_ANSWER, "second")
    details = refused(me.send(NO_ANSWER, "third", key="withdrawn"), 504, "no_answer")
    assert details["certain"] is True
    assert me.entry(details["outboxId"])["status"] == "failed"
    assert refused(me.send(NO_ANSWER, "third", key="withdrawn"), 504)["certain"] is True
    me.until(second, "uncertain")
    assert me.frames(details["waMessageId"]) == 0


@pytest.mark.slow
def test_a_repeat_of_an_unsettled_send_waits_for_the_same_entry(patient: SandboxGateway) -> None:
    with ThreadPoolExecutor(4) as pool:
        me = linked(patient)
        answers = [pool.submit(me.send, SLOW, "slow", key="k") for _ in range(3)]
        queued = me.send(SLOW, "slow", key="k", asynchronous=True)
        bodies = [answer.result(20).body for answer in answers]
        assert queued.status == 202
        assert {body["outboxId"] for body in [*bodies, queued.body]} == {queued.body["outboxId"]}
        assert {body["status"] for body in bodies} <= {"sent", "delivered", "read"}
        mid = queued.body["waMessageId"]
        assert (me.frames(mid), len(me.shown(mid))) == (1, 1)


def test_a_line_that_breaks_in_the_middle_costs_no_message_and_doubles_none(patient: SandboxGateway) -> None:
    me = linked(patient)
    sent = me.send(BREAKS, "once", key="broken")
    assert sent.status == 200, sent.body
    mid = sent.body["waMessageId"]
    assert (me.frames(mid), len(me.shown(mid))) == (2, 1)
    assert me.send(BREAKS, "once", key="broken").body["waMessageId"] == mid
    events = patient.get(f"/events?limit=200&session={me.session}")["data"]
    stood = [event["payload"]["status"] for event in events if event["event"] == "session.status"]
    assert stood[-3:] == ["working", "starting", "working"]
    said = [event["payload"]["waMessageId"] for event in events if event["event"] == "message.from_me"]
    assert said == [mid]
