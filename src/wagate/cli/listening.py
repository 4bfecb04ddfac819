"""Receiving webhooks on this machine: a small server that checks what is posted to it, and says so.

It hears only this machine, takes a bounded number of connections, bytes and seconds, and believes a body once its
signature is right; nothing that is posted ends it. Called by `wagate webhooks listen`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import typer

from wagate import verify_webhook
from wagate.cli.terminal import Failed, event_line, note, plain

_MOST_BYTES = 4 << 20
_PATIENCE = 10.0
"""Seconds for a whole request, and for the program that deliveries are forwarded to."""
_CONNECTIONS = 64
_REMEMBERED = 100_000
"""How many ids are known as seen."""
_FORWARDED = ("content-type", "x-webhook-", "webhook-", "traceparent")


@dataclass(kw_only=True)
class Delivery:
    """One post, and what was made of it."""

    status: int
    event: Any = None
    """The envelope, when the signature was right."""
    refused: str = ""
    claimed: str = ""
    """The id that an unverified post claims."""
    repeat: bool = False

    def shown(self, as_json: bool) -> str:
        """Its line."""
        if as_json:
            told: dict[str, Any] = {"verified": not self.refused, "status": self.status}
            told |= {"refused": self.refused, "id": self.claimed} if self.refused else {"repeat": self.repeat}
            return json.dumps(told | ({} if self.refused else {"event": self.event}))
        if self.refused:
            return f"refused   {self.status}  {self.refused}" + (f"; {plain(self.claimed)}" if self.claimed else "")
        return f"{'repeat  ' if self.repeat else 'verified'}  {self.status}  {event_line(self.event)}"


@dataclass(kw_only=True)
class Listening:
    """What posts are judged by, and what becomes of them. `forward_to`: a URL here that gets verified ones."""

    secret: str
    status: int
    as_json: bool
    forward_to: str | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """Judge a post, hand it on, and show it. The names of `headers` are in small letters."""
        try:
            event = verify_webhook(body, headers, self.secret)
        except ValueError as refused:
            return self.refuse(401, str(refused), claimed=headers.get("webhook-id") or "")
        if not isinstance(event, dict):
            return self.refuse(400, "its body is no event")
        status = self.status if self.forward_to is None else _forwarded(self.forward_to, headers, body)
        id = str(event.get("id"))
        with self._lock:
            repeat = id in self._seen
            self._seen[id] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return self._show(Delivery(status=status, event=event, repeat=repeat))

    def refuse(self, status: int, why: str, *, claimed: str = "") -> Delivery:
        """Show a post that is none."""
        return self._show(Delivery(status=status, refused=why, claimed=claimed[:100]))

    def _show(self, delivery: Delivery) -> Delivery:
        with self._lock:
            try:
                typer.echo(delivery.shown(self.as_json))
                sys.stdout.flush()
            except OSError:
                # Whoever read has read enough.
                self.ended.set()
        return delivery

    def heed(self) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal set `ended`, as nobody who reads does."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.ended.set())


class Server(ThreadingHTTPServer):
    """The receiver on `127.0.0.1`; port 0 is a free one. Runs in threads of its own from `start` to `stop`."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = _CONNECTIONS

    def __init__(self, port: int, listening: Listening) -> None:
        self.listening = listening
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        try:
            super().__init__(("127.0.0.1", port), _Post)
        except OSError as error:
            raise Failed(f"Port {port} cannot be listened on: {error.strerror}.") from error
        self.url = f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Receive."""
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def stop(self) -> None:
        """Receive no more."""
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """See `ThreadingMixIn`; one connection too many is closed."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """See `ThreadingMixIn`."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whatever a stranger did ends their connection and nothing else."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            note(f"A connection ended: {plain(repr(error))[:200]}.")


class _Post(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE

    def do_POST(self) -> None:
        listening = self.server.listening
        lengths = self.headers.get_all("content-length") or []
        if "transfer-encoding" in self.headers or len(lengths) != 1:
            self._answer(listening.refuse(411, "its length is not told").status, last=True)
        elif not (lengths[0].isascii() and lengths[0].isdigit()):
            self._answer(listening.refuse(400, "its length is no number").status, last=True)
        elif len(lengths[0]) > 9 or int(lengths[0]) > _MOST_BYTES:
            self._answer(listening.refuse(413, f"it is longer than {_MOST_BYTES >> 20} MiB").status, last=True)
        elif (body := self._body(int(lengths[0]))) is None:
            self._answer(listening.refuse(408, "it did not come whole").status, last=True)
        else:
            self._answer(listening.take({name.lower(): value for name, value in self.headers.items()}, body).status)

    def _body(self, length: int) -> bytes | None:
        """So many bytes; None if they do not come in time."""
        until, parts = time.monotonic() + _PATIENCE, list[bytes]()
        while length and time.monotonic() < until:
            try:
                part = self.rfile.read1(min(length, 1 << 16))
            except TimeoutError:
                return None
            if not part:
                return None
            parts.append(part)
            length -= len(part)
        return None if length else b"".join(parts)

    def _answer(self, status: int, *, last: bool = False) -> None:
        self.send_response_only(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        if last:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """What is to be said, `Listening` says."""


def _forwarded(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """The status that the program behind `url` answers; 502 when none does."""
    place = urlsplit(url)
    line = HTTPConnection(place.hostname or "", place.port or 80, timeout=_PATIENCE - 1)
    kept = {name: value for name, value in headers.items() if name.startswith(_FORWARDED)}
    try:
        line.request("POST", (place.path or "/") + (f"?{place.query}" if place.query else ""), body, kept)
        return line.getresponse().status
    except (OSError, HTTPException) as error:
        note(f"{url} did not answer: {plain(str(error) or type(error).__name__)}.")
        return 502
    finally:
        line.close()
