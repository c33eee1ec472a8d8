-- Who may speak to us over HTTP. Of a token's secret only its SHA-256 is kept; a revoked one stays, so that its number
-- in a log still has a name.
CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    scopes     TEXT NOT NULL,  -- words with commas between
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    used_at    INTEGER         -- coarse: written once a minute at most
) STRICT;
