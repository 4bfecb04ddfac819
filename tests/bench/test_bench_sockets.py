"""The bench's WebSocket client loses no frame however the bytes were cut, and its counters see a foreign one."""

from __future__ import annotations

import json

import pytest

from bench.fanout import counts
from bench.sockets import counted, texts
from wagate.api.frames import text_frame

TEXTS = [b"", b"x", b"y" * 125, b"z" * 126, b"a" * 70_000, b"b" * 300, b"c"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100, 4096, 100_000])
def test_every_frame_is_counted_once_however_it_was_cut(size: int) -> None:
    stream = b"".join(map(text_frame, TEXTS))
    total, left, rest = 0, 0, b""
    for start in range(0, len(stream), size):
        frames, left, rest = counted(stream[start : start + size], left, rest)
        total += frames
    assert (total, left, rest) == (len(TEXTS), 0, b"")
    assert texts(stream) == TEXTS


def frame(id: str, organization: str = "org_1") -> bytes:
    return json.dumps({"event": "message", "id": id, "organization": organization, "payload": {}}).encode()


CONNECTED = b'{"event":"connected","heartbeatSeconds":20,"timestamp":1}'


def test_what_everybody_saw_in_order_is_good() -> None:
    seen = [CONNECTED, frame("1"), b'{"event":"ping","timestamp":2}', frame("2")]
    assert all(count.good for count in counts(["org_1"], [["1", "2"]], [[seen, seen]]).values())


@pytest.mark.parametrize(
    "seen",
    [
        [CONNECTED, frame("1")],
        [CONNECTED, frame("2"), frame("1")],
        [CONNECTED, frame("1"), frame("1"), frame("2")],
        [CONNECTED, frame("1"), frame("2"), frame("3")],
        [CONNECTED, frame("1"), frame("2", "org_2")],
        [CONNECTED],
    ],
    ids=["lost", "out of order", "twice", "strange", "foreign", "nothing"],
)
def test_one_reader_who_lost_repeated_or_saw_what_is_not_theirs_is_seen(seen: list[bytes]) -> None:
    good = [CONNECTED, frame("1"), frame("2")]
    assert not all(count.good for count in counts(["org_1"], [["1", "2"]], [[good, seen]]).values())
