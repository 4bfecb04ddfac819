"""One trace from the request to the webhook, told to a collector, and whole again after kill −9."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.gateways import text
from tests.support.lives import Life, life
from tests.support.receiver import Receiver, answer, beside
from tests.support.webhooks import got, head
from wagate.telemetry import traces

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAID = f"00-{TRACE}-{SPAN}-01"
WORDS = "see you at eight"


class Collector:
    """A collector of OTLP over HTTP, on a thread: what came, as dictionaries."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.services: set[str] = set()
        self.raw = b""
        collector = self

        class Door(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    collector.take(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, body: bytes) -> None:
        self.raw += body
        told = ExportTraceServiceRequest.FromString(body)
        for group in told.resource_spans:
            self.services |= {
                each.value.string_value for each in group.resource.attributes if each.key == "service.name"
            }
            for span in (span for scope in group.scope_spans for span in scope.spans):
                more = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
                self.spans.append({
                    "name": span.name, "kind": span.kind, "trace": span.trace_id.hex(), "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(), **more,
                })  # fmt: skip

    def of(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name and span["trace"] == TRACE]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the gateways of this test are told of, as any program is."""
    running = Collector()
    thread = threading.Thread(target=running.server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-gateway")
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join(10)


@contextlib.contextmanager
def gateway(folder: Path, **settings: str) -> Iterator[Life]:
    with life(folder / "data", allowed_networks="127.0.0.1/32", **settings) as one:
        yield one


def posts(server: Receiver, outbox_id: str) -> list[dict[str, str]]:
    """The headers of what came about a send, in order."""
    return [head(server, at) for at, event in enumerate(got(server)) if event["payload"].get("outboxId") == outbox_id]


def on_rows(gateway: Life, outbox_id: str) -> tuple[str, set[str]]:
    """What the outbox says, and what the deliveries about it say."""
    with closing(sqlite3.connect(gateway.data_dir / "wagate.db")) as connection:
        (mine,) = connection.execute("SELECT traceparent FROM outbox WHERE id = ?", (outbox_id,)).fetchone()
        of = "SELECT traceparent FROM deliveries d JOIN events e ON e.id = d.event_id WHERE e.payload LIKE ?"
        return mine, {row[0] for row in connection.execute(of, (f"%{outbox_id}%",))}


@pytest.mark.slow
def test_a_send_is_one_trace_from_its_request_to_the_webhook(tmp_path: Path, collector: Collector) -> None:
    with beside(x=answer()) as server, gateway(tmp_path, tracing="on") as running:
        session = running.linked("9990000001")["id"]
        hook = running.post("/webhooks", {"url": f"{server.url}/x?token=hidden", "events": ["message.status"]})
        server.replies["/x?token=hidden"] = answer()
        body = text("9990000002", WORDS)
        sent = running.ask("POST", f"/sessions/{session}/messages", body, headers={"traceparent": SAID}).body
        running.until(lambda: collector.of("POST"))
        running.stop()
        request = collector.of("POST /api/v1/sessions/{session}/messages")[0]
        accept, send, settle = (collector.of(name)[0] for name in ("accept", "send", "settle"))
        assert request["parent"] == SPAN
        assert accept["parent"] == request["id"]
        assert send["parent"] == settle["parent"] == accept["id"]
        first = collector.of("POST")[0]
        assert first["parent"] == settle["id"]
        kinds = [each["kind"] for each in (request, accept, send, settle, first)]
        assert kinds == [2, 1, 3, 1, 3]
        assert (request["http.response.status_code"], first["http.response.status_code"]) == (200, 200)
        assert (first["server.address"], first["wagate.webhook.id"]) == ("127.0.0.1", hook["id"])
        assert (send["messaging.system"], send["wagate.outbox.id"]) == ("sandbox", sent["outboxId"])
        assert collector.services == {"shop-gateway"}
        # The receiver joins at the very span of the post.
        headers = [head(server, at) for at in range(len(server.heads))]
        assert f"00-{TRACE}-{first['id']}-01" in {each["traceparent"] for each in headers}
        # Receipts come from the network, and are traces of their own.
        assert {each["wagate.report"] for each in collector.spans if each["name"] == "receive"} >= {"Receipt"}
        for hidden in (WORDS, "9990000001", "9990000002", running.key, "token", "hidden"):
            assert hidden.encode() not in collector.raw


@pytest.mark.slow
def test_a_sampler_of_the_operators_is_told_to_receivers(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with beside(x=answer()) as server, gateway(tmp_path, tracing="on") as running:
        running.post("/webhooks", {"url": f"{server.url}/x"})
        running.linked("9990000001")
        running.until(lambda: server.heads)
        running.stop()
        assert head(server, 0)["traceparent"].endswith("-00")
        assert collector.spans == []


@pytest.mark.slow
def test_a_collector_that_is_away_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with gateway(tmp_path, tracing="on") as running:
        session = running.linked("9990000001")["id"]
        assert running.post(f"/sessions/{session}/messages", text("9990000002"))["status"] == "sent"
        code, seconds = running.stop()
        assert (code, seconds < 6) == (0, True)


@pytest.mark.slow
def test_the_trace_survives_kill_between_accept_and_dispatch_and_between_event_and_delivery(tmp_path: Path) -> None:
    with beside(x=answer(status="503 Later")) as server, gateway(tmp_path) as running:
        session = running.linked("9990000001")["id"]
        here = f"/sessions/{session}"
        policy = {"policy": "constant", "delaySeconds": 1}
        running.post("/webhooks", {"url": f"{server.url}/x", "events": ["message.status"], "retryPolicy": policy})
        # One an hour, and that is used up: what comes now is accepted and stays.
        assert running.ask("PATCH", here, {"ratePerHour": 1}).status == 200
        running.post(f"{here}/messages", text("9990000002"))
        sent = running.ask("POST", f"{here}/messages?async=1", text("9990000003"), headers={"traceparent": SAID}).body
        assert running.get(f"{here}/outbox/{sent['outboxId']}")["status"] == "queued"
        running.kill()
        assert on_rows(running, sent["outboxId"])[0] == SAID
        running.start()
        running.until(lambda: running.working(session))
        assert running.ask("PATCH", here, {"ratePerHour": 0}).status == 200
        running.until(lambda: posts(server, sent["outboxId"]))
        running.kill()
        assert on_rows(running, sent["outboxId"]) == (SAID, {SAID})
        refused = len(posts(server, sent["outboxId"]))
        server.replies["/x"] = answer()
        running.start()
        running.until(lambda: len(posts(server, sent["outboxId"])) > refused)
        found = {each["traceparent"] for each in posts(server, sent["outboxId"])}
        assert {traces.trace_id(each) for each in found} == {TRACE}
