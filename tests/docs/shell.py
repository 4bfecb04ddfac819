"""A page's commands, run in one shell in their order, and what they print with everything volatile replaced."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "--- the end of the block ---"
_SECONDS = 60.0

# What differs from run to run, and the word that stands for it. The kind of an id stays, and so does every status.
_VOLATILE = [
    (re.compile(r"\b(ses|org|key|ob|evt|msg|req)_[0-9A-Za-z]{8,}"), r"\1_ID"),
    (re.compile(r"\bwa_[0-9A-Za-z]{3,}"), "wa_SECRET"),
    (re.compile(r"\b3EB0[0-9A-F]{18}\b"), "WIREID"),
    (re.compile(r"\b1[0-9]{12}\b"), "TIME"),
    (re.compile(r"\b[0-9]{18}@g\.us"), "GROUP@g.us"),
    (re.compile(r"(chat\.whatsapp\.com/|\"code\": ?\")[0-9A-Za-z]{22}\b"), r"\1INVITE"),
    (re.compile(r"wagate-sandbox:[^\"]+"), "wagate-sandbox:QR"),
    (re.compile(r"\"gatewayId\":\"[^\"]*\""), '"gatewayId":"NODE"'),
]


@dataclass(frozen=True)
class Block:
    """Commands that are pasted together, and what the page says they print."""

    line: int
    commands: str
    printed: str

    @property
    def only_looks(self) -> bool:
        """Whether it changes nothing, so that it may be typed again: a reader is slower than a test."""
        return all(line.startswith("api GET ") for line in self.commands.splitlines())


def blocks(page: str, section: str) -> list[Block]:
    """The `sh` blocks of a section, each with the `text` block that follows it."""
    start = page.index(f"## {section}\n")
    end = page.find("\n## ", start + 3)
    found: list[Block] = []
    for fence in _FENCED.finditer(page, start, len(page) if end < 0 else end):
        kind, text = fence.groups()
        if kind == "sh":
            found.append(Block(page.count("\n", 0, fence.start()) + 1, text, ""))
        elif kind == "text" and found:
            found[-1] = Block(found[-1].line, found[-1].commands, text)
    return found


def settled(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Shell:
    """One bash."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, commands: str) -> str:
        """Everything that the commands print, errors too.

        Raises:
            AssertionError: they did not end in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{commands}\necho '{_END}'\n".encode())
        self._process.stdin.flush()
        said, deadline = b"", time.monotonic() + _SECONDS
        while not said.endswith(f"{_END}\n".encode()):
            ready = select.select([self._process.stdout], [], [], max(deadline - time.monotonic(), 0))[0]
            part = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not part:
                raise AssertionError(f"the shell did not come back from:\n{commands}\nIt said:\n{said.decode()}")
            said += part
        return said.decode().removesuffix(f"{_END}\n")

    def follow(self, block: Block) -> str:
        """Run a block; where it only looks, look again until it prints what the page says, or time is up."""
        deadline = time.monotonic() + _SECONDS
        while True:
            printed = self.run(block.commands)
            if settled(printed) == settled(block.printed) or not block.only_looks or time.monotonic() > deadline:
                return printed
            time.sleep(0.05)


@contextmanager
def shell(cwd: Path, environment: dict[str, str]) -> Iterator[Shell]:
    """A bash in this folder, without anybody's own settings."""
    process = subprocess.Popen(
        ["bash", "--norc", "--noprofile"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=environment,
    )
    try:
        yield Shell(process)
    finally:
        process.kill()
        process.communicate()
