"""A customer's URL leads to public addresses and to networks that the operator opened, however it is written."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagate.backends.guard import (
    LONGEST_URL,
    Guard,
    HeaderRefused,
    UrlRefused,
    is_public,
    judge_header,
    judge_headers,
    judge_redirect,
    judge_shape,
)

CLOSED = Guard()

REFUSED_V4 = [
    "0.0.0.0", "0.0.0.1", "0.255.255.255",
    "10.0.0.0", "10.0.0.1", "10.255.255.255",
    "100.64.0.0", "100.100.100.200", "100.127.255.255",
    "127.0.0.0", "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255",
    "172.16.0.0", "172.16.0.1", "172.31.255.255",
    "192.0.0.0", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.0.255",
    "192.0.2.0", "192.0.2.255",
    "192.88.99.1",
    "192.168.0.0", "192.168.1.1", "192.168.255.255",
    "198.18.0.0", "198.19.255.255",
    "198.51.100.0", "198.51.100.255",
    "203.0.113.0", "203.0.113.255",
    "224.0.0.0", "224.0.0.251", "239.255.255.255",
    "240.0.0.0", "250.1.2.3", "255.255.255.254", "255.255.255.255",
]  # fmt: skip

PUBLIC_V4 = [
    "1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
]  # fmt: skip

REFUSED_V6 = [
    "::", "::1", "::2",
    "::7f00:1", "::127.0.0.1", "::8.8.8.8",  # compatible
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",  # mapped
    "::ffff:8.8.8.8", "0:0:0:0:0:ffff:0808:0808",
    "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8",  # translated
    "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8",  # NAT64
    "64:ff9b:1::", "64:ff9b:1::a00:1", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "100::1", "100:0:0:1::1",  # discard
    "2001::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::",
    "2001:db8::", "2001:db8:1::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002::", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1",  # 6to4
    "3fff::1", "3fff:fff:ffff::",
    "2a00:1450:4001::5efe:10.0.0.1", "2a00:1450:4001::200:5efe:8.8.8.8",  # ISATAP
    "1fff:ffff::1", "4000::1", "5f00::1", "8000::1",
    "fc00::", "fc00::1", "fd00::1", "fd00:ec2::254", "fdff:ffff::1",
    "fe80::", "fe80::1", "febf:ffff::1", "fe80::1%1", "fe80::1%eth0",
    "fec0::1", "feff::1",
    "ff00::", "ff02::1", "ff02::fb", "ff0e::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2606:4700:4700::1111%lo",  # a public one, on one interface of this machine
]  # fmt: skip

PUBLIC_V6 = [
    "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::1", "2001:db9::1", "2001:ffff::1", "2003::1", "2600::",
    "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2a00:1450:4001::5eff:a00:1", "3ffe:ffff::1", "3fff:1000::1",
]  # fmt: skip

NOT_ADDRESSES = [
    "", " ", "localhost", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "127.0.0.1 ", "1.2.3.4.5",
    "010.0.0.1", "256.0.0.1", "１２７.0.0.1", ":::", "::1/128", "[::1]", "8.8.8.8\0", "8.8.8.8\n",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED_V4 + REFUSED_V6)
def test_what_the_internet_does_not_reach_is_refused(address: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        CLOSED.judge_address(address)
    assert address not in caught.value.reason or not address.strip(":")


@pytest.mark.parametrize("address", NOT_ADDRESSES)
@pytest.mark.parametrize("guard", [CLOSED, Guard.parse(["0.0.0.0/0", "::/0"])], ids=["closed", "open"])
def test_what_is_no_address_is_refused(address: str, guard: Guard) -> None:
    with pytest.raises(UrlRefused):
        guard.judge_address(address)


@pytest.mark.parametrize("address", PUBLIC_V4 + PUBLIC_V6)
def test_public_addresses_pass_also_right_beside_refused_networks(address: str) -> None:
    CLOSED.judge_address(address)


@pytest.mark.parametrize("address", REFUSED_V4 + PUBLIC_V4)
@pytest.mark.parametrize(
    "form", ["::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "2a00::5efe:{}", "2a00::200:5efe:{}"]
)
def test_an_ipv4_address_inside_an_ipv6_one_is_refused_whatever_it_is(address: str, form: str) -> None:
    with pytest.raises(UrlRefused):
        CLOSED.judge_address(form.format(address))


SPECIAL = ("is_private", "is_loopback", "is_link_local", "is_multicast", "is_reserved", "is_unspecified")


@given(st.integers(0, 2**32 - 1))
def test_nothing_passes_that_python_calls_private_v4(number: int) -> None:
    ip = IPv4Address(number)
    if is_public(ip):
        assert not any(getattr(ip, kind) for kind in SPECIAL)


@given(st.one_of(st.integers(0, 2**128 - 1), st.integers(0x2000 << 112, (0x4000 << 112) - 1)))
def test_nothing_passes_that_python_calls_private_v6(number: int) -> None:
    ip = IPv6Address(number)
    if is_public(ip):
        assert not any(getattr(ip, kind) for kind in (*SPECIAL, "is_site_local", "ipv4_mapped", "sixtofour", "teredo"))


# The operator's networks


def test_an_allowed_network_is_open_and_its_neighbours_are_not() -> None:
    guard = Guard.parse(["127.0.0.1/32", " 10.1.0.0/16", "::1", "fd00::/8"])
    for address in ("127.0.0.1", "10.1.2.3", "::1", "fd12::1", "8.8.8.8"):
        guard.judge_address(address)
    for address in ("127.0.0.2", "10.2.0.0", "::2", "fe80::1", "169.254.169.254"):
        with pytest.raises(UrlRefused):
            guard.judge_address(address)


def test_a_mapped_address_counts_as_its_ipv4_address_for_allowed_networks() -> None:
    guard = Guard.parse(["10.0.0.0/8"])
    guard.judge_address("::ffff:10.0.0.1")
    for address in ("::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::10.0.0.1", "::10.0.0.1", "2002:a00:1::"):
        with pytest.raises(UrlRefused):
            guard.judge_address(address)
    with pytest.raises(UrlRefused):
        Guard.parse(["::/0"]).judge_address("::ffff:10.0.0.1")


def test_a_mapped_network_means_the_ipv4_network() -> None:
    guard = Guard.parse(["::ffff:10.0.0.0/104"])
    assert guard.networks == (IPv4Network("10.0.0.0/8"),)
    guard.judge_address("10.9.9.9")
    guard.judge_address("::ffff:10.9.9.9")


def test_a_scope_id_is_refused_also_in_an_allowed_network() -> None:
    guard = Guard.parse(["fe80::/10", "::/0"])
    guard.judge_address("fe80::1")
    with pytest.raises(UrlRefused):
        guard.judge_address("fe80::1%eth0")


@pytest.mark.parametrize(
    "written", ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "10/8", "::1/129", "fe80::1%eth0/64"]
)
def test_what_is_no_network_is_refused_and_named(written: str) -> None:
    with pytest.raises(ValueError, match=written.replace("/", ".") or "''"):
        Guard.parse(["127.0.0.1", written])


# URLs

REFUSED_URLS = [
    "", "x", "/x", "//example.com/", "example.com", "example.com:80",
    "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "ws://example.com/",
    "unix:///run/x", "data:,x", "HTTP//example.com",
    "http:", "http:/x", "http://", "http:///x", "http://:80/", "https://?x", "http://#x", "http://.", "http://../x",
    "http://user@example.com/", "http://user:password@example.com/", "http://:@example.com/", "http://@example.com/",
    "http://public.example@127.0.0.1/", "http://127.0.0.1\\@example.com/", "http://example.com\\.internal/",
    "http://example.com:0/", "http://example.com:65536/", "http://example.com:-1/", "http://example.com:x/",
    "http://example.com:80:80/", "http://[::1/", "http://::1/", "http://[::1]x/", "http://[]/", "http://[v1.x]/",
    "http://[127.0.0.1]/", "http://a[::1]/",
    "http://%6cocalhost/", "http://127.0.0.1%00/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/",
    "http://exa\x00mple.com/", "http://example.com/\r\nHost: x", "http://exa\tmple.com/", "http://example.com/\x7f",
    "\x01http://example.com/", " http://example.com/", "http://example.com/ ", "http://example.com/a b",
    "http://example.com/\u2028", "http://example.com/\u202e", "http://exa\u200bmple.com/", "http://example.com/\x85",
    "http://example.com/" + "x" * LONGEST_URL,
]  # fmt: skip

REFUSED_HOSTS = [
    "127.0.0.1", "127.0.0.1:8080", "0.0.0.0", "169.254.169.254", "10.0.0.1", "[::1]", "[::]", "[::1]:80",
    "[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[64:ff9b::a00:1]", "[fe80::1]", "[fd00::1]", "[FD00::1]",
    "[0:0:0:0:0:0:0:1]", "[2002:7f00:1::]", "255.255.255.255",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_what_is_no_plain_http_url_is_refused_also_by_an_open_guard(url: str) -> None:
    with pytest.raises(UrlRefused):
        Guard.parse(["0.0.0.0/0", "::/0"]).judge_url(url)


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_a_refused_address_in_a_url_is_refused_at_once(host: str) -> None:
    with pytest.raises(UrlRefused):
        CLOSED.judge_url(f"https://{host}/hook")
    judge_shape(f"https://{host}/hook")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com", "https://example.com/", "HTTPS://EXAMPLE.COM:8443/a?b=c#d", "http://example.com:/",
        "https://bücher.example/straße?q=ü", "https://example.com/a%20b", "https://8.8.8.8/", "https://[2600::]:443/",
        "http://example.com/@x?u=a@b", "http://localhost./", "http://a_b.example/", "http://example.com/%00",
        "https://example.com/" + "x" * (LONGEST_URL - 20),
    ],
)  # fmt: skip
def test_plain_urls_pass(url: str) -> None:
    CLOSED.judge_url(url)


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://", "http://[", "http://1"]))
def test_any_text_is_judged_and_never_breaks_the_judge(text: str, start: str) -> None:
    with suppress(UrlRefused):
        CLOSED.judge_url(start + text)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_an_address_is_judged_the_same_in_a_url_and_by_itself(ip: IPv4Address | IPv6Address) -> None:
    written = f"[{ip}]" if isinstance(ip, IPv6Address) else str(ip)
    if is_public(ip_address(str(ip))):
        CLOSED.judge_url(f"http://{written}/")
        CLOSED.judge_address(str(ip))
        return
    with pytest.raises(UrlRefused):
        CLOSED.judge_url(f"http://{written}/")
    with pytest.raises(UrlRefused):
        CLOSED.judge_address(str(ip))


def test_a_redirect_may_lead_to_tls_and_never_out_of_it() -> None:
    for source, target in (("http", "http"), ("http", "https"), ("https", "https")):
        judge_redirect(source, target)
    with pytest.raises(UrlRefused, match="https to http"):
        judge_redirect("https", "http")


# Headers


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\x1b[31m", "a\x7f", "x" * 8193])
def test_a_value_that_leaves_its_line_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(HeaderRefused) as caught:
        judge_header("X-Own", value)
    assert "X-Own" in caught.value.reason
    assert value not in caught.value.reason


@pytest.mark.parametrize("name", ["", "X Own", "X-Own:", "X\r\nY", "X\0", "Ünder", "x" * 257, "(x)"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(HeaderRefused):
        judge_header(name, "1")


@pytest.mark.parametrize("name", ["Host", "content-length", "TRANSFER-ENCODING", "Connection", "Expect", "Upgrade"])
def test_the_doors_own_headers_cannot_be_set(name: str) -> None:
    with pytest.raises(HeaderRefused, match=name):
        judge_header(name, "1")


@pytest.mark.parametrize(
    "refused", [{"X-Own": "a\r\nb"}, {"X-Own": "x" * 8193}, {"X Own": "1"}, {"Host": "a"}, {"X\n": "1"}], ids=repr
)
def test_one_header_that_is_refused_refuses_all(refused: dict[str, str]) -> None:
    good = {"Content-Type": "application/json", "X-Empty": "", "X-Long": "x" * 8192}
    judge_headers(good)
    judge_headers({})
    for _ in range(2):  # also when the name is known already
        with pytest.raises(HeaderRefused):
            judge_headers(good | refused)


@pytest.mark.parametrize("value", ["", "plain", "a\tb", "grüße", "v1,abc= v1,def="])
def test_other_headers_pass(value: str) -> None:
    judge_header("X-Own", value)
