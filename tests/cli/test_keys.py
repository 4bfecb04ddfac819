"""Keys and organizations change beside a running gateway, and the very next request feels it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.command import Ended, Served, serving

pytestmark = pytest.mark.slow


def create(served: Served, *more: str, org: str = "demo") -> Ended:
    return served.run("keys", "create", "--org", org, "--name", "test", *more)


def test_an_unknown_organization_and_an_unknown_key_are_refused(served: Served) -> None:
    refused = create(served, "--permission", "read", org="nobody")
    assert (refused.code, refused.out) == (1, "")
    assert "nobody" in refused.err
    gone = served.run("keys", "revoke", "key_absent")
    assert (gone.code, gone.err) == (1, "Key not found.\n")


def test_a_revoked_key_fails_at_the_next_request(served: Served) -> None:
    made = create(served, "--permission", "read", "--json").json
    with_it = {"api_key": made["secret"]}
    assert served.run("sessions", "list", "--json", **with_it).json == []
    assert served.run("keys", "revoke", made["id"], "--json").json == {"id": made["id"], "revoked": True}
    refused = served.run("sessions", "list", **with_it)
    assert (refused.code, refused.out) == (1, "")
    assert "(unauthorized)" in refused.err


def test_a_key_may_do_only_what_it_was_made_for(served: Served) -> None:
    key = create(served, "--permission", "read").out.strip()
    refused = served.run("sessions", "create", api_key=key)
    assert (refused.code, "(forbidden)" in refused.err) == (1, True)


def test_standard_output_is_the_key_and_nothing_else(served: Served) -> None:
    made = create(served, "--permission", "read,send", "--permission", "events", "--expires-in", "30d")
    assert made.code == 0
    assert made.out.startswith("wa_")
    assert len(made.out.split()) == 1
    assert made.out.strip() not in made.err


def test_the_list_holds_no_secret(served: Served) -> None:
    made = create(served, "--permission", "all", "--expires-in", "12h", "--session", "ses_1", "--json").json
    listed = {each["id"]: each for each in served.run("keys", "list", "--org", "demo", "--json").json}
    found = listed[made["id"]]
    assert "secret" not in found
    assert found["permissions"] == ["read", "send", "manage", "events"]
    assert 0 <= 12 * 3600 * 1000 - (found["expiresAt"] - found["createdAt"]) < 60_000
    assert found["sessionIds"] == ["ses_1"]
    shown = served.run("keys", "list").out
    assert made["id"] in shown
    assert made["secret"] not in shown


def test_an_organization_sees_nothing_of_another(served: Served) -> None:
    made = served.run("orgs", "create", "Second", "--json").json
    assert made["id"] in served.run("orgs", "list").out
    assert {each["name"] for each in served.run("orgs", "list", "--json").json} >= {"demo", "Second"}
    ours = served.run("sessions", "create").out.strip()
    key = create(served, "--permission", "all", org="Second").out.strip()
    refused = served.run("sessions", "show", ours, api_key=key)
    assert "(not_found)" in refused.err
    unnamed = served.run("keys", "create", "--name", "x", "--permission", "read")
    assert (unnamed.code, "--org" in unnamed.err) == (2, True)
    served.run("sessions", "delete", ours, "--yes")


def test_the_first_start_leaves_a_key_that_is_its_owners_alone(served: Served) -> None:
    file = served.data_dir / "demo.key"
    assert file.read_text().strip() == served.key
    assert {stat.S_IMODE(each.stat().st_mode) for each in (file, served.data_dir / "secret.key")} == {0o600}


def test_a_stopped_gateway_ends_well_and_its_keys_can_still_be_changed(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as gateway:
        pass
    assert gateway.process.returncode == 0
    made = gateway.run("keys", "create", "--name", "x", "--permission", "read", "--json")
    assert made.code == 0, made.err
    assert gateway.run("keys", "revoke", made.json["id"]).code == 0
