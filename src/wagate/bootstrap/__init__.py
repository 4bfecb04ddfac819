"""The one place where parts meet: settings in, running roles out, stopped in reverse order.

Called by cli and testing. Nothing else names an adapter or an engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from wagate import telemetry
from wagate.api import (
    admin,
    changes,
    channels,
    chats,
    contacts,
    events,
    groups,
    media,
    messages,
    realtime,
    sandbox,
    sessions,
    webhooks,
)
from wagate.api import app as api
from wagate.api import keys as key_operations
from wagate.api.compat import wasend
from wagate.api.cursors import Signer, derive
from wagate.api.operations import Operation
from wagate.backends.address import sqlite_path
from wagate.backends.blobs import DiskBlobs
from wagate.backends.broker import LocalBroker
from wagate.backends.doors import Late, Opened
from wagate.backends.guard import Guard
from wagate.backends.records import DatabaseStore
from wagate.backends.sealing import Sealer
from wagate.bootstrap.files import CannotStart, make_private, secret, write_private
from wagate.bootstrap.http import listen, serve_http, serve_metrics, url_of
from wagate.bootstrap.logins import KEYS_MISSING, fetch_keys, inspected, verifier
from wagate.bootstrap.storage import (
    database_backup,
    database_restore,
    database_revision,
    database_upgrade,
    keys_beside,
    open_database,
    open_gateway,
    orphans,
    rules,
)
from wagate.bootstrap.whatsapp import keeper, whatsapp_engine
from wagate.clock import Clock, ManualClock, SystemClock
from wagate.config import Settings
from wagate.engines import base
from wagate.engines.sandbox.engine import SandboxEngine
from wagate.gateway import Gateway, attempts, feeds, keys, organizations, outbox
from wagate.gateway import sessions as session_rows
from wagate.model.organizations import CAPABILITIES, CreateKey
from wagate.telemetry.metrics import Metrics, Standing
from wagate.workers import janitor
from wagate.workers.deliverer import Deliverer
from wagate.workers.supervisor import Supervisor

__all__ = [
    "DIALECTS",
    "KEYS_MISSING",
    "OPERATIONS",
    "CannotStart",
    "Running",
    "database_backup",
    "database_restore",
    "database_revision",
    "database_upgrade",
    "fetch_keys",
    "inspected",
    "keys_beside",
    "open_gateway",
    "openapi_document",
    "orphans",
    "running",
    "serve",
    "version",
]

log = structlog.get_logger(__name__)

OPERATIONS: list[Operation] = [
    *sessions.OPERATIONS,
    *messages.OPERATIONS,
    *changes.OPERATIONS,
    *media.OPERATIONS,
    *chats.OPERATIONS,
    *contacts.OPERATIONS,
    *groups.OPERATIONS,
    *channels.OPERATIONS,
    *key_operations.OPERATIONS,
    *admin.OPERATIONS,
    *events.OPERATIONS,
    *realtime.OPERATIONS,
    *webhooks.OPERATIONS,
    *sandbox.OPERATIONS,
]
"""Every operation that this version has."""

DIALECTS = (wasend.DIALECT,)
"""Every other product's HTTP that this version speaks."""

_STANDING_SECONDS = 5.0
_GARBAGE = (20_000, 20, 20)
"""After how many new objects the collector looks at them, and how many of its rounds make the next larger one."""


@dataclass(kw_only=True)
class Running:
    """A gateway that serves. `demo_key` is set only when this start made it."""

    gw: Gateway
    url: str
    engines: dict[str, base.Engine]
    demo_key: str | None
    stop: Callable[[], None]


def version() -> str:
    """This version of the program."""
    return importlib.metadata.version("wagate")


async def serve(settings: Settings, *, announce: Callable[[Running], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is called once it listens."""
    telemetry.setup(level=settings.log_level, format=settings.log_format)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    async with running(settings, on_stop=stopped.set) as gateway:
        # What was loaded to get here stays for good: the collector need not walk through it, 30 ms each time.
        gc.collect()
        gc.freeze()
        # What a request leaves behind is freed by counting references; there is little to look for.
        gc.set_threshold(*_GARBAGE)
        log.info("serving", url=gateway.url, node=settings.node_id, version=version())
        if announce is not None:
            announce(gateway)
        await stopped.wait()
        log.info("stopping")


@contextlib.asynccontextmanager
async def running(
    settings: Settings, *, clock: Clock | None = None, on_stop: Callable[[], None] = lambda: None
) -> AsyncIterator[Running]:
    """A whole gateway, listening, for as long as the context lasts.

    Raises:
        CannotStart: these settings, or what the data directory holds, do not allow it.
    """
    async with contextlib.AsyncExitStack() as stack:
        # Before anything is made: a port that is taken must not cost the first start's greeting.
        listener = listen(settings.host, settings.port)
        stack.callback(listener.close)
        if settings.tracing:
            _trace(settings, stack)
        gw, key = await _foundation(settings, stack, clock=clock)
        engines = _engines(settings, gw)
        for engine in engines.values():
            stack.push_async_callback(engine.close)
        demo_key = await _first_start(settings, gw)
        _refuse_open_demo(settings)
        await _refuse_manual_clock(settings, gw)
        alone = sqlite_path(settings.database_url) is not None
        await _work(stack, gw, engines, alone=alone, on_stop=on_stop)
        metrics = Metrics(version=version())
        await _watch(stack, gw, metrics)
        app = _app(settings, gw, key, metrics)
        await serve_http(stack, app, listener, gw, on_stop=on_stop)
        if settings.metrics_port:
            # The registry's own small server, in a thread: it answers while the gateway is busy.
            await serve_metrics(stack, metrics, settings.metrics_port)
        stack.push_async_callback(gw.db.hurry)
        yield Running(gw=gw, url=url_of(listener), engines=engines, demo_key=demo_key, stop=on_stop)


def _trace(settings: Settings, stack: contextlib.AsyncExitStack) -> None:
    """Record spans until the stack unwinds."""
    # Loaded here alone: without it nobody waits for it.
    from wagate.telemetry import otlp

    try:
        exporting = otlp.start(version=version(), node=settings.node_id)
    except otlp.CannotTrace as error:
        raise CannotStart(str(error)) from error
    stack.push_async_callback(exporting.close)


async def _foundation(
    settings: Settings, stack: contextlib.AsyncExitStack, *, clock: Clock | None
) -> tuple[Gateway, bytes]:
    make_private(settings.data_dir)
    db = await open_database(settings, exclusive=True)
    stack.push_async_callback(db.close)
    if await database_upgrade(settings):
        log.info("the database's schema was brought up to date")
    broker = LocalBroker()
    stack.push_async_callback(broker.close)
    if clock is None:
        clock = ManualClock() if settings.clock == "manual" else SystemClock()
    blobs = DiskBlobs(settings.blobs_folder)
    stack.push_async_callback(blobs.close)
    await blobs.sweep_spool()
    guard = Guard.parse(settings.allowed_networks)
    door = Late(lambda: _customer_door(guard), guard.judge_url)
    stack.push_async_callback(door.close)
    key = secret(settings)
    sealer = Sealer(derive(key, "secrets"))
    logins = await verifier(settings, stack, clock=clock, start=lambda keys: _task(stack, keys.run(), "login keys"))
    gw = Gateway(
        db=db, broker=broker, clock=clock, rules=rules(settings), blobs=blobs, http=door, sealer=sealer, logins=logins
    )
    return gw, key


def _customer_door(guard: Guard) -> Opened:
    from wagate.backends.http import CustomerDoor

    return CustomerDoor(guard)


def _engines(settings: Settings, gw: Gateway) -> dict[str, base.Engine]:
    engines: dict[str, base.Engine] = {}
    if settings.sandbox:

        def store_for(scope: str) -> base.Store:
            return DatabaseStore(gw.db, engine="sandbox", scope=scope)

        seed = str(settings.sandbox_seed)
        engines["sandbox"] = SandboxEngine(store_for, gw.clock, seed=seed, files=gw.blobs)
    # Also where it is off: sessions can be deleted then, and their keys must go with them.
    engines["whatsapp"] = whatsapp_engine(settings, gw.blobs) if settings.whatsapp else keeper(settings, gw.blobs)
    return engines


async def _work(
    stack: contextlib.AsyncExitStack,
    gw: Gateway,
    engines: dict[str, base.Engine],
    *,
    alone: bool,
    on_stop: Callable[[], None],
) -> None:
    supervisor = Supervisor(gw, engines)
    await supervisor.start(alone=alone)
    stack.push_async_callback(supervisor.close)
    _task(stack, supervisor.run(), "supervisor", on_stop=on_stop)
    _task(stack, janitor.run(gw, engines), "janitor", on_stop=on_stop)
    deliverer = Deliverer(gw)
    await deliverer.start(alone=alone)
    stack.push_async_callback(deliverer.close)
    if isinstance(gw.http, Late) and await attempts.hungry(gw):
        # Who comes back with something to deliver says that it is healthy when it can.
        await gw.http.make()
    _task(stack, deliverer.run(), "deliverer", on_stop=on_stop)


async def _watch(stack: contextlib.AsyncExitStack, gw: Gateway, metrics: Metrics) -> None:
    """Keep what the gauges show: the page itself must never wait for the database."""
    latest: list[Standing | None] = [None]
    lag = [0]

    def behind(payload: bytes) -> None:
        lag[0] = max(lag[0], int(payload))

    async def look() -> None:
        while True:
            try:
                latest[0] = Standing(
                    sessions=await session_rows.count_by_status(gw),
                    outbox_depth=await outbox.depth(gw),
                    event_lag=lag[0] / 1000,
                    readers={"websocket": 0, "stream": 0} | feeds.count(gw),
                    delivery_overdue=await attempts.overdue(gw),
                )
            except Exception:
                latest[0] = None
            lag[0] = 0
            await asyncio.sleep(_STANDING_SECONDS)

    metrics.watch(lambda: latest[0])
    stack.callback(gw.broker.subscribe("events.lag", behind))
    stack.callback(gw.broker.subscribe("sends", lambda outcome: metrics.send(outcome.decode())))
    stack.callback(gw.broker.subscribe("attempts", metrics.attempts))
    stack.callback(gw.broker.subscribe("readers", lambda why: metrics.reader(why.decode())))
    _task(stack, look(), "metrics")


async def _reach_ourselves(gw: Gateway) -> None:
    """Ask a question of our own over the broker; raises when no answer comes."""

    async def answer(payload: bytes) -> bytes:
        return payload

    subject = f"ready.{gw.rules.node}"
    stop = gw.broker.respond(subject, answer)
    try:
        await gw.broker.request(subject, b"", timeout=1)
    finally:
        stop()


def _app(settings: Settings, gw: Gateway, key: bytes, metrics: Metrics) -> api.App:
    options = api.ApiOptions(
        sandbox=settings.sandbox,
        cors_origins=settings.cors_origins,
        checks={"database": lambda: gw.db.one("SELECT 1"), "broker": lambda: _reach_ourselves(gw)},
        metrics=metrics.render,
        metrics_token=settings.metrics_token or None,
        observe=metrics.request,
        log_answers=settings.log_level == "debug",
    )
    signer = Signer(derive(key, "cursors"))
    return api.build(gw, operations=OPERATIONS, signer=signer, options=options, dialects=DIALECTS)


def _task(stack: contextlib.AsyncExitStack, work: Any, name: str, *, on_stop: Callable[[], None] | None = None) -> None:
    task = asyncio.create_task(work, name=name)

    def over(done: asyncio.Task[Any]) -> None:
        if not done.cancelled() and done.exception() is not None:
            log.critical("a part of the gateway failed", part=name, exc_info=done.exception())
            # Half a gateway is worse than none: whoever started the process starts it again.
            if on_stop is not None:
                on_stop()

    task.add_done_callback(over)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)


def openapi_document(yaml: bool, *, with_sandbox: bool = True) -> bytes:
    """The OpenAPI document, without a server."""
    from wagate.api import openapi

    present = [operation for operation in OPERATIONS if with_sandbox or not operation.sandbox]
    return openapi.as_yaml(present) if yaml else openapi.as_json(present)


async def _first_start(settings: Settings, gw: Gateway) -> str | None:
    """On an empty database with the sandbox on: the organization `demo` and a key for it."""
    if not settings.sandbox or await organizations.all_of_them(gw):
        return None
    demo = await organizations.create(gw, "demo")
    key = await keys.create(gw, demo.id, CreateKey(name="demo", permissions=list(CAPABILITIES)))
    write_private(settings.demo_key_file, key.secret + "\n")
    return key.secret


def _refuse_open_demo(settings: Settings) -> None:
    if not settings.is_local and settings.demo_key_file.exists():
        raise CannotStart(
            f"WAGATE_HOST={settings.host} can be reached by others, and the demo key exists with all permissions: "
            f"revoke it (`wagate keys list`, `wagate keys revoke ID`), delete {settings.demo_key_file}, start again."
        )


async def _refuse_manual_clock(settings: Settings, gw: Gateway) -> None:
    if settings.clock == "manual" and await session_rows.other_engines(gw, "sandbox"):
        raise CannotStart(
            "WAGATE_CLOCK=manual stops the time, and there are sessions of a real network here: use another "
            "WAGATE_DATA_DIR, or WAGATE_CLOCK=system."
        )
