"""Traces: one id for a send, an incoming message or a change, from its request to the post at a webhook.

A place in a trace is written as W3C Trace Context writes it, 55 characters (`00-<trace>-<span>-<flags>`), and goes so
through the program, onto the rows of outbox and deliveries, and out to webhooks. Ids are made here, so all of that
holds without OpenTelemetry; with it (`otlp.py`) each `span` is recorded as well and becomes the place that the next one
hangs from. Attributes never hold what people say, numbers, keys or secrets.
Called by api (continue or begin), gateway and workers (spans), the log (`trace_id`) and bootstrap (`record_with`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Literal, Protocol

Kind = Literal["internal", "server", "client", "consumer"]
Attributes = Mapping[str, str | int | bool]

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The place in a trace that this task works at: transactions and log lines take it from here."""

_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NOT_ZERO = 1 << 64 | 1
"""Neither id may be zero. Samplers that draw by the trace's id look at its size, not at its last digit."""
_random_bits = random.Random(random.SystemRandom().getrandbits(256)).getrandbits


def begin() -> str:
    """The first place of a new trace.

    It says `sampled`: a receiver whose sampler follows its caller would otherwise stop recording what we post to it.
    """
    digits = f"{_random_bits(192) | _NOT_ZERO:048x}"
    return f"00-{digits[:32]}-{digits[32:]}-01"


def continued(header: bytes | None) -> str | None:
    """The place that a `traceparent` header names; None where there is none or it is not valid, and is to be ignored.

    Of a later version the four parts are read that all have; only the flag `sampled` is passed on.
    """
    found = None if header is None else _FORM.fullmatch(header)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None) or not int(trace, 16) or not int(span, 16):
        return None
    return f"00-{trace.decode()}-{span.decode()}-{int(flags, 16) & 1:02x}"


def trace_id(traceparent: str) -> str:
    """The 32 digits that are the same all along a trace."""
    return traceparent[3:35]


class Recorded(Protocol):
    """A span under way, as whoever records spans keeps it."""

    traceparent: str

    def tell(self, attributes: Attributes, name: str | None) -> None:
        """Add attributes; `name` replaces its name."""
        ...

    def end(self, error: BaseException | str | None) -> None:
        """It is over. `error`: why it failed; of an exception only its kind may be kept."""
        ...


Recorder = Callable[[str, str | None, Kind], Recorded]
"""Begins a span: its name, the place it hangs from (None: a new trace), its kind. Never raises."""

_recorder: Recorder | None = None


def record_with(recorder: Recorder | None) -> None:
    """Record every span of this process from now on; None: none. Called by bootstrap."""
    global _recorder
    _recorder = recorder


class Span:
    """A piece of work at a place of a trace: `with span(…) as here`. What it leads to hangs from `here.traceparent`."""

    __slots__ = ("_recorded", "error", "traceparent")

    def __init__(self, traceparent: str, recorded: Recorded | None) -> None:
        self.traceparent = traceparent
        self.error: str | None = None
        """A short word; set when it failed without raising."""
        self._recorded = recorded

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if self._recorded is not None:
            self._recorded.end(error or self.error)

    @property
    def recorded(self) -> bool:
        """Whether anybody keeps it: what it would be told costs time to gather."""
        return self._recorded is not None

    def tell(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Add attributes; `name` replaces its name. Without effect where nobody keeps it."""
        if self._recorded is not None:
            self._recorded.tell(attributes, name)


def span(name: str, parent: str | None, *, kind: Kind = "internal") -> Span:
    """Work that hangs from `parent`; None begins a trace. Where spans are not recorded it stands at `parent` itself."""
    if _recorder is None:
        return Span(parent or begin(), None)
    recorded = _recorder(name, parent, kind)
    return Span(recorded.traceparent, recorded)
