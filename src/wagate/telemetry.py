"""Logs and metrics, and the request id that stands in every line of a request.

A log line is one JSON object, or a line for people, on standard error. No line holds a token, a phone number in full or
the text of a message: every line passes `redacted`, also those of libraries, and an exception is told by its kind, the
first line of what it says and where it happened. Called by bootstrap (`setup`, `Metrics`), api (the request id) and
everyone who logs (`logger`).
"""

from __future__ import annotations

import logging
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from itertools import accumulate
from platform import python_version
from traceback import extract_tb
from types import TracebackType
from typing import Any, TextIO, cast

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.utils import floatToGoString
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

HIDDEN = "…"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Up to how many seconds a request falls into which slot of the histogram."""

_SAID = re.compile(
    "body|caption|contents?|description|message_text|name|options|payload|push_name|subject|text|vcard"
    "|api_key|authorization|code|cookie|credentials|password|qr|secret|token|x-api-key"
)
"""Fields whose value is never logged, whatever it is: what people say, what they are called, what opens doors."""

_NUMBERED = re.compile(r"phone|number|jid|lid|chat|sender|recipient|participant|member|person|\bto\b|\bfrom\b")
"""Fields in which an integer may be a phone number."""

_SECRETS = re.compile(
    r"\b(wa|rt|whsec|whs)_[0-9A-Za-z+/=_-]{6,}"
    r"|\b(eyJ)[\w-]{8,}\.[\w-]*\.?[\w-]*"
    r"|(?i:\b(bearer|basic)\s+)[\w.~+/=-]{6,}"
    r"|(://)[^/\s@]*@"
)
_ADDRESSES = re.compile(
    r"(\d{1,20}(?:-\d{1,20})?)(?:[:.]\d{1,5}){0,2}(?=(?:@|%40)(?:s\.whatsapp\.net|c\.us|lid|hosted|g\.us)\b)"
)
_PHONES = re.compile(
    r"((?:\+|%2[Bb])\d(?:(?:[ ().-]|%20){0,2}\d){5,17}"
    r"|(?:(?<![0-9A-Za-z_.:-])|(?<=%20))(?:00)?\d{7,18}(?![0-9A-Za-z_]|[.:]\d))"
)

# A request id is the caller's own and ties lines together: only what opens doors is taken out of it.
_KEPT = frozenset({"request_id"})
_OURS = frozenset({"level", "timestamp", "logger"})


def setup(*, level: str = "info", format: str = "", stream: TextIO | None = None) -> None:
    """Send all logs, ours and the libraries', to `stream` (standard error) as `json` or `console`; "" asks the stream.

    May be called again: the last call counts. Called by bootstrap and the commands.
    """
    stream = stream or sys.stderr
    console = format == "console" or (not format and stream.isatty())
    render = _for_people(stream.isatty()) if console else _as_json
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    door = logging.StreamHandler(stream)
    door.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _first_line],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _tell_exception,
                redacted,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [door]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def logger(name: str) -> FilteringBoundLogger:
    """A logger: an event in a few words, and fields. `name` is the module's."""
    return cast("FilteringBoundLogger", structlog.get_logger(name))


def bound(**fields: Any) -> AbstractContextManager[Any]:
    """Put these fields, such as `request_id`, into every line that this task and those it starts write meanwhile."""
    return bound_contextvars(**fields)


def request_id() -> str | None:
    """The request that this task works for."""
    return get_contextvars().get("request_id")


def redacted(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """The line without secrets, full numbers and what people said. A processor; never raises."""
    for field, value in line.items():
        if field in _KEPT:
            line[field] = _SECRETS.sub(_unlock, value) if isinstance(value, str) else value
        elif field not in _OURS:
            line[field] = _field(field, value)
    return line


def mask(text: str) -> str:
    """`text` with its keys and tokens gone and of each phone number and address the last four digits left."""
    return _PHONES.sub(_last_four, _ADDRESSES.sub(_last_four, _SECRETS.sub(_unlock, text)))


def _field(name: str, value: object) -> object:
    if _SAID.fullmatch(name.lower()) and value is not None and not isinstance(value, bool):
        return HIDDEN
    return _value(name, value)


def _value(name: str, value: object) -> object:
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return mask(str(value)) if _NUMBERED.search(name) and abs(value) > 999_999 else value
    if isinstance(value, Mapping):
        return {mask(str(key)): _field(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(name, each) for each in value]
    return mask(value if isinstance(value, str) else repr(value))


def _unlock(match: re.Match[str]) -> str:
    wa, jwt, scheme, url = match.groups()
    if url:
        return f"://{HIDDEN}@"
    return f"{wa}_{HIDDEN}" if wa else f"{jwt or scheme} {HIDDEN}"


def _last_four(match: re.Match[str]) -> str:
    # Outside the group stands the number of a device or an agent: it says nothing and goes.
    return HIDDEN + re.sub(r"%2[Bb]|%20|\D", "", match[1])[-4:]


def _first_line(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Of what a library says the first line: asyncio shows an exception it found, and all it holds, in the next."""
    line["event"] = (str(line["event"]).splitlines() or [""])[0]
    return line


def _tell_exception(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """An exception as its kind, the first line of what it says, and where: further lines may hold a row or a text."""
    found = line.pop("exc_info", None)
    line.pop("exc_text", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        line["exception"] = [_told(each) for each in _causes(error)]
        line["where"] = list(_frames(error.__traceback__))
    return line


def _told(error: BaseException) -> str:
    said = (str(error).splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen and len(seen) < 5:
        seen.append(error)
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _frames(trace: TracebackType | None) -> Iterator[str]:
    for frame in extract_tb(trace)[-12:]:
        file = "/".join(frame.filename.replace("\\", "/").split("/")[-3:])
        yield f"{file}:{frame.lineno} {frame.name}"


def _as_json(_: WrappedLogger, __: str, line: EventDict) -> str:
    first = {field: line.pop(field) for field in ("timestamp", "level", "logger", "event") if field in line}
    return msgspec.json.encode({**first, **line}, enc_hook=repr).decode()


def _for_people(colors: bool) -> Callable[[WrappedLogger, str, EventDict], str]:
    def render(_: WrappedLogger, __: str, line: EventDict) -> str:
        told, where = line.pop("exception", []), line.pop("where", [])
        more = [f"    {each}" for each in told] + [f"      at {each}" for each in where]
        return "\n".join([str(console(_, __, line)), *more])

    console = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=30)
    return render


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway stands: sessions by status, outbox entries not yet settled, how long ago (seconds) the oldest
    event was recorded that a webhook still waits for, and how many WebSockets and streams are open.
    """

    sessions: dict[str, int] = {}
    outbox_depth: int = 0
    event_log_lag: float = 0.0
    readers: int = 0


class Metrics:
    """What is counted, in a registry of its own. Called by api (`request`), workers by way of bootstrap (`send`) and
    whoever serves /metrics (`render`). No label holds an id: their number would grow without end.
    """

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._tallies: dict[tuple[str, int], _Tally] = {}
        self.registry.register(_Requests(self._tallies))
        sends = Counter("wagate_sends", "Sends settled, by outcome.", ("outcome",), registry=self.registry)
        self._sends = cache(sends.labels)
        ended = Counter(
            "wagate_readers_ended", "WebSockets and streams that ended, by why.", ("why",), registry=self.registry
        )
        self._ended = cache(ended.labels)
        build = Info("wagate_build", "Which version runs, on which Python.", registry=self.registry)
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

    def reader(self, why: str) -> None:
        """A WebSocket or a stream ended: `gone` of itself, `slow`, `revoked`, `closing` or `cursor_expired`."""
        self._ended(why).inc()

    def watch(self, standing: Callable[[], Standing | None]) -> None:
        """Ask `standing` at each `render`; None leaves its gauges out, as when the database does not answer. Once."""
        self.registry.register(_Watch(standing))

    def render(self) -> bytes:
        """The page, of type `METRICS_TYPE`."""
        return generate_latest(self.registry)


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
        answered = CounterMetricFamily("wagate_requests", "Requests answered.", labels=["operation", "status"])
        times: dict[str, _Tally] = {}
        for (operation, status), tally in self._tallies.copy().items():
            slots, total = tally.slots.copy(), times.setdefault(operation, _Tally())
            answered.add_metric([operation, str(status)], sum(slots))
            total.slots = [mine + more for mine, more in zip(total.slots, slots, strict=True)]
            total.seconds += tally.seconds
        yield answered
        took = HistogramMetricFamily(
            "wagate_request_seconds", "From the request's first byte to the answer's last.", labels=["operation"]
        )
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
        sessions = GaugeMetricFamily("wagate_sessions", "Sessions by status.", labels=["status"])
        for status, count in standing.sessions.items():
            sessions.add_metric([status], count)
        yield sessions
        yield GaugeMetricFamily("wagate_outbox_depth", "Outbox entries not yet settled.", value=standing.outbox_depth)
        yield GaugeMetricFamily(
            "wagate_event_log_lag_seconds",
            "Age of the oldest event that a delivery still waits for.",
            value=standing.event_log_lag,
        )
        yield GaugeMetricFamily("wagate_readers", "WebSockets and streams that are open.", value=standing.readers)
