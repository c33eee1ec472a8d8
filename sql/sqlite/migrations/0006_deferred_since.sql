-- Since when it is deferred: when the first attempt of those began. Patience ends by it, and not by the time of waiting before.
ALTER TABLE notifications ADD COLUMN deferred_since INTEGER;
-- The end of a pause that the other side asked for; who got through meanwhile had begun before, and does not end it.
ALTER TABLE channels ADD COLUMN asked_until INTEGER;
