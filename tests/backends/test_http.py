"""The doors out: customers' URLs reach checked addresses only, also by redirects.

What is dialled is this machine. Addresses that must be refused are never dialled: the guard stands before the socket.
"""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from tests.support.receiver import HERE, LONG, Reply, answer, door, fetch, forever, receiving, silent, to
from wagate.backends.guard import Guard, UrlRefused
from wagate.backends.http import (
    CustomerDoor,
    Fetched,
    FetchFailed,
    OperatorDoor,
    TooLarge,
    checked_socket,
    resolve_by_system,
)

pytestmark = pytest.mark.anyio


# Addresses


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2",
        "[::ffff:127.0.0.2]",
        "１２７.０.０.２",
        "127.0.0.2.",
        "127.2",
        "2130706434",
        "017700000002",
        "①②⑦.0.0.2",
    ],
)
async def test_an_address_in_the_url_is_refused_however_it_is_written(host: str) -> None:
    async with door() as opened:
        with pytest.raises(UrlRefused):
            await fetch(opened, f"http://{host}:9/")
        with pytest.raises(UrlRefused):
            await opened.post(f"http://{host}:9/", b"", {}, timeout=LONG)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["::1", "::ffff:127.0.0.2"], ["127.0.0.1%lo"], ["x"]],
)
async def test_a_name_is_refused_when_one_of_its_addresses_is(addresses: list[str]) -> None:
    async with receiving(file=answer(b"secret")) as receiver, door(name=addresses) as opened:
        with pytest.raises(UrlRefused):
            await fetch(opened, f"http://name.test:{receiver.port}/file")
        with pytest.raises(UrlRefused):
            await opened.post(f"http://name.test:{receiver.port}/file", b"", {}, timeout=LONG)
        with pytest.raises(UrlRefused):
            await opened.checked("name.test", receiver.port)
        assert not receiver.connections


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "169.254.169.254", "100.64.0.1", "64:ff9b::a00:1", "fe80::1", "fd00::1", "224.0.0.1"]
)
async def test_a_name_of_any_inner_address_has_no_checked_addresses(address: str) -> None:
    async with door(Guard(), name=["93.184.216.34", address], inner=[address]) as opened:
        for host in ("name.test", "inner.test", address):
            with pytest.raises(UrlRefused):
                await opened.checked(host, 443)


async def test_checked_addresses_of_public_names_are_given_in_order_and_few() -> None:
    async with door(Guard(), name=["2606:4700::1", "1.1.1.1"], many=[f"1.1.1.{n}" for n in range(200)]) as opened:
        assert await opened.checked("name.test", 443) == ["2606:4700::1", "1.1.1.1"]
        assert len(await opened.checked("many.test", 443)) == 8


@pytest.mark.parametrize("host", ["localhost", "0x7f.0.0.1", "0x7f000001", "2130706433", "127.1", "0177.1"])
async def test_odd_spellings_of_this_machine_are_resolved_and_refused(host: str) -> None:
    assert set(await resolve_by_system(host, 80)) <= {"127.0.0.1", "::1"}
    opened = CustomerDoor(Guard())
    with pytest.raises(UrlRefused):
        await opened.checked(host, 80)


@pytest.mark.parametrize("host", ["x" * 64 + ".invalid", "..", "a..b", "\ud800"])
async def test_what_cannot_be_a_name_has_no_address(host: str) -> None:
    opened = CustomerDoor(Guard())
    with pytest.raises(FetchFailed, match="no address"):
        await opened.checked(host, 80)


async def test_a_name_without_addresses_is_a_failure() -> None:
    async with door(empty=[]) as opened:
        for name in ("empty", "unknown"):
            with pytest.raises(FetchFailed, match="no address"):
                await fetch(opened, f"http://{name}.test/")


async def test_the_socket_itself_is_refused_for_a_refused_address() -> None:
    for family, address in (
        (socket.AF_INET, ("127.0.0.2", 80)),
        (socket.AF_INET6, ("::ffff:127.0.0.2", 80, 0, 0)),
        (socket.AF_INET, ("localhost", 80)),
    ):
        with pytest.raises(OSError) as caught:
            checked_socket(HERE, (family, socket.SOCK_STREAM, 0, "", address))
        assert caught.value.errno == errno.EACCES
        assert isinstance(caught.value.__cause__, UrlRefused)
    checked_socket(HERE, (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))).close()


class Careless(CustomerDoor):
    """A door whose resolution is not judged, to see the last judgement alone."""

    async def checked(self, host: str, port: int) -> list[str]:
        return await self._resolve(host, port)


@pytest.mark.parametrize("addresses", [["127.0.0.2"], ["127.0.0.2", "127.0.0.3"], ["127.0.0.2", "::ffff:127.0.0.3"]])
async def test_an_unjudged_address_is_stopped_at_its_socket(addresses: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return addresses

    opened = Careless(HERE, resolve=resolve)
    with pytest.raises(UrlRefused):
        await opened.post("http://name.test:9/", b"", {}, timeout=LONG)
    await opened.close()


async def test_a_name_that_changes_its_mind_is_asked_once_for_each_hop() -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if asked.count(host) == 1 else ["127.0.0.2"]

    async with receiving() as receiver:
        port = receiver.port
        receiver.replies["/a"] = to(f"http://b.test:{port}/b")
        receiver.replies["/b"] = to(f"http://c.test:{port}/c")
        receiver.replies["/c"] = answer(b"whole")
        opened = CustomerDoor(HERE, resolve=rebinding)
        _, body = await fetch(opened, f"http://a.test:{port}/a")
        await opened.close()
        assert body == b"whole"
        assert asked == ["a.test", "b.test", "c.test"]


async def test_ipv6_is_dialled_too() -> None:
    async with receiving("::1", file=answer(b"six")) as receiver, door(six=["::1"]) as opened:
        for host in ("[::1]", "six.test"):
            assert (await fetch(opened, f"http://{host}:{receiver.port}/file"))[1] == b"six"


# Redirects


@pytest.mark.parametrize("hops", [0, 1, 3])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 Moved"])
async def test_up_to_three_redirects_are_followed(hops: int, status: str) -> None:
    async with receiving(r0=answer(b"whole", "Content-Type: image/PNG; x=y")) as receiver, door() as opened:
        receiver.replies |= {f"/r{n}": to(f"/r{n - 1}", status) for n in range(1, 5)}
        fetched, body = await fetch(opened, f"{receiver.url}/r{hops}")
        assert (fetched, body) == (Fetched(content_type="image/png", size=5), b"whole")
        assert len(receiver.heads) == hops + 1


@pytest.mark.parametrize(("hops", "redirects"), [(4, 3), (1, 0)])
async def test_one_redirect_too_many_is_not_followed(hops: int, redirects: int) -> None:
    async with receiving(r0=answer(b"whole")) as receiver, door() as opened:
        receiver.replies |= {f"/r{n}": to(f"/r{n - 1}") for n in range(1, 5)}
        with pytest.raises(FetchFailed, match=f"more than {redirects}"):
            await fetch(opened, f"{receiver.url}/r{hops}", redirects=redirects)
        assert len(receiver.heads) == redirects + 1


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/file", "//127.0.0.2:{port}/file", "http://[::ffff:127.0.0.2]:{port}/file",
        "http://inner.test:{port}/file", "http://１２７.０.０.２:{port}/file", "http://2130706434:{port}/file",
        "file:///etc/passwd", "ftp://127.0.0.1/", "http://user@127.0.0.1:{port}/file", "http://[::1",
        "http://127.0.0.1:99999/", "http://127.0.0.1:{port}/" + "x" * 2048,
    ],
)  # fmt: skip
async def test_a_redirect_to_what_may_not_be_dialled_is_refused(location: str) -> None:
    async with receiving(file=answer(b"secret")) as receiver, door(inner=["127.0.0.2"]) as opened:
        receiver.replies["/r"] = to(location.format(port=receiver.port))
        with pytest.raises(UrlRefused):
            await fetch(opened, f"{receiver.url}/r")
        assert receiver.paths == ["/r"]


async def test_a_redirect_that_says_no_place_is_a_failure() -> None:
    async with receiving(r=answer(status="302 Found")) as receiver, door() as opened:
        with pytest.raises(FetchFailed) as caught:
            await fetch(opened, f"{receiver.url}/r")
        assert caught.value.status == 302


# Both doors


async def test_no_proxy_cookie_or_credential_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    async with receiving(file=answer(b"direct", "Set-Cookie: a=b")) as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        operators = OperatorDoor()
        async with door() as opened:
            for _ in range(2):
                assert (await fetch(opened, f"{receiver.url}/file"))[1] == b"direct"
                assert await operators.get(f"{receiver.url}/file", most_bytes=10, timeout=LONG) == b"direct"
        await operators.close()
        assert not proxy.connections
        assert not any("cookie" in head.lower() for head in receiver.heads)


async def test_a_door_closes_any_number_of_times_and_stays_closed() -> None:
    async with receiving(file=answer(b"x")) as receiver:
        for opened in (CustomerDoor(HERE), OperatorDoor()):
            await opened.close()
            await opened.close()
        used = OperatorDoor()
        await used.get(f"{receiver.url}/file", most_bytes=1, timeout=LONG)
        await used.close()
        await used.close()
        with pytest.raises(RuntimeError, match="closed"):
            await used.get(f"{receiver.url}/file", most_bytes=1, timeout=LONG)
        await asyncio.wait_for(receiver.left.wait(), LONG)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://a:b@127.0.0.1/", "http://", "x"])
async def test_the_operators_door_takes_plain_urls_only(url: str) -> None:
    with pytest.raises(UrlRefused):
        await OperatorDoor().get(url, most_bytes=1, timeout=LONG)


async def test_the_operators_door_goes_anywhere_and_is_bounded_all_the_same() -> None:
    replies: dict[str, Reply] = {
        "keys": answer(b"keys"), "many": forever, "slow": silent, "gone": answer(status="410 Gone"),
        "moved": to("/keys"), "elsewhere": to("https://127.0.0.1/"), "loop": to("/loop"),
    }  # fmt: skip
    async with receiving(**replies) as receiver:
        opened = OperatorDoor()
        for path in ("keys", "moved"):
            assert await opened.get(f"{receiver.url}/{path}", most_bytes=4, timeout=LONG) == b"keys"
        for path, error in (("keys", TooLarge), ("many", TooLarge), ("gone", FetchFailed), ("elsewhere", UrlRefused),
                            ("loop", FetchFailed)):  # fmt: skip
            with pytest.raises(error):
                await opened.get(f"{receiver.url}/{path}", most_bytes=3, timeout=LONG)
        with pytest.raises(FetchFailed, match="in time"):
            await opened.get(f"{receiver.url}/slow", most_bytes=3, timeout=0.2)
        await opened.close()
