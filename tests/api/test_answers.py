"""Every error of the tree becomes one body, and every code of the tree is known to clients."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from wagate import errors
from wagate.api import answers

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.WagateError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_told_in_one_body(kind: type[errors.WagateError]) -> None:
    reply = answers.of_error(kind())
    told = msgspec.json.decode(answers.as_bytes(reply), type=answers.ErrorBody).error
    assert (reply.status, told.code, told.message) == (kind.status, kind.code, kind().message)
    assert (told.details or None) == (kind().details or None)


def test_no_code_is_missing_from_the_documents() -> None:
    assert {kind.code for kind in KINDS} <= set(get_args(answers.Code))


def test_headers_follow_from_the_error() -> None:
    assert answers.of_error(errors.Unauthorized()).headers == {"www-authenticate": "Bearer"}
    assert answers.of_error(errors.RateLimited(retryAfterSeconds=3)).headers == {"retry-after": "3"}
    assert answers.of_error(errors.RateLimited()).headers == {}
    assert answers.of_error(errors.MethodNotAllowed(allow="GET")).headers == {"allow": "GET"}
