"""The tables of webhooks and their deliveries; as schema.py, which gives them out with the others."""

from __future__ import annotations

from sqlalchemy import Index, Table

from wagate.backends.columns import integer as _int
from wagate.backends.columns import metadata
from wagate.backends.columns import partial as _partial
from wagate.backends.columns import words as _text

webhooks = Table(
    "webhooks",
    metadata,
    _text("id", key=True),
    _text("organization_id"),
    _text("url"),
    # Names, each between line ends, so that one can be looked for in plain SQL; `every`: all of them.
    _text("events"),
    _int("every"),
    _text("session_id", null=True),
    _text("retry_policy"),
    _int("active"),
    _int("ordered"),
    # Sealed: see backends/sealing.
    _text("custom_headers", null=True),
    _text("secret", null=True),
    _text("previous_secret", null=True),
    _int("previous_until", null=True),
    _int("created_at"),
    _int("updated_at"),
    # The first failure since the last success.
    _int("failing_since", null=True),
    # Its deliveries are being removed, a piece at a time.
    _int("deleted_at", null=True),
    # It was made with its session, and goes with it.
    _int("bound", default=0),
    Index("webhooks_by_organization", "organization_id", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    _text("webhook_id", key=True),
    _text("event_id", key=True),
    _text("organization_id"),
    _text("session_id"),
    _text("event"),
    _int("timestamp"),
    # Kept from the first failure on: the event may leave the log before it is delivered.
    _text("payload", null=True),
    _text("status"),
    # 1 until it is delivered or dead.
    _int("open"),
    # For webhooks in strict order: the session, and whether nothing earlier of it is open.
    _text("lane", null=True),
    _int("ready"),
    _int("attempts", default=0),
    # When it is to be claimed; while it is claimed, when that runs out.
    _int("due_at"),
    _text("holder", null=True),
    _int("created_at"),
    _int("last_response_code", null=True),
    _text("last_error", null=True),
    # The place in a trace that its attempts hang from, as W3C Trace Context writes it.
    _text("traceparent", null=True),
    _partial("deliveries_due", "open = 1 AND ready = 1", "webhook_id", "due_at", "event_id"),
    _partial("deliveries_in_order", "open = 1 AND lane IS NOT NULL", "webhook_id", "lane", "event_id"),
    _partial("deliveries_dead", "status = 'dead'", "webhook_id", "event_id"),
    sqlite_with_rowid=False,
)
