-- The latest time at which a channel's counts changed: a clock behind it has been set back.
ALTER TABLE channels ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
