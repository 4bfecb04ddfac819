"""The error tree: the codes and statuses that clients were promised, and errors that travel."""

from __future__ import annotations

import ast
import inspect

import msgspec
import pytest

from wagate import errors
from wagate.errors import BadRequest, Internal, Refused, WagateError, WireError, from_wire, to_wire

PROMISED = {
    "validation_error": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "gone": 410,
    "cursor_expired": 410,
    "payload_too_large": 413,
    "range_not_satisfiable": 416,
    "refused": 422,
    "rate_limited": 429,
    "internal": 500,
    "not_implemented": 501,
    "gateway_unavailable": 503,
    "no_answer": 504,
}


def tree(root: type[WagateError]) -> list[type[WagateError]]:
    """Every error of errors.py; others may derive their own."""
    found = [root, *(each for child in root.__subclasses__() for each in tree(child))]
    return [each for each in dict.fromkeys(found) if each.__module__ == errors.__name__]


KINDS = tree(WagateError)


def test_codes_and_statuses_are_the_promised_ones() -> None:
    assert {kind.code: kind.status for kind in KINDS} == PROMISED


def test_the_drawing_names_every_error() -> None:
    drawing = (inspect.getdoc(errors) or "").split("\n\n")[1]
    drawn = {word for line in drawing.splitlines() for word in line.replace("─", " ").split() if word.isidentifier()}
    assert {kind.__name__ for kind in KINDS} <= drawn


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_says_something_by_itself(kind: type[WagateError]) -> None:
    error = kind()
    assert error.message
    assert not error.message.endswith(".")
    assert str(error) == error.message
    assert ast.literal_eval(repr(error.details)) == error.details


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_after_a_journey(kind: type[WagateError]) -> None:
    for error in (kind(), kind("a sentence", waCode=7, why=["a", {"b": None}])):
        sent = msgspec.json.decode(msgspec.json.encode(to_wire(error)), type=WireError)
        back = from_wire(sent)
        assert type(back) is kind
        assert (back.message, back.details, back.code, back.status) == (
            error.message, error.details, error.code, error.status,
        )  # fmt: skip


def test_details_that_are_set_beforehand_travel_as_they_are() -> None:
    back = from_wire(to_wire(Refused(reason="group_full", certain=False)))
    assert back.details == {"reason": "group_full", "certain": False}


def test_an_error_of_another_version_is_internal() -> None:
    assert type(from_wire(WireError(kind="NotInventedYet", message="x"))) is Internal


def test_a_field_is_named_as_the_client_wrote_it() -> None:
    error = BadRequest.field("contact.phone", "is not a phone number")
    assert error.details == {
        "errors": ["contact.phone: is not a phone number"],
        "fields": [{"path": "contact.phone", "message": "is not a phone number"}],
    }
    assert BadRequest.field("", "is nothing").message == "is nothing"


def test_only_what_may_have_happened_is_uncertain() -> None:
    assert {kind.code for kind in KINDS if not kind.certain} == {"no_answer"}
