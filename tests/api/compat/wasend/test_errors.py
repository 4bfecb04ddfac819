"""Every error that a client can be told has the dialect's body, and says something."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from wagate.api import answers
from wagate.api.compat.wasend.errors import refuse
from wagate.errors import BadRequest, MethodNotAllowed, RateLimited, SessionNotConnected, WagateError


def kinds(root: type[WagateError]) -> Iterator[type[WagateError]]:
    yield root
    for child in root.__subclasses__():
        # What stays inside the gateway is told to nobody.
        if child.__module__ == root.__module__:
            yield from kinds(child)


KINDS = list(kinds(WagateError))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_the_body_and_a_sentence(kind: type[WagateError]) -> None:
    reply = refuse(kind())
    body = msgspec.json.decode(answers.as_bytes(reply))
    assert set(body) == {"success", "error", "message", "statusCode"}
    assert body["success"] is False
    assert body["statusCode"] == reply.status
    assert body["message"] == body["error"] != ""


def test_only_a_session_that_is_not_connected_has_another_status_here() -> None:
    changed = {kind for kind in KINDS if refuse(kind()).status != kind.status}
    assert changed == {SessionNotConnected}
    assert refuse(SessionNotConnected()).status == 503


def test_an_error_without_words_says_its_code() -> None:
    error = BadRequest("x")
    error.message = ""
    assert msgspec.json.decode(answers.as_bytes(refuse(error)))["message"] == "validation_error"


def test_headers_are_those_of_every_error() -> None:
    assert refuse(RateLimited(retryAfterSeconds=7)).headers == {"retry-after": "7"}
    assert refuse(MethodNotAllowed(allow="GET, HEAD")).headers == {"allow": "GET, HEAD"}


def test_what_was_done_before_an_error_is_named() -> None:
    body = msgspec.json.decode(answers.as_bytes(refuse(BadRequest("no", applied=["subject"]))))
    assert body["applied"] == ["subject"]
