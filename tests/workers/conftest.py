"""The gateway, and a session that somebody holds, as the gateway's own tests have them."""

from __future__ import annotations

from tests.gateway.conftest import gw, mine, who

__all__ = ["gw", "mine", "who"]
