"""Traced on both databases: the trace of a send, of a change and of what arrives, up to the post at a webhook."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.gateways import text
from tests.support.receiver import Receiver, answer, receiving
from tests.support.webhooks import got, head
from wagate.clock import ManualClock
from wagate.gateway import attempts
from wagate.telemetry import traces
from wagate.testing import SandboxGateway

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAID = f"00-{TRACE}-{SPAN}-00"


@pytest.fixture(scope="module")
def server(wagate: SandboxGateway, here: str) -> Iterator[Receiver]:
    """A receiver at the end of a webhook that has a fixed `traceparent` of its own."""
    served = receiving(x=answer())
    receiver = wagate.run(served.__aenter__())
    fixed = {"traceparent": f"00-{'1' * 32}-{'1' * 16}-01", "TraceState": "theirs=1", "x-own": "kept"}
    wagate.post("/webhooks", {"url": receiver.url + "/x", "customHeaders": fixed})
    yield receiver
    wagate.run(served.__aexit__(None, None, None))


def posted(wagate: SandboxGateway, server: Receiver, wanted: Callable[[Any], Any]) -> list[dict[str, str]]:
    """The headers of the posts whose event is wanted, once there is one."""

    def found() -> list[dict[str, str]]:
        return [head(server, number) for number, event in enumerate(got(server)) if wanted(event)]

    return wagate.until(found)


def row(wagate: SandboxGateway, table: str, column: str, id: str) -> Any:
    """The trace on the row."""
    found = wagate.run(wagate.running.gw.db.all(f"SELECT traceparent FROM {table} WHERE {column} = :id", id=id))
    return found[0][0]


def test_a_send_goes_on_with_its_callers_trace(wagate: SandboxGateway, here: str, server: Receiver) -> None:
    sent = wagate.ask("POST", f"{here}/messages", text("9990000002"), headers={"traceparent": SAID}).body
    assert row(wagate, "outbox", "id", sent["outboxId"]) == SAID
    posts = posted(wagate, server, lambda event: event["payload"].get("outboxId") == sent["outboxId"])
    posts += posted(wagate, server, lambda event: event["event"] == "message.from_me")
    assert {each["traceparent"] for each in posts} == {SAID}
    for each in posts:
        assert row(wagate, "deliveries", "event_id", each["webhook-id"]) == SAID
        # A fixed trace would tie all deliveries together; other headers of the customer's go along.
        assert "tracestate" not in each
        assert each["x-own"] == "kept"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-nonsense"}, {"traceparent": SAID.upper()}], ids=str)
def test_one_without_a_valid_trace_begins_its_own(
    wagate: SandboxGateway, here: str, server: Receiver, headers: dict[str, str]
) -> None:
    sent = wagate.ask("POST", f"{here}/messages?async=1", text("9990000002"), headers=headers).body
    place = row(wagate, "outbox", "id", sent["outboxId"])
    assert traces.continued(place.encode()) == place
    assert traces.trace_id(place) != TRACE
    told = lambda event: (event["payload"].get("outboxId"), event["payload"].get("status"))  # noqa: E731
    for status in ("pending", "sent"):
        (post,) = posted(wagate, server, lambda event, status=status: told(event) == (sent["outboxId"], status))
        assert post["traceparent"] == place


def test_what_arrives_begins_a_trace_each(wagate: SandboxGateway, here: str, server: Receiver) -> None:
    number = wagate.get(here)["phoneNumber"]
    said = [text(number, word, **{"from": "9990000002"}) for word in ("one", "two")]
    for each in said:
        answered = wagate.ask("POST", "/sandbox/messages", each, headers={"traceparent": SAID})
        assert answered.status < 300
    places = set()
    for each in said:
        (post,) = posted(wagate, server, lambda event, each=each: event["payload"].get("body") == each["text"])
        places.add(post["traceparent"])
        assert traces.trace_id(post["traceparent"]) != TRACE
        assert row(wagate, "deliveries", "event_id", post["webhook-id"]) == post["traceparent"]
    assert len({traces.trace_id(place) for place in places}) == 2


def test_a_change_goes_on_with_its_callers_trace(wagate: SandboxGateway, here: str, server: Receiver) -> None:
    assert (
        wagate.ask("PATCH", f"{here}/chats/9990000002", {"pinned": True}, headers={"traceparent": SAID}).status == 200
    )
    (post,) = posted(wagate, server, lambda event: event["payload"].get("pinned") is True)
    assert post["traceparent"] == SAID


def test_a_test_of_a_webhook_is_part_of_its_request(wagate: SandboxGateway, server: Receiver) -> None:
    (hook,) = wagate.get("/webhooks")["data"]
    wagate.ask("POST", f"/webhooks/{hook['id']}:test", headers={"traceparent": SAID})
    (post,) = posted(wagate, server, lambda event: event["event"] == "webhook.test")
    assert post["traceparent"] == SAID


def test_what_is_due_and_not_begun_is_measured(wagate: SandboxGateway, server: Receiver) -> None:
    gw = wagate.running.gw
    wagate.until(lambda: wagate.run(attempts.overdue(gw)) == 0)
    served = receiving(no=answer(status="500 Oh"))
    failing = wagate.run(served.__aenter__())
    hook = wagate.post("/webhooks", {"url": failing.url + "/no", "retryPolicy": {"delaySeconds": 3600}})
    wagate.ask("PATCH", f"/sessions/{wagate.linked('9990000013')['id']}", {"label": "x"})
    wagate.until(lambda: wagate.get(f"/webhooks/{hook['id']}/deliveries?status=failed")["data"])
    assert wagate.run(attempts.overdue(gw)) == 0
    late = dataclasses.replace(gw, clock=ManualClock(gw.clock.now() + 2 * 3_600_000))
    assert 2000 < wagate.run(attempts.overdue(late)) <= 2 * 3600
    wagate.ask("DELETE", f"/webhooks/{hook['id']}")
    assert wagate.run(attempts.overdue(late)) == 0
    wagate.run(served.__aexit__(None, None, None))
