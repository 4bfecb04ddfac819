"""The port to addresses that customers name: fetch a body within bounds, post one; what can go wrong there.

Apart from `http.py`, its adapter, so that who only needs the words (the gateway, and with it every short command) does
not load the HTTP client. Called by gateway/media, gateway/webhooks and gateway/deliveries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol

import msgspec

from wagate.backends.guard import judge_shape

Sink = Callable[[bytes], Awaitable[None]]
"""Takes a body piece by piece. What it raises ends the fetch and reaches the caller."""


Unanswered = Literal["timed_out", "unreachable", "broken"]
"""No answer in time; no connection; a connection that broke off or spoke no HTTP."""


class TooLarge(Exception):
    """The body has, or says it has, more than the `most_bytes` allowed. The rest was not read."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"more than {most_bytes} bytes")
        self.most_bytes = most_bytes


class FetchFailed(Exception):
    """There was no usable answer. `reason` is a clause that may be shown to the customer."""

    def __init__(self, reason: str, status: int | None = None, *, kind: Unanswered = "broken") -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        """The answer's status, where there was one."""
        self.kind: Unanswered = kind
        """How far it came, for metrics."""


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A body that went into its sink, whole."""

    content_type: str
    """As the server says, without parameters; not to be believed. `application/octet-stream` when it says nothing."""
    size: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver answered to a post, whatever the status."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body_start: bytes
    """The first few KiB; less when the body broke off or did not come in time."""


class Fetching(Protocol):
    """A way to the addresses that customers name."""

    async def get(self, url: str, *, sink: Sink, most_bytes: int, redirects: int = 3, timeout: float) -> Fetched:
        """Fetch a body into `sink`, following checked redirects. `timeout` in seconds, for it all.

        Raises:
            UrlRefused: the URL, a redirect or an address of one may not be used.
            TooLarge: as soon as that is known.
            FetchFailed: no usable answer.
        """
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
        """Post once and give the answer, whatever its status; a redirect is an answer like any other.

        Raises:
            UrlRefused, HeaderRefused: the URL, an address of it or a header may not be used. Nothing was sent.
            FetchFailed: no answer in `timeout` seconds. The receiver may have got the post.
        """
        ...

    def judge(self, url: str) -> None:
        """Refuse a URL by what stands in it, without going there.

        Raises:
            UrlRefused: see there.
        """
        ...


class Opened(Fetching, Protocol):
    """A door that holds connections."""

    async def close(self) -> None:
        """Let go of connections. Idempotent."""
        ...


class Late:
    """A door that is made when somebody first goes through it: loading an HTTP client costs a start 0.4 s and 10 MB.

    `make` runs in a thread, once; `judge` refuses URLs by what stands in them.
    """

    def __init__(self, make: Callable[[], Opened], judge: Callable[[str], None]) -> None:
        self._make = make
        self._judge = judge
        self._made: asyncio.Future[Opened] | None = None

    async def get(self, url: str, *, sink: Sink, most_bytes: int, redirects: int = 3, timeout: float) -> Fetched:
        """See `Fetching.get`."""
        door = await self._open()
        return await door.get(url, sink=sink, most_bytes=most_bytes, redirects=redirects, timeout=timeout)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
        """See `Fetching.post`."""
        door = await self._open()
        return await door.post(url, body, headers, timeout=timeout)

    def judge(self, url: str) -> None:
        """See `Fetching.judge`."""
        self._judge(url)

    @property
    def is_made(self) -> bool:
        """Whether the next one who goes through need not wait."""
        return self._made is not None and self._made.done()

    async def make(self) -> None:
        """Make it now: for whoever knows that somebody will go through."""
        await self._open()

    async def close(self) -> None:
        """See `Opened.close`."""
        if self._made is not None:
            await (await self._made).close()

    async def _open(self) -> Opened:
        if self._made is None:
            self._made = asyncio.ensure_future(asyncio.to_thread(self._make))
        elif self._made.done():
            return self._made.result()
        # Shielded: one caller who goes away does not keep the others out.
        return await asyncio.shield(self._made)


class Closed:
    """The door of a process that goes nowhere: a short command beside a running gateway."""

    async def get(self, url: str, *, sink: Sink, most_bytes: int, redirects: int = 3, timeout: float) -> Fetched:
        """See `Fetching.get`: always fails."""
        raise FetchFailed("nothing is fetched here")

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
        """See `Fetching.post`: always fails."""
        raise FetchFailed("nothing is posted here")

    def judge(self, url: str) -> None:
        """See `Fetching.judge`: by the URL's form alone."""
        judge_shape(url)
