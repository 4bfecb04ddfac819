"""The commands for webhooks do what the API does; `listen` receives what is posted, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import PROGRAM, SECONDS, Served, environment, serving, wagate

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:1/hook"


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway that may post to this machine."""
    folder = tmp_path_factory.mktemp("near")
    with serving(folder / "data", allowed_networks="127.0.0.1/32") as gateway:
        yield gateway


@pytest.fixture
def hook(near: Served) -> Iterator[str]:
    """A webhook whose receiver is not there."""
    made = near.run("webhooks", "create", NOWHERE, "--event", "session.status")
    assert made.code == 0, made.err
    id = made.out.strip()
    yield id
    near.run("webhooks", "delete", id, "--yes")


@contextmanager
def listening(near: Served, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`wagate webhooks listen --json`, and its first line."""
    told = environment(url=near.url, api_key=near.key)
    command = [PROGRAM, "webhooks", "listen", "--json", *arguments]
    with subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running, line(running)
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> dict[str, Any]:
    assert running.stdout is not None
    said = running.stdout.readline()
    assert said, running.stderr and running.stderr.read()
    found: dict[str, Any] = json.loads(said)
    return found


def happen(near: Served) -> None:
    made = near.run("sessions", "create", "--start").out.strip()
    assert near.run("sessions", "link", made, "--scan").code == 0
    assert near.run("sessions", "delete", made, "--yes").code == 0


def hooks(near: Served) -> list[str]:
    return [each["id"] for each in near.run("webhooks", "list", "--json").json]


def test_a_gateway_that_may_not_reach_this_machine_says_how_it_may(served: Served) -> None:
    ended = served.run("webhooks", "listen")
    assert (ended.code, ended.out) == (1, "")
    assert "WAGATE_ALLOWED_NETWORKS=127.0.0.1/32" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["listen", "--forward-to", "http://example.com/hook"],
        ["listen", "--forward-to", "https://127.0.0.1/hook"],
        ["listen", "--forward-to", "http://u:p@127.0.0.1/"],
        ["listen", "--forward-to", "http://127.0.0.1:99999/"],
        ["listen", "--status", "100"],
        ["listen", "--port", "70000"],
        ["replay", "wh_x"],
        ["replay", "wh_x", "dlv_x", "--dead"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_told_before_anything_is_done(near: Served, arguments: list[str]) -> None:
    ended = near.run("webhooks", *arguments)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert ended.err
    assert hooks(near) == []


def test_another_machines_gateway_is_not_told_to_post_to_itself() -> None:
    ended = wagate("webhooks", "listen", url="http://gateway.example:8080", api_key="wa_" + "x" * 43)
    assert (ended.code, ended.out) == (2, "")
    assert "--reached-as" in ended.err


@pytest.mark.parametrize("written", ["", "two words", "whsec_???"])
def test_a_file_without_a_secret_is_told(tmp_path: Path, written: str) -> None:
    file = tmp_path / "secret"
    file.write_text(written)
    for name in (str(file), str(tmp_path / "none")):
        ended = wagate("webhooks", "listen", "--secret-file", name)
        assert (ended.code, ended.out) == (1, "")
        assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("verb", ["show", "enable", "disable", "test", "deliveries", "replay"])
def test_an_unknown_webhook_is_told_as_the_gateway_says_it(near: Served, verb: str) -> None:
    ended = near.run("webhooks", verb, "../keys", *(["--dead"] if verb == "replay" else []))
    assert (ended.code, ended.out, "(not_found)" in ended.err) == (1, "", True), ended.err


def test_a_webhook_is_made_changed_and_removed(near: Served, hook: str) -> None:
    assert hook in near.run("webhooks", "list").out
    found = near.run("webhooks", "show", hook, "--json").json
    assert (found["url"], found["events"], found["ordered"]) == (NOWHERE, ["session.status"], False)
    assert near.run("webhooks", "disable", hook).out == f"{hook} is off.\n"
    assert near.run("webhooks", "enable", hook).out == f"{hook} is on.\n"
    tested = near.run("webhooks", "test", hook)
    assert tested.code == 1
    assert tested.out.startswith("failed in ")
    assert near.run("webhooks", "delete", hook, stdin="n\n").code == 1
    assert near.run("webhooks", "delete", hook, "--yes").out == f"{hook} is gone.\n"
    assert hook not in hooks(near)


def test_the_secret_is_the_files_or_shown_once(near: Served, tmp_path: Path) -> None:
    made = near.run("webhooks", "create", NOWHERE, "--ordered")
    assert "whsec_" in made.err
    assert "whsec_" not in made.out
    (tmp_path / "secret").write_text("mine\n")
    other = near.run("webhooks", "create", NOWHERE, "--secret-file", str(tmp_path / "secret"), "--json")
    assert "secret" not in other.json
    for id in (made.out.strip(), other.json["id"]):
        assert near.run("webhooks", "delete", id, "--yes").code == 0


def test_deliveries_are_listed_and_sent_again(near: Served, hook: str) -> None:
    happen(near)
    rows = near.run("webhooks", "deliveries", hook, "--limit", "2", "--json").json
    assert len(rows) == 2
    assert rows[0]["id"] in near.run("webhooks", "deliveries", hook).out
    assert near.run("webhooks", "replay", hook, rows[0]["id"]).code == 0
    assert near.run("webhooks", "replay", hook, "--dead").code == 0
    assert near.run("webhooks", "deliveries", hook, "--status", "dead").out == "There is no such delivery.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listening_shows_what_is_posted_and_leaves_no_webhook(near: Served, number: signal.Signals) -> None:
    with listening(near, "--event", "session.status", "--event", "auth.code") as (running, first):
        assert first["webhook"] in hooks(near)
        assert first["listening"].startswith("http://127.0.0.1:")
        assert near.run("webhooks", "test", first["webhook"]).code == 0
        assert line(running)["event"]["event"] == "webhook.test"
        happen(near)
        shown = [line(running) for _ in range(3)]
        assert all(each["verified"] and not each["repeat"] and each["status"] == 204 for each in shown)
        assert {each["event"]["event"] for each in shown} <= {"session.status", "auth.code"}
        running.send_signal(number)
        assert running.wait(SECONDS) == 0
        assert hooks(near) == []


def test_with_a_status_that_refuses_the_retries_can_be_watched(near: Served) -> None:
    with listening(near, "--status", "503", "--event", "session.status") as (running, _):
        happen(near)
        while not (shown := line(running))["repeat"]:
            assert shown["status"] == 503
        running.terminate()
        assert running.wait(SECONDS) == 0
        assert hooks(near) == []


def test_it_ends_when_nobody_reads(near: Served) -> None:
    with listening(near) as (running, first):
        assert running.stdout is not None
        running.stdout.close()
        near.run("webhooks", "test", first["webhook"])
        running.wait(SECONDS)
        assert hooks(near) == []


def test_with_a_secret_of_its_own_it_asks_no_gateway(near: Served, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine\n")
    with listening(near, "--secret-file", str(tmp_path / "secret")) as (running, first):
        assert "webhook" not in first
        made = near.run("webhooks", "create", first["listening"], "--secret-file", str(tmp_path / "secret"))
        near.run("webhooks", "test", made.out.strip())
        assert line(running)["verified"]
        other = near.run("webhooks", "create", first["listening"])
        assert near.run("webhooks", "test", other.out.strip()).code == 1
        assert line(running)["refused"]
    for each in (made, other):
        assert near.run("webhooks", "delete", each.out.strip(), "--yes").code == 0
