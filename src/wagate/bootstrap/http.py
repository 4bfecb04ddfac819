"""The HTTP server, and the sockets it listens on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from wagate.api import app as api
from wagate.api.frames import MOST_INCOMING, Connection
from wagate.api.wire import IDLE_SECONDS, Protocol
from wagate.bootstrap.files import CannotStart
from wagate.gateway import Gateway
from wagate.telemetry.metrics import Metrics

STOP_SECONDS = 3
"""How long requests in flight may take once the process is told to stop."""


class _Server(uvicorn.Server):
    """A server whose process decides about signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave them alone."""
        yield


async def serve_http(
    stack: contextlib.AsyncExitStack,
    app: api.App,
    listener: socket.socket,
    gw: Gateway,
    *,
    on_stop: Callable[[], None],
) -> None:
    """Serve until the stack unwinds; `on_stop` is told when the server ends, for whatever reason."""
    config = uvicorn.Config(
        cast(Any, app),
        http=Protocol,
        ws=Connection,
        ws_max_size=MOST_INCOMING,
        ws_per_message_deflate=False,
        # Clients get pings that they see.
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=IDLE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.should_exit = True
        # Who waits for a send or an event is answered now; what was accepted stays so.
        asyncio.get_running_loop().call_later(STOP_SECONDS / 2, gw.broker.publish, "closing")
        await task

    stack.push_async_callback(stop)
    task.add_done_callback(lambda _: on_stop())
    while not server.started:
        if task.done():
            await task
            raise CannotStart("The HTTP server did not start.")
        await asyncio.sleep(0.001)


async def serve_metrics(stack: contextlib.AsyncExitStack, metrics: Metrics, port: int) -> None:
    """Serve the metrics on 127.0.0.1 until the stack unwinds."""
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=metrics.registry)
    except OSError as error:
        raise CannotStart(f"WAGATE_METRICS_PORT: cannot listen on 127.0.0.1:{port}: {error.strerror}.") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(2)

    stack.callback(stop)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"Cannot listen on {host}:{port}: {error.strerror}. Set WAGATE_HOST or WAGATE_PORT."
        ) from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The address of what listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
