"""No log line holds a secret, a full number or what somebody said; every line of a request names the request."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from wagate.telemetry import bound, logger, mask, request_id, setup, traces

KEY = "wa_" + "aB3" * 14 + "x"
PHONE = "4915112345678"
JID = f"{PHONE}@s.whatsapp.net"


class Lines:
    """What was logged, as JSON objects and as text."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text.splitlines()[-1])
        return found


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    found = Lines()
    setup(level="debug", format="json", stream=found.stream)
    yield found
    root.handlers[:] = handlers
    root.setLevel(level)


FIELDS: list[dict[str, Any]] = [
    {"key": KEY},
    {"header": f"Bearer {KEY}"},
    {"headers": {"authorization": "Basic dXNlcjpwYXNz", "x-api-key": KEY}},
    {"token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1In0.c2ln", "said": "got eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1In0.c2ln"},
    {"database": "postgresql://gate:hunter2@db/gate"},
    {"ticket": "rt_0123456789abcdef", "whsec": "whsec_MfKQ9r8GKYqrTwjU"},
    {"jid": JID, "jids": [JID, f"{PHONE}:12@s.whatsapp.net", f"{PHONE}@c.us", f"{PHONE}@lid"]},
    {"path": f"/api/v1/sessions/s/chats/{PHONE}%40s.whatsapp.net", "query": f"phone=%2B{PHONE}&x=1"},
    {"path": f"/api/v1/sessions/s/contacts/{PHONE}", "line": f"GET /contacts/check?phone={PHONE}"},
    {"said": "+49 151 1234-5678 and 004915112345678 and +49 (151) 1234 5678"},
    {"phone": int(PHONE), "to": PHONE, "members": [int(PHONE)], "deep": {"er": [{"phone_number": int(PHONE)}]}},
    {"group": f"{PHONE}-1600000000@g.us"},
    {"deep": {JID: {PHONE: [JID]}}},
    {"text": "see you at eight", "body": {"text": "see you at eight"}, "content": ["see you at eight"]},
    {"message": {"caption": "see you at eight", "name": "see you at eight"}},
    {"error": ValueError(f"{JID} said no"), "thing": {1: {PHONE}}},
]
FORBIDDEN = (KEY[3:], PHONE, PHONE[2:], "12345678", "1234-5678", "1234 5678", "hunter2", "see you", "dXNlcjpwYXNz")
MORE_FORBIDDEN = ("0123456789abcdef", "MfKQ9r8GKYqrTwjU", "eyJzdWIiOiJ1In0", "c2ln")


@pytest.mark.parametrize("fields", FIELDS, ids=lambda fields: next(iter(fields)))
def test_what_must_not_be_logged_is_not(fields: dict[str, Any], lines: Lines) -> None:
    logger("wagate.test").info("a thing happened", **fields)
    assert not [word for word in (*FORBIDDEN, *MORE_FORBIDDEN) if word in lines.text]
    assert lines.last["event"] == "a thing happened"


LIBRARIES_SAY = [value for fields in FIELDS[:12] for value in fields.values() if isinstance(value, str | list)]


@pytest.mark.parametrize("said", LIBRARIES_SAY, ids=str)
def test_nor_when_a_library_logs_it(said: object, lines: Lines) -> None:
    logging.getLogger("uvicorn.error").warning("it said %s", said)
    assert "it said" in lines.text
    assert not [word for word in (*FORBIDDEN, *MORE_FORBIDDEN) if word in lines.text]


def test_nor_in_the_lines_for_people(lines: Lines) -> None:
    setup(level="info", format="console", stream=lines.stream)
    logger("wagate.test").info(f"to {JID}", key=KEY, text="see you at eight")
    assert "…5678@s.whatsapp.net" in lines.text
    assert not [word for word in FORBIDDEN if word in lines.text]


@pytest.mark.parametrize("format", ["json", "console"])
def test_an_exception_is_told_without_what_it_holds(format: str, lines: Lines) -> None:
    setup(format=format, stream=lines.stream)
    try:
        try:
            raise KeyError(JID)
        except KeyError as cause:
            raise ValueError(f"no {PHONE}\nDETAIL: row (see you at eight)") from cause
    except ValueError:
        logger("wagate.test").exception("it broke")
        logging.getLogger("asyncio").exception("it broke there")
    assert not [word for word in FORBIDDEN if word in lines.text]
    assert "ValueError: no …5678" in lines.text
    assert "KeyError: '…5678@s.whatsapp.net'" in lines.text
    assert "test_logs.py:" in lines.text


@pytest.mark.parametrize(
    "harmless",
    [
        "1718888888888ms",
        "2026-11-21T11:58:12Z",
        "127.0.0.1:65535",
        "192.168.100.200",
        "s_01J9ZZZ1234567ABCDEFGHJKMN",
        "evt_01JD7K3V9E0123456789ABCDEF",
        "0001_first",
        "999000",
        "HTTP/1.1 200",
    ],
)
def test_what_is_harmless_stays(harmless: str) -> None:
    assert mask(harmless) == harmless


def test_numbers_that_count_stay(lines: Lines) -> None:
    logger("wagate.test").info("done", now=1718888888888, count=12, ok=True, took=0.25, nothing=None)
    assert {name: lines.last[name] for name in ("now", "count", "ok", "took", "nothing")} == {
        "now": 1718888888888,
        "count": 12,
        "ok": True,
        "took": 0.25,
        "nothing": None,
    }


@pytest.mark.anyio
async def test_each_request_finds_its_own_id_in_its_lines(lines: Lines) -> None:
    async def serve(id: str) -> None:
        with bound(request_id=id):
            await asyncio.sleep(0)
            logger("wagate.test").info("ours")
            logging.getLogger("uvicorn.error").info("theirs")
            assert request_id() == id

    await asyncio.gather(*(serve(f"r{number}") for number in range(5)))
    found = [json.loads(line) for line in lines.text.splitlines()]
    for number in range(5):
        assert sorted(line["event"] for line in found if line["request_id"] == f"r{number}") == ["ours", "theirs"]
    assert request_id() is None


def test_a_request_id_stays_whole_unless_it_opens_doors(lines: Lines) -> None:
    with bound(request_id="1234567890123"):
        logger("wagate.test").info("x")
    assert lines.last["request_id"] == "1234567890123"
    with bound(request_id=KEY):
        logger("wagate.test").info("x")
    assert lines.last["request_id"] == "wa_…"


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    setup(level="warning", format="json", stream=lines.stream)
    logger("wagate.test").info("x")
    logging.getLogger("uvicorn").info("x")
    assert lines.text == ""


def test_each_line_is_one_json_object_with_its_origin(lines: Lines) -> None:
    logger("wagate.test").warning("two\nlines", odd=object, more={"a": {1, 2}})
    assert lines.text.count("\n") == 1
    assert list(lines.last)[:4] == ["timestamp", "level", "logger", "event"]
    assert (lines.last["level"], lines.last["logger"]) == ("warning", "wagate.test")


def test_a_line_of_a_traced_task_names_the_trace(lines: Lines) -> None:
    token = traces.current.set("00-12345678901234567890123456789012-00f067aa0ba902b7-01")
    try:
        logger("wagate.test").info("ours")
        assert lines.last["trace_id"] == "12345678901234567890123456789012"
        logging.getLogger("uvicorn.error").info("theirs")
        assert lines.last["trace_id"] == "12345678901234567890123456789012"
    finally:
        traces.current.reset(token)
    logger("wagate.test").info("nobody's")
    assert "trace_id" not in lines.last
