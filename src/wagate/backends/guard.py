"""Where the gateway may be sent by its customers: URLs, addresses and headers, judged without any I/O.

A customer names a webhook or a file; the gateway goes there from inside the operator's network. So only addresses that
the whole internet can reach are allowed, and the networks that the operator opens on purpose. The judgement is made on
addresses, never on names: a name (also `localhost`, `0x7f.1`, `2130706433`) means what its resolution gives at the very
connection, and http.py asks `judge_address` about exactly that.

Refused addresses are the special-purpose registries of IANA, written out here because Python's `is_global` differs
between patch releases. Of IPv6 only global unicast is let through, without the forms that carry an IPv4 address inside
(6to4, Teredo, ISATAP; mapped, compatible, translated and NAT64 ones lie outside it anyway): what they lead to is
decided by a router that is not ours. A NAT64 prefix that an operator took out of global unicast cannot be known here.

Called by http.py at each connection, and by whoever stores a URL or a header of a customer, to refuse it at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

import msgspec

LONGEST_URL: Final = 2048
"""Characters."""

NOT_PUBLIC: Final = "it leads to an address that is not public"
"""Names neither the address nor the kind: the answer must not draw a map of the operator's network."""

NOT_A_PLACE: Final = "its host or port is not one"

FRAMING: Final = frozenset(
    {
        "connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers, in small letters, that say where a message ends and whom it is for. They are the door's own."""

_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\xa0\\\s\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_BRACKETS = re.compile(r"\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\](:[0-9]*)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LONGEST_VALUE = 8192

_SPECIAL_V4 = [
    IPv4Network(written)
    for written in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT, and the metadata of one cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public by its number, yet the host itself in one cloud
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = [
    IPv6Network(written)
    for written in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]
_ISATAP = (0x00005EFE, 0x02005EFE)


class Refused(Exception):
    """What a customer named may not be used. `reason` is a clause that may be shown to the customer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UrlRefused(Refused):
    """A URL, or the address that it leads to. Nothing was sent there."""


class HeaderRefused(Refused):
    """A header's name or value. Nothing was sent."""


class Guard(msgspec.Struct, frozen=True):
    """The rule for every URL that a customer names: public addresses, and the networks opened by the operator."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """`WAGATE_ALLOWED_NETWORKS`; an IPv4-mapped one is kept as the IPv4 network that it means."""

    @classmethod
    def parse(cls, networks: Iterable[str]) -> Guard:
        """A guard that opens these networks, such as `10.1.0.0/16` or `::1`.

        Raises:
            ValueError: one is not a network, or has bits set beyond its length. The message names it.
        """
        return cls(tuple(_network(written.strip()) for written in networks))

    def judge_url(self, url: str) -> None:
        """Refuse a URL by what stands in it. A name may still lead to a refused address: that shows at connecting.

        Raises:
            UrlRefused: also for a host that is written as a refused address.
        """
        judge_shape(url)
        self.judge_host(urlsplit(url).hostname or "")

    def judge_host(self, host: str) -> None:
        """Refuse a host that is written as an address and refused as one. A name passes.

        Raises:
            UrlRefused: see `judge_address`.
        """
        if ":" in host or _is_address(host):
            self.judge_address(host)

    def judge_address(self, address: str) -> None:
        """Refuse an address that is neither public nor in an allowed network.

        An IPv4-mapped address counts as its IPv4 address for the allowed networks, and is never public. One with a
        scope id is refused always: it means something on this machine only.

        Raises:
            UrlRefused: with the same reason for every kind; also when it is no address at all.
        """
        try:
            ip = ip_address(address)
        except ValueError:
            raise UrlRefused(NOT_PUBLIC) from None
        if not self._opens(ip) and not is_public(ip):
            raise UrlRefused(NOT_PUBLIC)

    def _opens(self, ip: IPv4Address | IPv6Address) -> bool:
        if isinstance(ip, IPv6Address):
            if ip.scope_id is not None:
                return False
            ip = ip.ipv4_mapped or ip
        return any(ip in network for network in self.networks)


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Whether the whole internet can reach this address, and it is what it seems: no IPv4 address is inside it."""
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _SPECIAL_V4)
    if ip.scope_id is not None or ip not in _GLOBAL_V6:
        return False
    return int(ip) >> 32 & 0xFFFFFFFF not in _ISATAP and not any(ip in network for network in _SPECIAL_V6)


def judge_shape(url: str) -> None:
    """Refuse what is not a plain http(s) URL, wherever it leads.

    Raises:
        UrlRefused: too long, a blank, control or invisible character, another scheme, credentials, no host, a host
            with `%` in it, or a port that does not exist.
    """
    if len(url) > LONGEST_URL:
        raise UrlRefused(f"it is longer than {LONGEST_URL} characters")
    if _NOT_IN_URLS.search(url):
        raise UrlRefused("it has a character that no URL has")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlRefused(NOT_A_PLACE) from None
    if parts.scheme not in ("http", "https"):
        raise UrlRefused("it does not begin with http:// or https://")
    if "@" in parts.netloc:
        raise UrlRefused("it has credentials in it")
    if not host or not host.strip("."):
        raise UrlRefused("it has no host")
    if port == 0 or "%" in host or ("[" in parts.netloc and not _BRACKETS.fullmatch(parts.netloc)):
        raise UrlRefused(NOT_A_PLACE)


def judge_redirect(source: str, target: str) -> None:
    """Refuse to be led from one scheme to another, except to the safer one: what began with TLS stays in it.

    Raises:
        UrlRefused: from `https` to anything else.
    """
    if source == "https" and target != "https":
        raise UrlRefused("it is redirected from https to http")


def judge_header(name: str, value: str) -> None:
    """Refuse a header that would break out of its line, or that only the door may set.

    Raises:
        HeaderRefused: the name is no token or one of `FRAMING`, or the value has a line break, a NUL or another control
            character, or more than 8,192 characters. The reason names the header, never its value.
    """
    if not _HEADER_NAME.fullmatch(name):
        raise HeaderRefused("a header's name has a character that none may have")
    if name.lower() in FRAMING:
        raise HeaderRefused(f"the header {name} cannot be set")
    if len(value) > _LONGEST_VALUE or _NOT_IN_VALUES.search(value):
        raise HeaderRefused(f"the value of the header {name} is too long or has a control character")


def judge_headers(headers: Mapping[str, str]) -> None:
    """As `judge_header`, of all headers of a post: values are looked at together, and names known to be good not again.

    Raises:
        HeaderRefused: see there.
    """
    values = headers.values()
    long = max(map(len, values), default=0) > _LONGEST_VALUE
    if long or any(map(_refused_name, headers)) or _NOT_IN_VALUES.search("".join(values)):
        for name, value in headers.items():
            judge_header(name, value)


@lru_cache(maxsize=1024)
def _refused_name(name: str) -> bool:
    return not _HEADER_NAME.fullmatch(name) or name.lower() in FRAMING


def _network(written: str) -> IPv4Network | IPv6Network:
    network = ip_network(written)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
