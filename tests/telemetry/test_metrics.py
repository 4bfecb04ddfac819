"""What is counted is on the page, under the names that the reference prints, and no label can grow without end."""

from __future__ import annotations

import json
from typing import get_args

from wagate.gateway.attempts import Failure
from wagate.telemetry.metrics import FAMILIES, METRICS_TYPE, OUTCOMES, Metrics, Standing, metrics_page


def lived() -> Metrics:
    """Metrics of which each has been counted."""
    metrics = Metrics(version="1.2.3")
    metrics.request("getSession", 200, 0.003)
    metrics.request("getSession", 200, 0.003)
    metrics.request("getSession", 404, 0.003)
    metrics.send("sent", 3)
    metrics.reader("slow")
    tried = [("delivered", 0.2, False), ("http_5xx", 70.0, True), ("timed_out", 9.0, False)]
    metrics.attempts(json.dumps(tried).encode())
    metrics.watch(
        lambda: Standing(
            sessions={"working": 2}, outbox_depth=4, event_lag=1.5, readers={"websocket": 3}, delivery_overdue=2.5
        )
    )
    return metrics


def test_metrics_count_what_happened() -> None:
    page = lived().render().decode()
    for line in (
        'wagate_requests_total{operation="getSession",status="200"} 2.0',
        'wagate_requests_total{operation="getSession",status="404"} 1.0',
        'wagate_request_seconds_bucket{le="0.0025",operation="getSession"} 0.0',
        'wagate_request_seconds_bucket{le="0.005",operation="getSession"} 3.0',
        'wagate_request_seconds_bucket{le="+Inf",operation="getSession"} 3.0',
        'wagate_request_seconds_count{operation="getSession"} 3.0',
        'wagate_sends_total{outcome="sent"} 3.0',
        'wagate_sessions{status="working"} 2.0',
        "wagate_outbox_depth 4.0",
        "wagate_event_lag_seconds 1.5",
        'wagate_readers{kind="websocket"} 3.0',
        'wagate_attempts_total{outcome="delivered"} 1.0',
        'wagate_attempts_total{outcome="http_5xx"} 1.0',
        'wagate_attempts_total{outcome="guarded"} 0.0',
        "wagate_deliveries_dead_total 1.0",
        'wagate_delivery_age_seconds_bucket{le="0.1"} 0.0',
        'wagate_delivery_age_seconds_bucket{le="0.25"} 1.0',
        "wagate_delivery_age_seconds_count 1.0",
        "wagate_delivery_overdue_seconds 2.5",
        'wagate_readers_ended_total{why="slow"} 1.0',
    ):
        assert line in page.splitlines()
    assert 'version="1.2.3"' in page
    assert METRICS_TYPE.startswith("text/plain")


def test_a_database_that_does_not_answer_leaves_its_gauges_out() -> None:
    metrics = Metrics(version="1")
    metrics.watch(lambda: None)
    assert "wagate_outbox_depth" not in metrics.render().decode()


def test_the_page_names_all_that_is_counted_and_nothing_else() -> None:
    page = lived().render().decode()
    kinds = dict(line.split()[2:] for line in page.splitlines() if line.startswith("# TYPE wagate_"))
    # The library gives each counter and histogram the moment of its making, too.
    counted = {name: kind for name, kind in kinds.items() if not name.endswith("_created")}
    assert counted == {family.name: family.kind for family in FAMILIES}
    for family in FAMILIES:
        assert f"# HELP {family.name} {family.sentence}" in page
        assert f"`{family.name}`" in metrics_page()
        for name in family.labels:
            assert f'{name}="' in page.partition(f"# TYPE {family.name} ")[2].partition("# HELP")[0]


def test_attempts_tell_apart_what_the_metrics_know() -> None:
    assert set(OUTCOMES) == {"delivered", *get_args(Failure)}


def test_two_registries_do_not_share_their_counts() -> None:
    one, other = Metrics(version="1"), Metrics(version="1")
    one.send("sent")
    assert "wagate_sends_total{" not in other.render().decode()
