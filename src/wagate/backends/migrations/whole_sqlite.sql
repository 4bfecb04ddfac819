-- Everything that versions/ says to an empty database, printed by `make docs`.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE organizations (
    id TEXT NOT NULL, 
    name TEXT NOT NULL, 
    created_at BIGINT NOT NULL, 
    log_ms BIGINT DEFAULT '0' NOT NULL, 
    log_seq BIGINT DEFAULT '0' NOT NULL, 
    PRIMARY KEY (id)
);
CREATE TABLE keys (
    id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    name TEXT NOT NULL, 
    prefix TEXT NOT NULL, 
    digest TEXT NOT NULL, 
    permissions TEXT NOT NULL, 
    session_ids TEXT, 
    created_at BIGINT NOT NULL, 
    expires_at BIGINT, 
    last_used_at BIGINT, 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX keys_by_digest ON keys (digest);
CREATE INDEX keys_by_organization ON keys (organization_id, id);
CREATE TABLE sessions (
    id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    engine TEXT NOT NULL, 
    status TEXT NOT NULL, 
    status_reason TEXT, 
    wanted TEXT DEFAULT 'none' NOT NULL, 
    label TEXT, 
    created_by_user_id TEXT, 
    is_admin_session BIGINT DEFAULT '0' NOT NULL, 
    auto_read BIGINT DEFAULT '0' NOT NULL, 
    presence_typing BIGINT DEFAULT '0' NOT NULL, 
    rate_per_min BIGINT NOT NULL, 
    rate_per_hour BIGINT NOT NULL, 
    phone_number TEXT, 
    wa_jid TEXT, 
    wa_lid TEXT, 
    qr_code TEXT, 
    qr_expires_at BIGINT, 
    proxy TEXT, 
    created_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    last_connected_at BIGINT, 
    gateway_id TEXT NOT NULL, 
    holder TEXT, 
    epoch BIGINT DEFAULT '0' NOT NULL, 
    lease_until BIGINT DEFAULT '0' NOT NULL, 
    PRIMARY KEY (id)
);
CREATE INDEX sessions_by_organization ON sessions (organization_id, id);
CREATE INDEX sessions_wanted ON sessions (wanted, lease_until);
CREATE TABLE networks (
    organization_id TEXT NOT NULL, 
    holder TEXT, 
    epoch BIGINT DEFAULT '0' NOT NULL, 
    lease_until BIGINT DEFAULT '0' NOT NULL, 
    PRIMARY KEY (organization_id)
);
CREATE TABLE outbox (
    position INTEGER NOT NULL, 
    id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    chat_jid TEXT NOT NULL, 
    mode TEXT NOT NULL, 
    status TEXT NOT NULL, 
    ready BIGINT DEFAULT '0' NOT NULL, 
    content TEXT NOT NULL, 
    wire_id TEXT, 
    idempotency_key TEXT, 
    body_digest TEXT NOT NULL, 
    created_at BIGINT NOT NULL, 
    budgeted_at BIGINT, 
    dispatched_at BIGINT, 
    attempts BIGINT DEFAULT '0' NOT NULL, 
    epoch BIGINT, 
    settled_at BIGINT, 
    timestamp BIGINT, 
    error TEXT, 
    PRIMARY KEY (position)
);
CREATE INDEX outbox_budget ON outbox (session_id, budgeted_at) WHERE budgeted_at IS NOT NULL;
CREATE UNIQUE INDEX outbox_by_id ON outbox (id);
CREATE UNIQUE INDEX outbox_by_key ON outbox (organization_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX outbox_by_session ON outbox (session_id, position);
CREATE INDEX outbox_due ON outbox (session_id, ready, position) WHERE status = 'queued';
CREATE INDEX outbox_keyed ON outbox (created_at) WHERE idempotency_key IS NOT NULL;
CREATE INDEX outbox_open ON outbox (session_id, chat_jid, position) WHERE settled_at IS NULL;
CREATE INDEX outbox_pending ON outbox (session_id, position) WHERE status = 'pending';
CREATE INDEX outbox_uncertain ON outbox (session_id, chat_jid) WHERE status = 'uncertain';
CREATE TABLE messages (
    position INTEGER NOT NULL, 
    id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    chat_jid TEXT NOT NULL, 
    wire_id TEXT NOT NULL, 
    author TEXT NOT NULL, 
    from_me BIGINT NOT NULL, 
    type TEXT NOT NULL, 
    timestamp BIGINT NOT NULL, 
    created_at BIGINT NOT NULL, 
    deleted BIGINT DEFAULT '0' NOT NULL, 
    edited BIGINT DEFAULT '0' NOT NULL, 
    sender_jid TEXT, 
    sender_lid TEXT, 
    sender_name TEXT, 
    body TEXT, 
    content TEXT NOT NULL, 
    status TEXT, 
    ack_level BIGINT, 
    error TEXT, 
    PRIMARY KEY (position)
);
CREATE INDEX messages_by_chat ON messages (session_id, chat_jid, timestamp, position);
CREATE UNIQUE INDEX messages_once ON messages (session_id, wire_id, chat_jid, author);
CREATE TABLE receipts (
    session_id TEXT NOT NULL, 
    chat_jid TEXT NOT NULL, 
    wire_id TEXT NOT NULL, 
    person TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    level BIGINT NOT NULL, 
    PRIMARY KEY (session_id, chat_jid, wire_id, person)
)
 WITHOUT ROWID;
CREATE TABLE chats (
    id INTEGER NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    jid TEXT NOT NULL, 
    name TEXT, 
    unread_count BIGINT DEFAULT '0' NOT NULL, 
    archived BIGINT DEFAULT '0' NOT NULL, 
    pinned BIGINT DEFAULT '0' NOT NULL, 
    last_message_at BIGINT, 
    muted_until BIGINT, 
    aliases TEXT, 
    PRIMARY KEY (id)
);
CREATE INDEX chats_by_time ON chats (session_id, pinned, last_message_at, id);
CREATE UNIQUE INDEX chats_once ON chats (session_id, jid);
CREATE TABLE contacts (
    id INTEGER NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    jid TEXT, 
    lid TEXT, 
    push_name TEXT, 
    full_name TEXT, 
    business_name TEXT, 
    first_seen_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX contacts_by_jid ON contacts (session_id, jid);
CREATE UNIQUE INDEX contacts_by_lid ON contacts (session_id, lid);
CREATE TABLE groups (
    id INTEGER NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    group_jid TEXT NOT NULL, 
    subject TEXT, 
    description TEXT, 
    owner_jid TEXT, 
    is_announce BIGINT, 
    is_locked BIGINT, 
    created_at_wa BIGINT, 
    first_seen_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX groups_once ON groups (session_id, group_jid);
CREATE TABLE members (
    id INTEGER NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    group_jid TEXT NOT NULL, 
    jid TEXT NOT NULL, 
    lid TEXT NOT NULL, 
    phone_number TEXT, 
    role TEXT NOT NULL, 
    tag TEXT, 
    present BIGINT DEFAULT '1' NOT NULL, 
    first_seen_at BIGINT NOT NULL, 
    last_seen_at BIGINT NOT NULL, 
    PRIMARY KEY (id)
);
CREATE INDEX members_by_lid ON members (session_id, lid);
CREATE UNIQUE INDEX members_once ON members (session_id, group_jid, jid);
CREATE TABLE events (
    organization_id TEXT NOT NULL, 
    id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    event TEXT NOT NULL, 
    timestamp BIGINT NOT NULL, 
    payload TEXT NOT NULL, 
    PRIMARY KEY (organization_id, id)
)
 WITHOUT ROWID;
CREATE TABLE purges (
    session_id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    engine TEXT NOT NULL, 
    PRIMARY KEY (session_id)
);
CREATE TABLE engine_records (
    engine TEXT NOT NULL, 
    scope TEXT NOT NULL, 
    "key" TEXT NOT NULL, 
    value TEXT NOT NULL, 
    PRIMARY KEY (engine, scope, "key")
)
 WITHOUT ROWID;
INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING version_num;
CREATE TABLE media (
    id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT, 
    mimetype TEXT NOT NULL, 
    filename TEXT, 
    size BIGINT NOT NULL, 
    sha256 TEXT NOT NULL, 
    created_at BIGINT NOT NULL, 
    expires_at BIGINT NOT NULL, 
    gone_at BIGINT, 
    PRIMARY KEY (id)
);
CREATE INDEX media_by_session ON media (session_id, id);
CREATE INDEX media_here ON media (expires_at) WHERE gone_at IS NULL;
CREATE TABLE reactions (
    session_id TEXT NOT NULL, 
    chat_jid TEXT NOT NULL, 
    wire_id TEXT NOT NULL, 
    author TEXT NOT NULL, 
    person TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    emoji TEXT NOT NULL, 
    timestamp BIGINT NOT NULL, 
    PRIMARY KEY (session_id, chat_jid, wire_id, author, person)
)
 WITHOUT ROWID;
CREATE TABLE votes (
    session_id TEXT NOT NULL, 
    chat_jid TEXT NOT NULL, 
    wire_id TEXT NOT NULL, 
    author TEXT NOT NULL, 
    person TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    name TEXT, 
    options TEXT NOT NULL, 
    timestamp BIGINT NOT NULL, 
    PRIMARY KEY (session_id, chat_jid, wire_id, author, person)
)
 WITHOUT ROWID;
CREATE TABLE polls (
    session_id TEXT NOT NULL, 
    chat_jid TEXT NOT NULL, 
    wire_id TEXT NOT NULL, 
    author TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    ends_at BIGINT NOT NULL, 
    recapped_at BIGINT, 
    PRIMARY KEY (session_id, chat_jid, wire_id, author)
)
 WITHOUT ROWID;
CREATE INDEX polls_due ON polls (ends_at) WHERE recapped_at IS NULL;
CREATE TABLE backfills (
    id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    status TEXT NOT NULL, 
    contacts BIGINT DEFAULT '0' NOT NULL, 
    groups BIGINT DEFAULT '0' NOT NULL, 
    group_members BIGINT DEFAULT '0' NOT NULL, 
    started_at BIGINT NOT NULL, 
    finished_at BIGINT, 
    error TEXT, 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX backfills_by_session ON backfills (session_id);
CREATE INDEX backfills_running ON backfills (session_id) WHERE status = 'running';
ALTER TABLE contacts ADD COLUMN direct BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE contacts ADD COLUMN grouped BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE contacts ADD COLUMN search TEXT DEFAULT '' NOT NULL;
INSERT INTO contacts (organization_id, session_id, jid, lid, first_seen_at, updated_at)
SELECT h.organization_id, h.session_id, CASE WHEN substr(h.jid, length(h.jid) - 3) = '@lid' THEN NULL ELSE h.jid END,
  CASE WHEN substr(h.jid, length(h.jid) - 3) = '@lid' THEN h.jid ELSE NULL END,
  COALESCE(h.last_message_at, 0), COALESCE(h.last_message_at, 0)
FROM chats h WHERE (substr(h.jid, length(h.jid) - 14) = '@s.whatsapp.net'
    OR substr(h.jid, length(h.jid) - 3) = '@lid')
  AND NOT EXISTS (
  SELECT 1 FROM contacts c WHERE c.session_id = h.session_id AND (c.jid = h.jid OR c.lid = h.jid));
INSERT INTO contacts (organization_id, session_id, jid, lid, first_seen_at, updated_at)
SELECT m.organization_id, m.session_id, CASE WHEN substr(m.jid, length(m.jid) - 3) = '@lid' THEN NULL ELSE m.jid END,
  CASE WHEN substr(m.lid, length(m.lid) - 3) = '@lid' THEN m.lid ELSE NULL END, m.first_seen_at, m.last_seen_at
FROM members m WHERE NOT EXISTS (
  SELECT 1 FROM contacts c WHERE c.session_id = m.session_id AND (c.jid = m.jid OR c.lid = m.lid))
  AND NOT EXISTS (SELECT 1 FROM members n WHERE n.session_id = m.session_id AND n.id < m.id
    AND (n.jid = m.jid OR n.lid = m.lid));
UPDATE contacts SET direct = 1 WHERE EXISTS (
  SELECT 1 FROM chats h WHERE h.session_id = contacts.session_id AND h.jid IN (contacts.jid, contacts.lid));
UPDATE contacts SET grouped = 1 WHERE EXISTS (
  SELECT 1 FROM members m WHERE m.session_id = contacts.session_id AND m.lid IN (contacts.lid, contacts.jid));
UPDATE contacts SET search = LOWER(COALESCE(full_name, push_name, '')) || ' '
  || REPLACE(COALESCE(jid, ''), '@s.whatsapp.net', '');
CREATE INDEX contacts_in_order ON contacts (session_id, id);
CREATE INDEX contacts_direct ON contacts (session_id, id) WHERE direct = 1 OR grouped = 0;
CREATE INDEX contacts_grouped ON contacts (session_id, id) WHERE grouped = 1;
CREATE INDEX messages_without_phone ON messages (session_id, sender_lid) WHERE sender_jid IS NULL AND sender_lid IS NOT NULL;
CREATE INDEX messages_without_lid ON messages (session_id, sender_jid) WHERE sender_lid IS NULL AND sender_jid IS NOT NULL;
CREATE INDEX receipts_without_phone ON receipts (person) WHERE substr(person, length(person) - 3) = '@lid';
CREATE INDEX reactions_without_phone ON reactions (person) WHERE substr(person, length(person) - 3) = '@lid';
CREATE INDEX votes_without_phone ON votes (person) WHERE substr(person, length(person) - 3) = '@lid';
UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';
CREATE TABLE tickets (
    digest TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    key_id TEXT, 
    key_digest TEXT, 
    user_id TEXT, 
    scope TEXT NOT NULL, 
    session_id TEXT, 
    events TEXT, 
    since TEXT, 
    expires_at BIGINT NOT NULL, 
    PRIMARY KEY (digest)
);
CREATE INDEX tickets_by_end ON tickets (expires_at);
UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';
ALTER TABLE organizations ADD COLUMN webhooks BIGINT DEFAULT '0' NOT NULL;
CREATE TABLE webhooks (
    id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    url TEXT NOT NULL, 
    events TEXT NOT NULL, 
    every BIGINT NOT NULL, 
    session_id TEXT, 
    retry_policy TEXT NOT NULL, 
    active BIGINT NOT NULL, 
    ordered BIGINT NOT NULL, 
    custom_headers TEXT, 
    secret TEXT, 
    previous_secret TEXT, 
    previous_until BIGINT, 
    created_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    failing_since BIGINT, 
    deleted_at BIGINT, 
    PRIMARY KEY (id)
);
CREATE INDEX webhooks_by_organization ON webhooks (organization_id, id);
CREATE TABLE deliveries (
    webhook_id TEXT NOT NULL, 
    event_id TEXT NOT NULL, 
    organization_id TEXT NOT NULL, 
    session_id TEXT NOT NULL, 
    event TEXT NOT NULL, 
    timestamp BIGINT NOT NULL, 
    payload TEXT, 
    status TEXT NOT NULL, 
    open BIGINT NOT NULL, 
    lane TEXT, 
    ready BIGINT NOT NULL, 
    attempts BIGINT DEFAULT '0' NOT NULL, 
    due_at BIGINT NOT NULL, 
    holder TEXT, 
    created_at BIGINT NOT NULL, 
    last_response_code BIGINT, 
    last_error TEXT, 
    PRIMARY KEY (webhook_id, event_id)
)
 WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at, event_id) WHERE open = 1 AND ready = 1;
CREATE INDEX deliveries_in_order ON deliveries (webhook_id, lane, event_id) WHERE open = 1 AND lane IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (webhook_id, event_id) WHERE status = 'dead';
UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';
ALTER TABLE outbox ADD COLUMN traceparent TEXT;
ALTER TABLE deliveries ADD COLUMN traceparent TEXT;
UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';
ALTER TABLE sessions ADD COLUMN remarks TEXT;
ALTER TABLE groups ADD COLUMN tags TEXT;
ALTER TABLE webhooks ADD COLUMN bound BIGINT DEFAULT '0' NOT NULL;
UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';
ALTER TABLE tickets ADD COLUMN login_until BIGINT;
UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';
ALTER TABLE sessions ADD COLUMN strangers_at BIGINT;
ALTER TABLE sessions ADD COLUMN banned_until BIGINT;
UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';
