"""What an operator's Prometheus sees of a gateway at work."""

from __future__ import annotations

import http.client
import re
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.gateways import text
from tests.support.receiver import answer, beside
from wagate import testing
from wagate.testing import SandboxGateway

TOKEN = "a-token-for-the-tests"


def page(wagate: SandboxGateway) -> dict[str, float]:
    """Each line of /metrics with its value."""
    place = urlsplit(wagate.url)
    line = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    try:
        line.request("GET", "/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        shown = line.getresponse().read().decode()
    finally:
        line.close()
    return {name: float(value) for name, value in re.findall(r"^(wagate_\S+) (\S+)$", shown, re.MULTILINE)}


@pytest.mark.slow
def test_deliveries_readers_and_lag_are_seen(tmp_path: Path) -> None:
    settings = {"metrics_token": TOKEN, "allowed_networks": ("127.0.0.1/32",)}
    with beside(x=answer(), no=answer(status="500 Oh")) as server, testing.gateway(tmp_path, **settings) as wagate:
        session = wagate.linked("9990000001")["id"]
        last = wagate.get("/events?limit=200")["nextCursor"]
        for name in ("x", "no"):
            wagate.post("/webhooks", {"url": f"{server.url}/{name}", "retryPolicy": {"attempts": 1}})
        reader = threading.Thread(target=wagate.get, args=(f"/events?wait=10&after={last}",))
        reader.start()
        wagate.post(f"/sessions/{session}/messages", text("9990000002"))
        reader.join(20)
        wagate.until(lambda: page(wagate)['wagate_attempts_total{outcome="http_5xx"}'] >= 1)
        wagate.until(lambda: page(wagate)["wagate_delivery_age_seconds_count"] >= 1)
        seen = page(wagate)
        assert seen["wagate_deliveries_dead_total"] == seen['wagate_attempts_total{outcome="http_5xx"}']
        assert seen['wagate_attempts_total{outcome="timed_out"}'] == 0
        assert seen["wagate_delivery_overdue_seconds"] < 60
        assert seen['wagate_readers{kind="websocket"}'] == 0
        assert seen["wagate_event_lag_seconds"] >= 0
        assert not [name for name in seen if session in name or "9990000" in name or "wh_" in name]
