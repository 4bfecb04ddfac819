"""The commands that are clients link a session on the sandbox, send by it, and say what the gateway says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Served, wagate

pytestmark = pytest.mark.slow


@pytest.fixture
def session(served: Served) -> Iterator[str]:
    made = served.run("sessions", "create", "--label", "shop")
    assert made.code == 0, made.err
    id = made.out.strip()
    yield id
    served.run("sessions", "delete", id, "--yes")


@pytest.fixture
def linked(served: Served, session: str) -> str:
    ended = served.run("sessions", "link", session, "--scan")
    assert ended.code == 0, ended.err
    return session


def test_nobody_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = wagate("sessions", "list", data_dir=str(tmp_path), url=url, api_key="wa_" + "x" * 43)
    assert ended.code == 1
    assert "wagate serve" in ended.err


def test_an_unknown_session_is_told_as_the_gateway_says_it(served: Served) -> None:
    for arguments in (["show", "ses_x"], ["stop", "../keys"], ["delete", "ses_x", "--yes"], ["link", "ses_x"]):
        ended = served.run("sessions", *arguments)
        assert (ended.code, ended.out, "(not_found)" in ended.err) == (1, "", True), ended.err


def test_a_session_that_is_not_linked_cannot_send(served: Served, session: str) -> None:
    ended = served.run("send", "hello", "--session", session, "--to", "9990000001")
    assert (ended.code, ended.out, "(not_implemented)" in ended.err) == (1, "", True)


def test_waiting_for_a_phone_ends(served: Served, session: str) -> None:
    ended = served.run("sessions", "link", session, "--timeout", "3")
    assert (ended.code, ended.out) == (1, "")
    assert "▄" in ended.err
    assert "--scan" in ended.err


def test_a_key_can_come_from_a_file(served: Served, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(served.key + "\n")
    listed = wagate("sessions", "list", "--json", "--url", served.url, "--key-file", str(tmp_path / "key"))
    assert listed.code == 0, listed.err
    (tmp_path / "key").write_text("two words")
    assert wagate("sessions", "list", "--url", served.url, "--key-file", str(tmp_path / "key")).code == 1


def test_a_session_is_linked_and_goes_through_its_life(served: Served, session: str) -> None:
    linked = served.run("sessions", "link", session, "--scan", "--json").json
    assert (linked["status"], linked["label"]) == ("working", "shop")
    assert served.run("sessions", "link", session).out.startswith(f"{session} works as 999")
    assert served.run("sessions", "stop", session).out == f"{session} is stopped.\n"
    refused = served.run("sessions", "link", session)
    assert (refused.code, "linked already" in refused.err) == (1, True)
    assert served.run("sessions", "start", session).code == 0
    assert served.run("sessions", "restart", session).code == 0
    assert session in served.run("sessions", "list").out
    assert "label" in served.run("sessions", "show", session).out
    assert served.run("sessions", "logout", session, "--json").json["status"] == "logged_out"


def test_a_session_is_linked_by_a_code_that_is_typed(served: Served, session: str) -> None:
    ended = served.run("sessions", "link", session, "--phone", "+9990 1234567", "--scan", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["phoneNumber"] == "99901234567"


def test_a_text_is_sent_and_its_id_printed(served: Served, linked: str) -> None:
    to = ["--session", linked, "--to", "9990000001"]
    sent = served.run("send", "-", *to, "--json", stdin="several\nlines\n")
    assert sent.code == 0, sent.err
    assert sent.json["status"] in ("sent", "delivered", "read")
    assert served.run("send", "hello", *to).out.split()[1]
    assert served.run("send", "hello", *to, "--async", "--json").json["outboxId"]


def test_the_same_key_says_it_once(served: Served, linked: str) -> None:
    to = ["--session", linked, "--to", "9990000001", "--idempotency-key", "one", "--json"]
    first, second = (served.run("send", "hello", *to).json for _ in range(2))
    assert second["replayed"] is True
    assert first["waMessageId"] == second["waMessageId"]


def test_a_refusal_of_the_network_is_told(served: Served, linked: str) -> None:
    ended = served.run("send", "hello", "--session", linked, "--to", "9993000001")
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1


def test_deleting_asks_first(served: Served, session: str) -> None:
    kept = served.run("sessions", "delete", session, stdin="n\n")
    assert (kept.code, "Nothing was done." in kept.err) == (1, True)
    gone = served.run("sessions", "delete", session, stdin="y\n")
    assert (gone.code, gone.out.splitlines()[-1]) == (0, f"{session} is gone.")
    assert served.run("sessions", "show", session).code == 1
