"""Linking a session from a terminal: show the code, show the next one, wait until the session works.

Called by `wagate sessions link`. It polls: a terminal holds no cursor on the event log.
"""

from __future__ import annotations

import io
import time
from typing import Any

from wagate.cli.client import Answered, Client, session_path
from wagate.cli.terminal import Failed, note, working

_POLL_SECONDS = 0.25


class Linking:
    """One attempt to link a session: by QR code, or by a code to type on the phone with the number `phone`."""

    def __init__(self, client: Client, session: str, *, phone: str | None, scan: bool) -> None:
        self._client = client
        self._session = session
        self._phone = phone
        self._scan = scan
        self._shown: str | None = None

    def finish(self, timeout: float) -> dict[str, Any]:
        """The session as soon as it works.

        Raises:
            Failed: the phone did not come, or the network said no.
        """
        deadline = time.monotonic() + timeout
        begun = False
        with working("waiting for the phone"):
            while time.monotonic() < deadline:
                found: dict[str, Any] = self._client.call("GET", session_path(self._session))
                if found["status"] == "working":
                    return found
                if begun and found["status"] in ("failed", "logged_out", "stopped"):
                    raise Failed(f"Linking ended: {found.get('statusReason') or found['status']}.")
                code = None if "waJid" in found else self._code()
                begun = True
                if code is not None and code != self._shown:
                    self._show(code)
                time.sleep(_POLL_SECONDS)
        raise Failed(f"No phone linked the session within {timeout:g} s.")

    def _code(self) -> str | None:
        """The code to show now; None while there is none."""
        if self._phone is not None and self._shown is not None:
            return self._shown
        try:
            if self._phone is not None:
                path = session_path(self._session, "/pairing-code")
                return str(self._client.call("POST", path, {"phone": self._phone})["code"])
            return str(self._client.call("GET", session_path(self._session, "/qr"))["code"])
        except Answered as answer:
            # 404: not ready yet. 400 to a QR: a phone took it meanwhile, the session's status will tell.
            if answer.status == 404 or (answer.status == 400 and self._shown is not None):
                return None
            raise

    def _show(self, code: str) -> None:
        first, self._shown = self._shown is None, code
        if self._scan:
            if first:
                wish = {} if self._phone is None else {"phone": self._phone}
                self._client.call("POST", f"/sandbox{session_path(self._session, ':scan')}", wish)
        elif self._phone is not None:
            note(f"On the phone: linked devices, link with the phone number instead, and type {code}.")
        else:
            note(f"{_drawn(code)}\nOn the phone: linked devices, link a device, and scan this code.")


def _drawn(code: str) -> str:
    import segno

    picture = io.StringIO()
    segno.make(code, error="l", micro=False, boost_error=False).terminal(picture, border=2, compact=True)
    return picture.getvalue().rstrip("\n")
