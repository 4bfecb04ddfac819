"""Files that a URL leads to: fetched once, within bounds, and only for who can send them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.files import HTML, PNG
from tests.support.gateways import invalid, refused
from tests.support.media import files, image, rows, send
from tests.support.receiver import Receiver, answer, receiving, to
from wagate import testing
from wagate.testing import SandboxGateway


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on this machine, on a loop of its own."""
    ready = threading.Event()
    box: dict[str, Any] = {}

    async def live() -> None:
        stop = asyncio.Event()
        huge = answer(b"", "Connection: close").replace(b"Content-Length: 0", b"Content-Length: 20000000")
        async with receiving(
            png=answer(PNG, "Content-Type: text/html"), gone=answer(b"", status="404 Not Found"), page=answer(HTML),
            empty=answer(b""), huge=huge, once=to("/png"), round=to("/round"), inside=to("http://127.0.0.2:9/"),
        ) as running:  # fmt: skip
            box.update(receiver=running, loop=asyncio.get_running_loop(), stop=stop)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    assert ready.wait(10)
    yield box["receiver"]
    box["loop"].call_soon_threadsafe(box["stop"].set)
    thread.join(10)


@pytest.fixture(scope="module")
def open_wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """A gateway whose customers may name addresses of this machine."""
    folder = tmp_path_factory.mktemp("open") / "data"
    with testing.gateway(folder, allowed_networks=("127.0.0.1/32",), clock="manual") as running:
        yield running


@pytest.fixture(scope="module")
def sender(open_wagate: SandboxGateway) -> str:
    return "/sessions/" + str(open_wagate.linked("9990000001")["id"])


@pytest.mark.parametrize("name", ["gone", "page", "empty", "round", "inside"])
def test_a_url_that_leads_to_no_picture_is_refused(
    open_wagate: SandboxGateway, sender: str, receiver: Receiver, name: str
) -> None:
    before = rows(open_wagate), files(open_wagate)
    answered = send(open_wagate, sender, image(url=f"{receiver.url}/{name}"))
    invalid(answered)
    assert answered.body["error"]["details"]["fields"][0]["path"].startswith("media")
    assert "127.0.0.1" not in str(answered.body)
    assert (rows(open_wagate), files(open_wagate)) == before


def test_a_url_to_too_much_is_refused(open_wagate: SandboxGateway, sender: str, receiver: Receiver) -> None:
    refused(send(open_wagate, sender, image(url=f"{receiver.url}/huge")), 413, "payload_too_large")


def test_a_url_is_fetched_once_for_one_key(open_wagate: SandboxGateway, sender: str, receiver: Receiver) -> None:
    body = image(url=f"{receiver.url}/once")
    first = send(open_wagate, sender, body, idempotency_key="url-1")
    assert first.status == 200, first.body
    assert receiver.paths == ["/once", "/png"]
    again = send(open_wagate, sender, body, idempotency_key="url-1")
    assert again.body == {**first.body, "replayed": True, "status": again.body["status"]}
    assert receiver.paths == ["/once", "/png"]
    refused(send(open_wagate, sender, image(url=f"{receiver.url}/png"), idempotency_key="url-1"), 409, "conflict")
    got = open_wagate.ask("GET", f"{sender}/messages/{first.body['waMessageId']}/media")
    assert (got.body, got.headers["content-type"]) == (PNG, "image/png")


def test_a_session_that_cannot_send_is_told_before_anything_is_fetched(
    open_wagate: SandboxGateway, receiver: Receiver
) -> None:
    stopped = "/sessions/" + str(open_wagate.post("/sessions", {})["id"])
    body = image(url=f"{receiver.url}/png")
    refused(send(open_wagate, stopped, body), 501, "not_implemented")
    refused(send(open_wagate, "/sessions/ses_none", body), 404, "not_found")
    assert receiver.paths == []


def test_a_session_over_its_budget_fetches_nothing(open_wagate: SandboxGateway, receiver: Receiver) -> None:
    spent = "/sessions/" + str(open_wagate.linked("9990000005", ratePerMin=1)["id"])
    assert send(open_wagate, spent, image(url=f"{receiver.url}/png")).status == 200
    refused(send(open_wagate, spent, image(url=f"{receiver.url}/png")), 429, "rate_limited")
    assert receiver.paths == ["/png"]
