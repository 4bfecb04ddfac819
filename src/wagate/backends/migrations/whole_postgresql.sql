-- Everything that versions/ says to an empty database, printed by `make docs`.
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE organizations (
    id TEXT COLLATE "C" NOT NULL, 
    name TEXT COLLATE "C" NOT NULL, 
    created_at BIGINT NOT NULL, 
    log_ms BIGINT DEFAULT '0' NOT NULL, 
    log_seq BIGINT DEFAULT '0' NOT NULL, 
    PRIMARY KEY (id)
);
CREATE TABLE keys (
    id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    name TEXT COLLATE "C" NOT NULL, 
    prefix TEXT COLLATE "C" NOT NULL, 
    digest TEXT COLLATE "C" NOT NULL, 
    permissions TEXT COLLATE "C" NOT NULL, 
    session_ids TEXT COLLATE "C", 
    created_at BIGINT NOT NULL, 
    expires_at BIGINT, 
    last_used_at BIGINT, 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX keys_by_digest ON keys (digest);
CREATE INDEX keys_by_organization ON keys (organization_id, id);
CREATE TABLE sessions (
    id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    engine TEXT COLLATE "C" NOT NULL, 
    status TEXT COLLATE "C" NOT NULL, 
    status_reason TEXT COLLATE "C", 
    wanted TEXT COLLATE "C" DEFAULT 'none' NOT NULL, 
    label TEXT COLLATE "C", 
    created_by_user_id TEXT COLLATE "C", 
    is_admin_session BIGINT DEFAULT '0' NOT NULL, 
    auto_read BIGINT DEFAULT '0' NOT NULL, 
    presence_typing BIGINT DEFAULT '0' NOT NULL, 
    rate_per_min BIGINT NOT NULL, 
    rate_per_hour BIGINT NOT NULL, 
    phone_number TEXT COLLATE "C", 
    wa_jid TEXT COLLATE "C", 
    wa_lid TEXT COLLATE "C", 
    qr_code TEXT COLLATE "C", 
    qr_expires_at BIGINT, 
    proxy TEXT COLLATE "C", 
    created_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    last_connected_at BIGINT, 
    gateway_id TEXT COLLATE "C" NOT NULL, 
    holder TEXT COLLATE "C", 
    epoch BIGINT DEFAULT '0' NOT NULL, 
    lease_until BIGINT DEFAULT '0' NOT NULL, 
    PRIMARY KEY (id)
);
CREATE INDEX sessions_by_organization ON sessions (organization_id, id);
CREATE INDEX sessions_wanted ON sessions (wanted, lease_until);
CREATE TABLE networks (
    organization_id TEXT COLLATE "C" NOT NULL, 
    holder TEXT COLLATE "C", 
    epoch BIGINT DEFAULT '0' NOT NULL, 
    lease_until BIGINT DEFAULT '0' NOT NULL, 
    PRIMARY KEY (organization_id)
);
CREATE TABLE outbox (
    position BIGSERIAL NOT NULL, 
    id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    chat_jid TEXT COLLATE "C" NOT NULL, 
    mode TEXT COLLATE "C" NOT NULL, 
    status TEXT COLLATE "C" NOT NULL, 
    ready BIGINT DEFAULT '0' NOT NULL, 
    content TEXT COLLATE "C" NOT NULL, 
    wire_id TEXT COLLATE "C", 
    idempotency_key TEXT COLLATE "C", 
    body_digest TEXT COLLATE "C" NOT NULL, 
    created_at BIGINT NOT NULL, 
    budgeted_at BIGINT, 
    dispatched_at BIGINT, 
    attempts BIGINT DEFAULT '0' NOT NULL, 
    epoch BIGINT, 
    settled_at BIGINT, 
    timestamp BIGINT, 
    error TEXT COLLATE "C", 
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
    position BIGSERIAL NOT NULL, 
    id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    chat_jid TEXT COLLATE "C" NOT NULL, 
    wire_id TEXT COLLATE "C" NOT NULL, 
    author TEXT COLLATE "C" NOT NULL, 
    from_me BIGINT NOT NULL, 
    type TEXT COLLATE "C" NOT NULL, 
    timestamp BIGINT NOT NULL, 
    created_at BIGINT NOT NULL, 
    deleted BIGINT DEFAULT '0' NOT NULL, 
    edited BIGINT DEFAULT '0' NOT NULL, 
    sender_jid TEXT COLLATE "C", 
    sender_lid TEXT COLLATE "C", 
    sender_name TEXT COLLATE "C", 
    body TEXT COLLATE "C", 
    content TEXT COLLATE "C" NOT NULL, 
    status TEXT COLLATE "C", 
    ack_level BIGINT, 
    error TEXT COLLATE "C", 
    PRIMARY KEY (position)
);
CREATE INDEX messages_by_chat ON messages (session_id, chat_jid, timestamp, position);
CREATE UNIQUE INDEX messages_once ON messages (session_id, wire_id, chat_jid, author);
CREATE TABLE receipts (
    session_id TEXT COLLATE "C" NOT NULL, 
    chat_jid TEXT COLLATE "C" NOT NULL, 
    wire_id TEXT COLLATE "C" NOT NULL, 
    person TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    level BIGINT NOT NULL, 
    PRIMARY KEY (session_id, chat_jid, wire_id, person)
);
CREATE TABLE chats (
    id BIGSERIAL NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    jid TEXT COLLATE "C" NOT NULL, 
    name TEXT COLLATE "C", 
    unread_count BIGINT DEFAULT '0' NOT NULL, 
    archived BIGINT DEFAULT '0' NOT NULL, 
    pinned BIGINT DEFAULT '0' NOT NULL, 
    last_message_at BIGINT, 
    muted_until BIGINT, 
    aliases TEXT COLLATE "C", 
    PRIMARY KEY (id)
);
CREATE INDEX chats_by_time ON chats (session_id, pinned, last_message_at, id);
CREATE UNIQUE INDEX chats_once ON chats (session_id, jid);
CREATE TABLE contacts (
    id BIGSERIAL NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    jid TEXT COLLATE "C", 
    lid TEXT COLLATE "C", 
    push_name TEXT COLLATE "C", 
    full_name TEXT COLLATE "C", 
    business_name TEXT COLLATE "C", 
    first_seen_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX contacts_by_jid ON contacts (session_id, jid);
CREATE UNIQUE INDEX contacts_by_lid ON contacts (session_id, lid);
CREATE TABLE groups (
    id BIGSERIAL NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    group_jid TEXT COLLATE "C" NOT NULL, 
    subject TEXT COLLATE "C", 
    description TEXT COLLATE "C", 
    owner_jid TEXT COLLATE "C", 
    is_announce BIGINT, 
    is_locked BIGINT, 
    created_at_wa BIGINT, 
    first_seen_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX groups_once ON groups (session_id, group_jid);
CREATE TABLE members (
    id BIGSERIAL NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    group_jid TEXT COLLATE "C" NOT NULL, 
    jid TEXT COLLATE "C" NOT NULL, 
    lid TEXT COLLATE "C" NOT NULL, 
    phone_number TEXT COLLATE "C", 
    role TEXT COLLATE "C" NOT NULL, 
    tag TEXT COLLATE "C", 
    present BIGINT DEFAULT '1' NOT NULL, 
    first_seen_at BIGINT NOT NULL, 
    last_seen_at BIGINT NOT NULL, 
    PRIMARY KEY (id)
);
CREATE INDEX members_by_lid ON members (session_id, lid);
CREATE UNIQUE INDEX members_once ON members (session_id, group_jid, jid);
CREATE TABLE events (
    organization_id TEXT COLLATE "C" NOT NULL, 
    id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    event TEXT COLLATE "C" NOT NULL, 
    timestamp BIGINT NOT NULL, 
    payload TEXT COLLATE "C" NOT NULL, 
    PRIMARY KEY (organization_id, id)
);
CREATE TABLE purges (
    session_id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    engine TEXT COLLATE "C" NOT NULL, 
    PRIMARY KEY (session_id)
);
CREATE TABLE engine_records (
    engine TEXT COLLATE "C" NOT NULL, 
    scope TEXT COLLATE "C" NOT NULL, 
    key TEXT COLLATE "C" NOT NULL, 
    value TEXT COLLATE "C" NOT NULL, 
    PRIMARY KEY (engine, scope, key)
);
INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;
CREATE TABLE media (
    id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C", 
    mimetype TEXT COLLATE "C" NOT NULL, 
    filename TEXT COLLATE "C", 
    size BIGINT NOT NULL, 
    sha256 TEXT COLLATE "C" NOT NULL, 
    created_at BIGINT NOT NULL, 
    expires_at BIGINT NOT NULL, 
    gone_at BIGINT, 
    PRIMARY KEY (id)
);
CREATE INDEX media_by_session ON media (session_id, id);
CREATE INDEX media_here ON media (expires_at) WHERE gone_at IS NULL;
CREATE TABLE reactions (
    session_id TEXT COLLATE "C" NOT NULL, 
    chat_jid TEXT COLLATE "C" NOT NULL, 
    wire_id TEXT COLLATE "C" NOT NULL, 
    author TEXT COLLATE "C" NOT NULL, 
    person TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    emoji TEXT COLLATE "C" NOT NULL, 
    timestamp BIGINT NOT NULL, 
    PRIMARY KEY (session_id, chat_jid, wire_id, author, person)
);
CREATE TABLE votes (
    session_id TEXT COLLATE "C" NOT NULL, 
    chat_jid TEXT COLLATE "C" NOT NULL, 
    wire_id TEXT COLLATE "C" NOT NULL, 
    author TEXT COLLATE "C" NOT NULL, 
    person TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    name TEXT COLLATE "C", 
    options TEXT COLLATE "C" NOT NULL, 
    timestamp BIGINT NOT NULL, 
    PRIMARY KEY (session_id, chat_jid, wire_id, author, person)
);
CREATE TABLE polls (
    session_id TEXT COLLATE "C" NOT NULL, 
    chat_jid TEXT COLLATE "C" NOT NULL, 
    wire_id TEXT COLLATE "C" NOT NULL, 
    author TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    ends_at BIGINT NOT NULL, 
    recapped_at BIGINT, 
    PRIMARY KEY (session_id, chat_jid, wire_id, author)
);
CREATE INDEX polls_due ON polls (ends_at) WHERE recapped_at IS NULL;
CREATE TABLE backfills (
    id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    status TEXT COLLATE "C" NOT NULL, 
    contacts BIGINT DEFAULT '0' NOT NULL, 
    groups BIGINT DEFAULT '0' NOT NULL, 
    group_members BIGINT DEFAULT '0' NOT NULL, 
    started_at BIGINT NOT NULL, 
    finished_at BIGINT, 
    error TEXT COLLATE "C", 
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX backfills_by_session ON backfills (session_id);
CREATE INDEX backfills_running ON backfills (session_id) WHERE status = 'running';
ALTER TABLE contacts ADD COLUMN direct BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE contacts ADD COLUMN grouped BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE contacts ADD COLUMN search TEXT COLLATE "C" DEFAULT '' NOT NULL;
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
    digest TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    key_id TEXT COLLATE "C", 
    key_digest TEXT COLLATE "C", 
    user_id TEXT COLLATE "C", 
    scope TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C", 
    events TEXT COLLATE "C", 
    since TEXT COLLATE "C", 
    expires_at BIGINT NOT NULL, 
    PRIMARY KEY (digest)
);
CREATE INDEX tickets_by_end ON tickets (expires_at);
UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';
ALTER TABLE organizations ADD COLUMN webhooks BIGINT DEFAULT '0' NOT NULL;
CREATE TABLE webhooks (
    id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    url TEXT COLLATE "C" NOT NULL, 
    events TEXT COLLATE "C" NOT NULL, 
    every BIGINT NOT NULL, 
    session_id TEXT COLLATE "C", 
    retry_policy TEXT COLLATE "C" NOT NULL, 
    active BIGINT NOT NULL, 
    ordered BIGINT NOT NULL, 
    custom_headers TEXT COLLATE "C", 
    secret TEXT COLLATE "C", 
    previous_secret TEXT COLLATE "C", 
    previous_until BIGINT, 
    created_at BIGINT NOT NULL, 
    updated_at BIGINT NOT NULL, 
    failing_since BIGINT, 
    deleted_at BIGINT, 
    PRIMARY KEY (id)
);
CREATE INDEX webhooks_by_organization ON webhooks (organization_id, id);
CREATE TABLE deliveries (
    webhook_id TEXT COLLATE "C" NOT NULL, 
    event_id TEXT COLLATE "C" NOT NULL, 
    organization_id TEXT COLLATE "C" NOT NULL, 
    session_id TEXT COLLATE "C" NOT NULL, 
    event TEXT COLLATE "C" NOT NULL, 
    timestamp BIGINT NOT NULL, 
    payload TEXT COLLATE "C", 
    status TEXT COLLATE "C" NOT NULL, 
    open BIGINT NOT NULL, 
    lane TEXT COLLATE "C", 
    ready BIGINT NOT NULL, 
    attempts BIGINT DEFAULT '0' NOT NULL, 
    due_at BIGINT NOT NULL, 
    holder TEXT COLLATE "C", 
    created_at BIGINT NOT NULL, 
    last_response_code BIGINT, 
    last_error TEXT COLLATE "C", 
    PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at, event_id) WHERE open = 1 AND ready = 1;
CREATE INDEX deliveries_in_order ON deliveries (webhook_id, lane, event_id) WHERE open = 1 AND lane IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (webhook_id, event_id) WHERE status = 'dead';
UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';
ALTER TABLE outbox ADD COLUMN traceparent TEXT COLLATE "C";
ALTER TABLE deliveries ADD COLUMN traceparent TEXT COLLATE "C";
UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';
ALTER TABLE sessions ADD COLUMN remarks TEXT COLLATE "C";
ALTER TABLE groups ADD COLUMN tags TEXT COLLATE "C";
ALTER TABLE webhooks ADD COLUMN bound BIGINT DEFAULT '0' NOT NULL;
UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';
ALTER TABLE tickets ADD COLUMN login_until BIGINT;
UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';
ALTER TABLE sessions ADD COLUMN strangers_at BIGINT;
ALTER TABLE sessions ADD COLUMN banned_until BIGINT;
UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';
