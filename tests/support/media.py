"""Around a running gateway: media said, and what is kept of it."""

from __future__ import annotations

import base64
from typing import Any

from wagate.testing import Answer, SandboxGateway

PEER = "9990000002"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image(**media: Any) -> dict[str, Any]:
    return {"type": "image", "to": PEER, "media": media}


def send(wagate: SandboxGateway, where: str, body: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return wagate.ask("POST", f"{where}/messages", body, headers=named)


def said(wagate: SandboxGateway, where: str, body: Any) -> str:
    sent = send(wagate, where, body)
    assert sent.status == 200, sent.body
    return str(sent.body["waMessageId"])


def rows(wagate: SandboxGateway) -> list[str]:
    gw = wagate.running.gw
    return [row[0] for row in wagate.run(gw.db.all("SELECT id FROM media WHERE gone_at IS NULL ORDER BY id"))]


def files(wagate: SandboxGateway) -> list[str]:
    """The names of all files that the gateway keeps, its own and those that rest in the spool."""
    folder = wagate.running.gw.blobs.spooling.folder.parent
    return sorted(each.name for each in folder.rglob("*") if each.is_file() and not each.name.startswith("sandbox-"))


def arrived(wagate: SandboxGateway, where: str, wire_id: str) -> str:
    """The path of a message, once it has arrived."""
    path = f"{where}/messages/{wire_id}"
    wagate.until(lambda: wagate.ask("GET", path).status == 200)
    return path
