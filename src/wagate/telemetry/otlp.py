"""Spans to a collector, by OpenTelemetry's own SDK: the extra `wagate[tracing]`.

Loaded only where `WAGATE_TRACING` is on. All else is set by the standard's own variables (`OTEL_SERVICE_NAME`,
`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`, …), which its library reads. Spans go out in batches from a
thread; a collector that is away costs spans and nothing else. The only file that imports OpenTelemetry. Called by
bootstrap, and by the doctor.
"""

from __future__ import annotations

import asyncio
import os
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wagate.telemetry import traces
from wagate.telemetry.traces import Attributes, Kind, Recorded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_FLUSH_SECONDS = 2.0


class CannotTrace(Exception):
    """Spans cannot be recorded as it is set; the message says why and what to do."""


def must_be_able() -> None:
    """Judge the environment, without loading anything.

    Raises:
        CannotTrace: the packages are not installed, or a variable asks for what there is not.
    """
    if not all(_found(name) for name in _PACKAGES):
        raise CannotTrace(
            "WAGATE_TRACING is on, and OpenTelemetry is not installed: install wagate[tracing], or set it to off."
        )
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if exporter not in ("otlp", "none"):
        raise CannotTrace(f"OTEL_TRACES_EXPORTER={exporter}: spans go out by otlp or not at all (none).")
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = os.environ.get(name, "").strip()
        if protocol:
            if protocol != "http/protobuf":
                raise CannotTrace(f"{name}={protocol}: only http/protobuf is spoken, usually on port 4318.")
            return


def endpoint() -> str:
    """Where spans go, as the environment says."""
    own = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    shared = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or "http://localhost:4318"
    return own or f"{shared.rstrip('/')}/v1/traces"


def start(*, version: str, node: str) -> Exporting:
    """Record all spans of this process, until `close`.

    Raises:
        CannotTrace: see `must_be_able`.
    """
    must_be_able()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    told = {"service.version": version, "service.instance.id": node}
    if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        told["service.name"] = os.environ.get("OTEL_SERVICE_NAME", "").strip() or "wagate"
    provider = TracerProvider(resource=Resource.create(told), shutdown_on_exit=False)
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip() != "none":
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    traces.record_with(_recording(provider, version))
    return Exporting(provider)


class Exporting:
    """Spans on their way to the collector."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    async def close(self) -> None:
        """Record no more, and give what is kept two seconds to go out. Idempotent."""
        traces.record_with(None)
        # On a thread that nobody waits for at the end: a collector that is away must not hold up the stop.
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        await asyncio.to_thread(last.join, _FLUSH_SECONDS)


def _found(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _recording(provider: TracerProvider, version: str) -> traces.Recorder:
    from opentelemetry import trace
    from opentelemetry.context import Context

    tracer = provider.get_tracer("wagate", version)
    kinds = {
        "internal": trace.SpanKind.INTERNAL,
        "server": trace.SpanKind.SERVER,
        "client": trace.SpanKind.CLIENT,
        "consumer": trace.SpanKind.CONSUMER,
    }

    def record(name: str, parent: str | None, kind: Kind) -> Recorded:
        # Where it hangs is always said: what some library holds for the present one is not asked.
        where = Context()
        if parent is not None:
            place = trace.SpanContext(
                trace_id=int(parent[3:35], 16),
                span_id=int(parent[36:52], 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(int(parent[53:], 16)),
            )
            where = trace.set_span_in_context(trace.NonRecordingSpan(place), where)
        return _Recorded(tracer.start_span(name, where, kind=kinds[kind]))

    return record


class _Recorded:
    """A span of the SDK's."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        place = span.get_span_context()
        self.traceparent = f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags & 1:02x}"

    def tell(self, attributes: Attributes, name: str | None) -> None:
        self._span.set_attributes(dict(attributes))
        if name is not None:
            self._span.update_name(name)

    def end(self, error: BaseException | str | None) -> None:
        if error is not None:
            from opentelemetry.trace import StatusCode

            # Of an exception its kind alone: what it says may hold what nobody may read here.
            said = error if isinstance(error, str) else type(error).__name__
            self._span.set_attribute("error.type", said)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
