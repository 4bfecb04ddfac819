"""A client of a running gateway, from the standard library: one request, one answer or one sentence.

Called by the commands `sessions`, `events`, `webhooks` and `send`. It repeats nothing by itself, follows no redirect.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from wagate.cli.terminal import Failed, Misused
from wagate.config import load, load_client

if TYPE_CHECKING:
    from http.client import HTTPConnection

_PREFIX = "/api/v1"


class Answered(Failed):
    """The gateway said no: with which status, which code, and why."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(error.get("code", ""))
        details = error.get("details") or {}
        errors = details.get("errors") or [error.get("message") or f"the gateway answered {status}"]
        super().__init__(f"{'; '.join(map(str, errors))} ({self.code or status})")


class Client:
    """Speaks to the gateway at `url` with one key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._key = key
        self.url = url

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Any:
        """The answer's JSON, None where there is none. `path` is below /api/v1, its segments already quoted.

        Raises:
            Answered: the gateway refused.
            Failed: nobody answered, or somebody else.
        """
        from http.client import HTTPException

        sent = {"x-api-key": self._key, "Accept": "application/json", **(headers or {})}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = self._connection(timeout)
        try:
            connection.request(method, f"{self._url.path}{_PREFIX}{path}", content, sent)
            answer = connection.getresponse()
            return self._decoded(answer.status, answer.read())
        except TimeoutError:
            raise Failed(
                f"The gateway at {self.url} did not answer in {timeout:g} s; it may have done it all the same."
            ) from None
        except ConnectionRefusedError:
            raise Failed(
                f"No gateway answers at {self.url}: start one with `wagate serve`, or name another with WAGATE_URL."
            ) from None
        except (OSError, HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise Failed(f"The gateway at {self.url} cannot be reached: {reason}.") from error
        finally:
            connection.close()

    def _connection(self, timeout: float) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            return HTTPSConnection(host, port, timeout=timeout)  # which checks the certificate and the name
        return HTTPConnection(host, port, timeout=timeout)

    def _decoded(self, status: int, content: bytes) -> Any:
        try:
            answer = json.loads(content) if content else None
        except ValueError:
            answer = content
        if status < 300 and not isinstance(answer, bytes):
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(error, dict):
            raise Failed(f"What answers at {self.url} is not a gateway of ours (status {status}).")
        raise Answered(status, error)


def connect(url: str | None, key_file: Path | None) -> Client:
    """The client that the options and the environment ask for.

    Raises:
        SettingsError, Failed: there is no usable address or no key.
    """
    chosen = load_client({**os.environ, "WAGATE_URL": url} if url else None)
    if key_file is not None:
        key = _key_of(key_file)
    elif chosen.api_key:
        key = chosen.api_key
    else:
        demo = load().demo_key_file
        if not demo.is_file():
            raise Misused(
                "There is no key: set WAGATE_API_KEY or name a file with --key-file; `wagate keys create` makes one."
            )
        key = _key_of(demo)
    return Client(chosen.url, key)


def session_path(session: str, rest: str = "") -> str:
    """The path of a session, or of what is below it."""
    return f"/sessions/{quote(session, safe='')}{rest}"


def _key_of(file: Path) -> str:
    try:
        key = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"The key file {file} cannot be read: {getattr(error, 'strerror', None) or 'no text'}.") from error
    if not key.isascii() or not key.isprintable() or not key or " " in key:
        raise Failed(f"The key file {file} holds no key.")
    return key
