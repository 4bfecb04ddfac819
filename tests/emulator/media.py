"""Files: uploaded and fetched over HTTPS by the proxy, opaque to the server; and the pictures of people and groups."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import zlib
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.emulator.nodes import Node
from tests.emulator.schemas import HistorySync, HistorySyncNotification

HOST = "media-emu1-1.cdn.whatsapp.net"
PICTURES = "pps.whatsapp.net"
# Clients append `&hash=…` to a path: it must have begun its query already.
_QUERY = "?ccb=11-4"


class Media:
    """What was uploaded, by its path. `refuse`: a status that uploads and downloads are answered with instead; `gate`
    closed: downloads wait, and `waiting` counts them.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.refuse = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    def routes(self) -> list[web.RouteDef]:
        """The doors that clients use."""
        return [
            web.post("/{kind:mms|newsletter|product}/{sort}/{token}", self._put),
            web.get("/v/{token}", self._fetch),
            web.get("/mms/{sort}/{token}", self._fetch),
        ]

    def keep(self, data: bytes) -> str:
        """Store bytes as they are; their path."""
        token = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        self.files[token] = data
        return f"/v/{token}{_QUERY}"

    def connection(self) -> list[Node]:
        """Where clients shall go with files."""
        attrs = {"auth": "emulator", "ttl": 3600, "auth_ttl": 21600, "max_buckets": 12, "id": 1}
        return [Node("media_conn", attrs, [Node("host", {"hostname": HOST, "type": "primary"})])]

    def seal(self, data: bytes, purpose: str) -> dict[str, Any]:
        """Encrypt and store a file as a phone does; what a message must say of it."""
        key = os.urandom(32)
        derived = HKDF(hashes.SHA256(), 112, None, purpose.encode()).derive(key)
        start, cipher_key, mac_key = derived[:16], derived[16:48], derived[48:80]
        padder = padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(start)).encryptor()
        sealed = encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()
        sealed += hmac.new(mac_key, start + sealed, hashlib.sha256).digest()[:10]
        return {
            "mediaKey": key,
            "fileSHA256": hashlib.sha256(data).digest(),
            "fileEncSHA256": hashlib.sha256(sealed).digest(),
            "fileLength": len(data),
            "directPath": self.keep(sealed),
        }

    def history(self, history: HistorySync) -> HistorySyncNotification:
        """Store a piece of history; the notification by which the phone points a companion to it."""
        sealed = self.seal(zlib.compress(history.SerializeToString()), "WhatsApp History Keys")
        return HistorySyncNotification(
            **sealed, syncType=history.syncType, chunkOrder=history.chunkOrder, progress=history.progress
        )

    async def _put(self, request: web.Request) -> web.Response:
        if self.refuse:
            return web.Response(status=self.refuse)
        data = await request.read()
        token = request.match_info["token"]
        self.files[token] = data
        path = f"/v/{token}{_QUERY}"
        return web.json_response({"url": f"https://mmg.whatsapp.net{path}", "direct_path": path, "handle": "handle"})

    async def _fetch(self, request: web.Request) -> web.Response:
        if self.refuse:
            return web.Response(status=self.refuse)
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        data = self.files.get(request.match_info["token"])
        return web.Response(status=404) if data is None else web.Response(body=data)
