"""What we promise: each noun's rules and its SQL on one page.

Every function takes the `Gateway` (what we run on) or a transaction first. Workers and routes ask here and hold no rule
of their own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from wagate.backends.blobs import Blobs
from wagate.backends.broker import Broker
from wagate.backends.database import Database
from wagate.backends.doors import Fetching
from wagate.backends.sealing import Sealer
from wagate.backends.tokens import Verifier
from wagate.clock import Clock
from wagate.errors import UnsupportedByEngine


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """What the gateway needs to know of an engine without knowing engines. `takes_proxy`: for each session."""

    name: str
    contents: frozenset[str]
    actions: frozenset[str]
    chooses_wire_id: bool
    hosts_networks: bool
    takes_proxy: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The operator's choices that rules depend on. Times in seconds."""

    node: str
    default_engine: str = "sandbox"
    send_timeout: float = 30.0
    action_timeout: float = 15.0
    fetch_timeout: float = 20.0
    rate_per_min: int = 20
    rate_per_hour: int = 200
    auto_read: bool = False
    event_days: int = 7
    media_days: int = 7
    media_fetch: Literal["on_demand", "on_arrival"] = "on_demand"
    lease_seconds: float = 30.0
    poll_seconds: float = 2.0
    engines: dict[str, EngineFacts] = field(default_factory=dict)

    def engine(self, name: str) -> EngineFacts:
        """What is known of an engine.

        Raises:
            UnsupportedByEngine: it is switched off here.
        """
        if name not in self.engines:
            raise UnsupportedByEngine("the session's engine is switched off here")
        return self.engines[name]


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted: at most `limit` rows behind position `after` (None: from the start).

    A position is what the list function returned beside the rows; only that function knows what it means.
    """

    limit: int
    after: list[Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """What every promise rests on: the database is the truth, the broker carries hints and actions.

    `blobs` keep the bytes of media, `http` is the door to addresses that customers name, `sealer` keeps their secrets,
    `logins` judges the login tokens of people (None: only keys are taken).
    `underway`: what this process does once for all who ask for it at the same time; `feeds`: the logs that it follows
    for readers, by organization; nothing is lost with either.
    """

    db: Database
    broker: Broker
    clock: Clock
    rules: Rules
    blobs: Blobs
    http: Fetching
    sealer: Sealer = field(default_factory=Sealer)
    logins: Verifier | None = None
    underway: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    feeds: dict[str, Any] = field(default_factory=dict)
