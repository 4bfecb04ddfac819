"""Keys are made and revoked by command beside a running gateway, and the very next request feels it."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.command import Ended, wagate
from tests.support.gateways import refused
from tests.support.lives import Life, life, whole_log


def command(gateway: Life, *arguments: str) -> Ended:
    ended = wagate(*arguments, "--json", data_dir=str(gateway.data_dir), url=gateway.url)
    assert ended.code == 0, ended.err
    return ended


@pytest.mark.slow
def test_keys_and_organizations_work_at_once_and_a_key_not_a_request_too_long(tmp_path: Path) -> None:
    with life(tmp_path / "data") as gateway:
        other = command(gateway, "orgs", "create", "Other").json["id"]
        made = command(gateway, "keys", "create", "--org", other, "--name", "k", "--permission", "all").json
        secret = made["secret"]
        # A new organization has everything, its network too, without a restart.
        session = gateway.ask("POST", "/sessions", {"start": True}, key=secret).body["id"]
        gateway.until(lambda: gateway.ask("GET", f"/sessions/{session}/qr", key=secret).status == 200)
        scan = gateway.ask("POST", f"/sandbox/sessions/{session}:scan", {"phone": "9990000001"}, key=secret)
        assert scan.status == 200, scan.body
        gateway.until(lambda: gateway.ask("GET", f"/sessions/{session}", key=secret).body["status"] == "working")
        assert {event["organization"] for event in whole_log(gateway, key=secret)} == {other}
        assert whole_log(gateway) == []

        over, answers = threading.Event(), list[int]()
        busy = threading.Thread(target=hammer, args=(gateway, secret, over, answers))
        busy.start()
        gateway.until(lambda: len(answers) > 50)
        command(gateway, "keys", "revoke", made["id"])
        # On a new connection, and on one that was open all the while.
        refused(gateway.ask("GET", "/sessions", key=secret), 401, "unauthorized")
        told = len(answers) + 1
        gateway.until(lambda: len(answers) > told + 20)
        over.set()
        busy.join(10)
        assert set(answers[told:]) == {401}
        assert set(answers[: answers.index(401)]) == {200}


def hammer(gateway: Life, secret: str, over: threading.Event, answers: list[int]) -> None:
    """One request after the other on one connection."""
    place = urlsplit(gateway.url)
    line = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    while not over.is_set():
        line.request("GET", "/api/v1/sessions", headers={"x-api-key": secret})
        answer = line.getresponse()
        answer.read()
        answers.append(answer.status)
    line.close()
