"""The unmodified Wasend SDKs, each in a process of its own: the Python package, and the npm package that is inside it.

A process serves many calls, for starting one takes seconds. What it writes goes to a folder that the test gives; when
the process has ended nothing of it is left, no program and no file outside that folder.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SECONDS = 45
"""How long a call may take; the SDK itself gives up earlier."""

_HERE = Path(__file__).parent
_WARNINGS = ("END_OF_LIFE", "DEPRECATED", "UNTESTED", "KNOWN_BROKEN")


class SdkMissing(Exception):
    """The SDKs cannot run here; the message says why."""


class SdkError(Exception):
    """What the SDK raised, in its own words. `status` and `body` are known in JavaScript only."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["text"])
        self.type: str = told["type"]
        self.text: str = told["text"]
        self.status: int | None = told.get("status")
        self.body: Any = told.get("body")


class Program:
    """A running SDK that takes a call on a line and answers on a line."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self.log = log

    def call(self, url: str, key: str, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """One call's result; raises what the SDK raised."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"url": url, "key": key, "method": method, "args": args, "named": named}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise AssertionError(f"the SDK's process gave no answer to {method}: {self.log.read_text()[-2000:]}")
        told = json.loads(line)
        if "error" in told:
            raise SdkError(told["error"])
        return told["ok"]


class Sdk:
    """The SDK's client for one key. Its methods are the SDK's: `sdk.get_group(session, group)`.

    Results are plain JSON, structs under their Python names; what the SDK raises is an `SdkError`.
    """

    def __init__(self, program: Program, url: str, key: str) -> None:
        self._program = program
        self._url = url
        self._key = key

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args, **named: self._program.call(self._url, self._key, method, args, named)

    def methods(self) -> list[str]:
        """The names of all public methods that the SDK's client has."""
        found: list[str] = self._program.call(self._url, self._key, "", (), {})
        return found

    def with_key(self, key: str) -> Sdk:
        """The same for another key."""
        return Sdk(self._program, self._url, key)

    def at(self, url: str) -> Sdk:
        """The same at another base URL."""
        return Sdk(self._program, url, self._key)


def refused(status: int, call: Callable[[], Any]) -> None:
    """The call is refused with this status, which is all that the Python SDK tells its user."""
    with pytest.raises(SdkError) as refusal:
        call()
    assert refusal.value.text == f"AxiosError: Request failed with status code {status}", refusal.value.text
    assert refusal.value.type == "RuntimeError"


def digits(address: str) -> str:
    """The digits of a phone number, however it is written: `+E164`, a JID, `@c.us`."""
    return "".join(sign for sign in address.partition("@")[0] if sign.isdigit())


def wire_id(message: str) -> str:
    """The network's own id in a message id that may hold a chat as well: `true_999…@c.us_3EB0…`."""
    return message.rpartition("_")[2]


@contextmanager
def python(folder: Path) -> Iterator[Program]:
    """The Python SDK: its interpreter, and the node that it starts."""
    _need_node()
    with _running([sys.executable, "-P", str(_HERE / "sdk_python.py")], folder) as program:
        yield program


@contextmanager
def javascript(folder: Path) -> Iterator[Program]:
    """The npm package, unpacked from the Python package, under plain node."""
    node = _need_node()
    with tarfile.open(_tarball()) as packed:
        packed.extractall(folder, filter="data")
    with _running([node, str(_HERE / "sdk_node.cjs"), str(folder / "package")], folder) as program:
        yield program


def surroundings(folder: Path) -> dict[str, str]:
    """An environment for the SDK: no proxy, no warning about node's age, every file it writes below the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    temporary = folder / "tmp"
    temporary.mkdir()
    return {
        **kept,
        **{f"JSII_SILENCE_WARNING_{kind}_NODE_VERSION": ",".join(map(str, range(14, 40))) for kind in _WARNINGS},
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(folder / "cache"),
        "TMPDIR": str(temporary),
        "NO_PROXY": "127.0.0.1",
    }


def node_version() -> int:
    """The major version of the node that runs the SDKs."""
    told = subprocess.run([_need_node(), "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.strip().removeprefix("v").partition(".")[0])


def descendants(pid: int) -> set[int]:
    """The processes that this one has started, and those that they have (Linux)."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    direct = {int(child) for child in listed.read_text().split()} if listed.exists() else set()
    return direct.union(*(descendants(child) for child in direct))


def _need_node() -> str:
    if find_spec("wasend") is None:
        raise SdkMissing("the Wasend SDK is not installed: it comes with the test extra")
    node = shutil.which("node")
    if node is None:
        raise SdkMissing("the Wasend SDK needs node, which was not found (apt-get install nodejs)")
    return node


def _tarball() -> Path:
    found = find_spec("wasend")
    assert found is not None
    assert found.origin is not None
    (tarball,) = (Path(found.origin).parent / "_jsii").glob("core@*.jsii.tgz")
    return tarball


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[Program]:
    log = folder / "sdk.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=surroundings(folder),
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            # Its group is its own: node, which it has started, goes with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            process.stdout.close()
