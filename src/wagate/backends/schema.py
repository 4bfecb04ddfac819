"""The tables, once, for both databases.

Read by the migrations and by tests; the running server only ever sees SQL. Times are epoch milliseconds, flags are 0 or
1, JSON is text. Ids that clients see are text; `position` columns give an order that no clock can turn back.
"""

from __future__ import annotations

from sqlalchemy import Index, Table

from wagate.backends.columns import integer as _int
from wagate.backends.columns import metadata
from wagate.backends.columns import partial as _partial
from wagate.backends.columns import position as _position
from wagate.backends.columns import words as _text
from wagate.backends.webhook_tables import deliveries as deliveries
from wagate.backends.webhook_tables import webhooks as webhooks

# A LID. Without a percent sign, which migrations print in two ways.
_HIDDEN = "substr(person, length(person) - 3) = '@lid'"

organizations = Table(
    "organizations",
    metadata,
    _text("id", key=True),
    _text("name"),
    _int("created_at"),
    # The log's head: the last event's time and number. An event's id is made of both, under this row's lock.
    _int("log_ms", default=0),
    _int("log_seq", default=0),
    # How many active webhooks there are: whoever records an event learns it with the log's head, at no cost.
    _int("webhooks", default=0),
)

keys = Table(
    "keys",
    metadata,
    _text("id", key=True),
    _text("organization_id"),
    _text("name"),
    _text("prefix"),
    _text("digest"),
    _text("permissions"),
    _text("session_ids", null=True),
    _int("created_at"),
    _int("expires_at", null=True),
    _int("last_used_at", null=True),
    Index("keys_by_digest", "digest", unique=True),
    Index("keys_by_organization", "organization_id", "id"),
)

sessions = Table(
    "sessions",
    metadata,
    _text("id", key=True),
    _text("organization_id"),
    _text("engine"),
    _text("status"),
    _text("status_reason", null=True),
    # What the organization wants of it: none, run, link or logout. The worker that holds the lease brings it about.
    _text("wanted", default="none"),
    _text("label", null=True),
    _text("created_by_user_id", null=True),
    _int("is_admin_session", default=0),
    _int("auto_read", default=0),
    _int("presence_typing", default=0),
    _int("rate_per_min"),
    _int("rate_per_hour"),
    _text("phone_number", null=True),
    _text("wa_jid", null=True),
    _text("wa_lid", null=True),
    _text("qr_code", null=True),
    _int("qr_expires_at", null=True),
    _text("proxy", null=True),
    _int("created_at"),
    _int("updated_at"),
    _int("last_connected_at", null=True),
    _text("gateway_id"),
    _text("holder", null=True),
    _int("epoch", default=0),
    _int("lease_until", default=0),
    # What the API that made it keeps of what its client said, in its own words.
    _text("remarks", null=True),
    # From when on somebody new may be written to, and until when WhatsApp lets it not in; null where it may.
    _int("strangers_at", null=True),
    _int("banned_until", null=True),
    Index("sessions_by_organization", "organization_id", "id"),
    Index("sessions_wanted", "wanted", "lease_until"),
)

networks = Table(
    "networks",
    metadata,
    _text("organization_id", key=True),
    _text("holder", null=True),
    _int("epoch", default=0),
    _int("lease_until", default=0),
)

outbox = Table(
    "outbox",
    metadata,
    _position("position"),
    _text("id"),
    _text("organization_id"),
    _text("session_id"),
    _text("chat_jid"),
    _text("mode"),
    _text("status"),
    # 1 when nothing earlier in the same chat is unsettled: only such entries may be claimed.
    _int("ready", default=0),
    _text("content"),
    _text("wire_id", null=True),
    _text("idempotency_key", null=True),
    _text("body_digest"),
    _int("created_at"),
    # When the send was counted against the session's budget.
    _int("budgeted_at", null=True),
    _int("dispatched_at", null=True),
    # How often it was claimed: after a crash or a lost line the same wire id goes out again.
    _int("attempts", default=0),
    _int("epoch", null=True),
    _int("settled_at", null=True),
    _int("timestamp", null=True),
    _text("error", null=True),
    # The place in a trace that its sending hangs from, as W3C Trace Context writes it.
    _text("traceparent", null=True),
    Index("outbox_by_id", "id", unique=True),
    _partial("outbox_by_key", "idempotency_key IS NOT NULL", "organization_id", "idempotency_key", unique=True),
    _partial("outbox_due", "status = 'queued'", "session_id", "ready", "position"),
    _partial("outbox_open", "settled_at IS NULL", "session_id", "chat_jid", "position"),
    _partial("outbox_pending", "status = 'pending'", "session_id", "position"),
    _partial("outbox_keyed", "idempotency_key IS NOT NULL", "created_at"),
    _partial("outbox_uncertain", "status = 'uncertain'", "session_id", "chat_jid"),
    _partial("outbox_budget", "budgeted_at IS NOT NULL", "session_id", "budgeted_at"),
    Index("outbox_by_session", "session_id", "position"),
)

messages = Table(
    "messages",
    metadata,
    _position("position"),
    _text("id"),
    _text("organization_id"),
    _text("session_id"),
    _text("chat_jid"),
    _text("wire_id"),
    # The author's canonical JID; empty for the account itself.
    _text("author"),
    _int("from_me"),
    _text("type"),
    _int("timestamp"),
    _int("created_at"),
    _int("deleted", default=0),
    # When it was last edited; 0: never.
    _int("edited", default=0),
    _text("sender_jid", null=True),
    _text("sender_lid", null=True),
    _text("sender_name", null=True),
    _text("body", null=True),
    _text("content"),
    _text("status", null=True),
    _int("ack_level", null=True),
    _text("error", null=True),
    # The wire id comes first, so that one index finds a message without its chat, too.
    Index("messages_once", "session_id", "wire_id", "chat_jid", "author", unique=True),
    Index("messages_by_chat", "session_id", "chat_jid", "timestamp", "position"),
    # Authors of whom only one address was known: found when the other one is learnt.
    _partial("messages_without_phone", "sender_jid IS NULL AND sender_lid IS NOT NULL", "session_id", "sender_lid"),
    _partial("messages_without_lid", "sender_lid IS NULL AND sender_jid IS NOT NULL", "session_id", "sender_jid"),
)

receipts = Table(
    "receipts",
    metadata,
    _text("session_id", key=True),
    _text("chat_jid", key=True),
    _text("wire_id", key=True),
    _text("person", key=True),
    _text("organization_id"),
    _int("level"),
    _partial("receipts_without_phone", _HIDDEN, "person"),
    sqlite_with_rowid=False,
)

media = Table(
    "media",
    metadata,
    # The key of the bytes in the blob store, too.
    _text("id", key=True),
    _text("organization_id"),
    # The session whose message holds it; null: an upload that waits to be said.
    _text("session_id", null=True),
    _text("mimetype"),
    _text("filename", null=True),
    _int("size"),
    _text("sha256"),
    _int("created_at"),
    _int("expires_at"),
    # When the bytes were removed.
    _int("gone_at", null=True),
    Index("media_by_session", "session_id", "id"),
    _partial("media_here", "gone_at IS NULL", "expires_at"),
)

reactions = Table(
    "reactions",
    metadata,
    # The message (its author as in messages), and who reacted: a canonical JID.
    _text("session_id", key=True),
    _text("chat_jid", key=True),
    _text("wire_id", key=True),
    _text("author", key=True),
    _text("person", key=True),
    _text("organization_id"),
    _text("emoji"),
    _int("timestamp"),
    _partial("reactions_without_phone", _HIDDEN, "person"),
    sqlite_with_rowid=False,
)

votes = Table(
    "votes",
    metadata,
    # The poll (its author as in messages), and who voted: a canonical JID. `options`: the full set of labels, JSON.
    _text("session_id", key=True),
    _text("chat_jid", key=True),
    _text("wire_id", key=True),
    _text("author", key=True),
    _text("person", key=True),
    _text("organization_id"),
    _text("name", null=True),
    _text("options"),
    _int("timestamp"),
    _partial("votes_without_phone", _HIDDEN, "person"),
    sqlite_with_rowid=False,
)

polls = Table(
    "polls",
    metadata,
    # Polls that end by themselves: each is counted once.
    _text("session_id", key=True),
    _text("chat_jid", key=True),
    _text("wire_id", key=True),
    _text("author", key=True),
    _text("organization_id"),
    _int("ends_at"),
    _int("recapped_at", null=True),
    _partial("polls_due", "recapped_at IS NULL", "ends_at"),
    sqlite_with_rowid=False,
)

backfills = Table(
    "backfills",
    metadata,
    _text("id", key=True),
    _text("organization_id"),
    _text("session_id"),
    _text("status"),
    _int("contacts", default=0),
    _int("groups", default=0),
    _int("group_members", default=0),
    _int("started_at"),
    _int("finished_at", null=True),
    _text("error", null=True),
    # One on record for each session: the newest.
    Index("backfills_by_session", "session_id", unique=True),
    _partial("backfills_running", "status = 'running'", "session_id"),
)

chats = Table(
    "chats",
    metadata,
    _position("id"),
    _text("organization_id"),
    _text("session_id"),
    _text("jid"),
    _text("name", null=True),
    _int("unread_count", default=0),
    _int("archived", default=0),
    _int("pinned", default=0),
    _int("last_message_at", null=True),
    _int("muted_until", null=True),
    _text("aliases", null=True),
    Index("chats_once", "session_id", "jid", unique=True),
    Index("chats_by_time", "session_id", "pinned", "last_message_at", "id"),
)

contacts = Table(
    "contacts",
    metadata,
    _position("id"),
    _text("organization_id"),
    _text("session_id"),
    _text("jid", null=True),
    _text("lid", null=True),
    _text("push_name", null=True),
    _text("full_name", null=True),
    _text("business_name", null=True),
    _int("first_seen_at"),
    _int("updated_at"),
    # How the session knows them: from a chat of their own, from a group.
    _int("direct", default=0),
    _int("grouped", default=0),
    # Name and number, case folded: what a search looks through.
    _text("search", default=""),
    Index("contacts_in_order", "session_id", "id"),
    _partial("contacts_direct", "direct = 1 OR grouped = 0", "session_id", "id"),
    _partial("contacts_grouped", "grouped = 1", "session_id", "id"),
    Index("contacts_by_jid", "session_id", "jid", unique=True),
    Index("contacts_by_lid", "session_id", "lid", unique=True),
)

groups = Table(
    "groups",
    metadata,
    _position("id"),
    _text("organization_id"),
    _text("session_id"),
    _text("group_jid"),
    _text("subject", null=True),
    _text("description", null=True),
    _text("owner_jid", null=True),
    _int("is_announce", null=True),
    _int("is_locked", null=True),
    _int("created_at_wa", null=True),
    _int("first_seen_at"),
    _int("updated_at"),
    # The organization's own marks: a list of texts.
    _text("tags", null=True),
    Index("groups_once", "session_id", "group_jid", unique=True),
)

members = Table(
    "members",
    metadata,
    _position("id"),
    _text("organization_id"),
    _text("session_id"),
    _text("group_jid"),
    # The member's canonical JID: the phone JID if known, else the LID.
    _text("jid"),
    _text("lid"),
    _text("phone_number", null=True),
    _text("role"),
    _text("tag", null=True),
    _int("present", default=1),
    _int("first_seen_at"),
    _int("last_seen_at"),
    Index("members_by_lid", "session_id", "lid"),
    Index("members_once", "session_id", "group_jid", "jid", unique=True),
)

events = Table(
    "events",
    metadata,
    _text("organization_id", key=True),
    _text("id", key=True),
    _text("session_id"),
    _text("event"),
    _int("timestamp"),
    _text("payload"),
    sqlite_with_rowid=False,
)

tickets = Table(
    "tickets",
    metadata,
    # A realtime connection's credential: its SHA-256, and the key's as it was then. Redeemed by being removed.
    _text("digest", key=True),
    _text("organization_id"),
    _text("key_id", null=True),
    _text("key_digest", null=True),
    _text("user_id", null=True),
    _text("scope"),
    _text("session_id", null=True),
    # Names as JSON; null: all.
    _text("events", null=True),
    _text("since", null=True),
    _int("expires_at"),
    # When the login token is over that a person asked with.
    _int("login_until", null=True),
    Index("tickets_by_end", "expires_at"),
)

purges = Table(
    "purges",
    metadata,
    # A deleted session whose stored data is still being removed, a piece at a time.
    _text("session_id", key=True),
    _text("organization_id"),
    _text("engine"),
)

engine_records = Table(
    "engine_records",
    metadata,
    # What engines keep, in their own transactions; never joined with the gateway's own tables.
    _text("engine", key=True),
    _text("scope", key=True),
    _text("key", key=True),
    _text("value"),
    sqlite_with_rowid=False,
)
