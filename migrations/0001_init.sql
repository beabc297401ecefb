-- The record: everything that must survive. Who writes what is in docs/architecture.md.
-- Times are unix milliseconds. Statements end with a semicolon at the end of a line.

-- Single values: generation, epoch, wrapped_data_key, wrapped_digest_key, password, settings.
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('generation', '1'), ('epoch', '1');

-- Upstream keys. `sealed` opens only with the row's own id; `digest` finds duplicates.
-- status, reason and until are written by the Coordinator alone.
CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  provider TEXT NOT NULL,
  quota_group TEXT,
  label TEXT NOT NULL DEFAULT '',
  masked TEXT NOT NULL,
  sealed TEXT NOT NULL,
  digest TEXT NOT NULL,
  weight INTEGER NOT NULL DEFAULT 1,
  enabled INTEGER NOT NULL DEFAULT 1,
  source TEXT NOT NULL DEFAULT 'admin',
  base_url TEXT,
  options TEXT,
  created_at INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'active',
  reason TEXT,
  until INTEGER
) WITHOUT ROWID;

CREATE UNIQUE INDEX keys_by_digest ON keys (provider, digest);
CREATE INDEX keys_by_creation ON keys (created_at, id);
CREATE INDEX keys_by_group ON keys (quota_group);

-- Client tokens, by digest. `models` and `limits` are JSON.
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  digest TEXT NOT NULL UNIQUE,
  masked TEXT NOT NULL DEFAULT '',
  enabled INTEGER NOT NULL DEFAULT 1,
  expires_at INTEGER,
  models TEXT,
  limits TEXT NOT NULL DEFAULT '{}',
  metrics INTEGER NOT NULL DEFAULT 0,
  source TEXT NOT NULL DEFAULT 'admin',
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX tokens_by_creation ON tokens (created_at, id);

-- Model pools. `members` is a JSON list of {model, provider, weight, enabled}.
CREATE TABLE pools (
  name TEXT PRIMARY KEY,
  strategy TEXT NOT NULL DEFAULT 'rotate',
  members TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO pools (name, strategy, members, created_at) VALUES
  ('default', 'rotate', '[{"model":"gpt-oss-120b","provider":"cerebras","weight":1,"enabled":true}]', 0);

-- Admin sessions, by digest.
CREATE TABLE sessions (
  digest TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Who changed what, when; secrets masked.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT ''
);

-- Usage, written by the Coordinator as absolute values, so that a repeated flush changes nothing.
-- grain: total (at = 0), day, hour, minute. dim: key (counts attempts), token and pool (count client
-- requests), model (counts attempts).
CREATE TABLE usage (
  grain TEXT NOT NULL,
  dim TEXT NOT NULL,
  id TEXT NOT NULL,
  at INTEGER NOT NULL,
  requests INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  cut INTEGER NOT NULL DEFAULT 0,
  prompt_tokens INTEGER NOT NULL DEFAULT 0,
  completion_tokens INTEGER NOT NULL DEFAULT 0,
  cached_tokens INTEGER NOT NULL DEFAULT 0,
  estimated_prompt_tokens INTEGER NOT NULL DEFAULT 0,
  estimated_completion_tokens INTEGER NOT NULL DEFAULT 0,
  last_used_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (grain, dim, id, at)
) WITHOUT ROWID;

CREATE INDEX usage_by_age ON usage (grain, at);

-- The model catalog's last copy (one row) and how its last refresh went.
CREATE TABLE catalog (
  provider TEXT PRIMARY KEY,
  models TEXT NOT NULL,
  fetched_at INTEGER NOT NULL,
  last_error TEXT
) WITHOUT ROWID;
