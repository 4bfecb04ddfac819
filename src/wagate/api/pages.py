"""What is open to everyone: health, metrics, the OpenAPI documents and the page that shows them.

These are operations as well, mounted by their full paths and left out of the documents. The documents are printed once,
at the first request, in a thread: they take tens of milliseconds. Called by app.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import resources
from typing import Any

from wagate.api import answers, asyncapi, openapi
from wagate.api.operations import OPEN, PREFIX, Call, Operation, Reply, Run
from wagate.errors import NotFound, Unavailable

Checks = Mapping[str, Callable[[], Awaitable[object]]]

_CHECK_SECONDS = 2.0
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wagate API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</body>
</html>
"""
_SCRIPT = f"""SwaggerUIBundle({{
  url: "{PREFIX}/openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null, displayOperationId: true,
  persistAuthorization: false, tagsSorter: "alpha"
}});
"""
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "LICENSE": "text/plain; charset=utf-8",
    "NOTICE": "text/plain; charset=utf-8",
    "swagger-ui-bundle.js.LICENSE.txt": "text/plain; charset=utf-8",
}


def pages(
    operations: Sequence[Operation], *, checks: Checks, metrics: Callable[[], bytes] | None, token: str | None
) -> Iterator[tuple[str, Operation]]:
    """The open pages and their full paths; the documents describe `operations`."""

    async def ready(call: Call) -> Any:
        return await _readiness(checks)

    async def shown_metrics(call: Call) -> Any:
        given = call.header("authorization") or ""
        if metrics is None or not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise NotFound("there is nothing at this path")
        return Reply(body=metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    documents: dict[str, tuple[str, Callable[[], bytes]]] = {
        f"{PREFIX}/openapi.json": ("application/json", lambda: openapi.as_json(operations)),
        f"{PREFIX}/openapi.yaml": ("application/yaml", lambda: openapi.as_yaml(operations)),
        f"{PREFIX}/asyncapi.json": ("application/json", asyncapi.as_json),
        "/docs": ("text/html; charset=utf-8", _PAGE.encode),
        "/docs/page.js": ("text/javascript; charset=utf-8", _SCRIPT.encode),
        **{f"/docs/{name}": (media_type, partial(_asset, name)) for name, media_type in _ASSETS.items()},
    }
    yield "/", _page("home", _home)
    yield "/healthz", _page("healthz", _health)
    yield "/readyz", _page("readyz", ready)
    yield "/metrics", _page("metrics", shown_metrics)
    for path, (media_type, make) in documents.items():
        yield path, _page(path, _document(media_type, make))


def _page(id: str, run: Run) -> Operation:
    return Operation(id=id, method="GET", path="", run=run, tag="pages", capability=OPEN)


async def _home(call: Call) -> Reply:
    return Reply(status=302, headers={"location": "/docs"})


async def _health(call: Call) -> dict[str, str]:
    # Touches nothing but the process: a slow disk must not get it killed.
    return {"status": "ok"}


async def _readiness(checks: Checks) -> Any:
    outcomes = await asyncio.gather(
        *(asyncio.wait_for(check(), _CHECK_SECONDS) for check in checks.values()), return_exceptions=True
    )
    failed = [name for name, outcome in zip(checks, outcomes, strict=True) if isinstance(outcome, Exception)]
    if failed:
        return answers.of_error(Unavailable(f"not ready: {', '.join(failed)}", failed=failed))
    return {"status": "ok"}


def _document(media_type: str, make: Callable[[], bytes]) -> Run:
    """A page that never changes while the process runs, with an ETag."""
    made: asyncio.Task[tuple[bytes, str]] | None = None

    def print_it() -> tuple[bytes, str]:
        body = make()
        return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    async def run(call: Call) -> Reply:
        nonlocal made
        if made is None or (made.done() and made.exception() is not None):
            made = asyncio.create_task(asyncio.to_thread(print_it))
        body, etag = await asyncio.shield(made)
        headers = {"etag": etag, "cache-control": "no-cache"}
        if media_type.startswith("text/html"):
            headers |= {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
        if etag in (call.header("if-none-match") or ""):
            return Reply(status=304, headers=headers)
        return Reply(body=body, media_type=media_type, headers=headers)

    return run


def _asset(name: str) -> bytes:
    return (resources.files("wagate.api") / "swagger" / name).read_bytes()
