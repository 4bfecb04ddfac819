"""What is open to everyone tells no more than it should."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.support.serving import ask, gateway, serving
from wagate.api.app import ApiOptions
from wagate.api.operations import READ, Call, Operation

pytestmark = pytest.mark.anyio


async def look(call: Call) -> None:
    """Look."""


OPERATIONS = [Operation(id="look", method="GET", path="/things", run=look, tag="things", capability=READ)]


async def fine() -> None:
    return None


async def broken() -> None:
    raise RuntimeError("the password is hunter2")


async def never() -> None:
    await asyncio.Event().wait()


async def test_health_touches_nothing_and_readiness_names_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wagate.api.pages._CHECK_SECONDS", 0.05)
    options = ApiOptions(checks={"database": broken, "broker": fine, "other": never})
    async with gateway() as gw, serving(gw, OPERATIONS, options) as port:
        assert (await ask(port, "GET", "/healthz")).json() == {"status": "ok"}
        ready = await ask(port, "GET", "/readyz")
        assert (ready.status, ready.code) == (503, "gateway_unavailable")
        assert ready.json()["error"]["details"] == {"failed": ["database", "other"]}
        assert b"hunter2" not in ready.body
        assert (await ask(port, "POST", "/healthz")).status == 405


async def test_it_is_ready_when_every_part_works() -> None:
    async with gateway() as gw, serving(gw, OPERATIONS, ApiOptions(checks={"database": fine})) as port:
        assert (await ask(port, "GET", "/readyz")).json() == {"status": "ok"}


@pytest.mark.parametrize("token", [None, "", "right"])
async def test_metrics_do_not_exist_without_their_token(token: str | None) -> None:
    options = ApiOptions(metrics=lambda: b"sends_total 1\n", metrics_token=token)
    async with gateway() as gw, serving(gw, OPERATIONS, options) as port:
        for given in ("", "Bearer", "Bearer ", "Bearer wrong", "right", "Bearer \u00fc"):
            assert (await ask(port, "GET", "/metrics", authorization=given)).code == "not_found"
        if token:
            shown = await ask(port, "GET", "/metrics", authorization="Bearer right")
            assert shown.body == b"sends_total 1\n"
            assert shown.headers["content-type"].startswith("text/plain")


async def test_the_documents_are_printed_once_and_need_no_credential() -> None:
    async with gateway() as gw, serving(gw, OPERATIONS) as port:
        for name, kind in (("json", "application/json"), ("yaml", "application/yaml")):
            first = await ask(port, "GET", f"/api/v1/openapi.{name}")
            assert (first.status, first.headers["content-type"]) == (200, kind)
            assert b"/api/v1/things" in first.body
            assert b"healthz" not in first.body
            again = await ask(port, "GET", f"/api/v1/openapi.{name}", if_none_match=first.headers["etag"])
            assert (again.status, again.body) == (304, b"")


async def test_the_docs_page_needs_nothing_from_elsewhere() -> None:
    async with gateway() as gw, serving(gw, OPERATIONS) as port:
        home = await ask(port, "GET", "/")
        assert (home.status, home.headers["location"]) == (302, "/docs")
        page = await ask(port, "GET", "/docs")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        links = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
        assert links
        for link in links:
            if not link.startswith("data:"):
                asset = await ask(port, "GET", link)
                assert (asset.status, asset.headers["x-content-type-options"]) == (200, "nosniff"), link
                assert asset.body
        assert b"Apache License" in (await ask(port, "GET", "/docs/LICENSE")).body
