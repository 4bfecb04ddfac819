"""The bench's documents are what they say, and its client takes large answers apart as small ones."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from bench.uploads import SIZE, Documents
from bench.wire import Caller, Line


def test_a_document_is_as_large_as_a_file_may_be_and_like_no_other() -> None:
    documents = Documents()
    one, other = documents.content(1), documents.content(2)
    assert len(one) == len(other) == SIZE
    assert one != other
    assert base64.b64decode(b"".join(documents.base64(1)), validate=True) == one


def test_the_request_of_a_document_is_json_of_the_length_it_says() -> None:
    documents = Documents()
    head, _, body = b"".join(documents.request(Caller(1, "key"), "ses", 7)).partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head
    said = json.loads(body)
    assert base64.b64decode(said["media"]["data"]) == documents.content(7)
    assert (said["type"], said["media"]["filename"]) == ("document", "document 7.bin")


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_an_answer_is_put_together_however_it_was_cut(size: int) -> None:
    text = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" + b"HTTP/1.1 204 No Content\r\n\r\n"

    async def answers() -> list[tuple[int, bytes]]:
        line, rest, found = Line(), text, list[tuple[int, bytes]]()
        line.connection_made(_Written())
        for _ in range(2):
            asked = asyncio.ensure_future(line.ask(b"GET / HTTP/1.1\r\n", b"\r\n"))
            await asyncio.sleep(0)
            while not line.answered:
                line.data_received(rest[:size])
                rest = rest[size:]
            found.append(await asked)
        return found

    assert asyncio.run(answers()) == [(200, b"hello"), (204, b"")]


class _Written:
    """A transport that nobody reads."""

    def is_closing(self) -> bool:
        return False

    def writelines(self, parts: object) -> None:
        pass
