"""The least that a sender of webhooks in Python can be: aiohttp, both signatures, four posts at once to an endpoint.

It records nothing, judges no address, retries nothing. `python -m bench.bare_sender FILE` reads lines of JSON (url,
secret, and the ids and bodies to be posted there), posts it all and prints how many seconds that took.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import uvloop

AT_ONCE = 4


def signed(id: str, body: bytes, secret: bytes, key: bytes) -> dict[str, str]:
    """The headers of a delivery. `key`: what the secret holds as base64."""
    now = time.time()
    stamp = str(int(now))
    standard = hmac.digest(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "X-Webhook-Request-Id": id,
        "X-Webhook-Timestamp": str(int(now * 1000)),
        "X-Webhook-Hmac": hmac.digest(secret, body, hashlib.sha512).hex(),
        "X-Webhook-Hmac-Algorithm": "sha512",
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(standard).decode(),
    }


async def main(file: Path) -> None:
    """Post everything."""
    work = [json.loads(line) for line in file.read_text().splitlines()]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(url: str, secret: str, waiting: Iterator[tuple[str, str]]) -> None:
            raw, key = secret.encode(), base64.b64decode(secret.removeprefix("whsec_"))
            for id, text in waiting:
                body = text.encode()
                async with session.post(url, data=body, headers=signed(id, body, raw, key)) as response:
                    await response.read()
                    if response.status != 200:
                        raise RuntimeError(f"{url} answered {response.status}")

        tasks = []
        for each in work:
            waiting = iter([(id, body) for id, body in each["posts"]])
            tasks += [post(each["url"], each["secret"], waiting) for _ in range(AT_ONCE)]
        began = time.perf_counter()
        await asyncio.gather(*tasks)
        print(time.perf_counter() - began)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
