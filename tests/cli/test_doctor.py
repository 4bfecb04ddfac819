"""The doctor finds what is missing, says how to mend it, changes nothing and tells no secret."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import MERE, Ended, Served, wagate


def findings(ended: Ended) -> dict[str, dict[str, Any]]:
    return {each["check"]: each for each in ended.json["findings"]}


def doctor(folder: Path, **settings: str) -> Ended:
    return wagate("doctor", "--json", **{"data_dir": str(folder), "port": "0", **settings})


def test_an_empty_machine_is_healthy_and_stays_empty(tmp_path: Path) -> None:
    ended = doctor(tmp_path / "data")
    assert ended.code == 0, ended.err
    assert ended.json["ok"] is True
    assert not {each["state"] for each in ended.json["findings"]} & {"warning", "missing"}
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_missing(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ended = doctor(tmp_path, port=str(other.getsockname()[1]))
    assert ended.code == 1
    assert findings(ended)["port"]["state"] == "missing"
    assert "WAGATE_PORT" in findings(ended)["port"]["mend"]


def test_an_address_of_another_machine_is_missing(tmp_path: Path) -> None:
    found = findings(doctor(tmp_path, host="192.0.2.1", port="18080"))["port"]
    assert found["state"] == "missing"
    assert "WAGATE_HOST" in found["mend"]


def test_the_demo_key_does_not_go_with_an_open_address(tmp_path: Path) -> None:
    (tmp_path / "demo.key").write_text("wa_" + "x" * 43)
    (tmp_path / "demo.key").chmod(0o600)
    ended = doctor(tmp_path, host="0.0.0.0")
    assert ended.code == 1
    assert findings(ended)["demo key"]["state"] == "missing"
    assert "x" * 10 not in ended.out


@pytest.mark.parametrize(("name", "check"), [("secret.key", "secret key"), ("demo.key", "demo key")])
def test_a_key_that_others_can_read_is_noticed(name: str, check: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("s" * 64)
    (tmp_path / name).chmod(0o644)
    ended = doctor(tmp_path)
    assert findings(ended)[check]["state"] == "warning"
    assert findings(ended)[check]["mend"] == f"chmod 600 {tmp_path / name}"
    assert "ssss" not in ended.out


def test_a_directory_that_others_can_enter_is_noticed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert findings(doctor(tmp_path))["data directory"]["mend"] == f"chmod 700 {tmp_path}"


def test_a_place_that_is_no_directory_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = doctor(tmp_path / "file" / "data")
    assert ended.code == 1
    assert findings(ended)["data directory"]["state"] == "missing"


def test_a_database_of_a_newer_version_is_missing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "wagate.db") as db:
        db.execute("CREATE TABLE alembic_version (version_num TEXT)")
        db.execute("INSERT INTO alembic_version VALUES ('9999')")
    ended = doctor(tmp_path)
    assert ended.code == 1
    assert "newer version" in findings(ended)["database"]["mend"]


def test_a_file_that_is_no_database_is_missing(tmp_path: Path) -> None:
    (tmp_path / "wagate.db").write_bytes(b"no database" * 1000)
    assert findings(doctor(tmp_path))["database"]["state"] == "missing"


def test_no_password_and_no_key_is_shown(tmp_path: Path) -> None:
    settings = {
        "database_url": "postgresql://gate:hunter2@127.0.0.1:1/gate",
        "secret_key": "hunter2-" * 8,
        "metrics_token": "hunter2-" * 8,
        "api_key": "wa_hunter2" + "x" * 36,
    }
    for ended in (doctor(tmp_path, **settings), wagate("doctor", data_dir=str(tmp_path), **settings)):
        assert ended.code == 1
        assert "hunter2" not in ended.out + ended.err
    assert doctor(tmp_path, **settings).json["set"]["WAGATE_SECRET_KEY"] == "(set)"


def test_slips_and_stopped_time_are_noticed(tmp_path: Path) -> None:
    found = findings(doctor(tmp_path, prot="1", clock="manual", sandbox="off"))
    assert "did you mean WAGATE_PORT?" in found["settings"]["found"]
    assert {found[check]["state"] for check in ("settings", "clock", "sandbox")} == {"warning"}


def test_the_real_network_needs_its_library_as_it_was_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "path" / "neonize-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: neonize\nVersion: 0.0.1\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(other.parent), os.environ.get("PYTHONPATH", "")]))
    assert findings(doctor(tmp_path))["WhatsApp"]["state"] == "note"
    found = findings(doctor(tmp_path, whatsapp="on"))
    assert (found["WhatsApp"]["state"], "pip install" in found["WhatsApp"]["mend"]) == ("missing", True)
    assert found["WhatsApp keys"]["state"] == "ok"
    assert found["libmagic"]["state"] == ("ok" if ctypes.util.find_library("magic") else "note")
    assert found["previews"]["state"] == ("ok" if shutil.which("ffmpeg") else "note")
    assert findings(doctor(tmp_path, engine="whatsapp"))["engine"]["state"] == "warning"


def test_traces_need_their_library_and_tell_where_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "traces" not in findings(doctor(tmp_path))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert findings(doctor(tmp_path))["traces"]["state"] == "note"
    assert findings(doctor(tmp_path, tracing="on"))["traces"]["found"] == "go to http://127.0.0.1:9/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert findings(doctor(tmp_path, tracing="on"))["traces"]["state"] == "missing"
    (tmp_path / "hidden" / "opentelemetry").mkdir(parents=True)
    (tmp_path / "hidden" / "opentelemetry" / "__init__.py").touch()
    path = [str(tmp_path / "hidden"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    ended = doctor(tmp_path, tracing="on")
    assert ended.code == 1
    assert "wagate[tracing]" in findings(ended)["traces"]["mend"]
    served = wagate("serve", data_dir=str(tmp_path / "data"), port="0", tracing="on")
    assert (served.code, served.out) == (1, "")
    assert "install wagate[tracing]" in " ".join(served.err.split())
    assert not (tmp_path / "data").exists()


def test_a_running_gateway_is_recognised(served: Served) -> None:
    port = served.url.rpartition(":")[2]
    ended = served.run("doctor", "--json", port=port)
    assert ended.code == 0, ended.out
    found = findings(ended)
    assert found["port"]["found"].startswith("a gateway answers on")
    assert {found[check]["state"] for check in ("database", "secret key", "demo key", "data directory")} == {"ok"}


def test_keys_that_no_session_has_are_noticed(tmp_path: Path) -> None:
    assert wagate("db", "upgrade", data_dir=str(tmp_path)).code == 0
    (tmp_path / "whatsapp" / "ses_1").mkdir(parents=True)
    (tmp_path / "whatsapp").chmod(0o755)
    found = [each for each in doctor(tmp_path).json["findings"] if each["check"] == "WhatsApp keys"]
    assert [each["state"] for each in found] == ["warning", "warning"]
    assert "chmod 700" in found[0]["mend"]
    assert "ses_1" in found[1]["found"]


def keys(ended: Ended) -> list[tuple[str, str]]:
    found = [each for each in ended.json["findings"] if each["check"] == "WhatsApp keys"]
    return [(each["state"], each["found"]) for each in found]


def test_a_place_for_keys_that_is_none_is_missing(tmp_path: Path) -> None:
    place = tmp_path / "whatsapp"
    assert wagate("db", "upgrade", data_dir=str(tmp_path)).code == 0
    place.touch(mode=0o600)
    for made in (None, tmp_path / "nowhere", place):
        if made is not None:
            place.unlink()
            place.symlink_to(made)
        ended = doctor(tmp_path)
        assert (ended.err, keys(ended)) == ("", [("warning", f"{place} cannot be written")])
        ended = doctor(tmp_path, whatsapp="on")
        assert (ended.code, ended.err) == (1, "")
        assert keys(ended)[-1] == ("missing", f"{place} cannot be written")


def test_keys_may_be_on_a_volume_of_their_own_and_links_among_them_are_noticed(tmp_path: Path) -> None:
    data, volume = tmp_path / "data", tmp_path / "volume"
    assert wagate("db", "upgrade", data_dir=str(data)).code == 0
    (volume / "lost+found").mkdir(parents=True)
    volume.chmod(0o700)
    (data / "whatsapp").symlink_to(volume)
    assert keys(doctor(data)) == []
    (volume / "ses_1").symlink_to(tmp_path)
    assert [state for state, _ in keys(doctor(data))] == ["warning", "warning"]
    assert "links or another user's: ses_1" in keys(doctor(data))[0][1]


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root sees everything")
def test_what_cannot_be_looked_at_is_a_finding(tmp_path: Path) -> None:
    assert wagate("db", "upgrade", data_dir=str(tmp_path)).code == 0
    tmp_path.chmod(0)
    try:
        ended = wagate("doctor", "--json", data_dir=str(tmp_path), port="0", before=MERE if os.geteuid() == 0 else ())
    finally:
        tmp_path.chmod(0o700)
    assert (ended.code, ended.err) == (1, "")
    assert "cannot be looked at: Permission denied" in ended.out
