"""Logs, and the ids that stand in the lines of a request: its own, and that of its trace.

A log line is one JSON object, or a line for people, on standard error. No line holds a token, a phone number in full or
the text of a message: every line passes `redacted`, also those of libraries, and an exception is told by its kind, the
first line of what it says and where it happened. Called by bootstrap and the commands (`setup`), api (the request id)
and everyone who logs (`logger`).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from traceback import extract_tb
from types import TracebackType
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from wagate.telemetry import traces

HIDDEN = "…"

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
_KEPT = frozenset({"request_id", "trace_id"})
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
        _name_trace,
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


def _name_trace(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """The trace that the task works for: asked only when there is a line to write."""
    if (place := traces.current.get()) is not None:
        line.setdefault("trace_id", traces.trace_id(place))
    return line


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
