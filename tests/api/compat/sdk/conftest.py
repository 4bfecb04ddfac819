"""The unmodified SDKs against a running gateway on the sandbox, and files on this machine for what is sent by URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support import sdk as programs
from tests.support.files import JPEG, MP3, MP4, OPUS_VOICE, PDF, PNG
from tests.support.gateways import Account
from tests.support.receiver import Receiver, answer, receiving
from tests.support.sdk import Program, Sdk, SdkMissing, descendants
from wagate import testing
from wagate.testing import SandboxGateway

FILES = {
    "a.jpg": ("image/jpeg", JPEG),
    "a.png": ("image/png", PNG),
    "a.mp4": ("video/mp4", MP4),
    "a.mp3": ("audio/mpeg", MP3),
    "a.ogg": ("audio/ogg", OPUS_VOICE),
    "a.pdf": ("application/pdf", PDF),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/api/compat/sdk/"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def python_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The Python SDK at work. Skips without node, unless CI requires it."""
    yield from _started(programs.python, tmp_path_factory.mktemp("sdk"))


@pytest.fixture(scope="session")
def javascript_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The npm package at work; as `python_program`."""
    yield from _started(programs.javascript, tmp_path_factory.mktemp("sdk"))


def _started(start: Callable[[Path], AbstractContextManager[Program]], folder: Path) -> Iterator[Program]:
    try:
        with start(folder) as program:
            yield program
            alive = {program.process.pid, *descendants(program.process.pid)}
    except SdkMissing as reason:
        if os.environ.get("WAGATE_REQUIRE_NODE"):
            pytest.fail(f"node is required here: {reason}")
        pytest.skip(str(reason))
    # It leaves no process and no file behind, and had nothing to complain of.
    assert not [pid for pid in alive if Path(f"/proc/{pid}").exists()]
    assert list((folder / "tmp").iterdir()) == []
    assert program.log.read_text() == ""


@pytest.fixture(scope="session")
def wagate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxGateway]:
    """One gateway for all files: each uses numbers of its own, but for the owner's, the guest's and their peers'."""
    folder = tmp_path_factory.mktemp("wagate") / "data"
    with testing.gateway(folder, allowed_networks=("127.0.0.0/8",), send_timeout=5) as running:
        yield running


@pytest.fixture(scope="session")
def owner(wagate: SandboxGateway) -> Account:
    return Account(wagate, "9990000001")


@pytest.fixture(scope="session")
def guest(wagate: SandboxGateway) -> Account:
    return Account(wagate, "9990000002")


@pytest.fixture(scope="session")
def sdk(python_program: Program, wagate: SandboxGateway) -> Sdk:
    """The Python SDK's client with the demo key."""
    return Sdk(python_program, f"{wagate.url}/wasend", wagate.key)


@pytest.fixture(scope="session")
def receiver(wagate: SandboxGateway) -> Iterator[Receiver]:
    """A server on this machine that has a file of each kind, and takes webhooks at /hook."""
    opened = receiving(hook=answer())
    server: Receiver = wagate.run(opened.__aenter__())
    server.replies |= {f"/{name}": answer(body, f"Content-Type: {kind}") for name, (kind, body) in FILES.items()}
    yield server
    wagate.run(opened.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def files(receiver: Receiver) -> str:
    """The URL below which the files are."""
    return receiver.url
