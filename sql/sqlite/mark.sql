-- How many changes there were, ever; and how many notifications were purged, which is told by no event.
SELECT coalesce((SELECT max(id) FROM events), 0), max(coalesce((SELECT sum(purged) FROM channels), 0), 0)
