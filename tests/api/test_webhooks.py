"""Webhooks over the API, delivered by a whole gateway to a receiver on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.gateways import events, exactly, invalid, key, organization, refused
from tests.support.receiver import Receiver, answer, receiving
from tests.support.webhooks import got, head
from wagate import testing, verify_webhook
from wagate.testing import SandboxGateway

ALWAYS = "id organizationId url events retryPolicy active ordered createdAt updatedAt"
SOMETIMES = "sessionId customHeaders"
QUIET = {"events": []}


@dataclass
class Stage:
    """A gateway that may go to this machine, and a receiver there."""

    wagate: SandboxGateway
    server: Receiver

    def new(self, path: str = "/x", *, key: str | None = None, **body: Any) -> Any:
        return self.wagate.ask("POST", "/webhooks", {"url": self.server.url + path} | body, key=key)

    def made(self, path: str = "/x", **body: Any) -> dict[str, Any]:
        made = self.new(path, **body)
        assert made.status == 201, made.body
        return dict(made.body)

    def listed(self, id: str, query: str = "") -> Any:
        return self.wagate.get(f"/webhooks/{id}/deliveries{query}")["data"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("wagate") / "data"
    with testing.gateway(folder, allowed_networks=("127.0.0.1/32",)) as wagate:
        served = receiving(x=answer(), bad=answer(status="500 Oh"))
        server = wagate.run(served.__aenter__())
        yield Stage(wagate, server)
        wagate.run(served.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"url": "http://me:mine@127.0.0.1/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://[::1]/"}, "url"),
        ({"url": "http://x" + "y" * 2048}, "url"),
        ({"events": "*"}, "events"),
        ({"events": [""]}, "events[0]"),
        ({"events": ["a\nb"]}, "events[0]"),
        ({"retryPolicy": {"attempts": 0}}, "retryPolicy.attempts"),
        ({"retryPolicy": {"attempts": 51}}, "retryPolicy.attempts"),
        ({"retryPolicy": {"delaySeconds": 0}}, "retryPolicy.delaySeconds"),
        ({"retryPolicy": {"delaySeconds": 3601}}, "retryPolicy.delaySeconds"),
        ({"retryPolicy": {"policy": "never"}}, "retryPolicy.policy"),
        ({"customHeaders": {"a b": "c"}}, "customHeaders"),
        ({"customHeaders": {"a": "b\nc"}}, "customHeaders"),
        ({"secret": ""}, "secret"),
        ({"secret": "with blank"}, "secret"),
        ({"secret": "with-a-line-end\n"}, "secret"),
        ({"secret": "whsec_%"}, "secret"),
        ({"sessionId": "ses_nobody"}, "sessionId"),
        ({"organizationId": "org_mine"}, "organizationId"),
    ],
    ids=str,
)
def test_nonsense_is_refused_and_nothing_is_made(stage: Stage, body: Any, path: str) -> None:
    before = stage.wagate.get("/webhooks")["data"]
    invalid(stage.new(**body), path)
    assert stage.wagate.get("/webhooks")["data"] == before


def test_what_another_organization_has_does_not_exist(stage: Stage) -> None:
    mine = stage.made(**QUIET)
    stranger = key(stage.wagate, owner=organization(stage.wagate))
    for id in (mine["id"], "wh_nothing"):
        for method, below, body in (
            ("GET", "", None),
            ("PATCH", "", {"active": False}),
            ("DELETE", "", None),
            ("POST", ":test", None),
            ("POST", ":replay-dead", None),
            ("GET", "/deliveries", None),
            ("POST", "/deliveries/dlv_1:replay", None),
        ):
            refused(stage.wagate.ask(method, f"/webhooks/{id}{below}", body, key=stranger), 404, "not_found")
    assert stage.wagate.ask("GET", "/webhooks", key=stranger).body == {"data": [], "nextCursor": ""}
    assert stage.wagate.get(f"/webhooks/{mine['id']}") == mine


def test_a_limited_key_has_webhooks_of_its_sessions_only(stage: Stage) -> None:
    one, other = (stage.wagate.post("/sessions", {})["id"] for _ in range(2))
    limited = key(stage.wagate, sessions=[one])
    whole = stage.made(**QUIET)
    refused(stage.new(key=limited), 403, "forbidden")
    invalid(stage.new(key=limited, sessionId=other), "sessionId")
    made = stage.new(key=limited, sessionId=one, **QUIET).body
    refused(stage.wagate.ask("GET", f"/webhooks/{whole['id']}", key=limited), 404, "not_found")
    refused(stage.wagate.ask("PATCH", f"/webhooks/{made['id']}", {"sessionId": None}, key=limited), 403, "forbidden")
    assert [each["id"] for each in stage.wagate.ask("GET", "/webhooks", key=limited).body["data"]] == [made["id"]]


def test_a_webhook_is_made_with_what_is_usual_and_never_shows_its_secret(stage: Stage) -> None:
    made = stage.made(active=False, secret="mine")
    exactly(made, ALWAYS, SOMETIMES)
    assert made["id"].startswith("wh_")
    assert made["events"] == ["*"]
    assert made["retryPolicy"] == {"policy": "exponential", "delaySeconds": 2, "attempts": 15}
    assert (made["active"], made["ordered"]) == (False, False)
    partial = stage.made(active=False, retryPolicy={"attempts": 3}, events=["later.event", "message"], ordered=True)
    assert partial["retryPolicy"] == {"policy": "exponential", "delaySeconds": 2, "attempts": 3}
    assert (partial["events"], partial["ordered"]) == (["later.event", "message"], True)
    assert made in stage.wagate.get("/webhooks")["data"]
    assert stage.wagate.get("/webhooks")["nextCursor"] == ""


def test_null_clears_what_may_be_absent_and_nothing_else(stage: Stage) -> None:
    session = stage.wagate.post("/sessions", {})["id"]
    made = stage.made(active=False, sessionId=session, customHeaders={"X-Mine": "yes"}, secret="mine")
    assert (made["sessionId"], made["customHeaders"]) == (session, {"X-Mine": "yes"})
    same = stage.wagate.ask("PATCH", f"/webhooks/{made['id']}", dict.fromkeys(("url", "events", "active", "ordered")))
    assert same.body == made | {"updatedAt": same.body["updatedAt"]}
    cleared = stage.wagate.ask(
        "PATCH", f"/webhooks/{made['id']}", dict.fromkeys(("sessionId", "customHeaders", "secret"))
    )
    exactly(cleared.body, ALWAYS)


def test_events_are_delivered_signed_and_listed(stage: Stage) -> None:
    hook = stage.made(events=["session.status"], secret="old")
    stage.wagate.ask("PATCH", f"/webhooks/{hook['id']}", {"secret": "new"})
    stage.wagate.linked()
    wanted = [each["id"] for each in events(stage.wagate, "session.status")]
    ids = stage.wagate.until(lambda: [each["eventId"] for each in stage.listed(hook["id"], "?status=delivered")])
    assert set(ids) <= set(wanted)
    place = next(n for n, each in enumerate(got(stage.server)) if each["id"] in ids)
    headers, body = head(stage.server, place), stage.server.bodies[place]
    assert {"x-webhook-hmac", "x-webhook-hmac-algorithm", "webhook-signature"} <= set(headers)
    assert verify_webhook(body, headers, "new") == verify_webhook(body, headers, "old")
    with pytest.raises(ValueError, match="secret"):
        verify_webhook(body, headers, "another")
    listed = stage.listed(hook["id"])[0]
    exactly(listed, "id eventId status attempts createdAt", "nextAttemptAt lastResponseCode lastError")
    stage.wagate.ask("DELETE", f"/webhooks/{hook['id']}")
    refused(stage.wagate.ask("GET", f"/webhooks/{hook['id']}"), 404, "not_found")


def test_deliveries_are_listed_page_by_page_and_replayed(stage: Stage) -> None:
    hook = stage.made("/bad", events=["session.status"], retryPolicy={"attempts": 1})
    place = f"/webhooks/{hook['id']}"
    stage.wagate.linked()
    stage.wagate.until(lambda: all(each["status"] == "dead" for each in stage.listed(hook["id"])))
    dead = stage.listed(hook["id"])
    assert len(dead) > 2
    assert dead[0]["lastResponseCode"] == 500
    assert dead[0]["lastError"] == "it answered 500"
    first = stage.wagate.get(f"{place}/deliveries?limit=1")
    second = stage.wagate.get(f"{place}/deliveries?limit=1&cursor={first['nextCursor']}")
    assert [*first["data"], *second["data"]] == dead[:2]
    refused(stage.wagate.ask("GET", f"{place}/deliveries?status=lost"), 400, "validation_error")
    refused(stage.wagate.ask("POST", f"{place}/deliveries/dlv_nothing:replay"), 404, "not_found")
    assert stage.wagate.ask("PATCH", place, {"url": stage.server.url + "/x"}).status == 200
    assert stage.wagate.ask("POST", f"{place}/deliveries/{dead[0]['id']}:replay").status == 202
    stage.wagate.until(lambda: stage.listed(hook["id"], "?status=delivered"))
    assert stage.wagate.ask("POST", f"{place}:replay-dead").status == 202
    stage.wagate.until(lambda: len(stage.listed(hook["id"], "?status=delivered")) == len(stage.listed(hook["id"])))


def test_a_test_tells_what_came_of_it(stage: Stage) -> None:
    good, bad = stage.made(active=False), stage.made("/bad", active=False)
    told = stage.wagate.post(f"/webhooks/{good['id']}:test")
    exactly(told, "status responseCode durationMs")
    assert (told["status"], told["responseCode"]) == ("delivered", 200)
    told = stage.wagate.post(f"/webhooks/{bad['id']}:test")
    exactly(told, "status responseCode durationMs lastError")
    assert (told["status"], told["responseCode"]) == ("failed", 500)
    event = next(each for each in got(stage.server) if each["event"] == "webhook.test")
    assert event["payload"] == {"webhookId": good["id"]}
