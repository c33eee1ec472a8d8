-- How many were accepted and how many other events there were, ever.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'notifications'), 0), coalesce((SELECT max(id) FROM events), 0)
