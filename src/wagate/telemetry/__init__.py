"""What the gateway tells of itself: logs, metrics and traces. Below everything that it tells of."""

from __future__ import annotations

from wagate.telemetry.logs import bound, logger, mask, redacted, request_id, setup

__all__ = ["bound", "logger", "mask", "redacted", "request_id", "setup"]
