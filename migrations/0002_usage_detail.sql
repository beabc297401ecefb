-- Errors by what the client got and histograms of times, as compact JSON (core/src/pool/detail.rs). Client requests
-- only: of the pool in every grain; of a token, and of a model those that it answered or was the last to be tried for,
-- by hour and day. Rows from before have none.
ALTER TABLE usage ADD COLUMN detail TEXT;
