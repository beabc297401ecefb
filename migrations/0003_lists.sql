-- What the admin page's lists filter, order and search, in one index each: they are read without touching the rows, which
-- hold the sealed keys. They take the place of the indexes by creation, so that a new key costs no further write.
CREATE INDEX keys_listed ON keys (created_at, id, enabled, status, until, provider, weight, quota_group, label, masked);
DROP INDEX keys_by_creation;

-- Keys that are out of use, by state. A key that works is not in it.
CREATE INDEX keys_out ON keys (enabled, status, until, created_at, id) WHERE enabled = 0 OR status <> 'active';

-- The beginning of a group's name, whatever its case (ASCII).
CREATE INDEX keys_by_group_name ON keys (quota_group COLLATE NOCASE, created_at) WHERE quota_group IS NOT NULL;

CREATE INDEX tokens_listed ON tokens (created_at, id, name, masked);
DROP INDEX tokens_by_creation;
