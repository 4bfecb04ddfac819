"""Whatever is wrong with what clients send is named in their spelling; nothing slips through and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagate.api.bodies import BodyReader, ClientGone, QueryReader, read
from wagate.api.operations import SEND, Call, Operation
from wagate.errors import BadRequest, PayloadTooLarge
from wagate.model import Ask
from wagate.model.chats import UpdateChat
from wagate.model.sends import Send, SendText


async def nothing(call: Call) -> None:
    """Nothing."""


def reader(kind: Any, method: str = "POST") -> BodyReader:
    return BodyReader(Operation(id="x", method=method, path="/x", run=nothing, tag="x", capability=SEND, body=kind))


SENDS = reader(Send)
GOOD = b'{"type":"text","to":"9990000001","text":"hello"}'


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", ""),
        (b"{", ""),
        (GOOD[:-1], ""),
        (GOOD + b"x", ""),
        (b"\xff", ""),
        (b'{"type":"text","to":"9990000001","text":"\xff"}', ""),
        (b'{"type":"text","to":"9990000001","text":"\\ud800"}', ""),
        (b"[" * 100_000, ""),
        (b'{"x":' * 100_000, ""),
        (b"null", ""),
        (b"[]", ""),
        (b"{}", "type"),
        (b'{"type":"nope"}', "type"),
        (b'{"type":"text","text":"a"}', "to"),
        (b'{"type":"text","to":"9990000001","text":1}', "text"),
        (b'{"type":"text","to":"9990000001","text":"a","foo":1}', "foo"),
        (b'{"type":"text","to":"9990000001","text":""}', "text"),
        (b'{"type":"text","to":"9990000001","text":"a\\u0000"}', "text"),
        (b'{"type":"text","to":"9990000001","text":"a","preview":{}}', "preview.title"),
        (b'{"type":"text","to":"9990000001","text":"a","preview":{"title":"t","x":1}}', "preview.x"),
        (b'{"type":"poll","to":"9990000001","name":"n","options":["a",""]}', "options[1]"),
        (b'{"type":"location","to":"9990000001","latitude":1e400,"longitude":1}', "latitude"),
        (b'{"type":"location","to":"9990000001","latitude":91,"longitude":1}', "latitude"),
    ],
)
def test_a_wrong_body_is_refused_by_the_fields_name(body: bytes, path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        SENDS.decode(body, b"application/json")
    fields, errors = refused.value.details["fields"], refused.value.details["errors"]
    assert fields[0]["path"] == path
    assert fields[0]["message"]
    assert errors == [refused.value.message]
    assert "$" not in errors[0]
    assert "regex" not in errors[0]


@pytest.mark.parametrize(
    "kind", [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x"]
)
def test_only_json_is_json(kind: bytes) -> None:
    with pytest.raises(BadRequest):
        SENDS.decode(GOOD, kind)


@pytest.mark.parametrize(
    "kind", [None, b"", b"application/json", b"Application/JSON; charset=utf-8", b"application/vnd.x+json"]
)
def test_json_goes_by_several_names(kind: bytes | None) -> None:
    assert SENDS.decode(GOOD, kind).text == "hello"


def test_a_body_without_required_fields_may_be_missing() -> None:
    for body in (b"", b"null", b"{}"):
        assert reader(UpdateChat, "PATCH").decode(body, None) == UpdateChat()


def test_an_operation_without_a_body_takes_an_empty_one() -> None:
    for body in (b"", b"{}", b"null"):
        reader(None).decode(body, None)
    for body in (b'{"x":1}', b"[]", b"{"):
        with pytest.raises(BadRequest):
            reader(None).decode(body, None)
    assert reader(None, "GET").ignored
    assert not reader(SendText, "DELETE").ignored


def test_raw_bytes_are_taken_as_they_are() -> None:
    assert reader(bytes).decode(b"\xff\x00", b"image/png") == b"\xff\x00"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    with pytest.raises(BadRequest):
        SENDS.decode(body, None)


class Query(Ask, frozen=True, kw_only=True):
    limit: int | None = None
    is_async: bool | None = msgspec.field(name="async", default=None)
    status: Literal["queued", "sent"] | None = None
    text: str | None = None
    sender: str | None = None
    events: list[str] | None = None
    wait: Annotated[float, msgspec.Meta(ge=0)] | None = None
    described: Annotated[int | None, msgspec.Meta(description="A number.")] = None
    dotted_name: str = "default"


QUERIES = QueryReader(Query)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        (b"limit=x", "limit"),
        (b"limit=", "limit"),
        (b"limit=null", "limit"),
        (b"limit=1.5", "limit"),
        (b"limit=1&limit=2", "limit"),
        (b"wait=nan", "wait"),
        (b"wait=inf", "wait"),
        (b"wait=-1", "wait"),
        (b"described=null", "described"),
        (b"async=yes", "async"),
        (b"async=", "async"),
        (b"is_async=1", "is_async"),
        (b"status=done", "status"),
        (b"status=null", "status"),
        (b"unknown=1", "unknown"),
        (b"text=%00", "text"),
        (b"text=%FF", "text"),
        (b"text=a%0A", "text"),
        (b"%00=1", ""),
    ],
)
def test_a_wrong_query_is_refused_by_its_name(query: bytes, path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        QUERIES.decode(query)
    assert refused.value.details["fields"][0]["path"] == path


def test_a_constraint_that_cannot_apply_shows_at_the_start() -> None:
    class Impossible(Ask, frozen=True, kw_only=True):
        wait: Annotated[float | None, msgspec.Meta(ge=0)] = None

    with pytest.raises(TypeError):
        QueryReader(Impossible)


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(BadRequest) as refused:
        QUERIES.decode(b"limit=x&status=y&z=1")
    assert [field["path"] for field in refused.value.details["fields"]] == ["limit", "status", "z"]


def test_a_query_is_read_strictly_from_text() -> None:
    assert QUERIES.decode(b"") == Query()
    assert QUERIES.decode(b"limit=7&async=true&status=sent&text=a+b%20%C3%A9") == Query(
        limit=7, is_async=True, status="sent", text="a b é"
    )
    assert [QUERIES.decode(b"async=" + text).is_async for text in (b"true", b"false", b"1", b"0")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert QUERIES.decode(b"text=null").text == "null"
    assert QUERIES.decode(b"text=&sender=&&dottedName=x") == Query(text="", dotted_name="x")
    assert QUERIES.decode(b"events=a,b&events=c").events == ["a", "b", "c"]


class Sending:
    """A client's body, piece by piece."""

    def __init__(self, *pieces: bytes, gone: bool = False) -> None:
        self._messages: Iterator[dict[str, Any]] = iter(
            [
                *({"type": "http.request", "body": piece, "more_body": True} for piece in pieces),
                {"type": "http.disconnect"} if gone else {"type": "http.request"},
            ]
        )
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        return next(self._messages)


@pytest.mark.anyio
async def test_reading_stops_as_soon_as_it_is_too_much() -> None:
    sending = Sending(b"12345", b"67890", b"x")
    with pytest.raises(PayloadTooLarge):
        await read(sending.receive, 9, timeout=1)
    assert sending.taken == 2


@pytest.mark.anyio
async def test_a_client_that_went_away_is_not_answered() -> None:
    with pytest.raises(ClientGone):
        await read(Sending(b"1", gone=True).receive, 9, timeout=1)


@pytest.mark.anyio
async def test_a_body_comes_together_from_its_pieces() -> None:
    assert await read(Sending(b"12345", b"6789").receive, 9, timeout=1) == b"123456789"
