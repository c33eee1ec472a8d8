SELECT worker, started_at, ended_at, sent, deferred, dead, expired, held FROM passes ORDER BY id DESC LIMIT 1
