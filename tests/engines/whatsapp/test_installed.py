"""A library that is missing, changed or broken is refused by name, and nothing is ever downloaded in its place."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.library import why_not
from tests.support.command import wagate

# On threads: the people of this folder are online meanwhile, and their network is in this process.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

NATIVE = "neonize-linux-amd64.so"


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def place(folder: Path, native: bytes | None, *, recorded: bytes | None) -> Path:
    """A copy of the installed package with this native file, whose record has another one's digest."""
    spec = importlib.util.find_spec("neonize")
    assert spec is not None
    assert spec.submodule_search_locations
    package = folder / "neonize"
    package.mkdir(parents=True)
    for each in Path(spec.submodule_search_locations[0]).iterdir():
        if each.suffix != ".so" and each.name != "__pycache__":
            (package / each.name).symlink_to(each)
    if native is not None:
        (package / NATIVE).write_bytes(native)
    about = folder / "neonize-0.5.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: neonize\nVersion: 0.5.2\n")
    record = "" if recorded is None else f"neonize/{NATIVE},{digest(recorded)},{len(recorded)}\n"
    (about / "RECORD").write_text(record)
    return folder


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Whoever wants to download something comes here first."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{listening.getsockname()[1]}")
        yield listening


@pytest.mark.parametrize(
    ("native", "recorded", "says"),
    [
        (b"changed", b"as it came", "is not the file that the package brought"),
        (None, b"as it came", "has no native library for this machine"),
        (None, None, "has no native library for this machine"),
        (b"no library at all", b"no library at all", "cannot be loaded"),
    ],
    ids=["changed", "missing", "never-there", "broken"],
)
async def test_a_host_refuses_it_and_downloads_nothing(
    native: bytes | None,
    recorded: bytes | None,
    says: str,
    tmp_path: Path,
    outside: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = [str(place(tmp_path / "path", native, recorded=recorded)), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-P", "-m", "wagate.engines.whatsapp", "--patience", "60", "--socket"]
        command.append(str(theirs.fileno()))
        how: dict[str, Any] = {"pass_fds": [theirs.fileno()], "capture_output": True, "text": True, "timeout": 120}
        done = await asyncio.to_thread(subprocess.run, command, **how)
    assert (done.returncode, says in done.stderr) == (3, True), done.stderr
    with pytest.raises(BlockingIOError):
        outside.accept()
    ended = await asyncio.to_thread(
        wagate, "doctor", "--json", data_dir=str(tmp_path / "data"), port="0", whatsapp="on"
    )
    (found,) = [each for each in ended.json["findings"] if each["check"] == "WhatsApp"]
    if says == "cannot be loaded":
        # The doctor loads nothing: its file is the one of the package, as far as anybody can say.
        assert found["state"] == "ok"
    else:
        assert (ended.code, found["state"], says in found["mend"]) == (1, "missing", True)
        served = await asyncio.to_thread(wagate, "serve", data_dir=str(tmp_path / "data"), port="0", whatsapp="on")
        assert (served.code, says in " ".join(served.err.split())) == (1, True)
