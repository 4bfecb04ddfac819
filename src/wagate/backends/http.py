"""Two doors out: one to addresses that customers give us, judged at every connection, one to the operator's own.

Both are bounded in bytes and in time, know no proxies, no cookies and no credentials of the environment, and follow
redirects, where they do, by hand. Bodies are asked for and taken uncompressed, so that bytes received are bytes meant.

What keeps a customer's URL out of the operator's network, in this order: the URL itself is judged; a name is resolved
once for a connection, and all its addresses are judged; the connection goes to one of those very addresses, which is
judged again when its socket is made. A name that changes its mind in between changes nothing.

The only file that imports the HTTP client. Opened and closed by bootstrap; called by the gateway for media and keys,
and by the worker that delivers webhooks.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib import metadata
from typing import Any, Final

import aiohttp
from aiohttp import BytesPayload
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from yarl import URL

from wagate.backends.doors import Answer, Fetched, FetchFailed, Sink, TooLarge
from wagate.backends.guard import NOT_A_PLACE, Guard, UrlRefused, judge_headers, judge_redirect, judge_shape

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From a host and a port to addresses as text. Raises OSError when there are none."""

AddressInfo = tuple[Any, ...]
"""What a socket is made for, as `getaddrinfo` gives it: family, type, protocol, name, and the address to be dialled."""

PIECE: Final = 64 * 1024
"""How many bytes a sink is given at most at a time."""

BODY_START: Final = 4 * 1024
"""How much of an answer to a post is read. The rest is cut off together with its connection."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_ADDRESSES = 8
_MOST_INTERIM = 16
_NO_ADDRESS = "its host has no address"

# Most servers close an idle connection after 5 s or later. We do it first: a post that meets a connection which is just
# being closed would fail for no reason of the receiver's.
_IDLE_SECONDS = 4

# A name server that does not answer holds a thread for many seconds. The loop's own few threads would soon all wait for
# names of dead endpoints, and everybody's deliveries behind them.
_LOOKUPS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")


async def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver gives, in its order, IPv4 and IPv6. It reads every odd spelling.

    Raises:
        OSError: there is none.
    """
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, ask)
    return [str(address[0]) for *_, address in found]


def checked_socket(guard: Guard, info: AddressInfo) -> socket.socket:
    """A socket for the address that is about to be dialled: the last judgement, on the address itself.

    Raises:
        OSError: a `UrlRefused` is its cause. Of this kind because the client tries the next address after it.
    """
    family, kind, protocol, _, address = info
    try:
        guard.judge_address(address[0])
    except UrlRefused as refusal:
        raise _AddressRefused(errno.EACCES, refusal.reason) from refusal
    return socket.socket(family, kind, protocol)


class Door(ABC):
    """What both doors do alike: one client session, opened at the first use, and the bounded fetch."""

    def __init__(self, read: Callable[[str], URL]) -> None:
        self._read = read
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @abstractmethod
    def _connector(self) -> aiohttp.TCPConnector:
        """How connections are made and kept. Called once, inside a running loop."""

    @abstractmethod
    def _follow(self, source: URL, target: URL) -> None:
        """Refuse a redirect with `UrlRefused`. The target itself was judged."""

    async def close(self) -> None:
        """End all connections; what is under way fails. Any number of times, also before the first use."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the door is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                headers={"User-Agent": f"wagate/{metadata.version('wagate')}", "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                # Time is bounded around each call, exactly; the client's own limits are rounded up.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def _fetch(self, url: str, *, sink: Sink, most_bytes: int, redirects: int, timeout: float) -> Fetched:
        limit = asyncio.timeout(timeout)
        with _translating(limit):
            async with limit:
                target = self._read(url)
                for _ in range(redirects + 1):
                    async with self._opened().get(target, allow_redirects=False) as response:
                        location = response.headers.get("Location")
                        if response.status not in _REDIRECTS or not location:
                            return await _stream(response, sink, most_bytes)
                    target = self._next(target, location)
                raise FetchFailed(f"it is redirected more than {redirects} times")

    def _next(self, source: URL, location: str) -> URL:
        try:
            target = self._read(str(source.join(URL(location))))
        except ValueError:
            raise UrlRefused("it is redirected to what is not a URL") from None
        self._follow(source, target)
        return target


class CustomerDoor(Door):
    """The door to addresses that customers name: webhooks and media.

    Promises that no packet leaves for an address which `guard` refuses. Connections are kept and used again for the
    same host; the addresses of a host are asked for at most once in ten seconds, and once for all who want them then.
    """

    def __init__(self, guard: Guard, *, resolve: Resolve = resolve_by_system, connections: int = 1000) -> None:
        """`connections` bounds all of them together. Who calls keeps below it: waiting for one counts as time."""
        # A webhook's URL comes thousands of times; a refusal is not remembered.
        super().__init__(lru_cache(maxsize=4096)(partial(_customers, guard)))
        self._guard = guard
        self._resolve = resolve
        self._connections = connections

    async def get(self, url: str, *, sink: Sink, most_bytes: int, redirects: int = 3, timeout: float) -> Fetched:
        """Fetch a body into `sink`, following checked redirects, never from https to http. `timeout` is for it all.

        The sink may have taken pieces when it fails. Nothing beyond `most_bytes` reaches it.

        Raises:
            UrlRefused: the URL, a redirect or an address of one may not be used.
            TooLarge: as soon as that is known.
            FetchFailed: no connection, no whole answer in time, not 2xx, compressed, or too many redirects.
        """
        return await self._fetch(url, sink=sink, most_bytes=most_bytes, redirects=redirects, timeout=timeout)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
        """Post once and give the answer, whatever its status; a redirect is an answer like any other.

        Once a status has come it stands, also when the body after it breaks off. Never sent again by itself.

        Raises:
            UrlRefused: the URL or an address of it may not be used. Nothing was sent.
            HeaderRefused: see `judge_header`. Nothing was sent.
            FetchFailed: no answer in `timeout` seconds. The receiver may have got the post.
        """
        judge_headers(headers)
        target = self._read(url)
        limit = asyncio.timeout(timeout)
        response: aiohttp.ClientResponse | None = None
        start = bytearray()
        try:
            async with limit:
                payload = BytesPayload(body)
                response = await self._opened().post(target, data=payload, headers=headers, allow_redirects=False)
                while len(start) < BODY_START and not response.content.at_eof():
                    start += await response.content.read(BODY_START - len(start))
        except (TimeoutError, aiohttp.ClientError) as error:
            if response is None:
                raise _ours(error, limit) from error
        finally:
            if response is not None and not response.content.at_eof():
                response.close()
        return Answer(status=response.status, headers=response.headers, body_start=bytes(start))

    def judge(self, url: str) -> None:
        """Refuse a URL by what stands in it, without going there.

        Raises:
            UrlRefused: see there; also for a host that is written as a refused address.
        """
        self._read(url)

    async def checked(self, host: str, port: int) -> list[str]:
        """The addresses of a host, in order, all of them judged; for connections that another library makes.

        Raises:
            UrlRefused: one of them is refused, which refuses the host.
            FetchFailed: it has none.
        """
        self._guard.judge_host(host)
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(_NO_ADDRESS, kind="unreachable") from error
        for address in addresses:
            self._guard.judge_address(address)
        if not addresses:
            raise FetchFailed(_NO_ADDRESS, kind="unreachable")
        return addresses[:_MOST_ADDRESSES]

    def _connector(self) -> aiohttp.TCPConnector:
        return _Connector(
            resolver=_Resolver(self.checked),
            socket_factory=partial(checked_socket, self._guard),
            limit=self._connections,
            keepalive_timeout=_IDLE_SECONDS,
        )

    def _follow(self, source: URL, target: URL) -> None:
        judge_redirect(source.scheme, target.scheme)


class OperatorDoor(Door):
    """The door to addresses that the operator configured, such as the keys of an identity provider.

    They may lie anywhere, also inside. A customer's URL must never go through here.
    """

    def __init__(self) -> None:
        super().__init__(_parsed)

    async def get(self, url: str, *, most_bytes: int, timeout: float) -> bytes:
        """The body, after at most three redirects, none of them to another scheme. `timeout` is for it all.

        Raises:
            UrlRefused, TooLarge, FetchFailed: as `CustomerDoor.get` does, without any rule for addresses.
        """
        body = bytearray()

        async def keep(piece: bytes) -> None:
            body.extend(piece)

        await self._fetch(url, sink=keep, most_bytes=most_bytes, redirects=3, timeout=timeout)
        return bytes(body)

    def _connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=20, keepalive_timeout=_IDLE_SECONDS)

    def _follow(self, source: URL, target: URL) -> None:
        if source.scheme != target.scheme:
            raise UrlRefused("it is redirected to another scheme")


class _Answers(ResponseHandler):
    """The client's side of a connection. It would take interim answers (1xx) without end, as fast as they come, and
    nothing else in this process would get a turn: a few are let through, more end the connection.
    """

    _interim = 0

    def set_response_params(self, **more: Any) -> None:
        """A request begins."""
        self._interim = 0
        super().set_response_params(**more)

    def feed_data(self, data: tuple[RawResponseMessage, Any], size: int = 0) -> None:
        """An answer's head came."""
        if 100 <= data[0].code <= 199:
            self._interim += 1
            if self._interim == _MOST_INTERIM and self.transport is not None:
                self.transport.close()
                self.set_exception(aiohttp.ClientPayloadError("interim answers without end"))
            if self._interim >= _MOST_INTERIM:
                return
        super().feed_data(data, size)


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        make: partial[Any] = partial(_Answers, loop=self._loop)
        self._factory = make


class _AddressRefused(OSError):
    """`UrlRefused`, where the client lets only OSError pass."""


class _Resolver(AbstractResolver):
    """The client's resolver: it learns of no address that was not judged."""

    def __init__(self, checked: Resolve) -> None:
        self._checked = checked

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._checked(host, port)
        ]

    async def close(self) -> None:
        pass


def _parsed(url: str) -> URL:
    judge_shape(url)
    try:
        return URL(url)
    except ValueError:
        raise UrlRefused(NOT_A_PLACE) from None


def _customers(guard: Guard, url: str) -> URL:
    guard.judge_url(url)
    parsed = _parsed(url)
    # The client's parser turns some letters into digits (full-width ones), and dials what is then an address.
    guard.judge_host(parsed.raw_host or "")
    return parsed


async def _stream(response: aiohttp.ClientResponse, sink: Sink, most_bytes: int) -> Fetched:
    if not 200 <= response.status <= 299:
        raise FetchFailed(f"it answered {response.status}", response.status)
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise FetchFailed("it answered compressed, which was not asked for", response.status)
    if (response.content_length or 0) > most_bytes:
        raise TooLarge(most_bytes)
    size = 0
    async for piece in response.content.iter_chunked(PIECE):
        size += len(piece)
        if size > most_bytes:
            raise TooLarge(most_bytes)
        await sink(piece)
    return Fetched(content_type=response.content_type, size=size)


@contextmanager
def _translating(limit: asyncio.Timeout) -> Iterator[None]:
    try:
        yield
    except (TimeoutError, aiohttp.ClientError) as error:
        translated = _ours(error, limit)
        if translated is error:
            raise
        raise translated from error


def _ours(error: Exception, limit: asyncio.Timeout) -> Exception:
    """Our error for one of the client's; a timeout that is not `limit`'s is somebody else's, and stays."""
    match error:
        case aiohttp.InvalidURL():
            return UrlRefused(NOT_A_PLACE)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return FetchFailed("its certificate or its TLS is not accepted", kind="unreachable")
        case aiohttp.ClientConnectorDNSError():
            return FetchFailed(_NO_ADDRESS, kind="unreachable")
        case aiohttp.ClientConnectorError(os_error=_AddressRefused() as refused):
            return UrlRefused(str(refused.strerror))
        case aiohttp.ClientConnectorError():
            return FetchFailed("it cannot be connected to", kind="unreachable")
        case aiohttp.ClientError():
            return FetchFailed("the connection broke off, or what came on it is not HTTP")
        case _ if limit.expired():
            return FetchFailed("it did not answer in time", kind="timed_out")
    return error
