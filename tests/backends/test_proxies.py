"""Proxies: what is none is refused, where none may lead is refused at each connect, and what is dialled was judged."""

from __future__ import annotations

import pytest

from wagate.backends.guard import Guard, UrlRefused
from wagate.backends.proxies import checked, judge_proxy

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example",
        "ftp://proxy.example",
        "socks4://proxy.example",
        "HTTP://proxy.example",
        "http://",
        "http://user:pass@",
        "http://proxy.example/path",
        "http://proxy.example?x=1",
        "http://proxy.example:0",
        "http://proxy.example:99999",
        "socks5://proxy example:1080",
        "http://a@b@proxy.example\n",
    ],
)
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        judge_proxy(url)
    assert "pass" not in str(caught.value)


async def test_a_name_is_judged_by_where_it_leads_at_each_connect() -> None:
    leads = ["203.0.114.7"]

    async def resolve(host: str, port: int) -> list[str]:
        return list(leads)

    url = "socks5://user:pa%40ss@proxy.example"
    assert await checked(url, Guard(), resolve) == "socks5://user:pa%40ss@203.0.114.7:1080"
    leads[:] = ["203.0.114.7", "10.0.0.1"]
    with pytest.raises(UrlRefused):
        await checked(url, Guard(), resolve)
    leads.clear()
    with pytest.raises(OSError, match="no address"):
        await checked(url, Guard(), resolve)
    with pytest.raises(UrlRefused):
        await checked("http://127.0.0.1:3128", Guard(), resolve)


async def test_what_is_dialled_is_the_judged_address_but_for_tls_which_needs_the_name() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return [host] if host == "127.0.0.1" else ["2600::1"]

    opened = Guard.parse(["127.0.0.1/32"])
    assert await checked("http://127.0.0.1:3128", opened, resolve) == "http://127.0.0.1:3128"
    assert await checked("http://proxy.example", opened, resolve) == "http://[2600::1]:80"
    assert await checked("https://u:p@proxy.example", opened, resolve) == "https://u:p@proxy.example"
