"""Metrics: what is counted and measured, for Prometheus to fetch.

`FAMILIES` names each once, with the sentence that the page and the docs print. No label holds an id, an address or a
name that somebody chose: their number would grow without end. Called by bootstrap, which hears what workers and the
gateway tell over the broker, and by whoever serves /metrics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import accumulate
from platform import python_version
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.utils import floatToGoString

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Up to how many seconds a request falls into which slot of the histogram."""

_AGES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 86400)
"""The same for deliveries: from the very first attempt to the last of a day."""


class Family(msgspec.Struct, frozen=True):
    """One metric as it is scraped. `labels`: what each may say."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    sentence: str
    labels: dict[str, str] = {}


FAMILIES = (
    Family(
        "wagate_requests_total",
        "counter",
        "Requests answered.",
        {"operation": "an operation's id, or nothing for an unknown path", "status": "the HTTP status"},
    ),
    Family(
        "wagate_request_seconds",
        "histogram",
        "From the request's first byte to the answer's last.",
        {"operation": "as above"},
    ),
    Family("wagate_sends_total", "counter", "Sends settled.", {"outcome": "`sent`, `failed`, `uncertain`"}),
    Family("wagate_outbox_depth", "gauge", "Outbox entries not yet settled."),
    Family("wagate_sessions", "gauge", "Sessions by status.", {"status": "a session's status"}),
    Family(
        "wagate_event_lag_seconds",
        "gauge",
        "The greatest age, within the last seconds, at which an event reached somebody who was waiting for it.",
    ),
    Family(
        "wagate_readers",
        "gauge",
        "Open connections that read events.",
        {"kind": "`websocket`, `stream` (server-sent events)"},
    ),
    Family(
        "wagate_readers_ended_total",
        "counter",
        "Connections that read events and ended: `slow` ones were dropped for not taking what came.",
        {"why": "`gone` of itself, `slow`, `revoked`, `closing`, `cursor_expired`"},
    ),
    Family(
        "wagate_attempts_total",
        "counter",
        "Attempts to deliver to a webhook.",
        {
            "outcome": "`delivered`; answers that are no success: `http_1xx`, `http_3xx`, `http_4xx`, `http_5xx`; no"
            " answer: `timed_out`, `unreachable` (no address, no connection, no TLS), `broken` (it broke off, or was no"
            " HTTP); nothing was posted: `guarded` (an address or a header that may not be used), `not_posted` (a"
            " secret cannot be opened, or a defect)"
        },
    ),
    Family("wagate_deliveries_dead_total", "counter", "Deliveries given up after their last attempt."),
    Family(
        "wagate_delivery_age_seconds",
        "histogram",
        "From an event's record to its delivery at a webhook, retries and their waits included.",
    ),
    Family(
        "wagate_delivery_overdue_seconds",
        "gauge",
        "For how long the delivery that waits longest has been due without being begun; 0 when none is.",
    ),
    Family(
        "wagate_build_info",
        "gauge",
        "Which version runs, on which Python.",
        {"version": "of wagate", "python": "of Python"},
    ),
)
_SENTENCES = {family.name: family.sentence for family in FAMILIES}

OUTCOMES = (
    "delivered", "http_1xx", "http_3xx", "http_4xx", "http_5xx", "timed_out", "unreachable", "broken", "guarded",
    "not_posted",
)  # fmt: skip
"""All that `wagate_attempts_total` tells apart: each is on the page from the start, so that a rate sees its first."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway stands. `event_lag` and `delivery_overdue` in seconds, see `FAMILIES`."""

    sessions: dict[str, int] = {}
    outbox_depth: int = 0
    event_lag: float = 0.0
    readers: dict[str, int] = {}
    delivery_overdue: float = 0.0


_decode = msgspec.json.Decoder(list[tuple[str, float, bool]]).decode


class Metrics:
    """What is counted, in a registry of its own. Called by api (`request`), workers by way of bootstrap (`send`,
    `attempts`, `reader`) and whoever serves /metrics (`render`).
    """

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._tallies: dict[tuple[str, int], _Tally] = {}
        self.registry.register(_Requests(self._tallies))
        self._sends = self._counter("wagate_sends_total", "outcome")
        self._ended = self._counter("wagate_readers_ended_total", "why")
        self._attempts = self._counter("wagate_attempts_total", "outcome")
        for outcome in OUTCOMES:
            self._attempts(outcome)
        dead = "wagate_deliveries_dead_total"
        self._dead = Counter(dead, _SENTENCES[dead], registry=self.registry)
        age = "wagate_delivery_age_seconds"
        self._age = Histogram(age, _SENTENCES[age], buckets=_AGES, registry=self.registry)
        build = Info("wagate_build", _SENTENCES["wagate_build_info"], registry=self.registry)
        build.info({"version": version, "python": python_version()})
        ProcessCollector(registry=self.registry)

    def request(self, operation: str, status: int, seconds: float) -> None:
        """One request was answered. Called by one thread only, the event loop's."""
        # At every request: the library's own counters lock, and compare bound by bound.
        tally = self._tallies.get((operation, status))
        if tally is None:
            tally = self._tallies[operation, status] = _Tally()
        tally.slots[bisect_left(_BOUNDS, seconds)] += 1
        tally.seconds += seconds

    def send(self, outcome: str, count: int = 1) -> None:
        """Sends were settled as `sent`, `failed` or `uncertain`."""
        self._sends(outcome).inc(count)

    def attempts(self, told: bytes) -> None:
        """Deliveries were attempted. `told`: as JSON, of each its outcome, its event's age by then in seconds, and
        whether it was given up.
        """
        for outcome, age, dead in _decode(told):
            self._attempts(outcome).inc()
            if outcome == "delivered":
                self._age.observe(age)
            if dead:
                self._dead.inc()

    def reader(self, why: str) -> None:
        """A WebSocket or a stream ended: `gone` of itself, `slow`, `revoked`, `closing` or `cursor_expired`."""
        self._ended(why).inc()

    def watch(self, standing: Callable[[], Standing | None]) -> None:
        """Ask `standing` at each `render`; None leaves its gauges out, as when the database does not answer. Once."""
        self.registry.register(_Watch(standing))

    def render(self) -> bytes:
        """The page, of type `METRICS_TYPE`."""
        return generate_latest(self.registry)

    def _counter(self, name: str, label: str) -> Callable[[str], Counter]:
        return cache(Counter(name, _SENTENCES[name], (label,), registry=self.registry).labels)


def metrics_page() -> str:
    """docs/reference/metrics.md, whole. A test holds the file to it."""
    text = (
        "# Metrics\n\n"
        "What `/metrics` shows, for Prometheus. How to reach it, and what to be woken by: [the guide]"
        "(../guides/observability.md#metrics).\n"
        "This page is printed from `src/wagate/telemetry/metrics.py`. Beside these stand the process's own\n"
        "(`process_…`). Gauges are looked up every five seconds; the others count from the process's start.\n\n"
        "| metric | kind | what it says | labels |\n|---|---|---|---|\n"
    )
    for family in FAMILIES:
        labels = "; ".join(f"`{name}`: {said}" for name, said in family.labels.items())
        text += f"| `{family.name}` | {family.kind} | {family.sentence} | {labels} |\n"
    return text


class _Tally:
    """The answers of one operation with one status: how many took how long, the last slot open, and all their time."""

    __slots__ = ("seconds", "slots")

    def __init__(self) -> None:
        self.slots = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0


class _Requests:
    def __init__(self, tallies: dict[tuple[str, int], _Tally]) -> None:
        self._tallies = tallies

    def collect(self) -> Iterable[Metric]:
        """The counts as they stand now. Called by the registry, on any thread."""
        name = "wagate_requests_total"
        answered = CounterMetricFamily(name, _SENTENCES[name], labels=["operation", "status"])
        times: dict[str, _Tally] = {}
        for (operation, status), tally in self._tallies.copy().items():
            slots, total = tally.slots.copy(), times.setdefault(operation, _Tally())
            answered.add_metric([operation, str(status)], sum(slots))
            total.slots = [mine + more for mine, more in zip(total.slots, slots, strict=True)]
            total.seconds += tally.seconds
        yield answered
        name = "wagate_request_seconds"
        took = HistogramMetricFamily(name, _SENTENCES[name], labels=["operation"])
        for operation, total in times.items():
            up_to = zip((*map(floatToGoString, _BOUNDS), "+Inf"), accumulate(total.slots), strict=True)
            took.add_metric([operation], list(up_to), total.seconds)
        yield took


class _Watch:
    def __init__(self, standing: Callable[[], Standing | None]) -> None:
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        """The gauges as they stand now. Called by the registry."""
        standing = self._standing()
        if standing is None:
            return
        yield _gauge("wagate_sessions", "status", list(standing.sessions.items()))
        yield _gauge("wagate_readers", "kind", list(standing.readers.items()))
        for name, value in (
            ("wagate_outbox_depth", standing.outbox_depth),
            ("wagate_event_lag_seconds", standing.event_lag),
            ("wagate_delivery_overdue_seconds", standing.delivery_overdue),
        ):
            yield GaugeMetricFamily(name, _SENTENCES[name], value=value)


def _gauge(name: str, label: str, values: Sequence[tuple[str, int]]) -> Metric:
    gauge = GaugeMetricFamily(name, _SENTENCES[name], labels=[label])
    for value, count in values:
        gauge.add_metric([value], count)
    return gauge
